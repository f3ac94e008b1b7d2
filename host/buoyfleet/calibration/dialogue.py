"""Who follows the guide: a person at a terminal, a plan on an automated bench, a test.

The guide only ever speaks through this. An answer of `abort` leaves everything as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from buoyfleet.calibration.model import Check, Fitted, Sample, Step
from buoyfleet.calibration.stability import State

Action = Literal["go", "skip", "repeat", "back", "abort", "force"]
Tone = Literal["plain", "good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the operator wants; `reason` with `skip`."""

    action: Action
    reason: str = ""


GO, REPEAT, ABORT = Answer("go"), Answer("repeat"), Answer("abort")


class Aborted(Exception):
    """The operator gave up, by a key or Ctrl-C."""


@dataclass(frozen=True, slots=True)
class View:
    """What there is to see while a point settles."""

    step: Step
    attempt: int
    unit: str
    samples: list[Sample]
    state: State
    force: bool
    """An unstable point may be taken."""
    by_key: bool = False
    """A stable point waits for the operator."""


class Dialogue(Protocol):
    """See the module. Every method may raise Aborted."""

    def tell(self, text: str, tone: Tone = "plain") -> None:
        """Say something."""

    def prepare(self, step: Step, attempt: int) -> Answer:
        """Have a step prepared: go, skip, back to the step before, or abort."""

    def watch(self, view: View) -> Answer | None:
        """Show a new sample; an answer if the operator wants something: go (take it now), repeat,
        skip, abort.
        """

    def settled(self) -> None:
        """The live view is over."""

    def refused(self, step: Step, reasons: list[str], may_force: bool) -> Answer:
        """A point cannot be taken: repeat, skip, abort, or force if that may be."""

    def number(self, name: str, question: str, unit: str, low: float, high: float) -> float:
        """Have a number typed; `name` is how a plan knows it."""

    def gate(self, name: str, question: str, look: Callable[[], str] | None = None) -> None:
        """Wait for a moment that the operator signals; `name` as above. `look` tells how it goes."""

    def verdict(self, fitted: Fitted, checks: list[Check]) -> None:
        """Show what was found."""

    def confirm(self, question: str) -> bool:
        """Yes or no, before something is written."""
