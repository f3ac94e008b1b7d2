"""The independent subscriber as a store: what it saw becomes rows as of every other.

How far its word goes is in `buoyfleet.verify.unseen`.
"""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.model.errors import VerificationError
from buoyfleet.model.evidence import EVIDENCE_FOLDER, WITNESS, WITNESS_SCHEMA, WITNESS_STREAM
from buoyfleet.model.store import STORE_FOLDER
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.messages import BOOLEAN, NUMBER, create_wide, long_rows
from buoyfleet.verify.streams import ROW_GROUP_ROWS, StreamReading

UNREADABLE = "payload"
"""Measure of a message that is no JSON object."""
_SHOWN_CHARACTERS = 60


def compact_observations(run_folder: Path) -> list[str]:
    """Make `evidence/witness.parquet` from the stream that the subscriber wrote; says what is wrong with it.

    Raises:
        BuoyError: the stream is of another version, or the file cannot be written.
    """
    folder = run_folder / EVIDENCE_FOLDER
    stream, path = folder / WITNESS_STREAM, folder / WITNESS
    if not stream.exists():
        return []
    temporary = path.with_suffix(".part")
    reading = StreamReading(stream, WITNESS_SCHEMA, "record of the subscriber")
    try:
        with pq.ParquetWriter(temporary, WITNESS_SCHEMA, use_dictionary=["buoy"]) as writer:
            for table in reading.tables():
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        os.replace(temporary, path)
        if reading.unfinished is None:
            stream.unlink()  # all of it is in the file
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise VerificationError(
            f"what the subscriber saw could not be compacted: {error.strerror or error}",
            where=str(path),
            cause="the disk is full, or the run's folder may not be written",
            next_step=f"make room, then: buoy verify {run_folder}",
        ) from error
    return [] if reading.unfinished is None else [reading.unfinished.sentence]


def collect_subscriber(db: Database, run_folder: Path) -> None:
    """Write what the subscriber saw as a store: `stores/subscriber/part-000000.parquet`.

    A message that is no JSON object becomes one row without timestamp, so that it counts as unexpected.
    """
    source = run_folder / EVIDENCE_FOLDER / WITNESS
    folder = run_folder / STORE_FOLDER / SUBSCRIBER
    folder.mkdir(parents=True, exist_ok=True)
    if source.exists():
        rows = f"read_parquet({text(str(source))}, file_row_number = true)"
    else:
        db.table("nobody", WITNESS_SCHEMA.append(pa.field("file_row_number", pa.int64())).empty_table())
        rows = "nobody"
    create_wide(db, "observed", f"SELECT file_row_number AS id, * FROM {rows}", ("buoy", "at_ns"))
    path = folder / "part-000000.parquet"
    temporary = path.with_suffix(".part")
    db.run(f"""
        COPY (
            SELECT o.buoy, o.ts AS timestamp_ms, l.measure,
                CASE l.class WHEN '{NUMBER}' THEN 'DOUBLE' WHEN '{BOOLEAN}' THEN 'BOOLEAN' ELSE 'VARCHAR' END
                AS type,
                l.value, l.text, o.at_ns AS visible_ns, NULL::BIGINT AS message
            FROM ({long_rows("observed")}) AS l JOIN observed AS o USING (id)
            UNION ALL
            SELECT o.buoy, NULL, '{UNREADABLE}', 'VARCHAR', NULL,
                coalesce(TRY(decode(r.payload))[:{_SHOWN_CHARACTERS}], hex(r.payload)[:{_SHOWN_CHARACTERS}]),
                o.at_ns, NULL
            FROM observed AS o JOIN {rows} AS r ON r.file_row_number = o.id
            WHERE NOT coalesce(o.readable, false)
        ) TO {text(str(temporary))} (FORMAT parquet)
    """)
    os.replace(temporary, path)
    db.run("DROP TABLE observed")
    db.run("DROP TABLE observed_odd")
