"""A run that has its verdict, and its reports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.errors import BuoyError, PreflightError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.result import Result
from buoyfleet.report.write import write_reports


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What `run_fleet` and `verify_run` give."""

    result: Result
    """All figures: what result.json holds."""
    folder: Path
    """Of the run: result.json, report.html, ledger, stores, evidence."""
    exit_code: ExitCode
    """As `buoy` ends with it."""

    @property
    def passed(self) -> bool:
        """Whether every board and every threshold passed, and the reports are written."""
        return self.exit_code is ExitCode.OK


def finish(result: Result, folder: Path, warn: Callable[[BuoyError], None]) -> FinishedRun:
    """Write the reports of a run that has its verdict.

    Args:
        result: with the verdict.
        folder: of the run.
        warn: is told where the reports cannot be written: the verdict is known all the same, and must not be
            lost with the files.
    """
    code = ExitCode(result.outcome.exit_code)
    try:
        write_reports(result, folder)
    except PreflightError as error:
        warn(error)
        code = code or error.exit_code
    return FinishedRun(result, folder, code)
