"""A synthetic ESP32 image: everything a boot loader checks is valid, the program is noise.

It stands for an interpreter that cannot be shipped here: a simulated board that finds it in its flash starts
MicroPython's Unix port. On a real ESP32 it would crash at once.
"""

import hashlib
import random
import struct
from pathlib import Path

from host.simulation.esp32.image import (
    APP,
    BOOTLOADER_OFFSET,
    DATA,
    DESCRIPTION_MAGIC,
    HEADER,
    MAGIC,
    PARTITION,
    PARTITION_DIGEST_MAGIC,
    PARTITION_MAGIC,
    TABLE_OFFSET,
)
from host.simulation.esp32.rom import checksum

APP_OFFSET = 0x10000
TABLE = (
    ("nvs", DATA, 2, 0x9000, 0x6000),
    ("phy_init", DATA, 1, 0xF000, 0x1000),
    ("factory", APP, 0, APP_OFFSET, 0x1F0000),
    ("vfs", DATA, 0x81, 0x200000, 0x200000),
)
"""Partitions of MicroPython's ESP32_GENERIC with 4 MB (partitions-4MiB.csv)."""


def synthetic_image(version: str = "1.25.0", size: int = 1_700_000) -> bytes:
    """An image to be written at 0x1000, like a stock ESP32_GENERIC one.

    Args:
        version: of the interpreter it stands for.
        size: bytes, about; half of it compresses, as of real ones.
    """
    noise = random.Random(version)
    loader = _image([(0x3FFF0030, noise.randbytes(6000)), (0x40078000, noise.randbytes(12000))], 0x40080694)
    body = max(4096, size - APP_OFFSET + BOOTLOADER_OFFSET)
    description = struct.pack(
        "<II8s32s32s16s16s32s32s80x",
        DESCRIPTION_MAGIC,
        0,
        b"",
        f"v{version}".encode(),
        b"micropython",
        b"00:00:00",
        b"Jan  1 2000",
        b"synthetic",
        b"synthetic image, not a program",
    )
    half = body // 2 // 16 * 16
    text = b"synthetic image of buoyfleet: not a program. " * (half // 45 + 1)
    program = _image(
        [(0x3F400020, description + text[:half]), (0x40080000, noise.randbytes(half))], 0x40081234
    )
    image = bytearray(b"\xff" * (APP_OFFSET - BOOTLOADER_OFFSET))
    image[: len(loader)] = loader
    table = partition_table()
    at = TABLE_OFFSET - BOOTLOADER_OFFSET
    image[at : at + len(table)] = table
    return bytes(image) + program


def partition_table() -> bytes:
    """The table with its digest."""
    lines = b"".join(
        PARTITION.pack(PARTITION_MAGIC, kind, subtype, offset, size, label.encode(), 0)
        for label, kind, subtype, offset, size in TABLE
    )
    digest = hashlib.md5(lines, usedforsecurity=False).digest()
    return lines + struct.pack("<H14s", PARTITION_DIGEST_MAGIC, b"\xff" * 14) + digest


def write_synthetic(path: Path, version: str = "1.25.0", size: int = 1_700_000) -> Path:
    """The image as a file, for esptool."""
    path.write_bytes(synthetic_image(version, size))
    return path


def _image(segments: list[tuple[int, bytes]], entry: int) -> bytes:
    header = HEADER.pack(MAGIC, len(segments), 2, 0x20, entry, 0xEE, b"", 0, 0, 0, 0xFFFF, b"", 1)
    image = bytearray(header)
    total = b""
    for address, data in segments:
        data += bytes(-len(data) % 4)
        total += data
        image += struct.pack("<II", address, len(data)) + data
    image += bytes(15 - len(image) % 16) + bytes((checksum(total),))
    return bytes(image + hashlib.sha256(image).digest())
