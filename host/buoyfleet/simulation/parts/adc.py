"""The converter of a classic ESP32: dead zone, ceiling, reference, nonlinearity, and what eFuse corrects.

Sources: MicroPython's ESP32 reference (usable ranges), Espressif's data sheet (INL ±12 LSB, reference
1000–1200 mV) and ESP-IDF's ADC calibration for the ESP32 (scale and offset of each attenuation, eFuse
reference in steps of 7 mV about 1100 mV).
"""

import random
from math import pi, sin

FULL_CODE = 4095
# Attenuation as in machine.ADC.ATTN_*: 0, 2.5, 6 and 11 dB.
# mV per code = reference × scale / 2^28; a code of 0 stands for `offset` mV: below is the dead zone.
SCALES = (57431, 76236, 105481, 196602)
OFFSETS_MV = (75.0, 78.0, 107.0, 142.0)
CEILINGS_MV = (950.0, 1250.0, 1750.0, 2450.0)
"""End of the usable range; above it a reading falls short, more the higher the voltage."""
NOMINAL_REFERENCE_MV = 1100.0
PIN_LIMIT_MV = 3600.0
"""Absolute maximum at a pin."""
NOISE_CODES = 2.5
"""Standard deviation of one conversion with 100 nF at the pin [choice]."""
_SHORTFALL = 0.06
"""Of what lies over the ceiling [choice]."""
EFUSE_STEP_MV = 7.0


class Esp32Adc:
    """One chip's converter.

    Args:
        seed: the individual.
        spread: scale of its tolerances; 0 is a nominal chip.
        efuse: whether the factory wrote the reference; without it `read_uv` errs by up to ±10 %.
    """

    __slots__ = ("_inl", "efuse_mv", "reference_mv")

    def __init__(self, seed: str = "", spread: float = 1.0, efuse: bool = True) -> None:
        draw = random.Random(f"{seed}/adc")
        self.reference_mv = NOMINAL_REFERENCE_MV + spread * draw.uniform(-100.0, 100.0)
        steps = min(15, max(-15, round((self.reference_mv - NOMINAL_REFERENCE_MV) / EFUSE_STEP_MV)))
        self.efuse_mv = NOMINAL_REFERENCE_MV + EFUSE_STEP_MV * steps if efuse else NOMINAL_REFERENCE_MV
        # Two smooth waves over the scale: what single chips show of the ±12 codes that the sheet allows.
        self._inl = (
            spread * draw.uniform(1.0, 4.5),
            draw.uniform(0.0, 2.0 * pi),
            spread * draw.uniform(0.5, 2.5),
            draw.uniform(0.0, 2.0 * pi),
        )

    def code(self, pin_mv: float, attenuation: int) -> float:
        """Mean code (not rounded, not noisy) of a voltage at the pin; 0 in the dead zone, 4095 at the top."""
        offset = OFFSETS_MV[attenuation]
        if pin_mv <= offset:
            return 0.0
        ceiling = CEILINGS_MV[attenuation]
        if pin_mv > ceiling:
            pin_mv = ceiling + (pin_mv - ceiling) * (1.0 - _SHORTFALL)
        code = (pin_mv - offset) * 268435456.0 / (self.reference_mv * SCALES[attenuation])
        size_1, phase_1, size_2, phase_2 = self._inl
        turn = 2.0 * pi * code / 4096.0
        # At the lower end the nonlinearity fades: the line starts at the offset.
        fade = code / 100.0 if code < 100.0 else 1.0
        code += fade * (size_1 * sin(1.3 * turn + phase_1) + size_2 * sin(3.1 * turn + phase_2))
        return min(float(FULL_CODE), max(0.0, code))

    def millivolts_per_code(self, attenuation: int) -> float:
        """Slope that `read_uv` uses, by the eFuse reference."""
        return self.efuse_mv * SCALES[attenuation] / 268435456.0

    def microvolts(self, code: int, attenuation: int) -> int:
        """What `read_uv` makes of a code: whole millivolts, as µV."""
        return 1000 * int(code * self.millivolts_per_code(attenuation) + OFFSETS_MV[attenuation] + 0.5)

    def mean_mv(self, pin_mv: float, attenuation: int) -> float:
        """What an endless average of `read_uv` tends to, in mV: what a calibration on this chip finds."""
        return (
            self.code(pin_mv, attenuation) * self.millivolts_per_code(attenuation) + OFFSETS_MV[attenuation]
        )
