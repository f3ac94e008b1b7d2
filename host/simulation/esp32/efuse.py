"""Registers of an ESP32 that esptool reads: eFuses, chip magic, UART divider, SPI controller.

Addresses: ESP32 Technical Reference Manual, register summaries of eFuse, UART, SPI and SYSCON.
"""

from host.simulation.esp32.flash_image import JEDEC_ID

SPI = 0x3FF42000
SPI_COMMAND_USER = 1 << 18
MOST_REGISTERS = 4096


class Registers:
    """What a register read gives; unknown registers keep what was written, else 0."""

    def __init__(self, mac: bytes) -> None:
        efuse = 0x3FF5A000
        self._values = {
            0x40001000: 0x00F01D83,  # chip detection
            0x3FF40014: 0x15B,  # UART divider: 40 MHz crystal at 115 200 baud
            0x3FF6607C: 0x80000000,  # third revision bit
            0x3FF44038: 0x13,  # straps: flash at 3.3 V
            efuse + 0x04: int.from_bytes(mac[2:], "big"),
            efuse + 0x08: crc8(mac) << 16 | int.from_bytes(mac[:2], "big"),
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
        if address == SPI and self._values[address] & SPI_COMMAND_USER:
            opcode = self.read(SPI + 0x24) & 0xFF
            self._values[SPI + 0x80] = JEDEC_ID if opcode == 0x9F else 0
            self._values[SPI] = 0


def crc8(data: bytes) -> int:
    """Dallas CRC-8, which the factory writes behind the MAC."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc
