"""The trace: every accepted message by number, which stages it entered, and what a stage did to it instead.

Numbers and times are appended to arrays of machine integers (some nanoseconds each), and written as Parquet
segments beside the stores' own.
"""

from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from buoyfleet.cloud.local.segments import ColumnRows, Detached, SegmentLog

if TYPE_CHECKING:
    import pyarrow as pa

STAGES = ("broker", "rules", "timestream", "influxdb", "kinesis", "firehose", "lambda", "s3")
"""In the order of the way; from `rules` it forks to `timestream`, `influxdb` and `kinesis`."""

RECEIVED_FOLDER, TRACE_FOLDER, OUTCOMES_FOLDER, REFUSED_FOLDER = "received", "trace", "outcomes", "refused"
LINKS_FOLDER = "links"
ACCEPTED_COLUMN = "accepted_ns"
"""Beside the columns of RECEIVED_SCHEMA: when the message really came, whatever a rehearsed fault delayed."""


class Entries:
    """The messages that entered one stage: `numbers` and `times` (UTC ns) are appended to directly."""

    __slots__ = ("numbers", "times")

    def __init__(self) -> None:
        self.numbers = array("q")
        self.times = array("q")


class _TraceRows:
    """`Entries` of all stages as rows of TRACE_SCHEMA."""

    def __init__(self) -> None:
        self.entries = {stage: Entries() for stage in STAGES}

    def __len__(self) -> int:
        return sum(len(entries.numbers) for entries in self.entries.values())

    def detach(self) -> Detached | None:
        if not len(self):
            return None
        columns = []
        for stage, entries in self.entries.items():
            if entries.numbers:
                columns.append((stage, entries.numbers[:], entries.times[:]))
                # Emptied in place: stages keep the arrays.
                del entries.numbers[:]
                del entries.times[:]
        return _DetachedTrace(columns)


class _DetachedTrace:
    def __init__(self, columns: list[tuple[str, "array[int]", "array[int]"]]) -> None:
        self._columns = columns

    def table(self) -> "pa.Table":
        import numpy as np
        import pyarrow as pa

        from buoyfleet.model.evidence import TRACE_SCHEMA

        tables = []
        for stage, numbers, times in self._columns:
            arrays = [
                pa.repeat(pa.scalar(stage, pa.string()), len(numbers)),
                pa.array(np.frombuffer(numbers, np.int64)),
                pa.array(np.frombuffer(times, np.int64)),
            ]
            tables.append(pa.table(arrays, schema=TRACE_SCHEMA))
        return pa.concat_tables(tables)


def received_schema() -> "pa.Schema":
    """RECEIVED_SCHEMA and the time of acceptance."""
    import pyarrow as pa

    from buoyfleet.model.evidence import RECEIVED_SCHEMA

    return RECEIVED_SCHEMA.append(pa.field(ACCEPTED_COLUMN, pa.int64(), nullable=False))


def _outcomes_schema() -> "pa.Schema":
    from buoyfleet.model.evidence import OUTCOMES_SCHEMA

    return OUTCOMES_SCHEMA


def _refused_schema() -> "pa.Schema":
    from buoyfleet.model.evidence import REFUSED_SCHEMA

    return REFUSED_SCHEMA


def _links_schema() -> "pa.Schema":
    from buoyfleet.model.evidence import LINKS_SCHEMA

    return LINKS_SCHEMA


class Trace:
    """What happened to each message, in segments under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._trace = _TraceRows()
        self.received = ColumnRows(received_schema)
        """message, buoy, topic, payload, at_ns, dup, accepted_ns."""
        self.refused = ColumnRows(_refused_schema)
        """buoy, client, topic, payload, reason, detail, at_ns."""
        self.links = ColumnRows(_links_schema)
        """client, reason, detail, at_ns."""
        self._outcomes = ColumnRows(_outcomes_schema)
        self.logs = (
            SegmentLog(folder / RECEIVED_FOLDER, self.received),
            SegmentLog(folder / TRACE_FOLDER, self._trace),
            SegmentLog(folder / OUTCOMES_FOLDER, self._outcomes),
            SegmentLog(folder / REFUSED_FOLDER, self.refused),
            SegmentLog(folder / LINKS_FOLDER, self.links),
        )

    def entries(self, stage: str) -> Entries:
        """Where a stage notes what entered it."""
        return self._trace.entries[stage]

    def rejected(
        self, stage: str, message: int, measure: str | None, reason: str, detail: str, at_ns: int
    ) -> None:
        """The stage refused a message, or one measure of it."""
        self._outcomes.append(stage, message, measure, "rejected", reason, detail, at_ns)

    def merged(self, stage: str, message: int, measure: str, reason: str, detail: str, at_ns: int) -> None:
        """The stage took a measure without keeping it: it is there, from another message or attempt."""
        self._outcomes.append(stage, message, measure, "merged", reason, detail, at_ns)

    def failed(self, stage: str, messages: list[int], reason: str, detail: str, at_ns: int) -> None:
        """The stage tried and failed; all messages share the sentence."""
        count = len(messages)
        self._outcomes.extend(
            [stage] * count, messages, [None] * count, ["failed"] * count, [reason] * count, [detail] * count,
            [at_ns] * count,
        )  # fmt: skip
