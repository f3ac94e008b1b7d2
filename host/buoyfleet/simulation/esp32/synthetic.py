"""A synthetic ESP32 image: everything a boot loader checks is valid, the program is noise.

It stands for an interpreter that cannot be shipped here: a simulated board that finds it in its flash starts
MicroPython's Unix port. On a real ESP32 it would crash at once. Like the stock images, which are built with
CONFIG_APP_EXCLUDE_PROJECT_NAME_VAR and CONFIG_APP_EXCLUDE_PROJECT_VER_VAR, it names neither project nor
version in its description. The version stands in the text of the banner.
"""

import hashlib
import random
import struct
from collections.abc import Sequence
from pathlib import Path

from buoyfleet.simulation.esp32.efuse import ESP32, ChipKind
from buoyfleet.simulation.esp32.image import (
    APP,
    DATA,
    DESCRIPTION_MAGIC,
    HEADER,
    MAGIC,
    PARTITION,
    PARTITION_DIGEST_MAGIC,
    PARTITION_MAGIC,
    TABLE_OFFSET,
)
from buoyfleet.simulation.esp32.rom import checksum

Row = tuple[str, int, int, int, int]
"""Label, type, subtype, offset and size of a partition."""
APP_OFFSET = 0x10000
STOCK = "4MiB"
_NVS: Row = ("nvs", DATA, 2, 0x9000, 0x6000)
_PHY: Row = ("phy_init", DATA, 1, 0xF000, 0x1000)


def _factory(size: int) -> Row:
    return ("factory", APP, 0, APP_OFFSET, size)


def _files(offset: int, size: int) -> Row:
    return ("vfs", DATA, 0x81, offset, size)


LAYOUTS: dict[str, tuple[int, tuple[Row, ...]]] = {
    STOCK: (4, (_NVS, _PHY, _factory(0x1F0000), _files(0x200000, 0x200000))),
    "2MiB": (2, (_NVS, _PHY, _factory(0x110000), _files(0x120000, 0xA0000))),
    "8MiB": (8, (_NVS, _PHY, _factory(0x300000), _files(0x310000, 0x4F0000))),
    "16MiB": (16, (_NVS, _PHY, _factory(0x300000), _files(0x310000, 0xCD0000))),
    "4MiB-ota": (
        4,
        (
            ("nvs", DATA, 2, 0x9000, 0x4000),
            ("otadata", DATA, 0, 0xD000, 0x2000),
            _PHY,
            ("ota_0", APP, 0x10, APP_OFFSET, 0x180000),
            ("ota_1", APP, 0x11, 0x190000, 0x180000),
            _files(0x310000, 0xF0000),
        ),
    ),
}  # fmt: skip
"""partitions-<name>.csv in MicroPython's ports/esp32 → MB of flash in the header, partitions."""
DATES = {
    "1.23.0": "2024-06-02",
    "1.24.0": "2024-10-25",
    "1.24.1": "2024-11-29",
    "1.25.0": "2025-04-15",
    "1.26.0": "2025-08-09",
    "1.26.1": "2025-09-11",
}
"""Releases of MicroPython and the dates in their banners."""


def synthetic_image(
    version: str = "1.25.0",
    size: int = 1_700_000,
    *,
    layout: str = STOCK,
    chip: ChipKind = ESP32,
    banner: bool = True,
) -> bytes:
    """An image to be written where the chip's ROM looks for it, like a stock ESP32_GENERIC one.

    Args:
        version: of the interpreter it stands for, e.g. `1.26.0-preview.12.gabcdef0`.
        size: bytes, about; half of it compresses, as of real ones.
        layout: one of `LAYOUTS`.
        chip: kind of chip that it is for.
        banner: whether a MicroPython is in it.
    """
    megabytes, rows = LAYOUTS[layout]
    noise = random.Random(version)
    loader = _image(
        [(0x3FFF0030, noise.randbytes(6000)), (0x40078000, noise.randbytes(12000))],
        0x40080694, chip, megabytes,
    )  # fmt: skip
    start = chip.boot_loader
    body = max(4096, size - APP_OFFSET + start)
    description = struct.pack(
        "<II8s32s32s16s16s32s32s80x",
        DESCRIPTION_MAGIC, 0, b"", b"", b"", b"00:00:00", b"Jan  1 2000", b"v5.2.2", b"synthetic",
    )  # fmt: skip
    half = body // 2 // 16 * 16
    text = b"synthetic image of buoyfleet: not a program. " * (half // 45 + 1)
    if banner:
        named = f"MicroPython v{version} on {DATES.get(version, '2025-05-05')}"
        strings = f'\0{named}; {chip.machine}\r\n\0Type "help()"\0003.4.0; {named}\0'.encode()
        text = text[: half // 3] + strings + text[half // 3 :]
    program = _image(
        [(0x3F400020, description + text[:half]), (0x40080000, noise.randbytes(half))],
        0x40081234, chip, megabytes,
    )  # fmt: skip
    image = bytearray(b"\xff" * (APP_OFFSET - start))
    image[: len(loader)] = loader
    table = partition_table(rows)
    at = TABLE_OFFSET - start
    image[at : at + len(table)] = table
    return bytes(image) + program


def partition_table(rows: Sequence[Row]) -> bytes:
    """The table with its digest."""
    lines = b"".join(
        PARTITION.pack(PARTITION_MAGIC, kind, subtype, offset, size, label.encode(), 0)
        for label, kind, subtype, offset, size in rows
    )
    digest = hashlib.md5(lines, usedforsecurity=False).digest()
    return lines + struct.pack("<H14s", PARTITION_DIGEST_MAGIC, b"\xff" * 14) + digest


def write_synthetic(
    path: Path, version: str = "1.25.0", size: int = 1_700_000, *, layout: str = STOCK, chip: ChipKind = ESP32
) -> Path:
    """The image as a file, for esptool."""
    path.write_bytes(synthetic_image(version, size, layout=layout, chip=chip))
    return path


def _image(segments: list[tuple[int, bytes]], entry: int, chip: ChipKind, megabytes: int) -> bytes:
    speed = (megabytes.bit_length() - 1) << 4  # upper half: log2 of the MB; lower half: 40 MHz
    header = HEADER.pack(
        MAGIC, len(segments), 2, speed, entry, 0xEE, b"", chip.number, 0, 0, 0xFFFF, b"", 1
    )  # fmt: skip
    image = bytearray(header)
    total = b""
    for address, data in segments:
        data += bytes(-len(data) % 4)
        total += data
        image += struct.pack("<II", address, len(data)) + data
    image += bytes(15 - len(image) % 16) + bytes((checksum(total),))
    return bytes(image + hashlib.sha256(image).digest())
