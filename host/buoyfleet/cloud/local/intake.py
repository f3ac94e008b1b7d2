"""Counts of what came from the broker."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Intake:
    """What came from the broker."""

    arrived: int = 0
    """Messages the broker handed over, rehearsed losses included."""
    accepted: int = 0
    """Messages that got a number."""
    refused: dict[str, int] = field(default_factory=dict)
    """Messages the broker refused, by reason."""
