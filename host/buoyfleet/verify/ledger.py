"""Compacts the ledger: all streams of a run into one Parquet file, whatever became of their writers."""

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from buoyfleet.model.errors import VerificationError
from buoyfleet.model.ledger import COMPACTED, SCHEMA, STREAM_FOLDER, STREAM_SUFFIX, Event
from buoyfleet.verify.streams import ROW_GROUP_ROWS, StreamReading, UnfinishedStream

# Columns of few different values.
_DICTIONARY = ["event", "buoy", "attempt", "offset_ns", "uncertainty_ns", "reason"]


@dataclass(frozen=True, slots=True)
class CompactedLedger:
    """What `compact_ledger` made."""

    path: Path
    rows: int
    streams: int
    unfinished: tuple[UnfinishedStream, ...]


def compact_ledger(run_folder: Path) -> CompactedLedger:
    """Read all streams in `ledger/` and write `ledger.parquet` beside that folder, complete or not at all.

    A stream that breaks off is read up to its last whole batch, and named in `unfinished`. The streams stay.

    Raises:
        BuoyError: a stream is no ledger, or the Parquet file cannot be written.
    """
    path = run_folder / COMPACTED
    temporary = path.with_suffix(".part")
    streams = sorted((run_folder / STREAM_FOLDER).glob(f"*{STREAM_SUFFIX}"))
    unfinished: list[UnfinishedStream] = []
    rows = 0
    try:
        with pq.ParquetWriter(
            temporary, SCHEMA, compression="snappy", use_dictionary=_DICTIONARY, write_statistics=False
        ) as writer:
            for stream in streams:
                reading = StreamReading(stream, SCHEMA, "ledger")
                for table in reading.tables():
                    writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
                    rows += table.num_rows
                if reading.unfinished is not None:
                    unfinished.append(reading.unfinished)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise VerificationError(
            f"the ledger could not be compacted: {error.strerror or error}",
            where=str(path),
            cause="the disk is full, or the run's folder may not be written",
            next_step=f"make room, then: buoy verify {run_folder}",
        ) from error
    return CompactedLedger(path, rows, len(streams), tuple(unfinished))


def first_planned_ns(run_folder: Path) -> int:
    """Host UTC of the first planned message in the streams of a run; 0 where there is none.

    Raises:
        VerificationError: a stream is no ledger.
    """
    first: list[int] = []
    for stream in (run_folder / STREAM_FOLDER).glob(f"*{STREAM_SUFFIX}"):
        first += [
            pc.min(table["planned_ns"]).as_py() for table in StreamReading(stream, SCHEMA, "ledger").tables()
        ]
    return min(first, default=0)


def last_event_ns(run_folder: Path) -> int:
    """Host UTC of the last thing that a board did, in the streams of a run; 0 where there is none.

    Raises:
        VerificationError: a stream is no ledger.
    """
    last = 0
    for stream in (run_folder / STREAM_FOLDER).glob(f"*{STREAM_SUFFIX}"):
        for table in StreamReading(stream, SCHEMA, "ledger").tables():
            done = table.filter(pc.field("event") != Event.PLANNED)
            if done.num_rows:
                last = max(last, pc.max(pc.add(done["at_ns"], done["offset_ns"])).as_py())
    return last
