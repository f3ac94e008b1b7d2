"""`ds18x20` of micropython-lib 0.1.0: interface and failures of that library, on any `onewire` bus."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIRED = ()

FAMILIES = (0x10, 0x22, 0x28)
CONVERT, READ_SCRATCHPAD, WRITE_SCRATCHPAD = 0x44, 0xBE, 0x4E


class DS18X20:
    """The probes on a bus."""

    def __init__(self, onewire: "Any") -> None:
        self.ow = onewire
        self.buf = bytearray(9)

    def scan(self) -> "list[bytearray]":
        return [rom for rom in self.ow.scan() if rom[0] in FAMILIES]

    def convert_temp(self) -> None:
        """Start a conversion in every probe."""
        self.ow.reset(True)
        self.ow.write(bytes((self.ow.SKIP_ROM, CONVERT)))

    def read_scratch(self, rom: "bytes | bytearray") -> bytearray:
        """Nine bytes; a plain Exception if the CRC is wrong, as the library raises it."""
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(READ_SCRATCHPAD)
        self.ow.readinto(self.buf)
        if self.ow.crc8(self.buf):
            raise Exception("CRC error")
        return self.buf

    def write_scratch(self, rom: "bytes | bytearray", buf: bytes) -> None:
        """TH, TL, configuration."""
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(WRITE_SCRATCHPAD)
        self.ow.write(buf)

    def read_temp(self, rom: "bytes | bytearray") -> float:
        """°C, without a look at 85 °C or at nine zeros: the library takes none either."""
        pad = self.read_scratch(rom)
        raw = pad[1] << 8 | pad[0]
        if raw & 0x8000:
            raw -= 0x10000
        if rom[0] == 0x10:  # DS18S20: half degrees, refined by the remaining count
            return (raw >> 1) - 0.25 + (pad[7] - pad[6]) / pad[7]
        return raw / 16
