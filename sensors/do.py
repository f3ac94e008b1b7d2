"""Dissolved oxygen: Atlas Gravity analog board with the mini galvanic probe.

Source: the maker's board and probe sheets and Arduino library; the library's fixed 130 mV for the ESP32's
dead zone is not used, since `read_uv` is calibrated.
"""

from sensors import quality, seldom
from sensors.analog import AnalogDriver
from sensors.transfer import OXYGEN_AIR_MV, oxygen_percent

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

ERRATIC_PERCENT = 10.0  # spread of the middle half of the samples that a whole membrane never shows
SUSPECT_PERCENT = 150.0  # blooms reach it; over it, a spread means a torn membrane


class Do(AnalogDriver):
    """% saturation, referred to the day of calibration; raw is mV at the board's output."""

    key = "do"
    uncal_above = 210.0  # 900 mV in air instead of 440

    @seldom
    def _evaluate(self, pin_mv: float, too_low: bool, too_high: bool) -> None:
        output_mv = pin_mv * self.settings["ratio"]
        if too_low:
            self._end(None, output_mv, quality.SATURATED_LOW, "probe unplugged, or water without oxygen")
            return
        if too_high:
            self._end(None, output_mv, quality.SATURATED)
            return
        air_mv = self.settings["air_mv"]
        flags = quality.OK
        note = ""
        if air_mv is None:
            air_mv = OXYGEN_AIR_MV
            flags = quality.UNCAL
        zero_mv = self.settings["zero_mv"]
        percent = oxygen_percent(output_mv, air_mv, zero_mv)
        spread = self._spread_mv * self.settings["ratio"] * 100 / (air_mv - zero_mv)
        if percent > SUSPECT_PERCENT and spread > ERRATIC_PERCENT:
            flags |= quality.RANGE
            note = "%.0f %% and erratic: membrane torn" % percent
        self._end(percent, output_mv, flags, note)
