"""What an image for an ESP32 holds, and whether it would boot: read before anything is erased.

Formats: Espressif, "Firmware Image Format" (esptool documentation) and "Partition Tables" (ESP-IDF).
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path

from buoyfleet.model.errors import UsageError
from buoyfleet.model.micropython import version_in_name, version_in_program
from buoyfleet.serial.chips import CHIPS, SUPPORTED

FLASH_START = 0x1000
"""An image of the whole chip starts here: the ESP32's ROM looks for the boot loader at this address."""
TABLE = 0x8000
TABLE_BYTES = 0xC00
FILE_SYSTEM = "vfs"
"""Label of the partition that MicroPython mounts (ports/esp32/modules/flashbdev.py)."""
_HEADER = struct.Struct("<BBBBI4xH9xB")
"""Magic, segments, mode, size and speed, entry, (pins), chip id, (revisions, reserved), hash appended."""
_ENTRY = struct.Struct("<HBBII16sI")
_APP, _NVS = 0, (1, 2)
_MOST_SEGMENTS = 16
_MAGIC = 0xE9
_DESCRIPTION = struct.pack("<I", 0xABCD5432)
"""esp_app_desc_t, at the start of the first segment of a program; a boot loader has another."""
_DESCRIPTION_AT = 0x20
_SMALLEST = 0x10000
_ESP8266_ADDRESSES = range(0x3FF00000, 0x40400000)
"""Where the first segment of an ESP8266's image is loaded; an ESP32's header has pins there."""


@dataclass(frozen=True, slots=True)
class Region:
    """One line of a partition table."""

    label: str
    kind: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Of its range, exclusive."""
        return self.offset + self.size

    def __str__(self) -> str:
        return f"{self.label} at {self.offset:#x}-{self.end - 1:#x}"


@dataclass(frozen=True, slots=True)
class FlashImage:
    """A whole image that passed every check."""

    path: Path
    digest: str
    """SHA-256 of the file in hex."""
    data: bytes
    version: str
    """Of the MicroPython inside, e.g. `1.26.1`; empty where neither it nor the file's name says."""
    regions: tuple[Region, ...]
    header_flash_bytes: int
    """Size of the flash that the header names; the program stops where the chip has less."""

    @property
    def flash_bytes(self) -> int:
        """The flash it needs."""
        ends = [region.end for region in self.regions]
        return max(FLASH_START + len(self.data), self.header_flash_bytes, *ends)

    @property
    def nvs(self) -> Region:
        """Where a board with this image keeps its identity."""
        found = nvs_region(self.regions)
        assert found is not None  # read_image refuses an image without it
        return found

    @property
    def files(self) -> Region | None:
        """Where a board with this image keeps its files."""
        return files_region(self.regions)

    def pieces(self, keep_nvs: bool = True) -> list[tuple[int, bytes]]:
        """(address, bytes) to write: around the NVS range, or everything.

        Raises:
            UsageError: the image has something of its own where identity lives.
        """
        nvs = self.nvs
        inside = self.data[nvs.offset - FLASH_START : nvs.end - FLASH_START]
        if not keep_nvs or not inside:
            return [(FLASH_START, self.data)]
        if inside.strip(b"\xff"):
            raise UsageError(
                f"the image has data of its own at {nvs.offset:#x}-{nvs.end - 1:#x}, where the board keeps "
                "its identity",
                where=str(self.path),
                next_step="use an image of the plain interpreter, or --erase to lose the identity",
            )
        pieces = [(FLASH_START, self.data[: nvs.offset - FLASH_START])]
        if len(self.data) > nvs.end - FLASH_START:
            pieces.append((nvs.end, self.data[nvs.end - FLASH_START :]))
        return pieces


def nvs_region(regions: tuple[Region, ...]) -> Region | None:
    """The partition of NVS."""
    return next((region for region in regions if (region.kind, region.subtype) == _NVS), None)


def files_region(regions: tuple[Region, ...]) -> Region | None:
    """The partition of the file system."""
    return next((region for region in regions if region.label == FILE_SYSTEM), None)


def read_image(path: Path, name: str = "") -> FlashImage:
    """Read and check an image that is written at 0x1000.

    Args:
        path: of the file.
        name: under which it was released, where the path has another.

    Raises:
        UsageError: it would not boot, or is for another chip; with what is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    _refuse_other_kinds(path, data)
    if len(data) < _SMALLEST:
        raise _refused(
            path,
            f"it has {len(data)} bytes; a whole image has more than {_SMALLEST}",
            "a download that broke off",
        )
    _check_program(path, data, 0, "boot loader")
    regions = _table(path, data)
    low = next((region for region in regions if region.kind in (0, 1) and region.offset <= TABLE), None)
    if low is not None:
        raise _refused(path, f"its partition {low} covers the partition table", "a damaged file")
    if nvs_region(regions) is None:
        raise _refused(
            path,
            "its partition table has no NVS, where a board keeps its identity",
            "not an image of MicroPython",
        )
    header_bytes = 1 << (20 + (data[3] >> 4))
    beyond = next((region for region in regions if region.end > header_bytes), None)
    if beyond is not None:
        raise _refused(
            path,
            f"its partition {beyond} lies beyond the {header_bytes >> 20} MB of flash in its header",
            "an image put together of parts that do not belong together; the boot loader would refuse it",
        )
    programs = [region for region in regions if region.kind == _APP]
    if not programs:
        raise _refused(path, "its partition table names no program")
    program = programs[0]
    at = program.offset - FLASH_START
    end = _check_program(path, data, at, "program")
    if end - at > program.size:
        raise _refused(
            path,
            f"its program has {end - at} bytes, its partition {program.size}",
            "an image put together of parts that do not belong together",
        )
    version = version_in_program(data[at:end]) or version_in_name(name or path.name)
    return FlashImage(
        path, hashlib.sha256(data).hexdigest(), data, str(version) if version else "", regions, header_bytes
    )


def _refuse_other_kinds(path: Path, data: bytes) -> None:
    """Refuse what is no image of a whole ESP32, by what it is."""
    what, cause = _other_kind(data)
    if what:
        raise _refused(path, what, cause)


def _other_kind(data: bytes) -> tuple[str, str]:
    """What a file is, and how it came here; two empty texts where it may be an image."""
    head = data[:512].lstrip().lower()
    if not data:
        return "the file is empty", "a download that broke off"
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        return "it is a web page, not an image", "the page of the download was saved instead of the file"
    if data.startswith(b"UF2\n"):
        return (
            "it is a UF2 file",
            "UF2 is for boards with a USB boot loader of their own, which an ESP32 has not",
        )
    for mark, name in _ARCHIVES.items():
        if data.startswith(mark):
            return f"it is {name}, not an image", "the file was not unpacked"
    if data.startswith(b"\x7fELF"):
        return "it is a program with its symbols (.elf)", "the result of a build that is not for writing"
    if data.startswith(b":") and data[1:9].isalnum():
        return "it is an Intel HEX file", "an image for another kind of chip"
    if data.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file itself", "git lfs pull was not called"
    if data[0] != _MAGIC:
        if not data[:FLASH_START].strip(b"\xff") and data[FLASH_START : FLASH_START + 1] == bytes((_MAGIC,)):
            return (
                "it is an image for address 0, with an empty space before its boot loader",
                "a copy of a whole flash, or esptool's merge-bin",
            )
        if _is_text(data[:512]):
            return "it is a text file, not an image", "an error message was saved instead of the file"
        return (
            f"no ESP32 boot loader: the first byte is {data[0]:#04x}, not {_MAGIC:#04x}",
            "a file of another kind",
        )
    if data[_DESCRIPTION_AT : _DESCRIPTION_AT + 4] == _DESCRIPTION:
        return (
            "it is a program alone (.app-bin), without boot loader and partition table",
            "the file for updates over the air instead of the whole image",
        )
    if len(data) >= 16 and int.from_bytes(data[8:12], "little") in _ESP8266_ADDRESSES:
        return "it is an image for an ESP8266, not for an ESP32", "another board's image"
    return "", ""


_ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"BZh": "a bzip2 archive",
}


def _is_text(data: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data)


def _check_program(path: Path, data: bytes, start: int, what: str) -> int:
    """Where the program at `start` ends."""
    if start < 0 or start + _HEADER.size + 8 > len(data):
        raise _refused(
            path,
            f"the {what} at {FLASH_START + start:#x} is not in the file, which ends at "
            f"{FLASH_START + len(data):#x}",
            "a download that broke off",
        )
    magic, segments, _mode, _size, _entry, chip, hashed = _HEADER.unpack_from(data, start)
    if magic != _MAGIC:
        raise _refused(
            path,
            f"no ESP32 {what}: the byte at {FLASH_START + start:#x} is {magic:#04x}, not {_MAGIC:#04x}",
            "a damaged file",
        )
    if CHIPS.get(chip) != SUPPORTED:
        raise _refused(
            path,
            f"the {what} is for {CHIPS.get(chip, f'chip {chip}')}, not for {SUPPORTED}",
            "another board's image",
        )
    if not 0 < segments <= _MOST_SEGMENTS:
        raise _refused(path, f"the {what} has {segments} segments; 1 to {_MOST_SEGMENTS}", "a damaged file")
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
    try:
        found = read_table(data[start : start + TABLE_BYTES])
    except ValueError as error:
        raise _refused(path, str(error), "a damaged file") from None
    if not found:
        raise _refused(path, "no partition table at 0x8000", "an update instead of a whole image")
    return found


def read_table(data: bytes) -> tuple[Region, ...]:
    """The partitions in the bytes at 0x8000 of a flash; empty where there is no table.

    Raises:
        ValueError: its digest is wrong.
    """
    found: list[Region] = []
    for at in range(0, len(data) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, subtype, offset, size, label, _flags = _ENTRY.unpack_from(data, at)
        if magic == 0xEBEB:
            if hashlib.md5(data[:at], usedforsecurity=False).digest() != data[at + 16 : at + 32]:
                raise ValueError("the MD5 of its partition table is wrong")
            break
        if magic != 0x50AA:
            break
        found.append(Region(_text(label), kind, subtype, offset, size))
    return tuple(found)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", "replace")


def _refused(path: Path, what: str, cause: str = "") -> UsageError:
    return UsageError(
        what,
        where=str(path),
        cause=cause,
        next_step="an ESP32_GENERIC image (.bin) of MicroPython; nothing was written",
    )
