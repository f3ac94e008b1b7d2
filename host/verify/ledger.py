"""Compacts the ledger: all streams of a run into one Parquet file, whatever became of their writers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from host.model.errors import BuoyError
from host.model.ledger import COMPACTED, SCHEMA, STREAM_FOLDER, STREAM_SUFFIX

# Length of the mark at the end of a stream (Arrow columnar format, "IPC Streaming Format").
_END_MARK_BYTES = 8
# DuckDB reads row groups in parallel; this is its own vector-friendly size.
_ROW_GROUP_ROWS = 131_072
_ROWS_AT_ONCE = 8 * _ROW_GROUP_ROWS
# Columns of few different values.
_DICTIONARY = ["event", "buoy", "attempt", "offset_ns", "uncertainty_ns", "reason"]


@dataclass(frozen=True, slots=True)
class UnfinishedStream:
    """A stream that its writer did not close: a pack or board that was killed, or a full disk."""

    name: str
    """File name."""
    unreadable_bytes: int
    """Behind the last whole batch; 0 where the file ends between two batches."""
    boards: frozenset[int]
    """Boards with rows in the readable part."""

    @property
    def sentence(self) -> str:
        """What is wrong with it, for people."""
        if self.unreadable_bytes:
            return (
                f"ledger {self.name} breaks off in the middle of a batch: "
                f"its last {self.unreadable_bytes} bytes cannot be read"
            )
        return f"ledger {self.name} was not closed: its writer ended early"


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
                reading = _Reading(stream)
                for table in reading.tables():
                    writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)
                    rows += table.num_rows
                if reading.unfinished is not None:
                    unfinished.append(reading.unfinished)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BuoyError(
            f"the ledger could not be compacted: {error.strerror or error}",
            where=str(path),
            cause="the disk is full, or the run's folder may not be written",
            next_step=f"make room, then: buoy report {run_folder}",
        ) from error
    return CompactedLedger(path, rows, len(streams), tuple(unfinished))


class _Reading:
    """One pass over one stream."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boards: set[int] = set()
        self._unreadable_bytes: int | None = None

    @property
    def unfinished(self) -> UnfinishedStream | None:
        """What is wrong with the stream; known when all tables have been taken."""
        if self._unreadable_bytes is None:
            return None
        return UnfinishedStream(self._path.name, self._unreadable_bytes, frozenset(self._boards))

    def tables(self) -> Iterator[pa.Table]:
        """The whole batches, gathered to tables worth a row group."""
        size = self._path.stat().st_size
        if size == 0:  # an empty file cannot be mapped
            self._unreadable_bytes = 0
            return
        with pa.memory_map(str(self._path)) as source:
            try:
                reader = pa.ipc.open_stream(source)
            except pa.ArrowInvalid:
                # Killed before even the schema was out.
                self._unreadable_bytes = size
                return
            if not reader.schema.equals(SCHEMA):
                raise BuoyError(
                    "this file is no ledger of this version",
                    where=str(self._path),
                    cause="it was written by another version of buoyfleet, or is no ledger at all",
                    next_step="move it out of the run's folder, or use the version that wrote it",
                )
            yield from self._gathered(source, reader, size)

    def _gathered(
        self, source: pa.MemoryMappedFile, reader: pa.RecordBatchStreamReader, size: int
    ) -> Iterator[pa.Table]:
        gathered: list[pa.RecordBatch] = []
        rows = 0
        while True:
            position = source.tell()
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                if source.tell() - position != _END_MARK_BYTES:
                    self._unreadable_bytes = size - position
                break
            except (pa.ArrowInvalid, OSError):
                self._unreadable_bytes = size - position
                break
            gathered.append(batch)
            rows += batch.num_rows
            if rows >= _ROWS_AT_ONCE:
                yield self._table(gathered)
                gathered, rows = [], 0
        if gathered:
            yield self._table(gathered)

    def _table(self, batches: list[pa.RecordBatch]) -> pa.Table:
        table = pa.Table.from_batches(batches, SCHEMA)
        self._boards.update(pc.unique(table["buoy"]).to_pylist())
        return table
