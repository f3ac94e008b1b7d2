"""The share of each turn that one connection has."""

import asyncio
from collections.abc import Callable, Sequence

from host.mqtt.codec import Packet

SHARE = 64
"""Packets of one connection that are handled before the others have their turn.

On IoT Core no message waits for another board's, and here all share one loop."""


class Shares:
    """Packets of one connection as they arrive, handed on a share a turn."""

    __slots__ = ("_handle", "_waiting")

    def __init__(self, handle: Callable[[Sequence[Packet]], None]) -> None:
        """`handle` takes packets in their order; it is called again from the loop while some wait."""
        self._handle = handle
        self._waiting: list[Packet] = []

    def __bool__(self) -> bool:
        """Whether packets wait for a later turn."""
        return bool(self._waiting)

    def add(self, packets: list[Packet]) -> None:
        """Hand on a share, unless others wait before it."""
        if self._waiting:
            self._waiting += packets
        elif len(packets) <= SHARE:
            self._handle(packets)
        else:
            self._waiting = packets
            self._hand_on()

    def finish(self) -> None:
        """Hand on whatever waits."""
        packets, self._waiting = self._waiting, []
        if packets:
            self._handle(packets)

    def drop(self) -> None:
        """The connection is over."""
        self._waiting = []

    def _hand_on(self) -> None:
        packets, self._waiting = self._waiting[:SHARE], self._waiting[SHARE:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._hand_on)
        if packets:
            self._handle(packets)
