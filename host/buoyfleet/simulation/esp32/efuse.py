"""Registers that esptool reads: eFuses, chip magic, UART divider, SPI controller; of three kinds of chip.

Addresses: Technical Reference Manuals of ESP32, ESP32-S3 and ESP32-C3, register summaries of eFuse, UART, SPI
and SYSCON.
"""

from dataclasses import dataclass

SPI_COMMAND_USER = 1 << 18
MOST_REGISTERS = 4096


@dataclass(frozen=True, slots=True)
class ChipKind:
    """What tells one kind of chip from another, as far as a host or an image sees it."""

    name: str
    number: int
    """chip_id of image headers and of GET_SECURITY_INFO."""
    boot_loader: int
    """Where the ROM looks for the second boot loader."""
    spi: int
    """Base of the SPI controller at the flash."""
    spi_user2: int
    """Offsets from the base: USER2 (opcode) and W0 (data)."""
    spi_data: int
    mac: tuple[int, int]
    """eFuse words with the low and the high part of the MAC."""
    machine: str
    """`sys.implementation._machine` of its stock image."""
    tells_security: bool = True
    """Whether the ROM knows GET_SECURITY_INFO."""


ESP32 = ChipKind(
    "ESP32", 0, 0x1000, 0x3FF42000, 0x24, 0x80, (0x3FF5A004, 0x3FF5A008),
    "Generic ESP32 module with ESP32", tells_security=False,
)  # fmt: skip
ESP32_S3 = ChipKind(
    "ESP32-S3", 9, 0, 0x60002000, 0x20, 0x58, (0x60007044, 0x60007048), "Generic ESP32S3 module with ESP32S3"
)
ESP32_C3 = ChipKind(
    "ESP32-C3", 5, 0, 0x60002000, 0x20, 0x58, (0x60008844, 0x60008848), "ESP32C3 module with ESP32C3"
)
CHIPS = {kind.name: kind for kind in (ESP32, ESP32_S3, ESP32_C3)}


class Registers:
    """What a register read gives; unknown registers keep what was written, else 0."""

    def __init__(self, mac: bytes, flash_id: int, kind: ChipKind = ESP32) -> None:
        self._kind = kind
        self._flash_id = flash_id
        low, high = kind.mac
        self._values = {low: int.from_bytes(mac[2:], "big"), high: int.from_bytes(mac[:2], "big")}
        if kind is ESP32:
            efuse = 0x3FF5A000
            self._values |= {
                0x40001000: 0x00F01D83,  # chip detection
                0x3FF40014: 0x15B,  # UART divider: 40 MHz crystal at 115 200 baud
                0x3FF6607C: 0x80000000,  # third revision bit
                0x3FF44038: 0x13,  # straps: flash at 3.3 V
                high: crc8(mac) << 16 | int.from_bytes(mac[:2], "big"),
                efuse + 0x0C: 0x8000,  # first revision bit
                efuse + 0x14: 0x100000,  # second
            }

    def read(self, address: int) -> int:
        """A register's value."""
        return self._values.get(address, 0)

    def write(self, address: int, value: int, mask: int) -> None:
        """Set bits; a user command of the SPI controller is carried out."""
        if address not in self._values and len(self._values) >= MOST_REGISTERS:
            return
        self._values[address] = self.read(address) & ~mask & 0xFFFFFFFF | value & mask
        spi = self._kind.spi
        if address == spi and self._values[address] & SPI_COMMAND_USER:
            opcode = self.read(spi + self._kind.spi_user2) & 0xFF
            self._values[spi + self._kind.spi_data] = self._flash_id if opcode == 0x9F else 0
            self._values[spi] = 0


def crc8(data: bytes) -> int:
    """Dallas CRC-8, which the factory writes behind the MAC."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc
