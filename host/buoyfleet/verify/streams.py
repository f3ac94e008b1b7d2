"""Reads Arrow IPC streams that are written while a run is under way, whatever became of their writers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from buoyfleet.model.errors import VerificationError

# Length of the mark at the end of a stream (Arrow columnar format, "IPC Streaming Format").
_END_MARK_BYTES = 8
# DuckDB reads row groups in parallel; this is its own vector-friendly size.
ROW_GROUP_ROWS = 131_072
ROWS_AT_ONCE = 2 * ROW_GROUP_ROWS


@dataclass(frozen=True, slots=True)
class UnfinishedStream:
    """A stream that its writer did not close: a pack or board that was killed, or a full disk."""

    name: str
    """File name."""
    unreadable_bytes: int
    """Behind the last whole batch; 0 where the file ends between two batches."""
    boards: frozenset[int]
    """Boards with rows in the readable part."""
    what: str = "ledger"

    @property
    def sentence(self) -> str:
        """What is wrong with it, for people."""
        if self.unreadable_bytes:
            return (
                f"{self.what} {self.name} breaks off in the middle of a batch: "
                f"its last {self.unreadable_bytes} bytes cannot be read"
            )
        return f"{self.what} {self.name} was not closed: its writer ended early"


class StreamReading:
    """One pass over one stream."""

    def __init__(self, path: Path, schema: pa.Schema, what: str) -> None:
        self._path = path
        self._schema = schema
        self._what = what
        self._boards: set[int] = set()
        self._unreadable_bytes: int | None = None

    @property
    def unfinished(self) -> UnfinishedStream | None:
        """What is wrong with the stream; known when all tables have been taken."""
        if self._unreadable_bytes is None:
            return None
        return UnfinishedStream(self._path.name, self._unreadable_bytes, frozenset(self._boards), self._what)

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
            if not reader.schema.equals(self._schema):
                raise VerificationError(
                    f"this file is no {self._what} of this version",
                    where=str(self._path),
                    cause="it was written by another version of buoyfleet, or is none at all",
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
            if rows >= ROWS_AT_ONCE:
                yield self._table(gathered)
                gathered, rows = [], 0
        if gathered:
            yield self._table(gathered)

    def _table(self, batches: list[pa.RecordBatch]) -> pa.Table:
        table = pa.Table.from_batches(batches, self._schema)
        self._boards.update(pc.unique(table["buoy"]).to_pylist())
        return table
