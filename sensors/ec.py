"""Electrical conductivity at 25 °C: Atlas EZO-EC with a K 0.1 probe. Source: the maker's data sheet."""

from sensors import quality, seldom
from sensors.ezo import Ezo

MICRO = "µS/cm"  # the unit of the buoy system's pages; mS/cm is the other one


class Ec(Ezo):
    """Conductivity; raw is the circuit's reading in µS/cm."""

    key = "ec"
    raw_unit = MICRO
    circuit_type = "ec"
    reading_ms = 600

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
        self._end(reading * (1.0 if self.unit == MICRO else 0.001), reading, flags, note)
