"""`ph`: Atlas EZO-pH with a glass electrode.

Sources: Nernst slope 0.1984 mV × T(K) per pH; the maker's data sheet for commands; acceptance figures of the
sensor reference for the individual spread.
"""

import random
from collections.abc import Mapping
from math import exp
from typing import ClassVar

from buoyfleet.simulation.parts.ezo import COMMAND_S, Answer, EzoCircuit, number
from buoyfleet.simulation.parts.ezo_wire import EZO_FAULTS
from buoyfleet.simulation.parts.part import Lag

NERNST_MV_PER_K = 0.198416
"""R ln 10 / F."""
RECOVERY_S = 45.0
"""Time constant after power was cut; the maker says 1–5 minutes to recover."""
RECOVERY_PH = 0.25
NOISE_PH = (0.001, 0.006)
"""New and old firmware (±0.002 and ±0.02 in their sheets)."""


def nernst_mv(temp_c: float) -> float:
    """Slope of a perfect electrode, mV per pH."""
    return NERNST_MV_PER_K * (temp_c + 273.15)


class PhCircuit(EzoCircuit):
    """See the module. Drift is in pH per day (reference electrode), fouling slows and flattens."""

    __slots__ = (
        "_acid", "_base", "_extended", "_lag", "_mid_mv", "_mid_ph", "_points", "slope_acid", "slope_base",
        "zero_mv",
    )  # fmt: skip

    key = "ph"
    kind = "pH"
    firmware = ("2.14", "1.98")
    reading_s = 0.9
    calibration_s: ClassVar[float] = 0.9
    FAULTS: ClassVar[Mapping[str, str]] = {
        **EZO_FAULTS,
        "unplugged": "probe unplugged: the input floats, readings wander",
        "rail": "input at its end: exactly 14.000",
        "cracked": "cracked glass: about 7 whatever the buffer",
        "low-slope": "worn glass: 82 % of the slope it was calibrated with",
        "offset": "reference poisoned: 40 mV off",
        "dry": "bulb dried out: slow and offset",
        "disturbed": "an EC probe's excitation in the same water: ±0.3 pH",
    }

    def _individual(self, draw: random.Random) -> None:
        self.slope_acid = 1.0 - self.spread * draw.uniform(0.0, 0.03)
        self.slope_base = self.slope_acid - self.spread * draw.uniform(-0.005, 0.01)
        self.zero_mv = self.spread * draw.uniform(-5.0, 5.0)
        self._lag = Lag(10.0)  # 4 to 7 settles to 0.01 in a minute
        self._extended = False

    def settle(self, t_s: float) -> None:
        """See `Part.settle`. In air the film on the glass keeps the last liquid's pH."""
        sample = self.medium.sample(t_s)
        slower = (1.0 + 5.0 * self.fouled(t_s)) * (8.0 if "dry" in self.faults else 1.0)
        self._lag.follow(sample.ph if sample.wet else self._lag.value or sample.ph, t_s, slower)

    def millivolts(self, t_s: float) -> float:
        """What the electrode gives now: zero − slope · (pH − 7), at the liquid's temperature."""
        self.settle(t_s)
        faults = self.faults
        if faults:
            if "unplugged" in faults:
                return 160.0 * self.noise()
            if "rail" in faults:
                return -1000.0
            if "cracked" in faults:
                return self._mid_mv + 0.5 * self.noise()
        ph = self._lag.value + self.drifted(t_s)
        share = (self.slope_acid if ph < 7.0 else self.slope_base) * (1.0 - 0.1 * self.fouled(t_s))
        zero = self.zero_mv
        if faults:
            if "low-slope" in faults:
                share *= 0.82
            zero += 40.0 * ("offset" in faults) + 25.0 * ("dry" in faults)
        return zero - share * nernst_mv(self.medium.sample(t_s).temp_c) * (ph - 7.0)

    def _reading(self, t_s: float) -> str:
        ph = self._ph_of(self.millivolts(t_s))
        ph += NOISE_PH[self.flavour == "old"] * self.noise()
        if "disturbed" in self.faults:
            ph += 0.3 * self.noise()
        since = self.powered_since_s
        if since is not None and t_s - since < 10.0 * RECOVERY_S:
            ph += RECOVERY_PH * exp(-max(0.0, t_s - since) / RECOVERY_S)
        ph += 0.05 * self._skip
        low, high = (-1.6, 15.6) if self._extended else (0.0, 14.0)
        return f"{min(high, max(low, ph)):.3f}"

    def _ph_of(self, mv: float) -> float:
        """The circuit's own sum: from the stored points, at the temperature it was told."""
        beyond = self._mid_mv - mv
        share = self._acid if beyond < 0.0 else self._base
        return self._mid_ph + beyond / (nernst_mv(self.temp_c) * share)

    # Calibration

    def _factory_calibration(self) -> None:
        self._mid_ph = 7.0
        self._mid_mv = 0.0
        self._acid = self._base = 1.0
        self._points: set[str] = set()

    def _calibrate_to_probe(self, draw: random.Random) -> None:
        # What remains after a careful calibration: buffers are good to ±0.01.
        self._mid_mv = self.zero_mv + self.spread * draw.uniform(-0.3, 0.3)
        self._acid = self.slope_acid * (1.0 + self.spread * draw.uniform(-0.002, 0.002))
        self._base = self.slope_base * (1.0 + self.spread * draw.uniform(-0.002, 0.002))
        self._points = {"mid", "low", "high"}

    def _calibration_numbers(self) -> list[float]:
        return [self._mid_ph, self._mid_mv, self._acid, self._base, float(len(self._points))]

    def _take_calibration(self, numbers: list[float]) -> None:
        self._mid_ph, self._mid_mv, self._acid, self._base, count = numbers
        self._points = set(("mid", "low", "high")[: int(count)])

    def _special(self, name: str, fields: list[str], t_s: float) -> Answer | None:
        old = self.flavour == "old"
        if name == "cal":
            return self._cal(fields, t_s)
        if name == "slope" and fields == ["?"]:
            zero = self._mid_mv + nernst_mv(25.0) * self._base * (self._mid_ph - 7.0)
            text = f"{100.0 * self._acid:.1f},{100.0 * self._base:.1f}"
            return [f"?SLOPE,{text}" if old else f"?Slope,{text},{zero:.2f}"], COMMAND_S
        if name == "phext" and not old and len(fields) == 1:
            if fields == ["?"]:
                return [f"?pHext,{int(self._extended)}"], COMMAND_S
            if fields[0] in ("0", "1"):
                self._extended = fields[0] == "1"
                return [], COMMAND_S
        return None

    def _cal(self, fields: list[str], t_s: float) -> Answer | None:
        if fields == ["?"]:
            return [f"?{'CAL' if self.flavour == 'old' else 'Cal'},{len(self._points)}"], COMMAND_S
        if fields == ["clear"]:
            self._factory_calibration()
            return [], COMMAND_S
        value = number(fields[1]) if len(fields) == 2 else None
        if value is None or not 0.0 <= value <= 14.0:
            return None
        mv = self.millivolts(t_s + self.calibration_s)
        if fields[0] == "mid":  # erases the others
            self._factory_calibration()
            self._mid_ph, self._mid_mv = value, mv
        elif fields[0] in ("low", "high") and abs(value - self._mid_ph) > 0.5:
            share = (self._mid_mv - mv) / (nernst_mv(self.temp_c) * (value - self._mid_ph))
            if not 0.3 < share < 2.0:
                return None
            if fields[0] == "low":
                self._acid = share
            else:
                self._base = share
        else:
            return None
        self._points.add(fields[0])
        return [], self.calibration_s
