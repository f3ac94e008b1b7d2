"""Electrical conductivity at 25 °C: Atlas EZO-EC with a K 0.1 probe. Source: the maker's data sheet."""

from sensors import quality
from sensors.ezo import DONE, RESTARTED, SILENT, Ezo
from sensors.ezo_line import parse_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules
    from sensors.ezo import Exchange
    from sensors.power import Rail

FIELDS = ("ec", "tds", "s", "sg")  # what the circuit can put out, in its fixed order
# Units the value can be published in; the buoy system's own pages name both.
UNITS = {"µS/cm": 1.0, "mS/cm": 0.001}


class Ec(Ezo):
    """Conductivity; raw is the circuit's reading in µS/cm."""

    key = "ec"
    raw_unit = "µS/cm"
    circuit_type = "ec"
    reading_ms = 600
    defaults = dict(Ezo.uart_defaults)
    defaults.update(
        {
            "uart": 2,
            "tx": 17,
            "rx": 16,
            "k": 0.1,
            "settle_ms": 2000,  # a few readings
            "unit": "µS/cm",
            "min_us_cm": 0.07,  # lowest of a K 0.1 probe; a probe in air reads 0.00
            "max_us_cm": 50000.0,  # above: a short, or a salt bridge
        }
    )

    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        self._check("k", 0.1, 10.0)
        self._factor = UNITS[self._choose("unit", tuple(UNITS))]

    @property
    def unit(self) -> str:
        """µS/cm, unless set otherwise."""
        return str(self.settings["unit"])

    def _configure(self) -> "Exchange":
        status = yield from self._set_k()
        if status in (RESTARTED, SILENT):
            return status
        # Which columns come differs between firmware versions: ask for conductivity alone.
        status = yield from self._ask("O,?", "o")
        if status != DONE:
            return status
        shown = self._open().fields()
        for field in FIELDS:
            if (field in shown) != (field == "ec"):
                status = yield from self._order("O,%s,%d" % (field.upper(), field == "ec"))
                if status == RESTARTED:
                    return status
        return DONE

    def _set_k(self) -> "Exchange":
        """The default K of 1.0 is wrong by a decade for this probe: set it, then see that it is."""
        wanted = self.settings["k"]
        for attempt in (1, 2):
            status = yield from self._ask("K,?", "k,")
            if status != DONE:
                return status
            k = parse_number(self._open().fields()[0])
            if k is not None and abs(k - wanted) < 0.005 * wanted:
                return DONE
            if attempt == 1:
                status = yield from self._order("K,%g" % wanted)
                if status == RESTARTED:
                    return status
        self._circuit_flags |= quality.RANGE
        self._circuit_note = "K is %s and cannot be set to %g: readings wrong by a decade" % (k, wanted)
        return DONE

    def _judge(self, reading: float, flags: int, note: str) -> None:
        highest = self.settings["max_us_cm"]
        if reading < self.settings["min_us_cm"]:
            flags |= quality.SATURATED_LOW
            note = "%.2f µS/cm: probe open or in air" % reading
        elif reading > highest:
            flags |= quality.RANGE
            note = "over %g µS/cm: short or salt bridge" % highest
        self._end(reading * self._factor, reading, flags, note)
