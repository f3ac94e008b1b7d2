"""Total dissolved solids: DFRobot SEN0244. Source: the maker's library and wiki."""

from sensors import quality, seldom
from sensors.analog import AnalogDriver
from sensors.transfer import REFERENCE_TEMPERATURE_C, tds_ppm

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

SENSITIVE = "0"  # dB: river water gives 0.07 to 0.15 V
WIDE = "11"
WIDE_ABOVE_MV = 900
FULL_V = 2.3  # end of the part's output
MAX_PPM = 1120.0  # what 2.3 V means


class Tds(AnalogDriver):
    """ppm at 25 °C; raw is mV at the part's output."""

    key = "tds"
    needs_temperature = True

    def _begin(self) -> None:
        self._attenuate(self.settings["attenuation"])

    def _again(self) -> bool:
        if self._attenuation == SENSITIVE and self._samples[0] > WIDE_ABOVE_MV * 1000:
            self._attenuate(WIDE)
            return True
        return False

    @seldom
    def _evaluate(self, pin_mv: float, too_low: bool, too_high: bool) -> None:
        output_mv = pin_mv * self.settings["ratio"]
        if too_low:
            note = "under %d mV: very fresh water, or probe in air, unplugged or unpowered" % self._range[0]
            self._end(None, output_mv, quality.SATURATED_LOW, note)
            return
        volts = output_mv / 1000
        k = self.settings["k"]
        flags = quality.OK
        if k is None:
            k = 1.0
            flags = quality.UNCAL
        celsius = self.temperature_c
        if celsius is None:
            celsius = REFERENCE_TEMPERATURE_C
            flags |= quality.UNCOMP
        ppm = tds_ppm(volts, celsius, k, self.settings["coefficients"])
        if too_high or volts > FULL_V or ppm > MAX_PPM:
            flags |= quality.SATURATED
        self._end(ppm, output_mv, flags)
