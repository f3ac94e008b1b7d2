"""Keeps the calls of many threads below the account's rates."""

import threading
import time
from collections.abc import Callable

from buoyfleet.cloud.aws.quotas import RATES, Quotas

SHARE = 0.8
"""Of the account's rate: others use it as well, and throttled calls cost more than waiting."""


class Pacer:
    """Hands out the next moment for a call of each operation."""

    def __init__(
        self,
        quotas: Quotas,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`clock` gives seconds; `sleep` waits for some."""
        self._interval_s = {name: 1.0 / (quotas.value(quota) * SHARE) for name, quota in RATES.items()}
        self._next_s: dict[str, float] = {}
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep

    def wait(self, operation: str) -> None:
        """Return when the operation may be called; at once where its rate is not known."""
        interval_s = self._interval_s.get(operation)
        if interval_s is None:
            return
        with self._lock:
            now_s = self._clock()
            mine_s = max(now_s, self._next_s.get(operation, now_s))
            self._next_s[operation] = mine_s + interval_s
        if mine_s > now_s:
            self._sleep(mine_s - now_s)
