"""Lists what is wrong: all of it in `losses.parquet`, the first ten thousand in the result."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.model.result import Loss
from buoyfleet.verify.database import Database, text

FILE_NAME = "losses.parquet"
MAX_LISTED = 10_000


_SCHEMA = pa.schema(
    [
        ("store", pa.string()),
        ("kind", pa.string()),
        ("buoy_id", pa.int32()),
        ("seq", pa.int32()),
        ("timestamp_ms", pa.int64()),
        ("measures", pa.list_(pa.string())),
        ("expected", pa.list_(pa.string())),
        ("found", pa.list_(pa.string())),
        ("copies", pa.int64()),
        ("delay_s", pa.float64()),
        ("stage", pa.string()),
        ("cause", pa.string()),
    ]
)


def no_losses(run_folder: Path) -> tuple[list[Loss], int]:
    """As `list_losses` of a run with nothing wrong: the file has its columns and no rows.

    Raises:
        OSError: it cannot be written.
    """
    path = run_folder / FILE_NAME
    temporary = path.with_suffix(".part")
    pq.write_table(_SCHEMA.empty_table(), temporary)
    os.replace(temporary, path)
    return [], 0


def list_losses(db: Database, run_folder: Path) -> tuple[list[Loss], int]:
    """Group faults per message (same store, kind, cause and number of copies), and write `losses.parquet`.

    Payloads without identity group per (board, measure, value): `copies` then says how many.

    Returns:
        The first groups in order of store, kind and board, and how many there are.
    """
    db.run("""
        CREATE TABLE loss AS
        SELECT f.store, f.kind, f.buoy AS buoy_id, f.seq, f.ts AS timestamp_ms,
            list(f.measure ORDER BY f.measure) AS measures,
            list(f.expected ORDER BY f.measure) FILTER (f.kind = 'altered') AS expected,
            list(f.found ORDER BY f.measure) FILTER (f.found IS NOT NULL) AS found,
            CASE WHEN f.kind = 'duplicated' THEN f.weight ELSE 0 END AS copies,
            max(f.delay_s) AS delay_s, l.stage, l.cause
        FROM fault AS f JOIN located AS l USING (number)
        WHERE f.ts IS NOT NULL
        GROUP BY f.store, f.kind, f.buoy, f.seq, f.ts, l.stage, l.cause, copies
        UNION ALL
        SELECT f.store, f.kind, f.buoy, NULL, NULL, [f.measure],
            list(DISTINCT f.expected) FILTER (f.expected IS NOT NULL),
            list(DISTINCT f.found) FILTER (f.found IS NOT NULL), sum(f.weight)::BIGINT,
            max(f.delay_s), l.stage, l.cause
        FROM fault AS f JOIN located AS l USING (number)
        WHERE f.ts IS NULL
        GROUP BY f.store, f.kind, f.buoy, f.measure, f.expected, f.found, l.stage, l.cause
    """)
    path = run_folder / FILE_NAME
    temporary = path.with_suffix(".part")
    ordered = "SELECT * FROM loss ORDER BY store, kind, buoy_id, seq, timestamp_ms, measures, expected, cause"
    db.run(f"COPY ({ordered}) TO {text(str(temporary))} (FORMAT parquet)")
    os.replace(temporary, path)
    listed = []
    for row in db.rows(f"{ordered} LIMIT {MAX_LISTED}"):
        values = dict(zip(_SCHEMA.names, row, strict=True))
        values["expected"], values["found"] = values["expected"] or [], values["found"] or []
        listed.append(Loss(**values))
    return listed, db.number("SELECT count(*) FROM loss")
