"""What every simulated part has: a medium around it, power, wear, noise, and faults switched on by name."""

import random
from collections.abc import Mapping
from math import exp
from typing import ClassVar

from buoyfleet.simulation.water.medium import Medium, Sample

DAY_S = 86400.0
LONG_AGO_S = -1e9
HOLD_UP_S = 0.01

_RING = 4096
# One ring of normal deviates for all parts of a process: a generator of its own would cost each part 2.5 KB.
_NORMAL: tuple[float, ...] = tuple(map(random.Random("parts").gauss, [0.0] * _RING, [1.0] * _RING))


class Lag:
    """A first-order response, optionally limited in rate: how a probe follows what surrounds it.

    Times may come at any distance; the response is exact for a medium that stands still between two looks.
    """

    __slots__ = ("at_s", "rate_per_s", "tau_s", "value")

    def __init__(self, tau_s: float, rate_per_s: float = 0.0) -> None:
        self.tau_s = tau_s
        self.rate_per_s = rate_per_s
        """0: not limited."""
        self.value = 0.0
        self.at_s: float | None = None

    def follow(self, target: float, t_s: float, slower: float = 1.0) -> float:
        """The value at a time, when the medium has been `target` since the last look.

        The first look finds the probe settled. `slower` stretches the time constant (fouling).
        """
        if self.at_s is None:
            self.at_s = t_s
            self.value = target
            return target
        elapsed = t_s - self.at_s
        if elapsed <= 0.0:
            return self.value
        self.at_s = t_s
        tau = self.tau_s * slower
        gap = target - self.value
        reach = self.rate_per_s * tau
        if reach and abs(gap) > reach:
            # Straight at the limiting rate until the gap is small enough for the exponential.
            straight = min(elapsed, (abs(gap) - reach) / self.rate_per_s)
            self.value += self.rate_per_s * straight * (1.0 if gap > 0.0 else -1.0)
            gap = target - self.value
            elapsed -= straight
        self.value = target - gap * exp(-elapsed / tau) if elapsed < 40.0 * tau else target
        return self.value


class Part:
    """Base of the simulated parts.

    Args:
        medium: what surrounds the part at first.
        seed: the individual: its tolerances and its noise.
        spread: scale of the individual tolerances; 0 is a part exactly as its data sheet's typical values.
        t_s: time at which the part is put there, settled.

    Times are seconds since the simulation's start and must not go backwards.
    """

    __slots__ = (
        "_before_s",
        "_cursor",
        "_off_s",
        "drift_per_day",
        "faults",
        "fouling",
        "fouling_per_day",
        "medium",
        "powered_since_s",
        "spread",
    )

    key: ClassVar[str] = ""
    FAULTS: ClassVar[Mapping[str, str]] = {}
    """Faults of this part: name → what it does."""

    def __init__(self, medium: Medium, seed: str = "", spread: float = 1.0, t_s: float = 0.0) -> None:
        self.medium = medium
        self.spread = spread
        self.faults: frozenset[str] = frozenset()
        self.powered_since_s: float | None = LONG_AGO_S
        """None: no power."""
        self._before_s: float | None = None
        self._off_s = LONG_AGO_S
        self.fouling = 0.0
        """0 clean … 1 overgrown."""
        self.fouling_per_day = 0.0
        self.drift_per_day = 0.0
        """Slow change of the part's zero, in the part's own unit (see its class)."""
        draw = random.Random(f"{seed}/{self.key}")
        self._cursor = draw.randrange(_RING)
        self._individual(draw)
        self.settle(t_s)

    def _individual(self, draw: random.Random) -> None:
        """Draw this individual's tolerances; scale them by `spread`."""

    @staticmethod
    def truth(sample: Sample) -> float | bool | None:
        """What a perfect part would measure; only where the medium's own table does not say it."""
        raise NotImplementedError

    def settle(self, t_s: float) -> None:
        """Bring what lags up to a time, in the present medium."""

    def put(self, medium: Medium, t_s: float) -> None:
        """Move the part to another medium; from now on it settles there."""
        self.settle(t_s)
        self.medium = medium

    def power(self, on: bool, t_s: float) -> bool:
        """Switch the supply; True if the part starts anew. Its capacitors bridge a gap of 10 ms."""
        if on == self.powered:
            return False
        if not on:
            self._before_s = self.powered_since_s
            self._off_s = t_s
            self.powered_since_s = None
            return False
        bridged = t_s - self._off_s < HOLD_UP_S
        self.powered_since_s = self._before_s if bridged else t_s
        return not bridged

    @property
    def powered(self) -> bool:
        """Whether the supply is on."""
        return self.powered_since_s is not None

    def inject(self, name: str, t_s: float) -> None:
        """Switch a fault on; some are events and pass by themselves (their description says so).

        Raises:
            ValueError: the part has no such fault; names those it has.
        """
        self.check_fault(name)
        self.settle(t_s)
        self.faults |= {name}

    def check_fault(self, name: str) -> None:
        """Refuse a fault that the part does not have.

        Raises:
            ValueError: names those it has.
        """
        if name not in self.FAULTS:
            raise ValueError(f"{self.key} has no fault {name!r}; it has {', '.join(self.FAULTS)}")

    def clear(self, name: str | None, t_s: float) -> None:
        """Switch a fault off; None: all of them."""
        self.settle(t_s)
        self.faults = frozenset() if name is None else self.faults - {name}

    def sample(self, t_s: float) -> Sample:
        """The medium now."""
        return self.medium.sample(t_s)

    def fouled(self, t_s: float) -> float:
        """Fouling at a time, 0–1."""
        return min(1.0, self.fouling + self.fouling_per_day * t_s / DAY_S)

    def drifted(self, t_s: float) -> float:
        """Drift since the start, in the part's own unit."""
        return self.drift_per_day * t_s / DAY_S

    def noise(self) -> float:
        """The next normal deviate of this part."""
        self._cursor = cursor = (self._cursor + 1) % _RING
        return _NORMAL[cursor]

    def deviates(self, count: int) -> tuple[float, ...]:
        """The next `count` (≤ 1024) normal deviates."""
        cursor = self._cursor
        if cursor + count > _RING:
            # Start over at a place that depends on where we are, so that cycles do not repeat each other.
            cursor = (cursor * 7 + 13) % (_RING - 1024)
        self._cursor = cursor + count
        return _NORMAL[cursor : cursor + count]
