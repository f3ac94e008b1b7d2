"""The flash chip of one simulated board: a file that every access goes to at once."""

import hashlib
import mmap
from pathlib import Path

SIZE = 4 << 20
SECTOR = 0x1000


def jedec_id(size: int) -> int:
    """Answer to command 9Fh, lowest byte first: manufacturer 20, type 40, capacity as a power of two.

    4 MB give device 4016, as on ESP32-WROOM modules with an XMC chip (data sheet XM25QH32C, "Read ID").
    """
    return (size.bit_length() - 1) << 16 | 0x4020


class FlashImage:
    """NOR flash in a file; MicroPython's process opens the same file for its block device.

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
