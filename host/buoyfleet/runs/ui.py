"""What a run asks of whoever started it: a terminal, a browser, a test."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from buoyfleet.cloud.target import Stakes
from buoyfleet.model.errors import BuoyError, PreflightError
from buoyfleet.runs.engine import Snapshot

ShowProgress = Callable[[Snapshot], None]


class RunUi(Protocol):
    """The face of a run."""

    def confirm(self, stakes: Stakes) -> None:
        """Have it agreed to what is at stake; returns if the run may begin.

        Raises:
            BuoyError: it may not.
        """
        ...

    def describe(self, lines: Sequence[str]) -> None:
        """What is about to be run, a line each."""
        ...

    def progress(self) -> AbstractContextManager[ShowProgress]:
        """Around the run; what it gives is called with a moment of it, a few times a second."""
        ...

    def warn(self, error: BuoyError) -> None:
        """Something went wrong that does not change the verdict."""
        ...


class Silent:
    """Shows nothing and agrees to nothing: of programs that only want the verdict."""

    def confirm(self, stakes: Stakes) -> None:
        """Refuse.

        Raises:
            PreflightError: always; who runs against an account says so with a `RunUi` of its own.
        """
        raise PreflightError(
            "this run uses an AWS account, and nobody agreed to it",
            cause="; ".join(stakes.lines),
            next_step="pass a `ui` that confirms, or use `buoy run`",
        )

    def describe(self, lines: Sequence[str]) -> None:
        """Nothing."""

    def progress(self) -> AbstractContextManager[ShowProgress]:
        """Nothing is shown."""
        return nullcontext(lambda _snapshot: None)

    def warn(self, error: BuoyError) -> None:
        """Nothing: it is in the result's warnings as well."""
