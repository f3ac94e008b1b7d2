"""A plan: who sends what when, fixed before the run starts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BoardPlan:
    """The sends of one board: message n is due at `start_ms + n * interval_ms` after the run's start."""

    buoy_id: int
    start_ms: float
    interval_ms: float | None
    """None: unpaced, a message is due as soon as the link takes it."""
    messages: int | None
    """None: as many as are due before `end_ms`."""
    end_ms: float | None

    def planned(self) -> int | None:
        """How many messages this plan holds; None if only the clock ends it (unpaced, timed)."""
        counts = [] if self.messages is None else [self.messages]
        if self.end_ms is not None and self.interval_ms is not None:
            span = self.end_ms - self.start_ms
            counts.append(max(0, -int(-span // self.interval_ms)))
        return min(counts) if counts else None

    def last_ms(self) -> float | None:
        """When its last message is due, in ms after the run's start; None where only the link knows."""
        planned = self.planned()
        if self.interval_ms is not None and planned:
            return self.start_ms + (planned - 1) * self.interval_ms
        return self.end_ms


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
