"""What the four analog drivers share: power, oversampling, the ESP32 converter's usable range.

Sources: MicroPython's ESP32 reference and ESP-IDF for the ranges; the ADC of the classic ESP32 reads nothing
under about 100 mV and answers there with a constant above zero.
"""

from sensors import once, quality, seldom
from sensors.driver import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules, Steps
    from sensors.power import Rail

# Attenuation in dB → (name in machine.ADC, lowest and highest usable mV at the pin), classic ESP32.
RANGES = {
    "0": ("ATTN_0DB", 100, 950),
    "2.5": ("ATTN_2_5DB", 100, 1250),
    "6": ("ATTN_6DB", 150, 1750),
    "11": ("ATTN_11DB", 150, 2450),
}

# The middle half of the samples of a driven input lies within some 20 mV; that of an open pin anywhere.
FLOATING_SPREAD_MV = 200


class AnalogDriver(Driver):
    """A voltage on an ADC1 pin; subclasses write `_evaluate`.

    A reading takes `samples` samples, `spacing_ms` apart. A sample is the median of `burst` conversions (one
    disturbed conversion is dropped), the result the mean of the middle half of the samples (bubbles and
    daylight are dropped).
    """

    raw_unit = "mV"

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        machine = modules("machine")
        self._converter = machine.ADC
        self._adc: "Any" = None
        self._attenuation = ""
        self._range = (0, 0)  # lowest and highest usable mV at the pin
        self._set_attenuation(self.settings["attenuation"])
        self._samples: "list[int]" = []
        self._burst: "list[int]" = [0] * self.settings["burst"]
        self._spread_mv = 0.0

    def _attenuate(self, attenuation: str) -> None:
        if attenuation != self._attenuation:
            self._set_attenuation(attenuation)

    @seldom
    def _set_attenuation(self, attenuation: str) -> None:
        name, low_mv, high_mv = RANGES[attenuation]
        atten = getattr(self._converter, name)
        if self._adc is None:
            self._adc = self._converter(self._modules("machine").Pin(self.settings["pin"]), atten=atten)
        else:
            self._adc.atten(atten)
        self._attenuation = attenuation
        self._range = (low_mv, high_mv)

    def _sample(self) -> int:
        """One sample in µV at the pin."""
        burst = self._burst
        for index in range(len(burst)):
            burst[index] = self._adc.read_uv()
        burst.sort()
        return burst[len(burst) // 2]

    def _read(self) -> "Steps":
        yield from self._warm()
        self._begin()
        samples = self._samples
        samples.clear()
        wanted = self.settings["samples"]
        while len(samples) < wanted:
            if samples:
                yield self.now_ms + self.settings["spacing_ms"]
            samples.append(self._sample())
            if len(samples) == 1 and self._again():
                samples.clear()
        yield from self._wait()
        pin_mv = self._middle() / 1000
        low_mv, high_mv = self._range
        if self._spread_mv > FLOATING_SPREAD_MV:
            self._end(None, pin_mv, quality.MISSING, "input floats: %.0f mV of spread" % self._spread_mv)
        else:
            self._evaluate(pin_mv, pin_mv < low_mv, pin_mv > high_mv)

    def _middle(self) -> float:
        """Mean of the middle half of the samples in µV; leaves their spread in `_spread_mv`."""
        samples = self._samples
        samples.sort()
        quarter = len(samples) // 4
        total = 0
        for index in range(quarter, len(samples) - quarter):
            total += samples[index]
        self._spread_mv = (samples[len(samples) - quarter - 1] - samples[quarter]) / 1000
        return total / (len(samples) - 2 * quarter)

    def _begin(self) -> None:
        """Before the first sample."""

    def _again(self) -> bool:
        """After the first sample: whether the attenuation was changed and it must be taken again."""
        return False

    def _evaluate(self, pin_mv: float, too_low: bool, too_high: bool) -> None:
        """Conclude the reading.

        Args:
            pin_mv: at the pin.
            too_low: under what the converter can see.
            too_high: over it.
        """
        raise NotImplementedError
