"""Turbidity: DFRobot SEN0189, powered with 5 V behind a divider. Source: the maker's wiki.

Near clear water 1 mV at the part is 3.7 NTU: a reading is uncertain by at least 30 NTU.
"""

from sensors import quality, seldom
from sensors.analog import AnalogDriver
from sensors.transfer import TURBIDITY_CLEAR_V, TURBIDITY_FULL_V, TURBIDITY_SQUARE, turbidity_ntu

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

UNCERTAINTY_NTU = 30.0  # as little under zero is clear water, not a fault
FULL_NTU = 3000.0
CLEAREST_V = 4.5  # of single parts in clear water 3.9 to 4.5; until calibrated, this one may be any of them
WRONG_DIVIDER_V = 4.6  # more than the part puts out


class Tbd(AnalogDriver):
    """NTU; raw is mV at the part's output before calibration."""

    key = "tbd"

    @seldom
    def _evaluate(self, pin_mv: float, too_low: bool, too_high: bool) -> None:
        output_mv = pin_mv * self.settings["ratio"]
        volts = output_mv / 1000
        if too_low:
            self._end(None, output_mv, quality.MISSING, "no signal: unplugged, reversed or unpowered")
            return
        if volts > WRONG_DIVIDER_V or too_high:
            note = "%.2f V is more than the part gives: divider ratio" % volts
            self._end(None, output_mv, quality.RANGE, note)
            return
        clear_v = self.settings["clear_v"]
        flags = quality.OK
        note = ""
        if clear_v is not None:
            if self.settings["clear_method"] == "scale":
                volts = volts * (TURBIDITY_CLEAR_V / clear_v)
            else:
                volts = volts + (TURBIDITY_CLEAR_V - clear_v)
        elif tuple(self.settings["coefficients"]) == TURBIDITY_SQUARE:
            flags = quality.UNCAL
        ntu = turbidity_ntu(volts, self.settings["coefficients"])
        if volts < TURBIDITY_FULL_V or ntu > FULL_NTU + UNCERTAINTY_NTU:
            ntu = FULL_NTU
            flags |= quality.SATURATED
            note = "at least 3000 NTU, or the lens is covered"
        elif ntu < 0.0:
            if volts > CLEAREST_V if flags & quality.UNCAL else ntu < -UNCERTAINTY_NTU:
                flags |= quality.SATURATED
                note = "%.3f V is clearer than clear water" % volts
            ntu = 0.0
        self._end(ntu, output_mv, flags, note)
