"""What is in the flash: application images and the partition table, checked as the ESP32's boot loaders do.

Formats: Espressif, "Firmware Image Format" (esptool) and "Partition Tables" (ESP-IDF).
"""

import hashlib
import struct
from dataclasses import dataclass

from host.simulation.esp32.flash_image import FlashImage
from host.simulation.esp32.rom import checksum

MAGIC = 0xE9
BOOTLOADER_OFFSET, TABLE_OFFSET = 0x1000, 0x8000
HEADER = struct.Struct("<BBBBIB3sHBHH4sB")
"""Magic, segments, flash mode, size+speed, entry; pins, drive, chip, revisions, reserved, hash."""
MOST_SEGMENTS = 16
PARTITION = struct.Struct("<HBBII16sI")
PARTITION_MAGIC, PARTITION_DIGEST_MAGIC = 0x50AA, 0xEBEB
APP, DATA = 0, 1
NVS_SUBTYPE = 2
DESCRIPTION_MAGIC = 0xABCD5432
"""Of esp_app_desc_t, at the start of an application's first segment."""


class ImageError(ValueError):
    """An image would not boot; the text is what the boot loader prints."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is whole."""

    length: int
    """Bytes, checksum and hash included."""
    project: str
    """From its description; empty if it has none."""
    version: str


@dataclass(frozen=True, slots=True)
class Partition:
    """One line of the partition table."""

    label: str
    kind: int
    subtype: int
    offset: int
    size: int


def read_image(flash: FlashImage, offset: int) -> Image:
    """The image at an offset.

    Raises:
        ImageError: it is not whole.
    """
    header = HEADER.unpack(flash.read(offset, HEADER.size))
    if header[0] != MAGIC:
        first = int.from_bytes(flash.read(offset, 4), "little")
        raise ImageError(f"invalid header: {first:#010x}")
    segments, chip, hashed = header[1], header[7], header[12]
    if not 0 < segments <= MOST_SEGMENTS or chip != 0:
        raise ImageError(f"image at {offset:#x} has invalid segments or is for chip {chip}")
    at = offset + HEADER.size
    total = b""
    for number in range(segments):
        if not flash.inside(at, 8):
            raise ImageError(f"segment {number} is not within the flash")
        _address, length = struct.unpack("<II", flash.read(at, 8))
        if not flash.inside(at + 8, length + 64):
            raise ImageError(f"Segment {number} load address or length {length:#x} invalid")
        total += bytes((checksum(flash.read(at + 8, length)) ^ 0xEF,))
        at += 8 + length
    end = offset + (at - offset) // 16 * 16 + 16
    stored = flash.read(end - 1, 1)[0]
    if checksum(total) != stored:
        raise ImageError(f"Checksum failed. Calculated {checksum(total):#x} read {stored:#x}")
    if hashed:
        if hashlib.sha256(flash.read(offset, end - offset)).digest() != flash.read(end, 32):
            raise ImageError(f"Image hash failed - image at {offset:#x} is corrupt")
        end += 32
    project, version = _description(flash.read(offset + HEADER.size + 8, 80))
    return Image(end - offset, project, version)


def _description(data: bytes) -> tuple[str, str]:
    magic, _secure, _reserved, version, project = struct.unpack("<II8s32s32s", data)
    if magic != DESCRIPTION_MAGIC:
        return "", ""
    return _text(project), _text(version)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", "replace")


def read_partitions(flash: FlashImage) -> list[Partition]:
    """The partition table.

    Raises:
        ImageError: there is none, or it is damaged.
    """
    data = flash.read(TABLE_OFFSET, 0xC00)
    found: list[Partition] = []
    for at in range(0, len(data), PARTITION.size):
        magic, kind, subtype, offset, size, label, _flags = PARTITION.unpack_from(data, at)
        if magic == PARTITION_DIGEST_MAGIC:
            if hashlib.md5(data[:at], usedforsecurity=False).digest() != data[at + 16 : at + 32]:
                raise ImageError("partition table MD5 does not match")
            break
        if magic != PARTITION_MAGIC:
            break
        if not flash.inside(offset, size):
            raise ImageError(f"partition {_text(label)} exceeds flash chip size {flash.size:#x}")
        found.append(Partition(_text(label), kind, subtype, offset, size))
    if not found:
        raise ImageError("Failed to verify partition table")
    return found
