"""A run verified again, with what its stores show by now."""

from collections.abc import Callable
from pathlib import Path

from buoyfleet.model.errors import BuoyError, VerificationError
from buoyfleet.report.load import NoResult, read_result
from buoyfleet.runs.finished import FinishedRun, finish
from buoyfleet.runs.run_state import require_ended


def verify_run(
    folder: Path, say: Callable[[str], None] | None = None, warn: Callable[[BuoyError], None] | None = None
) -> FinishedRun:
    """Read the stores of a run again and verify it again; a run that ended without a verdict gets one.

    Args:
        folder: of the run.
        say: takes what is done, a line each.
        warn: takes what went wrong without changing the verdict.

    Raises:
        UsageError: the folder is no run's, or the run is under way.
        VerificationError: its files cannot be used.
        BuoyError: the stores cannot be read; nothing has changed.
    """
    from buoyfleet.runs.complete import verify_again, verify_unfinished

    say, warn = say or (lambda _line: None), warn or (lambda _error: None)
    require_ended(folder)
    earlier = None
    try:
        earlier = read_result(folder)
    except NoResult as error:
        if not error.verifiable:
            raise
    try:
        result = verify_unfinished(folder, say) if earlier is None else verify_again(folder, earlier, say)
    except OSError as error:
        raise VerificationError(
            f"the run's folder cannot be used: {error.strerror or error}",
            where=str(error.filename or folder),
            cause="a full disk, or a folder that you may not write to",
            next_step="make room, or copy the folder to where you may write, then: buoy verify COPY",
        ) from error
    return finish(result, folder, warn)
