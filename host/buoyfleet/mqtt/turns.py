"""When connections may begin: evenly spread, so that a fleet stays below a broker's rate of connections."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_CATCH_UP_S = 0.02
"""A turn that a busy loop missed by less than this is made up for; after a longer pause no burst follows."""


class Turns:
    """Turns to connect, `per_s` of them a second. First connections and later ones share them."""

    __slots__ = ("_pause_s", "due_s")

    def __init__(self, per_s: float) -> None:
        self._pause_s = 1 / per_s
        self.due_s = 0.0
        """Time of the next turn, by the clock that `take` is given."""

    def take(self, now_s: float) -> None:
        """Use the turn that is due."""
        self.due_s = max(self.due_s, now_s - _CATCH_UP_S) + self._pause_s


class Connecting(Protocol):
    """A connection that waits for its turn."""

    @property
    def wanted(self) -> bool:
        """Whether its owner still waits for it."""
        ...


_Waiting = TypeVar("_Waiting", bound=Connecting)


class TurnQueue(Generic[_Waiting]):
    """Connections in the order in which they were asked for. Use it from one event loop.

    Args:
        turns: when the next may begin; None: at once.
        on_turn: called when a turn has come that `next` had to wait for.
    """

    def __init__(self, turns: Turns | None, on_turn: Callable[[], None]) -> None:
        self._turns = turns
        self._on_turn = on_turn
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: _Waiting) -> None:
        """Put one at the end."""
        self._waiting.append(connection)

    def wake(self) -> None:
        """Have `on_turn` called at the next turn, from the loop."""
        if self._timer is None:
            due_s = 0.0 if self._turns is None else self._turns.due_s
            self._timer = asyncio.get_running_loop().call_at(due_s, self._due)

    def next(self) -> _Waiting | None:
        """The first that is still wanted, if its turn has come; one that is not wanted takes no turn."""
        while self._waiting and not self._waiting[0].wanted:
            self._waiting.popleft()
        if not self._waiting or self._timer is not None:
            return None
        if self._turns is not None:
            now_s = asyncio.get_running_loop().time()
            if now_s < self._turns.due_s:
                self.wake()
                return None
            self._turns.take(now_s)
        return self._waiting.popleft()

    def clear(self) -> None:
        """Forget all that wait."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._on_turn()
