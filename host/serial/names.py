"""How a board is named: by port, by what the cable tells, by MAC, by network URL, or by its buoy id.

/dev/ttyUSB0, runs/simulated/ports/buoy-128    a serial port
rfc2217://HOST:PORT, socket://HOST:PORT        a serial port of another computer
usb:10c4:ea60:0001                             vendor, product and serial number of the USB bridge
location:1-1.2                                 where on the USB hubs it is plugged in
mac:24:0a:c4:00:00:80                          the chip, whatever port it comes up on
131                                            the buoy id that the chip holds
"""

import re
from dataclasses import dataclass
from typing import Literal

from host.model.errors import UsageError

NameKind = Literal["port", "usb", "location", "mac", "id"]

_MAC = re.compile(r"(?:mac:)?((?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2})", re.IGNORECASE)
_USB = re.compile(r"usb:([0-9a-f]{4}):([0-9a-f]{4}):(.+)", re.IGNORECASE)
_LOCATION = re.compile(r"(?:location|usb):([0-9]+-[0-9]+(?:\.[0-9]+)*)(?::[0-9.]+)?", re.IGNORECASE)
_URL = re.compile(r"(rfc2217|socket)://[^/\s]+:[0-9]+(?:/\S*)?(?:\?\S*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BoardName:
    """A name as given, and what it names a board by."""

    kind: NameKind
    value: str
    """Port or URL; `vid:pid:serial`; location; twelve hex digits of a MAC; the id in digits."""
    text: str
    """As given."""

    def __str__(self) -> str:
        return self.text


def parse_name(text: str) -> BoardName:
    """A name of a board.

    Raises:
        UsageError: it is none; says what names look like.
    """
    text = text.strip()
    if text.isdecimal():
        return BoardName("id", str(int(text)), text)
    if match := _USB.fullmatch(text):
        return BoardName("usb", f"{match[1].lower()}:{match[2].lower()}:{match[3]}", text)
    if match := _LOCATION.fullmatch(text):
        return BoardName("location", match[1], text)
    if (match := _MAC.fullmatch(text)) and (text.lower().startswith("mac:") or len(match[1]) > 12):
        return BoardName("mac", plain_mac(match[1]), text)
    if _URL.fullmatch(text):
        return BoardName("port", text, text)
    if "://" in text or text.lower().startswith(("usb:", "mac:", "location:")) or not text:
        raise UsageError(
            f"`{text}` names no board",
            next_step="a port (/dev/ttyUSB0), rfc2217://HOST:PORT, usb:VID:PID:SERIAL, location:1-1.2, "
            "mac:24:0a:c4:00:00:80, or a buoy id",
        )
    return BoardName("port", text, text)


def plain_mac(text: str) -> str:
    """Twelve small hex digits."""
    return re.sub(r"[:-]", "", text).lower()


def mac_text(mac: str) -> str:
    """`240ac4000080` → `24:0a:c4:00:00:80`."""
    return ":".join(mac[at : at + 2] for at in range(0, len(mac), 2))
