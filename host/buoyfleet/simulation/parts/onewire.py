"""DS18B20 probes on a 1-Wire bus, down to bits: ROM search, scratchpad, CRC, conversion time.

Source: DS18B20 data sheet. The bus sees bytes (the fast way) or single bits; both drive the same state.
"""

import random
from collections.abc import Mapping
from typing import ClassVar

from buoyfleet.simulation.parts.part import Lag, Part
from buoyfleet.simulation.water.medium import Medium

FAMILY = 0x28
SEARCH, READ_ROM, MATCH, SKIP, ALARM = 0xF0, 0x33, 0x55, 0xCC, 0xEC
CONVERT, READ, WRITE, COPY, RECALL, READ_POWER = 0x44, 0xBE, 0x4E, 0x48, 0xB8, 0xB4
POWER_ON_PAD = bytes((0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10))
"""85 °C; TH 75, TL 70, 12 bit; byte 6 is a hint of the power-on state."""
CONVERSION_S = {0x1F: 0.09375, 0x3F: 0.1875, 0x5F: 0.375, 0x7F: 0.75}
"""Longest conversion by configuration byte (9 to 12 bit)."""
TYPICAL_SHARE = 0.8
"""Of the longest time, what an individual needs [choice]."""


def crc8(data: bytes | bytearray) -> int:
    """x⁸ + x⁵ + x⁴ + 1, least significant bit first (reflected 8Ch), start 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


class Probe:
    """One DS18B20: its ROM code, memory and conversion; the bus gives it temperature and time."""

    __slots__ = ("_done_s", "eeprom", "offset_c", "pad", "rom")

    def __init__(self, serial: int, offset_c: float = 0.0) -> None:
        code = bytes((FAMILY,)) + serial.to_bytes(6, "little")
        self.rom = code + bytes((crc8(code),))
        self.offset_c = offset_c
        self.eeprom = POWER_ON_PAD[2:5]
        self.pad = bytearray(POWER_ON_PAD)
        self._done_s = -1.0  # end of the running conversion; < 0: none is running

    def restart(self) -> None:
        """Power came (back): the scratchpad holds 85 °C, a conversion is lost."""
        self.pad[:] = POWER_ON_PAD
        self.pad[2:5] = self.eeprom
        self._done_s = -1.0

    def convert(self, t_s: float) -> None:
        """Begin a conversion."""
        self._done_s = t_s + TYPICAL_SHARE * CONVERSION_S[self.pad[4]]

    def converting(self, t_s: float) -> bool:
        """Whether a conversion is running."""
        return self._done_s >= 0.0 and t_s < self._done_s

    def finish(self, temp_c: float, t_s: float) -> None:
        """Put the result of a conversion that has ended into the scratchpad."""
        if self._done_s < 0.0 or t_s < self._done_s:
            return
        self._done_s = -1.0
        steps = 1 << ((0x7F - self.pad[4]) >> 5)  # coarser resolutions leave the low bits at zero
        raw = round((temp_c + self.offset_c) * 16.0 / steps) * steps
        raw = min(2000, max(-880, raw)) & 0xFFFF  # −55…125 °C
        self.pad[0], self.pad[1] = raw & 0xFF, raw >> 8
        # Between two conversions genuine parts show 16 − (low nibble) here.
        self.pad[6] = 0x10 - (raw & 0x0F)

    def scratchpad(self) -> bytes:
        """Nine bytes, CRC last."""
        return bytes(self.pad) + bytes((crc8(self.pad),))


class TemperatureBus(Part):
    """`temp`: probes on one wire, all in the same medium.

    Args:
        probes: how many.
        tau_s: time constant of the stainless probes, 5–15 s.

    Drift is in °C per day; fouling slows.
    """

    __slots__ = (
        "_addressed", "_bits", "_draw", "_lag", "_out", "_pending", "_search", "_second", "_selected",
        "_state", "_word", "probes",
    )  # fmt: skip

    key = "temp"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "open": "no probe answers",
        "short": "bus shorted to ground: presence, and zeros for ever",
        "stuck-high": "bus high while reading: nine bytes FFh",
        "crc": "bits flip in every scratchpad read",
        "crc-once": "bits flip in the next scratchpad read only; passes by itself",
        "brownout": "supply breaks down in every conversion: 85 °C",
        "brownout-once": "supply breaks down in the next conversion; passes by itself",
        "stuck": "the temperature does not change any more",
        "counterfeit": "offset of +1.3 °C",
        "exchanged": "another probe in the place of the first; passes by itself, the probe stays",
        "second": "a second probe on the same wire",
        "rom": "a bit flips in every ROM code that a search reads",
        "rom-once": "a bit flips in the ROM codes of the next search only; passes by itself",
    }

    def __init__(
        self,
        medium: Medium,
        seed: str = "",
        spread: float = 1.0,
        t_s: float = 0.0,
        probes: int = 1,
        tau_s: float = 8.0,
    ) -> None:
        self._lag = Lag(tau_s)
        self._selected: list[Probe] = []
        self._reset_state()
        self._second: Probe
        self.probes: list[Probe] = [Probe(n) for n in range(probes)]
        super().__init__(medium, seed, spread, t_s)

    def _individual(self, draw: random.Random) -> None:
        self._draw = draw
        for probe in self.probes:
            fresh = self._fresh()
            probe.rom, probe.offset_c = fresh.rom, fresh.offset_c
        self._second = self._fresh()

    def _fresh(self) -> Probe:
        # ±0.5 °C is the sheet's limit; typical parts are within ±0.2 near room temperature [choice].
        return Probe(self._draw.getrandbits(40), self.spread * self._draw.uniform(-0.2, 0.2))

    def inject(self, name: str, t_s: float) -> None:
        """See `Part.inject`."""
        super().inject(name, t_s)
        if name == "exchanged":
            self.faults -= {name}
            self.probes[:1] = [self._fresh()]
        elif name == "second":
            self._second.restart()

    def settle(self, t_s: float) -> None:
        """See `Part.settle`."""
        if "stuck" not in self.faults:
            self._lag.follow(self.medium.sample(t_s).temp_c, t_s, 1.0 + 3.0 * self.fouled(t_s))

    def power(self, on: bool, t_s: float) -> bool:
        """See `Part.power`."""
        starts = super().power(on, t_s)
        if starts:
            for probe in (*self.probes, self._second):
                probe.restart()
        return starts

    # The bus

    def _reset_state(self) -> None:
        self._state = "rom"
        """What the next byte written means: rom, match, command, write; idle: nothing."""
        self._pending = bytearray()
        self._out = b""
        self._bits = 0
        self._word = 0
        self._search: list[Probe] | None = None
        self._addressed = 0

    def _alive(self) -> list[Probe]:
        if "open" in self.faults or not self.powered:
            return []
        return [*self.probes, self._second] if "second" in self.faults else self.probes

    def reset(self, t_s: float) -> bool:
        """Reset pulse; True if something pulls the bus low afterwards (presence, or a short)."""
        self._finish(t_s)
        self._reset_state()
        self._selected = list(self._alive())
        return bool(self._selected) or "short" in self.faults

    def write(self, data: bytes, t_s: float) -> None:
        """Write bytes."""
        if "short" not in self.faults:
            for byte in data:
                self._byte(byte, t_s)

    def read(self, count: int, t_s: float) -> bytes:
        """Read bytes; an idle bus reads FFh."""
        if "short" in self.faults:
            return bytes(count)
        if not self._selected:
            return b"\xff" * count
        if self._state == "converting":
            # Read slots after Convert: 0 while a probe is busy, 1 when all are done.
            busy = any(probe.converting(t_s) for probe in self._selected)
            return (b"\x00" if busy else b"\xff") * count
        self._load(t_s)
        out, self._out = self._out[:count], self._out[count:]
        return out + b"\xff" * (count - len(out))

    def scan(self, t_s: float) -> list[bytes]:
        """ROM codes in the order in which the search of MicroPython's library finds them.

        That search takes the branch of ones first; on a bus shorted to ground it finds 255 codes of nothing,
        none of this family.
        """
        if "short" in self.faults:
            return [((1 << 64) - 1 - (n << 56)).to_bytes(8, "little") for n in range(255)]
        found = self._alive() if self.reset(t_s) else []
        roms = sorted((probe.rom for probe in found), key=_lowest_bit_first, reverse=True)
        if self.faults & {"rom", "rom-once"}:
            # The bit-wise search ends where nobody goes on: what it lets through is a wrong last bit.
            roms = [rom[:7] + bytes((rom[7] ^ 0x80,)) for rom in roms[:1]]
            self.faults -= {"rom-once"}
        return roms

    def write_bit(self, bit: int, t_s: float) -> None:
        """Write one bit, in a search the direction to take."""
        if "short" in self.faults:
            return
        search = self._search
        if search is not None:
            n = self._addressed // 3
            if n == 63:
                self.faults -= {"rom-once"}
            self._search = [probe for probe in search if probe.rom[n >> 3] >> (n & 7) & 1 == bit]
            self._addressed = 3 * (n + 1)
            self._selected = self._search
            if n == 63:
                self._search, self._state = None, "command"
            return
        self._word |= bit << self._bits
        self._bits += 1
        if self._bits == 8:
            byte, self._word, self._bits = self._word, 0, 0
            self._byte(byte, t_s)

    def read_bit(self, t_s: float) -> int:
        """Read one bit; in a search first the bit, then its complement, both wired-AND over the probes."""
        if "short" in self.faults:
            return 0
        search = self._search
        if search is not None:
            n, phase = divmod(self._addressed, 3)
            self._addressed += 1
            if n == 63 and self.faults & {"rom", "rom-once"}:
                phase ^= 1
            return int(all(probe.rom[n >> 3] >> (n & 7) & 1 != phase for probe in search))
        if self._state == "converting" or not self._selected:
            return self.read(1, t_s)[0] & 1
        if self._bits == 0:
            self._word = self.read(1, t_s)[0]
        bit = self._word >> self._bits & 1
        self._bits = (self._bits + 1) & 7
        if self._bits == 0:
            self._word = 0
        return bit

    def _byte(self, byte: int, t_s: float) -> None:
        state = self._state
        if state == "rom":
            self._rom_command(byte)
        elif state == "match":
            self._pending.append(byte)
            if len(self._pending) == 8:
                code = bytes(self._pending)
                self._selected = [probe for probe in self._selected if probe.rom == code]
                self._state, self._pending = "command", bytearray()
        elif state == "command":
            self._function(byte, t_s)
        elif state == "write":
            self._pending.append(byte)
            if len(self._pending) == 3:
                for probe in self._selected:
                    # Bits 0–4 and 7 of the configuration are fixed.
                    probe.pad[2:5] = self._pending[:2] + bytes((self._pending[2] & 0x60 | 0x1F,))
                self._state, self._pending = "idle", bytearray()

    def _rom_command(self, byte: int) -> None:
        self._state = "command"
        if byte == MATCH:
            self._state = "match"
        elif byte == SEARCH:
            self._search, self._addressed = list(self._selected), 0
        elif byte == READ_ROM:
            self._out = self._anded([probe.rom for probe in self._selected])
        elif byte != SKIP:  # alarm search: no probe here raises alarms; unknown commands
            self._selected, self._state = [], "idle"

    def _function(self, byte: int, t_s: float) -> None:
        self._state = "idle"
        if byte == CONVERT:
            self._state = "converting"
            for probe in self._selected:
                if self.faults & {"brownout", "brownout-once"}:
                    probe.restart()
                else:
                    probe.convert(t_s)
            self.faults -= {"brownout-once"}
        elif byte == READ:
            self._state = "reading"
        elif byte == WRITE:
            self._state = "write"
        elif byte == COPY:
            for probe in self._selected:
                probe.eeprom = bytes(probe.pad[2:5])
        elif byte == RECALL:
            for probe in self._selected:
                probe.pad[2:5] = probe.eeprom
        elif byte == READ_POWER:
            self._out = b"\xff"  # externally powered

    def _load(self, t_s: float) -> None:
        """Fill the output for a scratchpad read, once."""
        if self._state != "reading":
            return
        self._state = "sent"
        self._finish(t_s)
        out = self._anded([probe.scratchpad() for probe in self._selected])
        faults = self.faults
        if "stuck-high" in faults:
            out = b"\xff" * 9
        elif faults & {"crc", "crc-once"}:
            broken = bytearray(out)
            broken[0] ^= 1 << int(abs(self.noise()) * 3) % 8
            out = bytes(broken)
            self.faults -= {"crc-once"}
        self._out = out

    def _finish(self, t_s: float) -> None:
        """Results of conversions that have ended by now, at the temperature of now: a conversion is short
        against the probe's response."""
        self.settle(t_s)
        temp_c = self._lag.value + self.drifted(t_s) + (1.3 if "counterfeit" in self.faults else 0.0)
        for probe in self._alive():
            probe.finish(temp_c, t_s)

    @staticmethod
    def _anded(answers: list[bytes]) -> bytes:
        """Probes that answer at once pull the bus low together."""
        result = answers[0] if answers else b""
        for answer in answers[1:]:
            result = bytes(a & b for a, b in zip(result, answer, strict=True))
        return result


def _lowest_bit_first(rom: bytes) -> str:
    return "".join(f"{byte:08b}"[::-1] for byte in rom)
