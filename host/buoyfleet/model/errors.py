"""The exceptions of buoyfleet, each saying whose fault it is.

BuoyError
├── UsageError        the command line or a file of yours: exit 2
│   └── ConfigurationError   a fleet file: carries every problem found, with lines
├── PreflightError    this machine or the target is not ready: exit 3
├── TargetError       the target failed while a run was under way: exit 5
├── VerificationError a run cannot be verified, so it is unproven: exit 5
└── BoardError        a board failed: exit 4
"""

from dataclasses import dataclass

from buoyfleet.model.exit_codes import ExitCode


class BuoyError(Exception):
    """What happened, where, the likely cause and the next command to type.

    Printed without a traceback unless `--debug` is given.
    """

    exit_code = ExitCode.INTERNAL_ERROR

    def __init__(self, what: str, *, where: str = "", cause: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cause = cause
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.cause:
            lines.append(f"  likely cause: {self.cause}")
        if self.next_step:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)

    def one_line(self) -> str:
        """What, where and why, for a log or a list."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.cause})" if self.cause else text


class UsageError(BuoyError):
    """The command line or a file given by the user is wrong."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a fleet file."""

    file: str
    line: int
    """From 1; 0 where no line is known."""
    path: str
    """Where in the document, e.g. `boards[0].ids`."""
    message: str
    """The value and what is allowed."""
    hint: str = ""
    """"did you mean …", or the corrected text."""
    source_line: str = ""
    """The text of the offending line, secrets hidden."""
    column: int = 0
    """From 1; 0 where only the line matters."""


class ConfigurationError(UsageError):
    """A fleet file has mistakes; `problems` holds all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(_problem_text(problem) for problem in problems))


def _problem_text(problem: Problem) -> str:
    where = f"{problem.file}:{problem.line}" if problem.line else problem.file
    text = f"{where}: {problem.path}: {problem.message}" if problem.path else f"{where}: {problem.message}"
    return f"{text} ({problem.hint})" if problem.hint else text


class PreflightError(BuoyError):
    """This machine or the target is not ready for the run."""

    exit_code = ExitCode.PREFLIGHT


def unwritable(folder: object, error: OSError) -> PreflightError:
    """The run's folder cannot take what a run begins with."""
    return PreflightError(
        f"the run's folder cannot be written: {error.strerror or error}",
        where=str(folder),
        next_step="make room, or give another place with --out",
    )


class TargetError(BuoyError):
    """The target failed while a run was under way."""

    exit_code = ExitCode.VERDICT_FAILED


class VerificationError(BuoyError):
    """A run cannot be verified: it is unproven, whether measures were lost or not."""

    exit_code = ExitCode.VERDICT_FAILED


class BoardError(BuoyError):
    """A board did not do what it was told."""

    exit_code = ExitCode.BOARDS_FAILED
