"""The numbered events of a board: what is missing is noticed, and told again where the board keeps it."""

import threading
from collections.abc import Callable

from buoyfleet.serial.lines import Event
from buoyfleet.serial.records import BoardEvent, ConsoleRecord, EventsLost

MOST_TRIES = 4
"""How often one event is asked for on a line that spoils it."""


class EventCounter:
    """Notices numbers that are left out, and which of them are told again."""

    __slots__ = ("_last", "gone", "missing")

    def __init__(self) -> None:
        self._last: int | None = None  # not known yet
        self.missing: set[int] = set()
        """Numbers that never came, since the board's numbers last began anew."""
        self.gone = 0
        """How many were missing before that."""

    def told(self, count: int) -> int:
        """The board has told `count` events since its reset; returns how many of them never came."""
        before, self._last = self._last, count
        if before is None or count == before:
            return 0
        if count < before:
            # It was reset meanwhile and counts from 1 again: what was missing is never told again.
            self.gone += len(self.missing)
            self.missing.clear()
            before = 0
        self.missing.update(range(before + 1, count + 1))
        return count - before

    def came(self, number: int) -> int:
        """Event `number` came; returns how many before it did not."""
        lost = self.told(number - 1)
        self._last = number
        return lost

    def came_again(self, number: int) -> bool:
        """An event was told again on request; False if it was not missing."""
        if number not in self.missing:
            return False
        self.missing.remove(number)
        return True


def ranges_of(numbers: set[int]) -> list[tuple[int, int]]:
    """Runs of following numbers as (first, last), in order."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


class EventStream:
    """Events as they come in, and once more; may be used from any thread."""

    def __init__(self) -> None:
        self._counter = EventCounter()
        self._recovering = 0
        """Events up to this number are being told again; 0: none are."""
        self._guard = threading.Lock()

    def take(self, event: Event, at_ns: int) -> list[ConsoleRecord]:
        """What an event means."""
        with self._guard:
            if event.number <= self._recovering:
                if not self._counter.came_again(event.number):
                    return []
                lost = 0
            else:
                lost = self._counter.came(event.number)
        return [*_lost(lost, at_ns), BoardEvent(at_ns, event.number, event.body)]

    def answered(self, value: object, at_ns: int) -> list[ConsoleRecord]:
        """Several answers say how many events were told: so the loss of the last ones is noticed too."""
        if not (isinstance(value, dict) and isinstance(value.get("events"), int)):
            return []
        with self._guard:
            lost = self._counter.told(value["events"])
        return _lost(lost, at_ns)

    @property
    def missing(self) -> int:
        """How many were told and never came."""
        with self._guard:
            return self._counter.gone + len(self._counter.missing)

    def recover(self, tell: Callable[[int, int], list[int]]) -> None:
        """Have the missing ones told again.

        Args:
            tell: has the board tell events from one number to another; returns the numbers of those that it
                told, the first ones, in order.
        """
        with self._guard:
            runs = ranges_of(self._counter.missing)
        tries: dict[int, int] = {}
        for first, last in runs:
            self._recovering = last
            try:
                while first <= last and (told := tell(first, last)):
                    for number in told:
                        tries[number] = tries.get(number, 0) + 1
                    with self._guard:
                        missing = self._counter.missing
                        # What it told and noise took again; not for ever. What it did not tell is gone.
                        again = [n for n in told if n in missing and tries[n] < MOST_TRIES]
                    first = again[0] if again else told[-1] + 1
            finally:
                self._recovering = 0


def _lost(count: int, at_ns: int) -> list[ConsoleRecord]:
    return [EventsLost(at_ns, count)] if count else []
