"""What is asked of a visit, and what it works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from buoyfleet.calibration.board import Clock, Console
from buoyfleet.calibration.config import BenchConfig
from buoyfleet.calibration.dialogue import Dialogue
from buoyfleet.calibration.session import Say
from buoyfleet.model.errors import UsageError
from sensors.catalog import KEYS


@dataclass(slots=True)
class VisitRequest:
    """What is done at a visit."""

    keys: list[str] = field(default_factory=list)
    """Sensors; empty: all that are fitted."""
    meter: str = ""
    """Name of the field meter; empty: there is none."""
    metered: list[str] = field(default_factory=list)
    """Sensors that it has; empty: all."""
    operator: str = ""
    since: datetime | None = None
    """When the sensors were last clean and calibrated, where no record says it."""
    new: bool = False
    """Close an open visit, and begin another."""
    command: str = ""
    """What was typed, for the record."""

    def check(self) -> None:
        """Refuse what cannot be meant, before a board is looked for.

        Raises:
            UsageError: an unknown sensor.
        """
        unknown = [key for key in (*self.keys, *self.metered) if key not in KEYS]
        if unknown:
            raise UsageError(f"no sensor `{unknown[0]}`", next_step=f"use some of {', '.join(KEYS)}")


@dataclass(slots=True)
class VisitBench:
    """What a visit works with.

    Args:
        console: of the board, open.
        config: of the bench: folder of the records, operator.
        clock: of the bench.
        dialogue: makes the dialogue for a sensor of a board (name, key).
        say: prints a line.
    """

    console: Console
    config: BenchConfig
    clock: Clock
    dialogue: Callable[[str, str], Dialogue]
    say: Say
