"""What is due when, by the buffers' own clock: a run can hurry it instead of waiting.

Buffers act at times that follow from arrivals and settings alone, so hurrying (running what is due later,
now, under its own time) gives the same result as waiting, and two runs that overlap do not shift each other.
"""

import heapq
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

Action = Callable[..., Awaitable[None] | None]

NEVER = 1 << 63


class Agenda:
    """Actions in order of their time; those of one time in order of their entry."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action, tuple[Any, ...]]] = []
        self._entered = 0
        self.next_ns = NEVER
        """UTC ns of the earliest action; NEVER when there is none."""

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, due_ns: int, action: Action, *arguments: Any) -> None:
        """Run `action(due_ns, *arguments)` at that time."""
        self._entered += 1
        heapq.heappush(self._heap, (due_ns, self._entered, action, arguments))
        self.next_ns = self._heap[0][0]

    async def run_until(self, now_ns: int) -> None:
        """Run everything that is due by then, each under its own time."""
        while self.next_ns <= now_ns:
            await self.run_next()

    async def run_next(self) -> None:
        """Run the earliest action, whatever its time."""
        due_ns, _, action, arguments = heapq.heappop(self._heap)
        self.next_ns = self._heap[0][0] if self._heap else NEVER
        outcome = action(due_ns, *arguments)
        if inspect.isawaitable(outcome):
            await outcome
