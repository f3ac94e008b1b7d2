"""`onewire` of micropython-lib, led to a simulated bus."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIRED = ("OneWire",)


class OneWireError(Exception):
    """Nothing answered the reset pulse."""


class OneWire:
    """A 1-Wire bus on a pin."""

    SEARCH_ROM, MATCH_ROM, SKIP_ROM = 0xF0, 0x55, 0xCC

    def __init__(self, pin: "Any", wire: "Any" = None) -> None:
        wire = __import__("buoy_wire").current() if wire is None else wire
        self.pin = pin
        self._wire = wire
        # The library makes the pin an open drain with pull-up.
        pin.init(pin.OPEN_DRAIN, pin.PULL_UP)

    def reset(self, required: bool = False) -> bool:
        present: bool = self._wire.call("ow_reset", self.pin.id)
        if required and not present:
            raise OneWireError
        return present

    def readbit(self) -> int:
        bit: int = self._wire.call("ow_read_bit", self.pin.id)
        return bit

    def readbyte(self) -> int:
        byte: int = self._wire.call("ow_read", self.pin.id, 1)[0]
        return byte

    def readinto(self, buf: bytearray) -> None:
        buf[:] = self._wire.call("ow_read", self.pin.id, len(buf))

    def writebit(self, value: int) -> None:
        self._wire.call("ow_write_bit", self.pin.id, value)

    def writebyte(self, value: int) -> None:
        self._wire.call("ow_write", self.pin.id, bytes((value,)))

    def write(self, buf: bytes) -> None:
        self._wire.call("ow_write", self.pin.id, bytes(buf))

    def select_rom(self, rom: "bytes | bytearray") -> None:
        self.reset()
        self._wire.call("ow_write", self.pin.id, bytes((self.MATCH_ROM,)) + bytes(rom))

    def scan(self) -> "list[bytearray]":
        found: "list[bytearray]" = []
        while True:  # a bus shorted to ground gives 255 codes: too many for one reply
            more = self._wire.call("ow_scan", self.pin.id, len(found))
            found += [bytearray(rom) for rom in more]
            if len(more) < 32:
                return found

    def crc8(self, data: "bytes | bytearray") -> int:
        crc = 0
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
        return crc
