"""What a calibration asks of whoever started it: a terminal, a plan, a test."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from buoyfleet.calibration.board import Clock
from buoyfleet.calibration.config import BenchConfig, Plan
from buoyfleet.calibration.dialogue import Dialogue, Tone
from buoyfleet.calibration.planned import PlannedDialogue


class CalibrationUi(Protocol):
    """The face of a calibration."""

    def session(self) -> AbstractContextManager[object]:
        """Around the work with a board: a Ctrl-C must not cut an exchange with it in two."""
        ...

    def say(self, text: str, tone: Tone) -> None:
        """A line about the session."""
        ...

    def dialogue(self, board: str, key: str, config: BenchConfig, clock: Clock) -> Dialogue:
        """Who follows the guide for one sensor of a board: confirms, types numbers, sees the signal."""
        ...


class Unattended:
    """Follows the plan in the bench's file, and asks nobody.

    Args:
        answers: to questions, by name, ahead of the plan's.
        say: takes what is said, with its tone; None: nobody.
        stopped: whether to give up at the next step.
    """

    def __init__(
        self,
        answers: dict[str, float] | None = None,
        say: Callable[[str, Tone], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._answers, self._say, self._stopped = answers, say, stopped

    def session(self) -> AbstractContextManager[object]:
        """Ctrl-C stays as the program has it."""
        return nullcontext()

    def say(self, text: str, tone: Tone) -> None:
        """To whoever was given."""
        if self._say is not None:
            self._say(text, tone)

    def dialogue(self, board: str, key: str, config: BenchConfig, clock: Clock) -> Dialogue:
        """By the plan; without one, everything is tried twice."""
        plan = config.plan or Plan(attempts=2)
        return PlannedDialogue(plan, key, board, clock, self.say, self._stopped, self._answers)
