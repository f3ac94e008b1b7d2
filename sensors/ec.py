"""Electrical conductivity at 25 °C: Atlas EZO-EC with a K 0.1 probe. Source: the maker's data sheet."""

from sensors import once, quality, seldom
from sensors.ezo import Ezo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules
    from sensors.power import Rail

# Units the value can be published in; the buoy system's own pages name both.
UNITS = {"µS/cm": 1.0, "mS/cm": 0.001}


class Ec(Ezo):
    """Conductivity; raw is the circuit's reading in µS/cm."""

    key = "ec"
    raw_unit = "µS/cm"
    circuit_type = "ec"
    reading_ms = 600

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        self._factor = UNITS[self.settings["unit"]]

    @property
    def unit(self) -> str:
        """µS/cm, unless set otherwise."""
        return str(self.settings["unit"])

    @seldom
    def _judge(self, reading: float, flags: int, note: str) -> None:
        highest = self.settings["max_us_cm"]
        if reading < self.settings["min_us_cm"]:
            flags |= quality.SATURATED_LOW
            note = "%.2f µS/cm: probe open or in air" % reading
        elif reading > highest:
            flags |= quality.RANGE
            note = "over %g µS/cm: short or salt bridge" % highest
        self._end(reading * self._factor, reading, flags, note)
