"""Times that carry their clock: a UTC anchor plus the monotonic clock, and deadlines."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HostClock:
    """UTC of this machine that never jumps: anchored once, then carried by the monotonic clock."""

    anchor_utc_ns: int = field(default_factory=time.time_ns)
    anchor_monotonic_ns: int = field(default_factory=time.monotonic_ns)

    def utc_ns(self) -> int:
        """Now, in nanoseconds since 1970 UTC."""
        return self.anchor_utc_ns + time.monotonic_ns() - self.anchor_monotonic_ns

    def at(self, monotonic_ns: int) -> int:
        """UTC nanoseconds of a reading of `time.monotonic_ns()`."""
        return self.anchor_utc_ns + monotonic_ns - self.anchor_monotonic_ns


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
