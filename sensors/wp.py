"""Water pressure: DFRobot SEN0257, powered with 5 V behind a divider.

Source: restatements of the maker's wiki.
"""

from sensors import quality, seldom
from sensors.analog import AnalogDriver
from sensors.transfer import PRESSURE_ZERO_V, pressure_kpa

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

OPEN_V = 0.25
SHORT_V = 4.7
BELOW_ZERO_KPA = -10.0


class Wp(AnalogDriver):
    """kPa gauge; raw is mV at the part's output."""

    key = "wp"
    uncal_below = uncal_above = 40.0  # zero of 0.40 to 0.60 V, 400 kPa/V

    @seldom
    def _evaluate(self, pin_mv: float, too_low: bool, too_high: bool) -> None:
        output_mv = pin_mv * self.settings["ratio"]
        volts = output_mv / 1000
        if too_low or volts < OPEN_V:
            self._end(None, output_mv, quality.MISSING, "no signal: open or unpowered")
            return
        if too_high or volts > SHORT_V:
            self._end(None, output_mv, quality.SATURATED, "over 4.7 V: short or over-range")
            return
        zero_v = self.settings["zero_v"]
        flags = quality.OK
        if zero_v is None:
            zero_v = PRESSURE_ZERO_V
            flags = quality.UNCAL
        self._end(pressure_kpa(volts, zero_v, self.settings["kpa_per_v"]), output_mv, flags)
