"""Times that carry their clock: a UTC anchor plus the monotonic clock, and deadlines."""

import time
from dataclasses import dataclass, field

_TRIES = 5


def _anchor() -> tuple[int, int]:
    """UTC and monotonic nanoseconds of one moment.

    The two are read one after the other, and a busy machine may take the processor away in between: of
    several tries the quickest counts.
    """
    tries = []
    for _ in range(_TRIES):
        before = time.monotonic_ns()
        utc = time.time_ns()
        took = time.monotonic_ns() - before
        tries.append((took, utc, before + took // 2))
    return min(tries)[1:]


@dataclass(frozen=True, slots=True)
class HostClock:
    """UTC of this machine that never jumps: anchored once, then carried by the monotonic clock.

    The monotonic clock is the same for all processes of a machine: one that is given the anchor of another
    reads the same time.
    """

    anchor: tuple[int, int] = field(default_factory=_anchor)
    """UTC and `time.monotonic_ns()` of one moment, in nanoseconds."""

    def utc_ns(self) -> int:
        """Now, in nanoseconds since 1970 UTC."""
        return self.at(time.monotonic_ns())

    def at(self, monotonic_ns: int) -> int:
        """UTC nanoseconds of a reading of `time.monotonic_ns()`."""
        utc_ns, anchor_ns = self.anchor
        return utc_ns + monotonic_ns - anchor_ns


class Deadline:
    """The end of a wait; the only place that does arithmetic on waiting times."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the wait is over."""
        return time.monotonic() >= self._end
