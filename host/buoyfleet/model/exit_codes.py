"""Exit codes of `buoy`: the one place that defines them; README.md lists the same table (a test compares)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. 0 only if every board and every threshold passed."""

    OK = 0
    INTERNAL_ERROR = 1
    """A defect in buoyfleet itself."""
    USAGE = 2
    """Bad command line or bad configuration; nothing was sent."""
    PREFLIGHT = 3
    """The machine or the target is not ready; nothing was sent."""
    BOARDS_FAILED = 4
    """At least one board did not do what it was told (and no data was lost by others)."""
    VERDICT_FAILED = 5
    """Data lost, altered or not proven to have arrived, or a threshold missed."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; what was sent is verified and reported."""


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "every board and every threshold passed",
    ExitCode.INTERNAL_ERROR: "a defect in buoyfleet itself",
    ExitCode.USAGE: "bad command line or configuration; nothing was sent",
    ExitCode.PREFLIGHT: "the machine or the target is not ready; nothing was sent",
    ExitCode.BOARDS_FAILED: "a board failed, or its ledger is incomplete",
    ExitCode.VERDICT_FAILED: "data lost, altered or not proven to have arrived, or a threshold missed",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}
