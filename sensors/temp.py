"""Water temperature: DS18B20 on 1-Wire. Source: DS18B20 data sheet; micropython-lib `ds18x20`."""

from sensors import once, quality, seldom
from sensors.driver import Driver
from sensors.transfer import temperature_c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules, Steps
    from sensors.power import Rail

CONVERSION_MS = 750  # 12 bit, maximum (data sheet, table 2)
POWER_ON_RAW = 0x0550  # 85 °C, the scratchpad's content before the first conversion
FAMILIES = (0x28, 0x22)  # DS18B20 and DS1822, which share the format; a DS18S20 (10h) does not
CONFIGURATIONS = (0x1F, 0x3F, 0x5F, 0x7F)  # 9 to 12 bit
SEARCHES = 4  # at most: two that agree are enough
READ_TRIES = 3  # Wi-Fi interrupts stretch bit-banged slots now and then
MAX_C_PER_MIN = 2.0
STEP_MARGIN_C = 0.5  # the part's accuracy


class Temp(Driver):
    """One or more probes on a bus; the value is that of `rom`, or of the first probe in order of ROM codes.

    The probes are searched for at the first reading and after one that failed, and at once if the probe does
    not answer by its code any more: one that is exchanged needs no restart.

    `probes` lists every probe's (ROM code as 16 hex digits, °C or None) of the last reading.
    """

    key = "temp"
    raw_unit = "1/16 °C"
    offers_temperature = True

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        onewire = modules("onewire")
        bus = onewire.OneWire(modules("machine").Pin(self.settings["pin"]))
        self._absent = onewire.OneWireError
        self._bus = modules("ds18x20").DS18X20(bus)
        self._roms: "list[bytearray]" = []
        self._last_c: "float | None" = None
        self._last_ms: float = 0
        self.probes: "list[tuple[str, float | None]]" = []

    def _read(self) -> "Steps":
        yield from self._warm()
        searched = not self._roms
        if searched and not self._search():
            return
        attempt = 1
        while True:
            try:
                self._bus.convert_temp()
            except self._absent:
                self._lost(quality.MISSING, "no presence pulse")
                return
            yield self.now_ms + CONVERSION_MS
            flag, note, raw = yield from self._fetch(self._roms[0])
            if flag == quality.CRC and not searched:
                # Without a probe of that code the CRC is wrong: it was exchanged. Every probe has converted.
                searched = True
                if not self._search():
                    return
                flag, note, raw = yield from self._fetch(self._roms[0])
            if flag:
                self._lost(flag, note)
                return
            # Power-on value: the probe lost its supply or had not converted yet. Convert once more.
            if raw != POWER_ON_RAW:
                break
            if attempt == 2:
                self._end(raw / 16, raw, quality.RANGE, "power-on value 85 °C: supply of the probe")
                return
            attempt += 1
        self.probes = [(_text(self._roms[0]), raw / 16)]
        for rom in self._roms[1:]:
            yield self.now_ms
            flag, _, other = yield from self._fetch(rom)
            self.probes.append((_text(rom), None if flag else other / 16))
        self._conclude(raw)
        if len(self.probes) > 1 and not self.settings["rom"] and not self.note:
            self.note = "first of %d probes by ROM code: %s" % (len(self.probes), self.probes[0][0])
        if any([celsius is None for _, celsius in self.probes]):
            self._roms = []  # one was pulled out

    @seldom
    def _search(self) -> bool:
        """Find the probes; the one to publish comes first. Else the reading is concluded."""
        try:
            # A bus shorted to ground: zeros for whatever code. The library's search would take seconds there.
            if not any(self._bus.read_scratch(bytearray(8))):
                self._lost(quality.MISSING, "all bits zero: bus shorted to ground")
                return False
        except self._absent:
            self._lost(quality.MISSING, "no probe on the bus: no presence pulse")
            return False
        except Exception:
            pass  # nobody has that code: the library says wrong CRC
        # A search that a disturbance ended early or that heard a wrong bit is not repeated by the next one.
        found: "list[bytearray]" = []
        for _ in range(SEARCHES):
            before = found
            every = [rom for rom in self._bus.scan() if rom[0] in FAMILIES]
            found = [rom for rom in every if not _crc8(rom)]
            found.sort(key=bytes)
            if found and found == before and len(found) == len(every):
                break
        names = [_text(rom) for rom in found]
        wanted = self.settings["rom"].lower()
        if wanted and wanted in names:
            found.insert(0, found.pop(names.index(wanted)))
        elif wanted or not found:
            note = "no probe %s; found %s" % (wanted, names or "none") if wanted else "no probe on the bus"
            if len(every) > len(found):
                note += "; a ROM code with a wrong CRC"
            self._lost(quality.MISSING, note)
            return False
        self._roms = found
        return True

    def _lost(self, flag: int, note: str) -> None:
        self._roms = []  # look again next time: a probe may have been exchanged
        self._end(None, None, flag, note)

    @seldom
    def _fetch(self, rom: bytearray) -> "Any":
        """(flag, note, raw) of one probe's scratchpad; yields between tries."""
        for attempt in range(READ_TRIES):
            if attempt:
                yield self.now_ms
            try:
                pad = self._bus.read_scratch(rom)
            except self._absent:
                return quality.MISSING, "no presence pulse", 0
            except Exception:
                # micropython-lib raises a plain Exception (AssertionError in old versions) for a wrong CRC.
                continue
            if not any(pad):
                # A bus shorted low answers with nine zeros, and the CRC of zeros is zero: a false 0.00 °C.
                return quality.MISSING, "all bits zero: bus shorted to ground", 0
            if not (pad[5] == 0xFF and pad[7] == 0x10) and pad[4] not in CONFIGURATIONS:
                return quality.PARSE, "no scratchpad of a DS18B20", 0
            return quality.OK, "", round(temperature_c(pad[0], pad[1]) * 16)
        return quality.CRC, "%d tries" % READ_TRIES, 0

    @seldom
    def _conclude(self, raw: int) -> None:
        celsius = raw / 16
        flags = quality.OK
        note = ""
        limit = self.settings["max_c_per_min"]
        if limit and self._last_c is not None:
            allowed = limit * (self.now_ms - self._last_ms) / 60000 + STEP_MARGIN_C
            if abs(celsius - self._last_c) > allowed:
                # Withheld once; the next reading is judged against this one, so a true step gets through.
                flags = quality.RANGE
                note = "from %.2f to %.2f °C faster than %g °C/min" % (self._last_c, celsius, limit)
        self._last_c = celsius
        self._last_ms = self.now_ms
        self._end(celsius, raw, flags, note)


def _crc8(data: bytearray) -> int:
    """0 for a code whose last byte is its CRC: x⁸ + x⁵ + x⁴ + 1, least significant bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


def _text(rom: bytearray) -> str:
    return "".join(["%02x" % byte for byte in rom])
