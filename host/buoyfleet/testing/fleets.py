"""A run in a test: its verdict as a value that explains itself where it is asserted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.result import Result
from buoyfleet.runs.finished import FinishedRun
from buoyfleet.runs.run_fleet import RunOptions, run_fleet

REASONS_SHOWN = 5
RunFleet = Callable[..., "FleetRun"]
"""`Runs.run`."""


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """Whether every measure arrived; what it prints in a failed assertion is why not."""

    passed: bool
    sentence: str
    reasons: tuple[str, ...]
    """Causes with figures and what to change, and thresholds that were not met."""

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        shown = "; ".join(self.reasons[:REASONS_SHOWN])
        more = len(self.reasons) - REASONS_SHOWN
        return f"<{self.sentence}{': ' if shown else ''}{shown}{f'; and {more} more' if more > 0 else ''}>"


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What a run in a test gives."""

    verdict: Verdict
    result: Result
    """All figures: what result.json holds."""
    folder: Path
    """Of the run: report.html, ledger, stores, evidence."""


@dataclass(slots=True)
class Runs:
    """The runs of one test."""

    out: Path
    """Where their folders are made."""
    done: list[FleetRun] = field(default_factory=list)

    def run(self, file: str | Path = "boards.yaml", **changes: Any) -> FleetRun:
        """Run a fleet file to its verdict.

        Args:
            file: path of it.
            changes: options of `buoy run` as `Overrides` names them: `count`, `boards`, `flat_out`, …

        Raises:
            BuoyError: the file has mistakes, or nothing could be sent.
        """
        done = run_fleet(
            load_fleet(Path(file), Overrides(**changes), connects=True), RunOptions(out=self.out)
        )
        self.done.append(FleetRun(verdict_of(done), done.result, done.folder))
        return self.done[-1]

    def explained(self) -> list[tuple[str, str]]:
        """Titles and texts for the report of a failed test."""
        return [("buoyfleet run", in_lines(run)) for run in self.done]


def verdict_of(done: FinishedRun) -> Verdict:
    """The verdict of a finished run."""
    causes = [f"{one.sentence} {one.change}".strip() for one in done.result.diagnoses]
    missed = [f"threshold not met: {one.text}" for one in done.result.thresholds if not one.passed]
    return Verdict(done.passed, done.result.outcome.sentence, tuple(causes + missed))


def in_lines(run: FleetRun) -> str:
    """The verdict in lines, and where the report is."""
    lines = [run.verdict.sentence, *(f"  - {reason}" for reason in run.verdict.reasons)]
    return "\n".join([*lines, f"report: {run.folder / 'report.html'}"])
