"""What is in the flash: application images and the partition table, checked as the ESP32's boot loaders do.

Formats: Espressif, "Firmware Image Format" (esptool) and "Partition Tables" (ESP-IDF).
"""

import hashlib
import re
import struct
import zlib
from dataclasses import dataclass

from buoyfleet.simulation.esp32.efuse import ESP32, ChipKind
from buoyfleet.simulation.esp32.flash_image import SECTOR, FlashImage
from buoyfleet.simulation.esp32.rom import checksum

MAGIC = 0xE9
TABLE_OFFSET = 0x8000
HEADER = struct.Struct("<BBBBIB3sHBHH4sB")
"""Magic, segments, flash mode, size+speed, entry; pins, drive, chip, revisions, reserved, hash."""
MOST_SEGMENTS = 16
PARTITION = struct.Struct("<HBBII16sI")
PARTITION_MAGIC, PARTITION_DIGEST_MAGIC = 0x50AA, 0xEBEB
APP, DATA = 0, 1
FACTORY_SUBTYPE, OTA_SUBTYPE = 0x00, 0x10
OTA_DATA_SUBTYPE, NVS_SUBTYPE = 0, 2
OTA_SELECT = struct.Struct("<I20sII")
"""esp_ota_select_entry_t: sequence number from 1, label, state, CRC-32 of the number."""
OTA_REFUSED = (0x3, 0x4)
"""ESP_OTA_IMG_INVALID and ESP_OTA_IMG_ABORTED."""
DESCRIPTION_MAGIC = 0xABCD5432
"""Of esp_app_desc_t, at the start of an application's first segment."""
BANNER = re.compile(rb"MicroPython (\S{1,80}) on \d{4}-\d\d-\d\d")
"""What a MicroPython prints at its prompt; stock builds name their version nowhere else."""


class ImageError(ValueError):
    """An image would not boot; the text is what the boot loader prints."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is whole."""

    length: int
    """Bytes, checksum and hash included."""
    flash_bytes: int
    """Size of the flash that its header names."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One line of the partition table."""

    label: str
    kind: int
    subtype: int
    offset: int
    size: int


def read_image(flash: FlashImage, offset: int, chip: ChipKind = ESP32) -> Image:
    """The image at an offset.

    Raises:
        ImageError: it is not whole, or for another kind of chip.
    """
    if not flash.inside(offset, HEADER.size):
        raise ImageError(f"image at {offset:#x} is not within the flash")
    header = HEADER.unpack(flash.read(offset, HEADER.size))
    if header[0] != MAGIC:
        first = int.from_bytes(flash.read(offset, 4), "little")
        raise ImageError(f"invalid header: {first:#010x}")
    segments, size, number, hashed = header[1], header[3] >> 4, header[7], header[12]
    if number != chip.number:
        # bootloader_common_check_chip_validity
        raise ImageError(f"mismatch chip ID, expected {chip.number}, found {number}")
    if not 0 < segments <= MOST_SEGMENTS:
        raise ImageError(f"image at {offset:#x} segment count {segments} exceeds max {MOST_SEGMENTS}")
    at = offset + HEADER.size
    total = b""
    for segment in range(segments):
        if not flash.inside(at, 8):
            raise ImageError(f"segment {segment} is not within the flash")
        _address, length = struct.unpack("<II", flash.read(at, 8))
        if not flash.inside(at + 8, length + 64):
            raise ImageError(f"Segment {segment} load address or length {length:#x} invalid")
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
    return Image(end - offset, 1 << (20 + size))


def banner_version(flash: FlashImage, offset: int, length: int) -> str:
    """Version of the MicroPython in a range, as its banner says it; empty if it is none."""
    found = BANNER.search(flash.read(offset, length))
    return found[1].decode() if found else ""


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", "replace")


def read_partitions(flash: FlashImage, flash_bytes: int | None = None) -> list[Partition]:
    """The partition table.

    Args:
        flash: the chip.
        flash_bytes: size that the boot loader's header names; by default the chip's.

    Raises:
        ImageError: there is none, or it is damaged.
    """
    flash_bytes = flash.size if flash_bytes is None else flash_bytes
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
        if offset + size > flash_bytes:
            raise ImageError(
                f"partition {len(found)} invalid - offset {offset:#x} size {size:#x} exceeds flash chip size "
                f"{flash_bytes:#x}"
            )
        found.append(Partition(_text(label), kind, subtype, offset, size))
    if not found:
        raise ImageError("Failed to verify partition table")
    return found


def application(flash: FlashImage, partitions: list[Partition]) -> Partition:
    """The partition that is started: what otadata chose, else the factory's, else the first slot.

    Raises:
        ImageError: there is none.
    """
    slots = [one for one in partitions if one.kind == APP and one.subtype & 0xF0 == OTA_SUBTYPE]
    slots.sort(key=lambda one: one.subtype)
    data = next((one for one in partitions if (one.kind, one.subtype) == (DATA, OTA_DATA_SUBTYPE)), None)
    if data is not None and slots and data.size >= 2 * SECTOR:
        numbers: list[int] = []
        for copy in (0, 1):
            entry = flash.read(data.offset + copy * SECTOR, OTA_SELECT.size)
            number, _label, state, crc = OTA_SELECT.unpack(entry)
            if number != 0xFFFFFFFF and crc == zlib.crc32(entry[:4], 0xFFFFFFFF) and state not in OTA_REFUSED:
                numbers.append(number)
        if numbers:
            return slots[(max(numbers) - 1) % len(slots)]
    factory = next((one for one in partitions if (one.kind, one.subtype) == (APP, FACTORY_SUBTYPE)), None)
    if factory is None and not slots:
        raise ImageError("No bootable app partitions in the partition table")
    return slots[0] if factory is None else factory
