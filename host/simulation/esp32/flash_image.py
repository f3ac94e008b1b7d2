"""The flash chip of one simulated board: a file that every access goes to at once."""

import hashlib
import mmap
from pathlib import Path

SIZE = 4 << 20
SECTOR = 0x1000
JEDEC_ID = 0x164020
"""Manufacturer 20, device 4016: 4 MB, as on ESP32-WROOM modules with an XMC chip."""
NVS_OFFSET, NVS_SIZE = 0x9000, 0x6000
VFS_OFFSET, VFS_SIZE = 0x200000, 0x200000
# Partition table of MicroPython's ESP32_GENERIC with 4 MB (partitions-4MiB.csv).


class FlashImage:
    """4 MB of NOR flash in a file; MicroPython's process opens the same file for its block device.

    Raises:
        ValueError: the file has another size.
    """

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self.path = path
        self.size = size
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_bytes(b"\xff" * size)
            new.replace(path)
        if path.stat().st_size != size:
            raise ValueError(f"{path} has {path.stat().st_size} bytes, a flash image has {size}")
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)

    def inside(self, offset: int, length: int) -> bool:
        """Whether the range lies on the chip."""
        return 0 <= offset <= self.size and 0 <= length <= self.size - offset

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of a range.

        Raises:
            ValueError: not on the chip.
        """
        self._check(offset, length)
        return self._map[offset : offset + length]

    def write(self, offset: int, data: bytes) -> None:
        """Replace bytes. The callers erase first, as flash needs."""
        self._check(offset, len(data))
        self._map[offset : offset + len(data)] = data

    def erase(self, offset: int = 0, length: int | None = None) -> None:
        """Set a range, whole sectors of it, to 0xFF; everything by default."""
        length = self.size if length is None else length
        self._check(offset, length)
        first = offset // SECTOR * SECTOR
        last = min(self.size, -(-(offset + length) // SECTOR) * SECTOR)
        self._map[first:last] = b"\xff" * (last - first)

    def md5(self, offset: int, length: int) -> bytes:
        """Digest of a range."""
        self._check(offset, length)
        return hashlib.md5(self._map[offset : offset + length], usedforsecurity=False).digest()

    def close(self) -> None:
        """Release the file; what was written stays."""
        self._map.close()

    def _check(self, offset: int, length: int) -> None:
        if not self.inside(offset, length):
            raise ValueError(f"flash range {offset:#x}+{length:#x} is not within {self.size:#x}")
