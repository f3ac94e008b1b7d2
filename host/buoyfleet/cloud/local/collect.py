"""From a twin's folder to a run's folder: store rows and evidence of one window and its buoys.

Works on files alone. The twin's process uses it when a run asks; the run uses it on what is there when the
twin was killed. Segments are read one by one, so that memory stays flat.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.bucket_layout import BucketLayout
from buoyfleet.cloud.local.folders import EVIDENCE_FOLDER, S3_FOLDER, S3_INDEX_FOLDER, TIMESTREAM_FOLDER
from buoyfleet.cloud.local.s3 import list_objects
from buoyfleet.cloud.local.segments import TEMPORARY_SUFFIX, segment_paths
from buoyfleet.cloud.local.trace import (
    ACCEPTED_COLUMN,
    LINKS_FOLDER,
    OUTCOMES_FOLDER,
    RECEIVED_FOLDER,
    REFUSED_FOLDER,
    TRACE_FOLDER,
)
from buoyfleet.cloud.measure_rows import NO_MESSAGE, VERSION_COLUMN
from buoyfleet.cloud.store_parts import object_rows, write_parts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MAX_PROBLEMS = 20
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """What belongs to a run: messages accepted in that time, from those buoys or from no buoy at all."""

    since_ns: int
    until_ns: int
    buoys: frozenset[int]
    seen_ns: int | None = None
    """When readers look: they do not see what becomes visible later. None: they see everything."""

    def has_time(self, time_ms: int | None) -> bool:
        """For rows whose message is not known."""
        return time_ms is None or self.since_ns <= time_ms * _NS_PER_MS <= self.until_ns


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is still on its way."""

    stage: str
    message: int
    detail: str


def collect(
    folder: Path,
    run_folder: Path,
    window: Window,
    waiting: Iterable[Waiting] = (),
    layout: BucketLayout | None = None,
) -> list[str]:
    """Write `evidence/` and `stores/` of the run's folder, and return what could not be read.

    Raises:
        OSError: the run's folder cannot be written.
    """
    from buoyfleet.model.store import STORE_FOLDER

    problems = _Problems()
    for part in sorted(folder.rglob(f"*{TEMPORARY_SUFFIX}")):
        problems.add(f"{part.relative_to(folder)} was not finished; its rows are lost")
    hidden = _hidden(folder / TIMESTREAM_FOLDER, window, problems)
    chosen = _evidence(folder / EVIDENCE_FOLDER, run_folder, window, [*waiting, *hidden], problems)
    stores = run_folder / STORE_FOLDER
    _timestream(folder / TIMESTREAM_FOLDER, stores / "timestream", window, chosen, problems)
    _s3(folder, stores / "s3", window, chosen, problems, layout or BucketLayout())
    return problems.found


class _Problems:
    """Problems in words, a bounded number of them."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._more = 0

    def add(self, what: str) -> None:
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(what)
            return
        self._more += 1
        self.found[MAX_PROBLEMS:] = [f"{self._more} further problems of this kind"]


class _Chosen:
    """The messages of the window, by number."""

    def __init__(self, numbers: "list[np.ndarray]", known: int) -> None:
        import numpy as np

        self._flags = np.zeros(known, np.bool_)
        for part in numbers:
            self._flags[part] = True

    def mask(self, messages: "np.ndarray", otherwise: "np.ndarray | bool") -> "np.ndarray":
        """Which are chosen; `otherwise` decides for numbers that are not in the evidence."""
        import numpy as np

        known = (messages >= 0) & (messages < len(self._flags))
        mask = np.array(np.broadcast_to(otherwise, messages.shape), np.bool_)
        mask[known] = self._flags[messages[known]]
        return mask

    def has(self, message: int) -> bool | None:
        """None where the number is not in the evidence."""
        return bool(self._flags[message]) if 0 <= message < len(self._flags) else None


def _tables(folder: Path, problems: _Problems) -> "Iterator[pa.Table]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in segment_paths(folder):
        try:
            # One file, one table: a dataset would read types into folder names.
            yield pq.ParquetFile(path).read()
        except (OSError, pa.ArrowException) as error:
            problems.add(f"{path.parent.name}/{path.name} cannot be read: {error}")


def _column(table: "pa.Table", name: str, null: Any) -> "np.ndarray":
    import numpy as np

    array: np.ndarray = table.column(name).fill_null(null).to_numpy()
    return array


class _Output:
    """One Parquet file written in pieces, there when complete."""

    def __init__(self, path: Path, schema: "pa.Schema") -> None:
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._temporary = path, path.with_suffix(TEMPORARY_SUFFIX)
        self._writer = pq.ParquetWriter(self._temporary, schema, compression="zstd", compression_level=1)

    def write(self, table: "pa.Table") -> None:
        if table.num_rows:
            self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()
        self._temporary.replace(self._path)


def _evidence(
    folder: Path, run_folder: Path, window: Window, waiting: Iterable[Waiting], problems: _Problems
) -> _Chosen:
    import numpy as np
    import pyarrow as pa

    from buoyfleet.model import evidence

    target = run_folder / evidence.EVIDENCE_FOLDER
    buoys = np.array(sorted(window.buoys), np.int64)
    numbers: list[np.ndarray] = []
    known = 0
    received = _Output(target / evidence.RECEIVED, evidence.RECEIVED_SCHEMA)
    for table in _tables(folder / RECEIVED_FOLDER, problems):
        at_ns = _column(table, ACCEPTED_COLUMN, 0)
        buoy = _column(table, "buoy", -1)
        mask = (at_ns >= window.since_ns) & (at_ns <= window.until_ns)
        mask &= (buoy < 0) | np.isin(buoy, buoys)
        messages = _column(table, "message", NO_MESSAGE)
        known = max(known, int(messages.max(initial=-1)) + 1)
        numbers.append(messages[mask])
        received.write(table.filter(pa.array(mask)).drop_columns([ACCEPTED_COLUMN]))
    received.close()
    chosen = _Chosen(numbers, known)
    trace = _Output(target / evidence.TRACE, evidence.TRACE_SCHEMA)
    for table in _tables(folder / TRACE_FOLDER, problems):
        trace.write(table.filter(pa.array(chosen.mask(_column(table, "message", NO_MESSAGE), False))))
    trace.close()
    outcomes = _Output(target / evidence.OUTCOMES, evidence.OUTCOMES_SCHEMA)
    for table in _tables(folder / OUTCOMES_FOLDER, problems):
        outcomes.write(table.filter(pa.array(chosen.mask(_column(table, "message", NO_MESSAGE), False))))
    outcomes.write(_waiting_rows(waiting, chosen, window.until_ns))
    outcomes.close()
    refused = _Output(target / evidence.REFUSED, evidence.REFUSED_SCHEMA)
    for table in _tables(folder / REFUSED_FOLDER, problems):
        at_ns, buoy = _column(table, "at_ns", 0), _column(table, "buoy", -1)
        mask = (at_ns >= window.since_ns) & (at_ns <= window.until_ns)
        refused.write(table.filter(pa.array(mask & ((buoy < 0) | np.isin(buoy, buoys)))))
    refused.close()
    links = _Output(target / evidence.LINKS, evidence.LINKS_SCHEMA)
    for table in _tables(folder / LINKS_FOLDER, problems):
        at_ns = _column(table, "at_ns", 0)
        links.write(table.filter(pa.array((at_ns >= window.since_ns) & (at_ns <= window.until_ns))))
    links.close()
    return chosen


def _waiting_rows(waiting: Iterable[Waiting], chosen: _Chosen, at_ns: int) -> "pa.Table":
    import pyarrow as pa

    from buoyfleet.model.evidence import OUTCOMES_SCHEMA

    rows = [
        {
            "stage": row.stage,
            "message": row.message,
            "measure": None,
            "outcome": "waiting",
            "reason": "in-buffer",
            "detail": row.detail,
            "at_ns": at_ns,
        }
        for row in waiting
        if chosen.has(row.message)
    ]
    return pa.Table.from_pylist(rows, schema=OUTCOMES_SCHEMA)


def _hidden(source: Path, window: Window, problems: _Problems) -> list[Waiting]:
    """Messages that are stored and that a reader does not see yet."""
    if window.seen_ns is None:
        return []
    latest: dict[int, int] = {}
    for table in _tables(source, problems):
        visible = _column(table, "visible_ns", 0)
        late = visible > window.seen_ns
        messages = _column(table, "message", NO_MESSAGE)
        latest.update(zip(messages[late].tolist(), visible[late].tolist(), strict=True))
    seen = _clock(window.seen_ns)
    return [
        Waiting(
            "timestream", message, f"stored; queries see it from {_clock(at_ns)} on, the last was at {seen}"
        )
        for message, at_ns in latest.items()
    ]


def _clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at_ns / 1e9))


def _timestream(source: Path, target: Path, window: Window, chosen: _Chosen, problems: _Problems) -> None:
    import numpy as np
    import pyarrow as pa

    target.mkdir(parents=True, exist_ok=True)
    buoys = np.array(sorted(window.buoys), np.int64)
    since_ms, until_ms = window.since_ns // _NS_PER_MS, window.until_ns // _NS_PER_MS

    def parts() -> "Iterator[pa.Table]":
        for table in _tables(source, problems):
            stamps = _column(table, "timestamp_ms", since_ms)
            in_window = (stamps >= since_ms) & (stamps <= until_ms)
            mask = np.isin(_column(table, "buoy", -1), buoys)
            mask &= chosen.mask(_column(table, "message", NO_MESSAGE), in_window)
            if window.seen_ns is not None:
                mask &= _column(table, "visible_ns", 0) <= window.seen_ns
            yield table if mask.all() else table.filter(pa.array(mask))

    rows = parts()
    if _has_versions(source):
        # Only then must all rows be looked at together.
        found = list(rows)
        rows = iter([_newest(pa.concat_tables(found))] if found else [])
    write_parts((table.drop_columns([VERSION_COLUMN]) for table in rows), target)


def _has_versions(source: Path) -> bool:
    """Whether a segment holds a record with a version of its own, by the files' own statistics."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in segment_paths(source):
        try:
            metadata = pq.ParquetFile(path).metadata
        except (OSError, pa.ArrowException):
            continue  # reported where it is read
        place = metadata.schema.names.index(VERSION_COLUMN)
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(place).statistics
            if statistics is None or not statistics.has_min_max or statistics.max > 1:
                return True
    return False


def _newest(table: "pa.Table") -> "pa.Table":
    """Of rows with the same buoy, time and measure the one with the highest version."""
    import pyarrow as pa

    seen: dict[tuple[Any, ...], tuple[int, int]] = {}
    keys = zip(
        *(table.column(name).to_pylist() for name in ("buoy", "timestamp_ms", "measure")),
        table.column(VERSION_COLUMN).to_pylist(),
        strict=True,
    )
    for row, (buoy, time_ms, measure, version) in enumerate(keys):
        known = seen.get((buoy, time_ms, measure))
        if known is None or version >= known[0]:
            seen[buoy, time_ms, measure] = (version, row)
    return table.take(pa.array(sorted(row for _, row in seen.values()), pa.int64()))


def _s3(
    folder: Path, target: Path, window: Window, chosen: _Chosen, problems: _Problems, layout: BucketLayout
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    index = _s3_index(folder / S3_INDEX_FOLDER, problems)
    bucket = folder / S3_FOLDER

    def wanted(message: int, time_ms: int | None, buoy: int) -> bool:
        known = chosen.has(message)
        return buoy in window.buoys and (window.has_time(time_ms) if known is None else known)

    objects = (
        info
        for info in list_objects(bucket)
        if layout.is_data(info.key) and info.last_modified_ns >= window.since_ns
    )
    write_parts(object_rows(bucket, objects, problems.add, index, wanted), target)


def _s3_index(folder: Path, problems: _Problems) -> dict[str, tuple[list[int], list[int]]]:
    index: dict[str, tuple[list[int], list[int]]] = {}
    for table in _tables(folder, problems):
        columns = [table.column(name).to_pylist() for name in ("object", "offset", "message")]
        for key, offset, message in zip(*columns, strict=True):
            offsets, messages = index.setdefault(key, ([], []))
            offsets.append(offset)
            messages.append(message)
    return index
