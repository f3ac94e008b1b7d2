"""`orp`: Atlas EZO-ORP with a platinum electrode. Source: the maker's data sheet.

The water is taken as saturated with quinhydrone, whose potential follows pH: 86 mV at pH 7 against Ag/AgCl.
"""

import random
from collections.abc import Mapping
from typing import ClassVar

from buoyfleet.simulation.parts.ezo import COMMAND_S, Answer, EzoCircuit, number
from buoyfleet.simulation.parts.ezo_wire import EZO_FAULTS
from buoyfleet.simulation.water.medium import Sample

CALIBRATION_S = 0.9


class OrpCircuit(EzoCircuit):
    """See the module. Drift is in mV per day."""

    __slots__ = ("_calibrated", "_offset_mv", "zero_mv")

    key = "orp"
    kind = "ORP"
    firmware = ("1.97", "1.5")
    FAULTS: ClassVar[Mapping[str, str]] = EZO_FAULTS

    @staticmethod
    def truth(sample: Sample) -> float | None:
        """See `Part.truth`."""
        return 500.0 - 59.16 * sample.ph if sample.wet else None

    def _individual(self, draw: random.Random) -> None:
        self.zero_mv = self.spread * draw.uniform(-12.0, 12.0)

    def _millivolts(self, t_s: float) -> float:
        return (self.truth(self.medium.sample(t_s)) or 0.0) + self.zero_mv + self.drifted(t_s)

    def _reading(self, t_s: float) -> str:
        return f"{self._millivolts(t_s) - self._offset_mv + 0.1 * self.noise():.1f}"

    def _factory_calibration(self) -> None:
        self._offset_mv = 0.0
        self._calibrated = False

    def _calibrate_to_probe(self, draw: random.Random) -> None:
        self._offset_mv = self.zero_mv + self.spread * draw.uniform(-0.5, 0.5)
        self._calibrated = True

    def _calibration_numbers(self) -> list[float]:
        return [self._offset_mv, float(self._calibrated)]

    def _take_calibration(self, numbers: list[float]) -> None:
        self._offset_mv, self._calibrated = numbers[0], bool(numbers[1])

    def _special(self, name: str, fields: list[str], t_s: float) -> Answer | None:
        if name != "cal":
            return None
        if fields == ["?"]:
            return [f"?Cal,{int(self._calibrated)}"], COMMAND_S
        if fields == ["clear"]:
            self._factory_calibration()
            return [], COMMAND_S
        value = number(fields[0]) if len(fields) == 1 else None
        if value is None:
            return None
        self._offset_mv = self._millivolts(t_s + CALIBRATION_S) - value
        self._calibrated = True
        return [], CALIBRATION_S
