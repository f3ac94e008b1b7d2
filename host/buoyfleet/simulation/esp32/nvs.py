"""Non-volatile storage inside the flash image's NVS partition.

Two halves hold the whole store in turn, each with its number and CRC: a cut between or in two writes leaves
one that is whole. It is not ESP-IDF's own page format.
"""

import json
import struct
import zlib

from buoyfleet.simulation.buses.chip import Nvs, NvsError
from buoyfleet.simulation.esp32.flash_image import SECTOR, FlashImage
from buoyfleet.simulation.esp32.image import DATA, NVS_SUBTYPE, ImageError, read_partitions

HEADER = struct.Struct("<4sIII")
MAGIC = b"NVSs"


class FlashNvs(Nvs):
    """NVS of a board; `load` after every reset."""

    __slots__ = ("_flash", "_half_bytes", "_number", "_offset")

    def __init__(self, flash: FlashImage) -> None:
        super().__init__()
        self._flash = flash
        self._number = 0
        self._offset = self._half_bytes = 0
        self.load()

    def load(self) -> None:
        """Take what stands in flash; anything damaged counts as empty."""
        self.forget_pending()
        self.committed.clear()
        self._number = 0
        self._find()
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
        if len(text) > self._half_bytes - HEADER.size:
            raise NvsError(-4357, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._number += 1
        at = self._offset + self._half_bytes * (self._number % 2)
        self._flash.erase(at, self._half_bytes)
        self._flash.write(at + HEADER.size, text)
        self._flash.write(at, HEADER.pack(MAGIC, self._number, len(text), zlib.crc32(text)))

    def _find(self) -> None:
        """Where the partition table has it; nothing is kept where there is no table."""
        self._offset = self._half_bytes = 0
        try:
            table = read_partitions(self._flash)
        except ImageError:
            return
        place = next((one for one in table if (one.kind, one.subtype) == (DATA, NVS_SUBTYPE)), None)
        if place is not None:
            self._offset = place.offset
            self._half_bytes = place.size // 2 // SECTOR * SECTOR

    def _half(self, half: int) -> tuple[int, dict[tuple[str, str], int | bytes] | None]:
        if not self._half_bytes:
            return 0, None
        data = self._flash.read(self._offset + self._half_bytes * half, self._half_bytes)
        magic, number, length, crc = HEADER.unpack_from(data)
        text = data[HEADER.size : HEADER.size + length] if length <= self._half_bytes else b""
        if magic != MAGIC or zlib.crc32(text) != crc:
            return 0, None
        items = json.loads(text)
        return number, {(s, k): v if isinstance(v, int) else bytes.fromhex(v) for s, k, v in items}
