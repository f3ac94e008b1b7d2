"""Images of an ESP32 packed byte by byte from Espressif's documents, by nothing of the product.

"Firmware Image Format" (esptool), "Partition Tables" and esp_app_desc_t (ESP-IDF).
"""

import hashlib
import struct

STOCK_TABLE = (
    ("nvs", 1, 2, 0x9000, 0x6000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("factory", 0, 0, 0x10000, 0x1F0000),
    ("vfs", 1, 0x81, 0x200000, 0x200000),
)
OTA_TABLE = (
    ("nvs", 1, 2, 0x9000, 0x4000),
    ("otadata", 1, 0, 0xD000, 0x2000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("ota_0", 0, 0x10, 0x10000, 0x180000),
    ("ota_1", 0, 0x11, 0x190000, 0x180000),
    ("vfs", 1, 0x81, 0x310000, 0xF0000),
)
TABLE_16_MB = (
    ("nvs", 1, 2, 0x9000, 0x6000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("factory", 0, 0, 0x10000, 0x300000),
    ("vfs", 1, 0x81, 0x310000, 0xCD0000),
)


def program(*segments: tuple[int, bytes], chip: int = 0, megabytes: int = 4) -> bytes:
    """An image of segments (load address, data) with checksum and SHA-256."""
    sizes = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4}
    image = bytes((0xE9, len(segments), 0x02, sizes[megabytes] << 4)) + struct.pack("<I", 0x40081000)
    image += bytes((0xEE, 0, 0, 0)) + struct.pack("<HBHH4xB", chip, 0, 0, 399, 1)
    check = 0xEF
    for address, data in segments:
        data += b"\0" * (-len(data) % 4)
        image += struct.pack("<II", address, len(data)) + data
        for byte in data:
            check ^= byte
    image += b"\0" * (15 - len(image) % 16) + bytes((check,))
    return image + hashlib.sha256(image).digest()


def description(version: str = "", project: str = "") -> bytes:
    """esp_app_desc_t; stock builds leave version and project empty."""
    return struct.pack(
        "<II8x32s32s16s16s32s32s80x",
        0xABCD5432, 0, version.encode(), project.encode(), b"12:00:00", b"Apr 15 2025", b"v5.2.2",
        b"\x5a" * 32,
    )  # fmt: skip


def table(rows=STOCK_TABLE) -> bytes:
    """Partition table with its MD5."""
    lines = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, label.encode(), 0)
        for label, kind, subtype, offset, size in rows
    )
    return lines + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(lines).digest()


def application(banner: str = "MicroPython v1.24.0 on 2024-10-25", *, chip: int = 0, **more) -> bytes:
    """A program that has a banner among its strings."""
    text = (
        b"some strings\0" * 800 + f"\0{banner}; Generic ESP32 module with ESP32\r\n\0".encode() + b"x" * 4000
    )
    return program((0x3F400020, description(**more) + text), (0x40080000, b"\x36\x41\x00" * 9000), chip=chip)


def whole(
    banner: str = "MicroPython v1.24.0 on 2024-10-25",
    *,
    rows=STOCK_TABLE,
    chip: int = 0,
    megabytes: int = 4,
    **more,
) -> bytes:
    """Boot loader, table and program as one file for address 0x1000."""
    loader = program(
        (0x3FFF0030, b"loader" * 500), (0x40078000, b"code" * 2000), chip=chip, megabytes=megabytes
    )
    image = loader.ljust(0x7000, b"\xff") + table(rows)
    return image.ljust(0xF000, b"\xff") + application(banner, chip=chip, **more)
