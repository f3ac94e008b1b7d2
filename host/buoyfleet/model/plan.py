"""A plan: who sends what when, fixed before the run starts. Integers: nothing adds up to something else."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BoardPlan:
    """The sends of one board: message n is due at `due_ms(n)` after the run's start."""

    buoy_id: int
    start_ms: int
    interval_us: int | None
    """None: unpaced, a message is due as soon as the link takes it."""
    messages: int | None
    """None: as many as are due before `end_ms`."""
    end_ms: int | None

    def planned(self) -> int | None:
        """How many messages this plan holds; None if only the clock ends it (unpaced, timed).

        The board gets this number; it never has to find out by itself.
        """
        counts = [] if self.messages is None else [self.messages]
        if self.end_ms is not None and self.interval_us is not None:
            span_us = (self.end_ms - self.start_ms) * 1000
            counts.append(max(0, -(-span_us // self.interval_us)))
        return min(counts) if counts else None

    def due_ms(self, number: int) -> int:
        """When message `number` is due, in ms after the run's start; buoy.schedule counts the same."""
        return self.start_ms + number * (self.interval_us or 0) // 1000

    def last_ms(self) -> int | None:
        """When its last message is due, in ms after the run's start; None where only the link knows."""
        planned = self.planned()
        if self.interval_us is not None and planned:
            return self.due_ms(planned - 1)
        return self.end_ms


def interval_us(interval_ms: float | None) -> int | None:
    """A pace in whole microseconds, rounded up: 3/s for 10 s is 30 messages and not 31."""
    # Beyond a millionth of that it is noise: 1000 / 10 may be a little more than 100.
    return None if interval_ms is None else max(1, math.ceil(interval_ms * 1000 - 1e-6))


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a whole run."""

    run_id: str
    seed: int
    boards: tuple[BoardPlan, ...]

    def planned(self) -> int | None:
        """Messages of all boards; None if a board has no fixed number."""
        counts = [board.planned() for board in self.boards]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
