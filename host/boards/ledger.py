"""Writes the ledger of one unit: rows gathered while a batch is made, written before its bytes leave."""

from pathlib import Path

import pyarrow as pa

from host.model.ledger import SCHEMA, Event
from host.model.plan import BoardPlan

_PLANNED_ROWS_PER_BATCH = 65536

# event, buoy, seq, attempt, planned_ns, at_ns, payload, reason
Row = tuple[int, int, int, int, int, int, bytes | None, str | None]


class LedgerWriter:
    """An Arrow IPC stream, unbuffered: what `commit` was given is in the file when it returns.

    Rows are timed by the clock of their boards: `offset_ns` added to it gives the host's time, give or take
    `uncertainty_ns`. Both are 0 for virtual boards, which use the host's own clock.

    Raises:
        OSError: when the disk is full or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._stream = pa.ipc.new_stream(self._file, SCHEMA)
        self._rows: list[Row] = []
        self.append = self._rows.append
        """Takes one `Row`; it is written by the next `commit`."""
        self.offset_ns = 0
        self.uncertainty_ns = 0
        self._types = [field.type for field in SCHEMA]

    def commit(self) -> None:
        """Write all appended rows."""
        rows = self._rows
        if not rows:
            return
        event, buoy, seq, attempt, planned, at, payload, reason = zip(*rows, strict=True)
        types = self._types
        batch = pa.record_batch(
            [
                pa.array(event, types[0]),
                pa.array(buoy, types[1]),
                pa.array(seq, types[2]),
                pa.array(attempt, types[3]),
                pa.array(planned, types[4]),
                pa.array(at, types[5]),
                _constant(self.offset_ns, len(rows)),
                _constant(self.uncertainty_ns, len(rows)),
                pa.array(payload, types[8]),
                pa.array(reason, types[9]),
            ],
            schema=SCHEMA,
        )
        self._stream.write_batch(batch)
        rows.clear()

    def plan(self, plans: list[BoardPlan], start_ns: int) -> None:
        """Write the `planned` rows of boards whose number of messages is known.

        Args:
            plans: what the boards will do.
            start_ns: UTC of the run's start.
        """
        import numpy as np

        pending: list[pa.RecordBatch] = []
        size = 0
        for plan in plans:
            count = plan.planned()
            if not count:
                continue
            seq = np.arange(count, dtype=np.int32)
            due_ms = plan.start_ms + seq.astype(np.float64) * (plan.interval_ms or 0.0)
            planned = start_ns + (due_ms * 1e6).astype(np.int64)
            columns = [
                pa.array(np.full(count, Event.PLANNED, dtype=np.uint8)),
                pa.array(np.full(count, plan.buoy_id, dtype=np.int32)),
                pa.array(seq),
                pa.array(np.zeros(count, dtype=np.uint16)),
                pa.array(planned),
                pa.array(planned),
                _zeros(count),
                _zeros(count),
                pa.nulls(count, pa.binary()),
                pa.nulls(count, pa.string()),
            ]
            pending.append(pa.record_batch(columns, schema=SCHEMA))
            size += count
            if size >= _PLANNED_ROWS_PER_BATCH:
                self._write(pending)
                size = 0
        self._write(pending)

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        if batches:
            for batch in pa.Table.from_batches(batches).combine_chunks().to_batches():
                self._stream.write_batch(batch)
            batches.clear()

    def close(self) -> None:
        """Write what is left and the end-of-stream mark."""
        self.commit()
        self._stream.close()
        self._file.close()


def _constant(value: int, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.int64()), count) if value else _zeros(count)


def _zeros(count: int) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(bytes(8 * count))])
