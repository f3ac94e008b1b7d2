"""What a console tells: to its listeners, and to who asks."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """Every whole line that came, answers and events too."""

    at_ns: int
    """Host UTC at which its end arrived."""
    data: bytes
    """Without the line end."""


@dataclass(frozen=True, slots=True)
class BoardEvent:
    """What the board told unasked."""

    at_ns: int
    number: int
    """Counted by the board from 1 after every reset."""
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Numbers that never came."""

    at_ns: int
    count: int


@dataclass(frozen=True, slots=True)
class PortChange:
    """The port went away, or is open again."""

    at_ns: int
    is_open: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that was answered."""

    value: Any
    sent_ns: int
    """Host UTC just before the request was written."""
    received_ns: int
    """Host UTC when its answer had been read."""


ConsoleRecord = Line | BoardEvent | EventsLost | PortChange
