"""Non-volatile storage inside the flash image's NVS partition.

Two halves hold the whole store in turn, each with its number and CRC: a cut between or in two writes leaves
one that is whole. It is not ESP-IDF's own page format.
"""

import json
import struct
import zlib

from host.simulation.buses.chip import Nvs, NvsError
from host.simulation.esp32.flash_image import NVS_OFFSET, NVS_SIZE, FlashImage

HALF = NVS_SIZE // 2
HEADER = struct.Struct("<4sIII")
MAGIC = b"NVSs"


class FlashNvs(Nvs):
    """NVS of a board; `load` after every reset."""

    __slots__ = ("_flash", "_number")

    def __init__(self, flash: FlashImage) -> None:
        super().__init__()
        self._flash = flash
        self._number = 0
        self.load()

    def load(self) -> None:
        """Take what stands in flash; anything damaged counts as empty."""
        self.forget_pending()
        self.committed.clear()
        self._number = 0
        for half in (0, 1):
            number, found = self._half(half)
            if found is not None and number > self._number:
                self._number = number
                self.committed = found

    def commit(self) -> None:
        """Write to flash what was set and erased."""
        super().commit()
        text = json.dumps(
            [[space, key, v if isinstance(v, int) else v.hex()] for (space, key), v in self.committed.items()]
        ).encode()
        if len(text) > HALF - HEADER.size:
            raise NvsError(-4357, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._number += 1
        at = NVS_OFFSET + HALF * (self._number % 2)
        self._flash.erase(at, HALF)
        self._flash.write(at + HEADER.size, text)
        self._flash.write(at, HEADER.pack(MAGIC, self._number, len(text), zlib.crc32(text)))

    def _half(self, half: int) -> tuple[int, dict[tuple[str, str], int | bytes] | None]:
        data = self._flash.read(NVS_OFFSET + HALF * half, HALF)
        magic, number, length, crc = HEADER.unpack_from(data)
        text = data[HEADER.size : HEADER.size + length] if length <= HALF else b""
        if magic != MAGIC or zlib.crc32(text) != crc:
            return 0, None
        items = json.loads(text)
        return number, {(s, k): v if isinstance(v, int) else bytes.fromhex(v) for s, k, v in items}
