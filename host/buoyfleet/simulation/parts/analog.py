"""The four analog parts: from the liquid to the voltage at the part's output.

Transfer functions are those of the sensor reference, here forwards (quantity to volts), written apart from
the drivers' (volts to quantity) so that the round trip proves something.
"""

import random
from collections.abc import Mapping
from copy import copy
from math import sqrt
from typing import ClassVar

from buoyfleet.simulation.parts.part import Lag, Part
from buoyfleet.simulation.water.medium import Medium


class AnalogPart(Part):
    """A part with a voltage output.

    `noise_mv` is the standard deviation of the output between two conversions.
    """

    __slots__ = ("_lag", "noise_mv")

    def _individual(self, draw: random.Random) -> None:
        self.noise_mv = 1.0
        self._lag = Lag(0.002)
        self._tolerances(draw)

    def _tolerances(self, draw: random.Random) -> None:
        raise NotImplementedError

    def volts(self, t_s: float) -> float | None:
        """Mean output now; None: the output is not connected and the input floats."""
        if not self.powered:
            return 0.0
        return self._output(t_s)

    def _output(self, t_s: float) -> float | None:
        raise NotImplementedError

    def settle(self, t_s: float) -> None:
        """See `Part.settle`."""
        self._output(t_s)

    def volts_in(self, medium: Medium) -> float | None:
        """Output of this individual, settled in another medium; the part itself stays where it is."""
        twin = copy(self)
        twin.medium = medium
        twin._lag = Lag(self._lag.tau_s)
        return twin._output(0.0)


class Oxygen(AnalogPart):
    """`do`: Atlas Gravity board with the mini galvanic probe: eleven times the probe's millivolts.

    Drift is in % of the signal per day (electrolyte); fouling lowers the signal and slows it.
    """

    __slots__ = ("air_mv", "zero_mv")

    key = "do"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "unplugged": "probe or cable off: 0 V",
        "depleted": "electrolyte spent: about half the signal",
        "torn": "membrane torn: far too high and erratic",
        "stagnant": "no flow past the membrane: 20 % low",
        "bubble": "a bubble on the membrane: reads towards air, unsteady",
        "floating": "signal wire open at the ESP32: random values",
    }

    def _tolerances(self, draw: random.Random) -> None:
        # Probes give 40–60 mV in air; the healthy band of the board's output is 440–660 mV.
        self.air_mv = 11.0 * (48.0 + self.spread * draw.uniform(-7.0, 10.0))
        self.zero_mv = 11.0 * self.spread * draw.uniform(0.0, 0.15)
        self._lag = Lag(5.0, rate_per_s=5.0)  # 0.5 mg/L per second is about 5 % saturation per second

    def _output(self, t_s: float) -> float | None:
        faults = self.faults
        fouling = self.fouled(t_s)
        percent = self._lag.follow(self.medium.sample(t_s).do_pct, t_s, 1.0 + 4.0 * fouling)
        self.noise_mv = 0.6
        if not faults:
            signal = 1.0
        else:
            if "floating" in faults:
                return None
            if "unplugged" in faults:
                return 0.0
            signal = 0.5 if "depleted" in faults else 1.0
            if "stagnant" in faults:
                signal *= 0.8
            if "bubble" in faults:
                percent += (100.0 - percent) * 0.7
                self.noise_mv = 12.0
            if "torn" in faults:
                percent = 190.0
                self.noise_mv = 120.0
        signal *= (1.0 - 0.5 * fouling) * (1.0 - 0.01 * self.drifted(t_s))
        return (self.zero_mv + (self.air_mv - self.zero_mv) * percent / 100.0 * signal) / 1000.0


class Solids(AnalogPart):
    """`tds`: DFRobot SEN0244, driven by the conductivity at the water's own temperature.

    Drift is in % of the conductivity per day; fouling reads low.
    """

    __slots__ = ("k",)

    key = "tds"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "unplugged": "probe off: 0 V",
        "short": "pins bridged: end of the output",
        "bubble": "bubbles between the pins: low and unsteady",
        "coupled": "an EC probe close by drives it too: unsteady and high",
        "floating": "signal wire open at the ESP32: random values",
    }
    FULL_V = 2.3

    def _tolerances(self, draw: random.Random) -> None:
        self.k = 1.0 + self.spread * draw.uniform(-0.08, 0.08)
        self._lag = Lag(1.5)

    def _output(self, t_s: float) -> float | None:
        faults = self.faults
        raw_ec = self._lag.follow(self.medium.sample(t_s).ec_us_cm, t_s) / self.k
        raw_ec *= (1.0 - 0.4 * self.fouled(t_s)) * (1.0 - 0.01 * self.drifted(t_s))
        self.noise_mv = 0.8
        if faults:
            if "floating" in faults:
                return None
            if "unplugged" in faults:
                return 0.0
            if "short" in faults:
                return self.FULL_V + 0.02
            if "bubble" in faults:
                raw_ec *= 0.6
                self.noise_mv = 15.0
            if "coupled" in faults:
                raw_ec *= 1.25
                self.noise_mv = 40.0
        return self.volts_of(raw_ec)

    @classmethod
    def volts_of(cls, raw_ec_us_cm: float) -> float:
        """Inverse of the maker's cubic ECraw = 133.42 V³ − 255.86 V² + 857.39 V; the output ends just over
        2.3 V."""
        if raw_ec_us_cm <= 0.0:
            return 0.0
        if raw_ec_us_cm > 2300.0:
            return cls.FULL_V + 0.02
        v = raw_ec_us_cm / 760.0
        for _ in range(6):  # Newton; the cubic rises everywhere
            miss = ((133.42 * v - 255.86) * v + 857.39) * v - raw_ec_us_cm
            v -= miss / ((400.26 * v - 511.72) * v + 857.39)
            if abs(miss) < 1e-6 * raw_ec_us_cm:
                break
        return min(v, cls.FULL_V + 0.02)


class Turbidity(AnalogPart):
    """`tbd`: DFRobot SEN0189 on 5 V; ratiometric, so the supply scales it.

    Drift is in mV per day; fouling reads as turbidity. The temperature shift of one other maker's note
    (0.0192 V/°C, equal to 70 NTU/°C) is left out: nothing confirms it for this part.
    """

    __slots__ = ("scale",)

    key = "tbd"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "unplugged": "cable off or reversed: 0.04 V",
        "daylight": "sun on the receiver: high and unsteady",
        "bubble": "bubbles in the beam: unsteady, towards turbid",
        "covered": "lens covered: below the curve's end",
        "floating": "signal wire open at the ESP32: random values",
    }

    def _tolerances(self, draw: random.Random) -> None:
        self.scale = 1.0 + self.spread * draw.uniform(-0.03, 0.03)
        self._lag = Lag(0.17)  # 95 % within the 500 ms of the sheet

    def _output(self, t_s: float) -> float | None:
        faults = self.faults
        sample = self.medium.sample(t_s)
        ntu = self._lag.follow(sample.ntu, t_s) + 250.0 * self.fouled(t_s)
        self.noise_mv = 4.0
        if faults:
            if "floating" in faults:
                return None
            if "unplugged" in faults:
                return 0.04
            if "covered" in faults:
                return 1.9 * self.scale
            if "bubble" in faults:
                ntu += 150.0
                self.noise_mv = 60.0
        volts = self.volts_of(ntu) * self.scale + self.drifted(t_s) / 1000.0
        if not sample.wet:
            volts += 0.03  # nothing scatters in air
        if "daylight" in faults:
            volts += 0.12
            self.noise_mv = 80.0
        return volts

    @staticmethod
    def volts_of(ntu: float) -> float:
        """Right branch of the wiki's parabola NTU = −1120.4 V² + 5742.3 V − 4352.9: from 4.2002 V in clear
        water to its vertex at 2.5626 V; beyond its 3004.7 NTU the output goes on falling."""
        under_root = 5742.3**2 - 4.0 * 1120.4 * (4352.9 + ntu)
        if under_root < 0.0:
            return max(1.0, 2.5626 - (ntu - 3004.7) / 2000.0)
        return (5742.3 + sqrt(under_root)) / 2240.8


class Pressure(AnalogPart):
    """`wp`: DFRobot SEN0257 on 5 V, 1.6 MPa full scale: 0.5 V and 4.5 V nominal.

    Drift is in mV per day.
    """

    __slots__ = ("kpa_per_v", "zero_v")

    key = "wp"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "open": "cable off: 0 V",
        "short": "output at the supply",
        "blocked": "port blocked: stays at its zero",
        "floating": "signal wire open at the ESP32: random values",
    }

    def _tolerances(self, draw: random.Random) -> None:
        # Calibration accepts 0.40 to 0.60 V without load; users saw 0.412–0.483 V, the sheet says 0.5.
        self.zero_v = 0.5 + self.spread * draw.uniform(-0.095, 0.095)
        self.kpa_per_v = 400.0 * (1.0 + self.spread * draw.uniform(-0.004, 0.004))

    def _output(self, t_s: float) -> float | None:
        faults = self.faults
        self.noise_mv = 2.0
        kpa = self._lag.follow(self.medium.sample(t_s).kpa, t_s)
        if faults:
            if "floating" in faults:
                return None
            if "open" in faults:
                return 0.0
            if "short" in faults:
                return 5.0
            if "blocked" in faults:
                kpa = 0.0
        return min(4.8, self.zero_v + kpa / self.kpa_per_v + self.drifted(t_s) / 1000.0)
