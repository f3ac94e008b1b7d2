"""The share of each turn that one connection has, and the turns."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from buoyfleet.mqtt.codec import Packet

SHARE = 64
"""Packets of one connection that are handled before the others have their turn.

On IoT Core no message waits for another board's, and here all share one loop."""

TURN_S = 0.01
"""Work of one turn of the loop; then whatever else the twin does has its own: rules, delivery, the timers."""

DELIVERY_PAUSE_S = 0.005
"""Messages to a subscriber wait so long for others, so that a write, and its reader's turn, is about several.
IoT Core takes longer than that to deliver one."""


class TurnQueue:
    """Connections with packets that wait, first come, first served; one queue for all of a broker."""

    def __init__(self) -> None:
        self._queue: deque[Shares] = deque()
        self._scheduled = False
        self._began_s: float | None = None
        """Of the present turn."""

    def free(self) -> bool:
        """Whether packets that come now may be handled at once."""
        if self._scheduled:
            return False
        if self._began_s is None:
            self._began_s = time.monotonic()
            asyncio.get_running_loop().call_soon(self._end)
            return True
        return time.monotonic() - self._began_s < TURN_S

    def join(self, shares: "Shares") -> None:
        """Hand a share on in a later turn."""
        self._queue.append(shares)
        self._schedule()

    def _schedule(self) -> None:
        if self._queue and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _end(self) -> None:
        self._began_s = None

    def _turn(self) -> None:
        end_s = time.monotonic() + TURN_S
        queue = self._queue
        try:
            while queue and time.monotonic() < end_s:
                shares = queue.popleft()
                shares.hand_on()
                if shares:
                    queue.append(shares)
        finally:
            self._scheduled = False
            self._schedule()


class Shares:
    """Packets of one connection as they arrive, handed on a share a turn."""

    __slots__ = ("_handle", "_turns", "_waiting")

    def __init__(self, handle: Callable[[Sequence[Packet]], None], turns: TurnQueue) -> None:
        """`handle` takes packets in their order; it is called again from the loop while some wait."""
        self._handle = handle
        self._turns = turns
        self._waiting: list[Packet] = []

    def __bool__(self) -> bool:
        """Whether packets wait for a later turn."""
        return bool(self._waiting)

    def add(self, packets: list[Packet]) -> None:
        """Hand on a share, unless others wait before it."""
        if self._waiting:
            self._waiting += packets
        elif not self._turns.free():
            self._waiting = packets
            self._turns.join(self)
        elif len(packets) <= SHARE:
            self._handle(packets)
        else:
            self._waiting = packets
            self.hand_on()
            if self._waiting:
                self._turns.join(self)

    def finish(self) -> None:
        """Hand on whatever waits."""
        packets, self._waiting = self._waiting, []
        if packets:
            self._handle(packets)

    def drop(self) -> None:
        """The connection is over."""
        self._waiting = []

    def hand_on(self) -> None:
        """Hand on the next share, if any waits."""
        packets, self._waiting = self._waiting[:SHARE], self._waiting[SHARE:]
        if packets:
            self._handle(packets)
