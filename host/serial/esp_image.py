"""What an image for an ESP32 holds, and whether it would boot: read before anything is erased.

Formats: Espressif, "Firmware Image Format" (esptool documentation) and "Partition Tables" (ESP-IDF).
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path

from host.model.errors import UsageError

FLASH_START = 0x1000
"""An image of the whole chip starts here: the ESP32's ROM looks for the boot loader at this address."""
TABLE = 0x8000
NVS_START, NVS_END = 0x9000, 0xF000
"""Identity and Wi-Fi; in stock images this range is padding, which would wipe it."""
CHIPS = {
    0: "ESP32",
    2: "ESP32-S2",
    5: "ESP32-C3",
    9: "ESP32-S3",
    12: "ESP32-C2",
    13: "ESP32-C6",
    16: "ESP32-H2",
}
"""chip_id of the extended header."""
_HEADER = struct.Struct("<BBBBI4xH9xB")
"""Magic, segments, mode, size and speed, entry, (pins), chip id, (revisions, reserved), hash appended."""
_ENTRY = struct.Struct("<HBBII16sI")
_APP, _NVS = 0, (1, 2)
_MOST_SEGMENTS = 16
_DESCRIPTION = 0xABCD5432
_SMALLEST = 0x10000


@dataclass(frozen=True, slots=True)
class Region:
    """One line of a partition table."""

    label: str
    kind: int
    subtype: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class FlashImage:
    """A whole image that passed every check."""

    path: Path
    digest: str
    """SHA-256 of the file in hex."""
    data: bytes
    project: str
    version: str
    """Of the program inside, e.g. `1.26.1`; empty where it does not say."""
    regions: tuple[Region, ...]

    @property
    def flash_bytes(self) -> int:
        """The flash it needs."""
        return max([FLASH_START + len(self.data), *(r.offset + r.size for r in self.regions)])

    def pieces(self, keep_nvs: bool = True) -> list[tuple[int, bytes]]:
        """(address, bytes) to write: around the NVS range, or everything.

        Raises:
            UsageError: the image has something of its own where identity lives.
        """
        if not keep_nvs:
            return [(FLASH_START, self.data)]
        inside = self.data[NVS_START - FLASH_START : NVS_END - FLASH_START]
        if inside.strip(b"\xff"):
            raise UsageError(
                "the image has data of its own at 0x9000-0xEFFF, where the board keeps its identity",
                where=str(self.path),
                next_step="use an image of the plain interpreter, or --erase to lose the identity",
            )
        return [
            (FLASH_START, self.data[: NVS_START - FLASH_START]),
            (NVS_END, self.data[NVS_END - FLASH_START :]),
        ]


def read_image(path: Path) -> FlashImage:
    """Read and check an image that is written at 0x1000.

    Raises:
        UsageError: it would not boot, or is for another chip; with what is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(data) < _SMALLEST:
        raise _refused(path, f"it has {len(data)} bytes; a whole image has more than {_SMALLEST}")
    _check_program(path, data, 0, "boot loader")
    regions = _table(path, data)
    if (*_NVS, NVS_START, NVS_END - NVS_START) not in [
        (region.kind, region.subtype, region.offset, region.size) for region in regions
    ]:
        raise _refused(path, "its partition table has no NVS at 0x9000-0xEFFF", "an image of another layout")
    program = next((region for region in regions if region.kind == _APP), None)
    if program is None:
        raise _refused(path, "its partition table names no program")
    at = program.offset - FLASH_START
    end = _check_program(path, data, at, "program")
    if end - at > program.size:
        raise _refused(path, f"its program has {end - at} bytes, its partition {program.size}")
    project, version = _description(data, at)
    return FlashImage(path, hashlib.sha256(data).hexdigest(), data, project, version, regions)


def _check_program(path: Path, data: bytes, start: int, what: str) -> int:
    """Where the program at `start` ends."""
    if start + _HEADER.size + 8 > len(data):
        raise _refused(path, f"the {what} at {FLASH_START + start:#x} is not in the file", "it is cut short")
    magic, segments, _mode, _size, _entry, chip, hashed = _HEADER.unpack_from(data, start)
    if magic != 0xE9:
        raise _refused(
            path,
            f"no ESP32 {what}: the byte at {FLASH_START + start:#x} is {magic:#04x}, not 0xe9",
            "a file of another kind, or an update (.app-bin) instead of a whole image",
        )
    if chip != 0:
        raise _refused(
            path,
            f"the {what} is for {CHIPS.get(chip, f'chip {chip}')}, not for ESP32",
            "another board's image",
        )
    if not 0 < segments <= _MOST_SEGMENTS:
        raise _refused(path, f"the {what} has {segments} segments; 1 to {_MOST_SEGMENTS}")
    at = start + _HEADER.size
    check = 0xEF
    for number in range(segments):
        length = struct.unpack_from("<4xI", data, at)[0] if at + 8 <= len(data) else len(data)
        if at + 8 + length > len(data):
            raise _refused(path, f"segment {number} of the {what} is not whole", "a download that broke off")
        check ^= _folded(data[at + 8 : at + 8 + length])
        at += 8 + length
    end = start + ((at - start) // 16 + 1) * 16
    if end > len(data) or data[end - 1] != check:
        raise _refused(path, f"the checksum of the {what} is wrong", "a damaged file")
    if hashed:
        if hashlib.sha256(data[start:end]).digest() != data[end : end + 32]:
            raise _refused(path, f"the SHA-256 of the {what} is wrong", "a damaged file")
        end += 32
    return end


def _folded(data: bytes) -> int:
    """Exclusive or of all bytes."""
    words = memoryview(data + bytes(-len(data) % 8)).cast("Q")
    folded = reduce(xor, words, 0)
    return reduce(xor, folded.to_bytes(8, "little"), 0)


def _table(path: Path, data: bytes) -> tuple[Region, ...]:
    start = TABLE - FLASH_START
    found: list[Region] = []
    for at in range(start, start + 0xC00, _ENTRY.size):
        magic, kind, subtype, offset, size, label, _flags = _ENTRY.unpack_from(data, at)
        if magic == 0xEBEB:
            if hashlib.md5(data[start:at], usedforsecurity=False).digest() != data[at + 16 : at + 32]:
                raise _refused(path, "the MD5 of its partition table is wrong", "a damaged file")
            break
        if magic != 0x50AA:
            break
        found.append(Region(_text(label), kind, subtype, offset, size))
    if not found:
        raise _refused(path, "no partition table at 0x8000", "an update instead of a whole image")
    return tuple(found)


def _description(data: bytes, start: int) -> tuple[str, str]:
    """Project and version of esp_app_desc_t, at the start of the first segment."""
    magic, version, project = struct.unpack_from("<I12x32s32s", data, start + _HEADER.size + 8)
    if magic != _DESCRIPTION:
        return "", ""
    return _text(project), _text(version).removeprefix("v")


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", "replace")


def _refused(path: Path, what: str, cause: str = "") -> UsageError:
    return UsageError(
        what, where=str(path), cause=cause, next_step="an ESP32_GENERIC image (.bin) of MicroPython"
    )
