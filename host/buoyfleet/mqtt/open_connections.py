"""The connections of a process that have a socket, and their end."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

LINGER_S = 5.0
"""How long a polite close may wait for a peer that does not read."""

_Connection = TypeVar("_Connection")


class OpenConnections(Generic[_Connection]):
    """A set that can be waited for. Use it from one event loop.

    Args:
        drop: closes a connection at once.
    """

    def __init__(self, drop: Callable[[_Connection], None]) -> None:
        self._drop = drop
        self._open: set[_Connection] = set()
        self._empty: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, connection: object) -> bool:
        return connection in self._open

    def all(self) -> list[_Connection]:
        """Those of this moment."""
        return list(self._open)

    def add(self, connection: _Connection) -> None:
        """It has a socket."""
        self._open.add(connection)

    def discard(self, connection: _Connection) -> None:
        """Its socket is closed."""
        self._open.discard(connection)
        if self._empty is not None and not self._open:
            self._empty.set()

    async def close(self, timeout_s: float) -> None:
        """Wait until all are closed; drop the rest after `timeout_s`."""
        if not self._open:
            return
        self._empty = asyncio.Event()
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            for connection in self.all():
                self._drop(connection)
        self._empty = None
