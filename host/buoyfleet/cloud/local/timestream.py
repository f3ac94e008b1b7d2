"""The stand-in for a Timestream (LiveAnalytics) table, fed by the rule action: single-measure records.

What it does as AWS does (IoT guide, Timestream rule action; WriteRecords, RejectedRecordsException):

- One record per attribute of the rule's result, the dimension `buoy_id`, the time in ms.
- The type comes from the JSON value: number with decimal point DOUBLE, without BIGINT, true/false BOOLEAN,
  string VARCHAR; objects and lists become JSON in a VARCHAR. The first record of a measure fixes its type for
  the table; another type is refused. Null has no type and is refused.
- Same dimension, measure and time: the same value again is accepted and changes nothing, another value is
  refused unless its version is higher. The rule action writes version 1 always.
- Records outside the memory store's window, or more than 15 minutes ahead, are refused.
- A write takes at most 100 records, a record at most 2 KB. What the rule action does beyond is not
  documented: here a result of more than 100 attributes is refused as a whole.

`SELECT *, topic(3) as buoy_id` makes `buoy_id` an attribute, so it becomes a tenth measure (VARCHAR). By the
same rule the attribute `timestamp`, from which the action takes the record's time, becomes an eleventh
(BIGINT): the guide names no exception. Both are stored and counted; a verdict looks at measures it knows.
"""

import json
import math
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.cloud.local.faults import StageFaults
from buoyfleet.cloud.local.segments import SegmentLog
from buoyfleet.cloud.local.timestream_index import Series, StoredBuoy, buoy_of
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.cloud.measure_rows import KINDS, VARCHAR, Layout, MeasureRows
from buoyfleet.model.stage_count import StageCount
from sensors.catalog import KEYS

STAGE = "timestream"
MAX_RECORDS = 100
"""Records of one WriteRecords request (Timestream quotas)."""
MAX_RECORD_BYTES = 2048
"""Size of one record (Timestream quotas)."""
MAX_AHEAD_MS = 15 * 60_000
"""How far in the future a record may lie (Timestream quotas, future ingestion period)."""
MAX_BIGINT = 1 << 63
MAX_SHAPES = 10_000
_NONE = array("d")
_MS_PER_H = 3_600_000
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class TableSettings:
    """What is set on a table."""

    memory_store_h: float = 24.0
    visible_after_s: float = 0.0
    """Eventual consistency: a reader sees a record this much later."""


@dataclass(slots=True)
class _Shape:
    """A result's attribute names and types, and where its messages go."""

    names: tuple[str, ...]
    known: int
    """How many of the names are measures of a buoy."""
    layout: Layout | None
    """None: the types do not all agree with the table's, each message is looked at by measure."""
    epoch: int
    texts: tuple[int, ...]


class Timestream:
    """The table. Records become rows of `segments` when written; refusals become outcomes of the trace."""

    def __init__(
        self,
        folder: Path,
        trace: Trace,
        faults: StageFaults | None = None,
        settings: TableSettings | None = None,
    ) -> None:
        settings = settings or TableSettings()
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._faults = faults
        self._window_ms = round(settings.memory_store_h * _MS_PER_H)
        self._visible_after_ns = round(settings.visible_after_s * 1e9)
        self.visible_ns = 0
        """UTC from which a reader sees all that was written."""
        self._rows = MeasureRows()
        self.log = SegmentLog(folder, self._rows)
        self._types: dict[str, str] = {}
        self._buoys: dict[str, StoredBuoy] = {}
        self._text_numbers: dict[str, float] = {}
        self._shapes: dict[tuple[tuple[str, ...], tuple[type, ...]], _Shape] = {}
        self.stored_known = 0
        """Records visible whose measure is one of the nine."""
        self.count = StageCount(STAGE, "records")
        self._writes = 0
        self.refused_writes = 0
        """Writes of which at least one record was refused: what a rule action counts as failed."""
        self._same_again = 0
        self._replaced = 0
        self._foreign: dict[str, int] = {}

    def write(
        self, message: int, dimension: str, time_ms: Any, attributes: dict[str, Any], at_ns: int
    ) -> None:
        """One result of the rule, at the time the action runs; rehearsed faults act first."""
        if self._faults is not None:
            parts = self._faults.values(buoy_of(dimension), attributes)
            if parts is not None:
                for values, delay_ns in parts:
                    self._enter(message, dimension, time_ms, values, at_ns + delay_ns)
                return
        self._enter(message, dimension, time_ms, attributes, at_ns)

    def _enter(
        self, message: int, dimension: str, time_ms: Any, attributes: dict[str, Any], at_ns: int
    ) -> None:
        self._entries.numbers.append(message)
        self._entries.times.append(at_ns)
        self.count.entered += len(attributes)
        at_ms = at_ns // _NS_PER_MS
        if type(time_ms) is not int or not at_ms - self._window_ms <= time_ms <= at_ms + MAX_AHEAD_MS:
            self._refuse_time(message, time_ms, at_ns, len(attributes))
            return
        if len(attributes) > MAX_RECORDS:
            detail = f"{len(attributes)} records in one write; Timestream takes {MAX_RECORDS}"
            self._refuse_all(message, "too-many-records", detail, at_ns, len(attributes))
            return
        self._writes += 1
        values = list(attributes.values())
        shape = self._shape((tuple(attributes), tuple(map(type, values))))
        buoy = self._buoys.get(dimension)
        if buoy is None:
            buoy = self._buoys[dimension] = StoredBuoy(dimension)
        layout = shape.layout
        if layout is None or time_ms <= buoy.newest_ms:
            self._write_each(message, dimension, buoy, time_ms, attributes, 1, at_ns)
            return
        texts: list[str] = []
        for position in shape.texts:
            text = values[position]
            if len(text) > MAX_RECORD_BYTES // 4:
                self._write_each(message, dimension, buoy, time_ms, attributes, 1, at_ns)
                return
            texts.append(text)
            values[position] = self._text_number(text)
        try:
            numbers = array("d", values)
        except OverflowError:
            numbers = _NONE
        # The length of the vector: where it is small, all values are, and finite too.
        if not (numbers and math.hypot(*numbers) < MAX_BIGINT):
            self._write_each(message, dimension, buoy, time_ms, attributes, 1, at_ns)
            return
        buoy.newest_ms = time_ms
        series = buoy.series.get(shape.names)
        if series is None:
            series = buoy.series[shape.names] = Series(shape.names)
        series.times.append(time_ms)
        series.values.extend(numbers)
        self._append(layout, buoy, dimension, time_ms, at_ns, message, numbers, texts)
        self.count.left += len(numbers)
        self.stored_known += shape.known

    def write_version(
        self, message: int, dimension: str, time_ms: int, attributes: dict[str, Any], version: int, at_ns: int
    ) -> None:
        """A write with a version of its own, as a direct client of Timestream can send it."""
        self._entries.numbers.append(message)
        self._entries.times.append(at_ns)
        self.count.entered += len(attributes)
        self._writes += 1
        buoy = self._buoys.setdefault(dimension, StoredBuoy(dimension))
        self._write_each(message, dimension, buoy, time_ms, attributes, version, at_ns)

    # -- the way in by single measure: types or times that are not as usual -------------------------

    def _write_each(
        self,
        message: int,
        dimension: str,
        buoy: StoredBuoy,
        time_ms: int,
        attributes: dict[str, Any],
        version: int,
        at_ns: int,
    ) -> None:
        refused_before = sum(self.count.rejected.values())
        for name, value in attributes.items():
            self._write_one(message, dimension, buoy, time_ms, name, value, version, at_ns)
        self.refused_writes += sum(self.count.rejected.values()) > refused_before

    def _write_one(
        self,
        message: int,
        dimension: str,
        buoy: StoredBuoy,
        time_ms: int,
        name: str,
        value: Any,
        version: int,
        at_ns: int,
    ) -> None:
        if isinstance(value, dict | list):
            value = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        problem = self._problem(name, value)
        if problem is not None:
            self._refuse(message, name, *problem, at_ns)
            return
        kind = self._types.setdefault(name, KINDS[type(value)])
        number = self._text_number(value) if kind == VARCHAR else float(value)
        there = buoy.find(time_ms, name)
        if there is not None and version <= there[1]:
            if there[0] == number:
                self._same_again += 1
                self.count.left += 1
                detail = f"{name} of buoy {dimension} at {time_ms} ms is there with the same value already"
                self._trace.merged(STAGE, message, name, "collision", detail, at_ns)
                return
            detail = (
                f"{name} of buoy {dimension} at {time_ms} ms is there with another value "
                f"({self._shown(kind, there[0])}, now {value!r}) and version {there[1]}"
            )
            self._refuse(message, name, "collision", detail, at_ns)
            return
        if there is not None:
            self._replaced += there[0] != number
        buoy.others[time_ms, name] = (number, version)
        buoy.newest_ms = max(buoy.newest_ms, time_ms)
        layout = self._rows.layout((name,), (kind,), version)
        texts = [value] if kind == VARCHAR else []
        self._append(layout, buoy, dimension, time_ms, at_ns, message, array("d", (number,)), texts)
        self.count.left += 1
        if there is None:
            self.stored_known += name in KEYS

    def _problem(self, name: str, value: Any) -> tuple[str, str] | None:
        """(reason, detail) where a record cannot be stored whatever is there already."""
        kind = KINDS.get(type(value))
        if kind is None:
            return "no-type", f"{name} is null, which has no Timestream type"
        fixed = self._types.get(name, kind)
        if fixed != kind:
            return "type-conflict", f"{name} is {kind} ({value!r}), but its first record made it {fixed}"
        if kind == VARCHAR and len(value.encode(errors="replace")) > MAX_RECORD_BYTES:
            return (
                "record-too-large",
                f"{name} has {len(value)} characters; a record takes {MAX_RECORD_BYTES} bytes",
            )
        if (type(value) is int and not -MAX_BIGINT <= value < MAX_BIGINT) or (
            type(value) is float and not math.isfinite(value)
        ):
            return "out-of-range", f"{name} does not fit {kind}"
        return None

    def _shape(self, signature: tuple[tuple[str, ...], tuple[type, ...]]) -> _Shape:
        shape = self._shapes.get(signature)
        if shape is not None and shape.epoch == self._rows.epoch:
            return shape
        names, types = signature
        kinds = tuple(KINDS.get(kind, "") for kind in types)
        if len(self._shapes) >= MAX_SHAPES:
            # Names come from outside: a new set of them per message must not fill the memory.
            self._shapes.clear()
        # A type counts once a record of it was taken: the first message of a shape goes measure by measure.
        agrees = all(self._types.get(name) == kind for name, kind in zip(names, kinds, strict=True))
        shape = _Shape(
            names,
            sum(name in KEYS for name in names),
            self._rows.layout(names, kinds) if agrees else None,
            self._rows.epoch if agrees else -1,
            tuple(index for index, kind in enumerate(kinds) if kind == VARCHAR),
        )
        self._shapes[signature] = shape
        return shape

    def _append(
        self,
        layout: Layout,
        buoy: StoredBuoy,
        dimension: str,
        time_ms: int,
        at_ns: int,
        message: int,
        numbers: "array[float]",
        texts: list[str],
    ) -> None:
        if buoy.number is None:
            # Stored as far as Timestream goes, but a row of the run's stores belongs to a numbered buoy.
            self._foreign[dimension] = self._foreign.get(dimension, 0) + len(numbers)
            return
        visible_ns = at_ns + self._visible_after_ns
        if visible_ns > self.visible_ns:
            self.visible_ns = visible_ns
        layout.append(buoy.number, time_ms, visible_ns, message, numbers, texts)

    def _text_number(self, text: str) -> float:
        return self._text_numbers.setdefault(text, float(len(self._text_numbers)))

    def _shown(self, kind: str, number: float) -> str:
        if kind != VARCHAR:
            return repr(number)
        return next((repr(text) for text, known in self._text_numbers.items() if known == number), "a text")

    # -- refusals -----------------------------------------------------------------------------------

    def _refuse(
        self, message: int, name: str | None, reason: str, detail: str, at_ns: int, records: int = 1
    ) -> None:
        self.count.rejected[reason] = self.count.rejected.get(reason, 0) + records
        self._trace.rejected(STAGE, message, name, reason, detail, at_ns)

    def _refuse_all(self, message: int, reason: str, detail: str, at_ns: int, records: int) -> None:
        self._writes += 1
        self.refused_writes += 1
        self._refuse(message, None, reason, detail, at_ns, records)

    def _refuse_time(self, message: int, time_ms: Any, at_ns: int, records: int) -> None:
        at_ms = at_ns // _NS_PER_MS
        if type(time_ms) is not int:
            detail = f"the action's timestamp is {time_ms!r}, not a whole number of ms since 1970"
            self._refuse_all(message, "no-timestamp", detail, at_ns, records)
        elif time_ms > at_ms:
            detail = f"timestamp {time_ms} is {(time_ms - at_ms) / 60_000:.1f} min ahead; 15 min are allowed"
            self._refuse_all(message, "time-ahead", detail, at_ns, records)
        else:
            detail = (
                f"timestamp {time_ms} is {(at_ms - time_ms) / _MS_PER_H:.1f} h old; "
                f"the memory store takes {self._window_ms / _MS_PER_H:g} h"
            )
            self._refuse_all(message, "too-old", detail, at_ns, records)

    def stage_count(self) -> StageCount:
        """Counters so far, a copy."""
        notes = [
            f"{measures} records of dimension {dimension!r}, which is no buoy, are counted and not listed"
            for dimension, measures in list(self._foreign.items())[:10]
        ]
        return StageCount(
            STAGE,
            self.count.unit,
            self.count.entered,
            self.count.left,
            dict(self.count.rejected),
            metrics={
                "AWS/Timestream SuccessfulRequestLatency.SampleCount": self._writes - self.refused_writes,
                "AWS/Timestream UserErrors": self.refused_writes,
                "AWS/Timestream SystemErrors": 0,
                "AWS/Timestream MagneticStoreRejectedRecordCount": 0,
                "twin records written again with the same value": self._same_again,
                "twin records replaced by a higher version": self._replaced,
            },
            notes=notes,
        )
