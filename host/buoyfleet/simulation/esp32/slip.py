"""SLIP framing (RFC 1055) as the ESP32's ROM loader speaks it."""

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
LONGEST_FRAME = 0x10000
"""Bytes, escaped; a stub block is 0x4000 bytes, twice that if every byte is escaped."""


def encode(payload: bytes) -> bytes:
    """One frame with its delimiters."""
    return b"\xc0" + payload.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


class SlipReader:
    """Takes frames out of a byte stream; what stands between frames is dropped, a frame too long too."""

    __slots__ = ("_frame", "_inside")

    def __init__(self) -> None:
        self._frame = bytearray()
        self._inside = False

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that became complete."""
        frames: list[bytes] = []
        *complete, rest = data.split(b"\xc0")
        for part in complete:
            if self._inside:
                self._frame += part
                if self._frame:
                    frames.append(decode(bytes(self._frame)))
                    self._inside = False
                    self._frame.clear()
            else:
                self._inside = True
        if self._inside:
            self._frame += rest
            if len(self._frame) > LONGEST_FRAME:
                self._frame.clear()
                self._inside = False
        return frames


def decode(frame: bytes) -> bytes:
    """A frame's payload; an escape that means nothing is left as it is."""
    return frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb") if b"\xdb" in frame else frame
