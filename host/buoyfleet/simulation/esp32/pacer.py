"""Bytes in order, each at the time that the baud rate gives it."""

import asyncio
from collections import deque
from collections.abc import Callable

BITS_PER_BYTE = 10
"""8 data bits, start and stop."""


class Pacer:
    """One direction of a line; `deliver` gets what has arrived, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[bytes, bool], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._queue: deque[tuple[float, bytes, bool]] = deque()
        self._free_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def send(self, data: bytes, flag: bool, baud: int) -> None:
        """Put bytes on the line; the flag travels with them."""
        self._free_s = max(self._loop.time(), self._free_s) + len(data) * BITS_PER_BYTE / baud
        self._queue.append((self._free_s, data, flag))
        if self._timer is None:
            self._timer = self._loop.call_at(self._free_s, self._drain)

    def _drain(self) -> None:
        # One timer for the whole queue: a loop's timers of 1 ms would change places.
        self._timer = None
        while self._queue and self._queue[0][0] <= self._loop.time() + 0.0005:
            _, data, flag = self._queue.popleft()
            self._deliver(data, flag)
        if self._queue and self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._drain)
