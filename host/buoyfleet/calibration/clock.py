"""The bench's clock where time is real."""

import time
from datetime import UTC, datetime

from buoyfleet.model.clock import HostClock


class RealClock:
    """Monotonic seconds, and UTC that never jumps."""

    def __init__(self) -> None:
        self._host = HostClock()

    def now_s(self) -> float:
        """Growing seconds."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Time of day."""
        return datetime.fromtimestamp(self._host.utc_ns() / 1e9, UTC)

    def wait(self, seconds: float) -> None:
        """Let it pass."""
        time.sleep(seconds)
