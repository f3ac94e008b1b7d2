"""What became of a calibration whose end nobody saw: the board knows, and its record is completed.

A cable can go between what the board does and what it says. The session then records that it was
interrupted; the next one finds what the board holds.
"""

from buoyfleet.calibration.board import BenchBoard, Clock
from buoyfleet.calibration.history import History
from buoyfleet.calibration.model import worst
from buoyfleet.calibration.record import Record, RecordWriter, verdict_outcome


def complete_records(board: BenchBoard, history: History, clock: Clock) -> list[Record]:
    """Complete the records of calibrations that the board holds and that say something else.

    Args:
        board: after `enter`, so that no calibration is open on it.
        history: of the bench.
        clock: for the time of the addition.

    Returns:
        Those records as they were before.

    Raises:
        BoardError: no answer.
        PreflightError: a record cannot be written.
    """
    found = []
    for key, note in sorted(board.settings().get("calibration", {}).items()):
        for record in history.of(board.identity.name, key):
            if record.identifier != note.get("record") or not _doubtful(record) or record.fitted is None:
                continue
            verdict = worst([check.verdict for check in (*record.fitted.checks, *record.checks)])
            with RecordWriter.onto(record.path.parent) as writer:
                writer.event("found", clock.utc(), note=note)
                writer.event("end", clock.utc(), outcome=verdict_outcome(verdict), reason="")
            found.append(record)
    return found


def _doubtful(record: Record) -> bool:
    """Written to the board and not taken back, as far as the record goes, which nobody has changed."""
    return record.outcome in (None, "interrupted", "aborted") and record.written and not record.broken
