"""What an independent subscriber saw. Its shortfall is evidence, never loss by itself."""

from pathlib import Path

from buoyfleet.model.evidence import EVIDENCE_FOLDER, WITNESS, WITNESS_SCHEMA
from buoyfleet.model.observation import read_observation
from buoyfleet.model.result import WitnessResult
from buoyfleet.verify.database import Database
from buoyfleet.verify.words import count_text

_NOTE = "A subscriber's shortfall proves nothing by itself: brokers discard what one connection cannot take."


def create_witness(db: Database, run_folder: Path) -> None:
    """View `witness` of what the subscriber saw; empty where there was none."""
    path = run_folder / EVIDENCE_FOLDER / WITNESS
    db.files("witness", [path] if path.exists() else [], WITNESS_SCHEMA)


def witness_result(db: Database, run_folder: Path) -> WitnessResult | None:
    """Compare what the subscriber saw with what was sent, byte by byte, as multisets per board.

    `copies` are repeats of messages that were sent. None where there was no subscriber.
    """
    if not (run_folder / EVIDENCE_FOLDER / WITNESS).exists():
        return None
    expected, seen, copies, foreign = db.row("""
        SELECT coalesce(sum(e), 0)::BIGINT, coalesce(sum(least(e, w)), 0)::BIGINT,
            coalesce(sum(greatest(w - e, 0)) FILTER (e > 0), 0)::BIGINT,
            coalesce(sum(w) FILTER (e = 0), 0)::BIGINT
        FROM (
            SELECT sum(e) AS e, sum(w) AS w FROM (
                SELECT buoy, payload, 1 AS e, 0 AS w FROM message WHERE sent_ns IS NOT NULL
                UNION ALL SELECT buoy, payload, 0, 1 FROM witness
            ) GROUP BY buoy, payload
        )
    """)
    notes = [_NOTE] if seen < expected else []
    if foreign:
        notes.append(f"It also saw {count_text(foreign, 'message')} that no board of this run sent.")
    return WitnessResult(
        expected=expected,
        seen=seen,
        copies=copies,
        connections=len(read_observation(run_folder / EVIDENCE_FOLDER, ()).connections),
        shortfall=expected - seen,
        note=" ".join(notes),
    )
