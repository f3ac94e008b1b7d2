"""Flow meter and level switch: pulses and a level."""

import random
from collections.abc import Mapping
from math import exp
from typing import ClassVar

from buoyfleet.simulation.parts.part import Lag, Part

NOMINAL_PULSES_PER_L = 450.0
"""7.5 Hz per L/min (DFRobot SEN0217's wiki)."""
STALL_L_MIN = 1.0
"""Under it the rotor stands still."""


class FlowMeter(Part):
    """`wf`: DFRobot SEN0217. Pulses are counted from the start, as a running phase.

    Drift is in % of the pulses per day; fouling (debris) slows the rotor.
    """

    __slots__ = ("_at_s", "_phase", "pulses_per_l")

    key = "wf"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "stuck": "rotor jammed: no pulses",
        "unplugged": "cable cut: no pulses",
        "noise": "electrical noise: 400 Hz more",
        "debris": "weed on the rotor: a fifth of the pulses missing",
    }

    def _individual(self, draw: random.Random) -> None:
        self.pulses_per_l = NOMINAL_PULSES_PER_L * (1.0 + self.spread * draw.uniform(-0.04, 0.04))
        self._phase = draw.random()
        self._at_s: float | None = None

    def hertz(self, t_s: float) -> float:
        """Pulses per second now."""
        if not self.powered:
            return 0.0
        faults = self.faults
        if "stuck" in faults or "unplugged" in faults:
            return 0.0
        litres_min = 60.0 * self.medium.sample(t_s).flow_l_s
        if litres_min < STALL_L_MIN:
            hertz = 0.0
        else:
            # Nonlinear below about 2 L/min: the rotor slips.
            slip = 0.10 * exp(-(litres_min - STALL_L_MIN) / 0.45)
            hertz = self.pulses_per_l * litres_min / 60.0 * (1.0 - slip)
            hertz *= (1.0 - 0.3 * self.fouled(t_s)) * (1.0 - 0.01 * self.drifted(t_s))
            if "debris" in faults:
                hertz *= 0.8
        return hertz + 400.0 if "noise" in faults else hertz

    def pulses(self, t_s: float) -> int:
        """Rising edges since the start."""
        self.settle(t_s)
        return int(self._phase)

    def settle(self, t_s: float) -> None:
        """See `Part.settle`."""
        if self._at_s is not None and t_s > self._at_s:
            self._phase += self.hertz(t_s) * (t_s - self._at_s)
        self._at_s = t_s

    def level(self, t_s: float) -> int:
        """The output now: high in the first half of a pulse (duty 50 %)."""
        self.settle(t_s)
        return int(self._phase % 1.0 < 0.5 and self.powered and "unplugged" not in self.faults)

    def power(self, on: bool, t_s: float) -> bool:
        """See `Part.power`."""
        self.settle(t_s)
        return super().power(on, t_s)


class LevelSwitch(Part):
    """`liqlev`: DFRobot SEN0204 (XKC-Y25-T12V), push output, about 500 ms response."""

    __slots__ = ("_flip", "_lag", "inverted")

    key = "liqlev"
    FAULTS: ClassVar[Mapping[str, str]] = {
        "unplugged": "cable off: the pull-down reads dry",
        "stuck": "film or metallic paint: always wet",
        "flicker": "splashes: changes with every look",
    }

    def _individual(self, draw: random.Random) -> None:  # noqa: ARG002 - switches do not differ
        self._lag = Lag(0.35)  # half-way, where it switches, after a quarter of a second
        self._flip = 0
        self.inverted = False

    def settle(self, t_s: float) -> None:
        """See `Part.settle`."""
        self._lag.follow(1.0 if self.medium.sample(t_s).wet else 0.0, t_s)

    def level(self, t_s: float) -> int:
        """The output now, after the level divider: 1 is high."""
        self.settle(t_s)
        faults = self.faults
        if not self.powered or "unplugged" in faults:
            return 0
        if "flicker" in faults:
            self._flip ^= 1
            return self._flip
        wet = self._lag.value > 0.5 or "stuck" in faults or self.fouled(t_s) > 0.9
        return int(wet != self.inverted)
