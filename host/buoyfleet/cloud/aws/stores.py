"""Looks into the stores of a run again and again until all is there, and writes what it found at the end.

Time-series stores do not tell since when a row is visible. A row that the first look finds counts as visible
since its own time; one that a later look finds, since the look before: a row is called late only where that
is certain.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.aws.bucket import BucketReader
from buoyfleet.cloud.aws.failures import Noted, firehose_failures, rule_failures
from buoyfleet.cloud.aws.series import SeriesReader
from buoyfleet.cloud.aws.timestream import Range
from buoyfleet.cloud.local.s3 import list_objects
from buoyfleet.cloud.measure_rows import MeasureRows
from buoyfleet.cloud.s3_reader import ObjectInfo, read_object
from buoyfleet.cloud.store_parts import object_body, object_rows, rows_in_parts, write_parts
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.store import STORE_FOLDER
from sensors.catalog import KEYS

OBJECT_FOLDER = "objects"
"""In the run's folder: the objects as fetched."""
MAX_TRACKED_ROWS = 500_000
"""Above that looks only count, and no row of Timestream is ever called late."""
MAX_PROBLEMS = 20
_NS_PER_MS = 1_000_000
_AHEAD_MS = 60_000
"""Boards' clocks may be ahead of ours a little."""


@dataclass(frozen=True, slots=True)
class Window:
    """What belongs to a run."""

    since_ns: int
    until_ns: int
    buoys: frozenset[int]

    def range(self) -> Range:
        """The rows of Timestream."""
        return Range(
            self.since_ns // _NS_PER_MS, self.until_ns // _NS_PER_MS + _AHEAD_MS, tuple(sorted(self.buoys))
        )

    def wants(self, time_ms: int | None, buoy: int) -> bool:
        """Whether a document of S3 is the run's."""
        inside = (
            time_ms is None or self.since_ns <= time_ms * _NS_PER_MS <= self.until_ns + _AHEAD_MS * _NS_PER_MS
        )
        return inside and buoy in self.buoys


@dataclass(slots=True)
class Look:
    """What one look found. Measures of the nine, records, objects."""

    series: int = 0
    s3: int = 0
    documents: int = 0
    objects: int = 0
    noted: list[Noted] = field(default_factory=list)


class Stores:
    """The stores of one pipeline. Methods block, one at a time."""

    def __init__(
        self,
        account: Account,
        spec: AwsSpec,
        series: SeriesReader,
        bucket: str,
        run_folder: Path,
        topic_prefix: str,
    ) -> None:
        self._spec = spec
        self._folder = run_folder / OBJECT_FOLDER
        self._level = topic_prefix.count("/") + 1
        self.series = series
        self.bucket = BucketReader(account, bucket, self._folder)
        self.problems: list[str] = []
        self.last = Look()
        self.timed_out = ""
        """A log line about a timeout of the function, for the failed records that follow."""
        self._known: dict[tuple[int, int, str], int] = {}
        self._previous_ns = 0
        """Time of the look before; 0: there was none."""
        self._counted: dict[str, tuple[int, int]] = {}
        """Object → (measures, documents)."""
        self._noted: dict[str, list[Noted]] = {}

    def problem(self, what: str) -> None:
        """Keep a problem, a bounded number of them."""
        if what not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(what)

    def look(
        self, window: Window, now_ns: int, *, rows: bool, progress: Callable[[str], None] = lambda _: None
    ) -> Look:
        """Count what is visible.

        Args:
            window: the run's.
            now_ns: UTC.
            rows: also note which rows of the time-series store are there.
            progress: told what is being looked at.

        Raises:
            AwsError: a store cannot be asked.
            OSError: the run's folder cannot be written.
        """
        look = Look()
        progress(f"asking {self.series.name}")
        look.series = self.series.count(window.range())
        if rows and look.series != len(self._known) and look.series <= MAX_TRACKED_ROWS:
            self._note_rows(window)
        if rows:
            self._previous_ns = now_ns
        progress("listing the bucket")
        spec = self._spec
        prefixes = (spec.s3_prefix, spec.failed_prefix, spec.error_prefix)
        for key in self.bucket.fetch(
            prefixes, window.since_ns, now_ns, lambda number: progress(f"{number} objects fetched")
        ):
            self._take(key, window)
        look.s3 = sum(measures for measures, _ in self._counted.values())
        look.documents = sum(documents for _, documents in self._counted.values())
        look.objects = len(self._counted)
        look.noted = self._of_window(window)
        self.last = look
        return look

    def write(self, window: Window, run_folder: Path) -> Look:
        """Write `stores/` of the run's folder; returns the last look, with all rows of the time-series store.

        Raises:
            AwsError: The time-series store cannot be asked.
            OSError: the run's folder cannot be written.
        """
        rows = MeasureRows()
        found = self.series.read(window.range(), rows, self._visible, self.problem)
        stores = run_folder / STORE_FOLDER
        write_parts(rows_in_parts(rows), stores / self.series.name)
        objects = (info for info in list_objects(self._folder) if info.key in self._counted)
        write_parts(
            object_rows(
                self._folder, objects, self.problem, {}, lambda _, time_ms, buoy: window.wants(time_ms, buoy)
            ),
            stores / "s3",
        )
        if self.bucket.refused:
            self.problem(f"{self.bucket.refused} objects of the bucket were too much to fetch")
        # Once more, now that the log is known: it has the figures of a timeout.
        for path in list(self._noted):
            self._take(path, window)
        self.last.noted = self._of_window(window)
        self.last.series = found
        return self.last

    def _of_window(self, window: Window) -> list[Noted]:
        return [
            one for noted in self._noted.values() for one in noted if window.wants(one.timestamp_ms, one.buoy)
        ]

    def _note_rows(self, window: Window) -> None:
        rows = MeasureRows()  # only their keys are of interest

        def seen(buoy: int, time_ms: int, measure: str) -> int:
            if measure in KEYS:
                self._known.setdefault((buoy, time_ms, measure), self._previous_ns)
            return 0

        self.series.read(window.range(), rows, seen, self.problem)

    def _visible(self, buoy: int, time_ms: int, measure: str) -> int:
        since = self._known.get((buoy, time_ms, measure), self._previous_ns if self._known else 0)
        return max(since, time_ms * _NS_PER_MS)

    def _take(self, key: str, window: Window) -> None:
        """Read an object that was fetched just now."""
        path = self._folder / key
        body = object_body(path, self.problem)
        info = ObjectInfo(key, path.stat().st_mtime_ns if path.exists() else 0)
        if key.startswith(self._spec.failed_prefix):
            self._noted[key] = firehose_failures(info, body, self.timed_out, self.problem)
        elif key.startswith(self._spec.error_prefix):
            self._noted[key] = rule_failures(info, body, self._level, self.problem)
        else:
            rows = MeasureRows()
            counts = [0]

            def wanted(_message: int, time_ms: int | None, buoy: int) -> bool:
                mine = window.wants(time_ms, buoy)
                counts[0] += mine
                return mine

            # What cannot be read is told when the rows are written.
            read_object(info, body, rows, lambda _: None, None, wanted)
            self._counted[key] = (len(rows), counts[0])
