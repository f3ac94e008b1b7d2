"""Writes the ledger of one unit: rows gathered while a batch is made, written before its bytes leave."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from buoyfleet.model.ledger import SCHEMA, Event
from buoyfleet.model.plan import BoardPlan

if TYPE_CHECKING:
    import numpy as np

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

        counts = np.array([plan.planned() or 0 for plan in plans], dtype=np.int64)
        firsts = np.array([plan.start_ms for plan in plans], dtype=np.int64)
        steps = np.array([plan.interval_us or 0 for plan in plans], dtype=np.int64)
        buoys = np.array([plan.buoy_id for plan in plans], dtype=np.int32)
        for part in _parts(counts):
            of_part = counts[part]
            size = int(of_part.sum())
            before = np.repeat(np.cumsum(of_part) - of_part, of_part)
            seq = np.arange(size, dtype=np.int64) - before
            # BoardPlan.due_ms, for all at once.
            due_ms = np.repeat(firsts[part], of_part) + seq * np.repeat(steps[part], of_part) // 1000
            planned = pa.array(start_ns + due_ms * 1_000_000)
            columns = [
                pa.array(np.full(size, Event.PLANNED, dtype=np.uint8)),
                pa.array(np.repeat(buoys[part], of_part)),
                pa.array(seq.astype(np.int32)),
                pa.array(np.zeros(size, dtype=np.uint16)),
                planned,
                planned,
                _zeros(size),
                _zeros(size),
                pa.nulls(size, pa.binary()),
                pa.nulls(size, pa.string()),
            ]
            self._stream.write_batch(pa.record_batch(columns, schema=SCHEMA))

    def close(self) -> None:
        """Write what is left and the end-of-stream mark."""
        self.commit()
        self._stream.close()
        self._file.close()


def _parts(counts: "np.ndarray[Any, np.dtype[np.int64]]") -> Iterator[slice]:
    """Runs of boards that plan about as many rows as one batch may hold, or one board with more."""
    first = rows = 0
    for at, count in enumerate(counts.tolist()):
        if rows and rows + count > _PLANNED_ROWS_PER_BATCH:
            yield slice(first, at)
            first, rows = at, 0
        rows += count
    if rows:
        yield slice(first, len(counts))


def _constant(value: int, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.int64()), count) if value else _zeros(count)


def _zeros(count: int) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(bytes(8 * count))])
