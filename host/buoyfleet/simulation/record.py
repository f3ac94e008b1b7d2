"""A buoy observed over days: true values beside what its drivers published, reading by reading."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from buoyfleet.simulation.buoy import SimulatedBuoy
from sensors import flags as quality
from sensors.build import make_sensors
from sensors.catalog import BOOLEAN_KEYS, DECIMALS, KEYS
from sensors.reader import Reader

_FLAGS_BY_NAME = {row[1]: row[0] for row in quality.TABLE}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one part for some hours of a record."""

    key: str
    name: str
    from_h: float
    to_h: float


@dataclass(slots=True)
class Reading:
    """One measure at one time."""

    true: float | bool | None
    """None where the quantity does not exist, as pH in air."""
    value: float | bool | None
    """As published; None: withheld."""
    flags: int


@dataclass(slots=True)
class Record:
    """What was observed. `rows[i]` holds the nine readings that were complete at `at_s[i]`."""

    buoy_id: int
    start: datetime
    """UTC time of second 0."""
    at_s: list[float] = field(default_factory=list)
    rows: list[dict[str, Reading]] = field(default_factory=list)

    def column(self, key: str) -> list[Reading]:
        """One measure over time."""
        return [row[key] for row in self.rows]

    def time(self, i: int) -> datetime:
        """UTC time of a row."""
        return self.start + timedelta(seconds=self.at_s[i])


def record(
    buoy: SimulatedBuoy,
    days: float,
    interval_s: float = 900.0,
    start: datetime | None = None,
    faults: Iterable[Fault] = (),
    progress: Callable[[float], None] = lambda _share: None,
) -> Record:
    """Let a buoy's drivers read all sensors every `interval_s` for some days of simulated time.

    Args:
        buoy: fresh from `simulated_buoy`.
        days: how long.
        interval_s: between the starts of two readings.
        start: UTC time of the buoy's second 0; for people.
        faults: switched on and off on the way.
        progress: called with the share done.

    Raises:
        ValueError: a fault that the part does not have.
    """
    reader = Reader(make_sensors(buoy.settings, buoy.modules))
    result = Record(buoy.buoy_id, start or datetime.fromtimestamp(buoy.bench.chip.utc_us(0) / 1e6, UTC))
    waiting = sorted(faults, key=lambda fault: fault.from_h)
    for fault in waiting:
        buoy.bench.part(fault.key).check_fault(fault.name)
    active: list[Fault] = []
    end_ms = days * 86_400_000.0
    begin_ms = now_ms = 0.0
    while begin_ms < end_ms:
        buoy.advance_to_ms(now_ms)
        hour = now_ms / 3_600_000.0
        for fault in [one for one in waiting if one.from_h <= hour]:
            buoy.bench.inject(fault.key, fault.name)
            waiting.remove(fault)
            active.append(fault)
        for fault in [one for one in active if one.to_h <= hour]:
            buoy.bench.clear(fault.key, fault.name)
            active.remove(fault)
        reader.start(now_ms)
        while not reader.poll(now_ms):
            now_ms = max(now_ms, reader.due_ms)
            buoy.advance_to_ms(now_ms)
        truth = buoy.truth()
        result.at_s.append(now_ms / 1000.0)
        result.rows.append(
            {key: Reading(truth[key], reader.value(key), reader.sensors[key].flags) for key in reader.sensors}
        )
        progress(begin_ms / end_ms)
        begin_ms += 1000.0 * interval_s
        now_ms = max(now_ms, begin_ms)
    return result


@dataclass(frozen=True, slots=True)
class Summary:
    """One measure of a record in a line."""

    key: str
    low: float | None
    mean: float | None
    high: float | None
    """Of the true values; None if there are none. Booleans count as 0 and 1."""
    error: float | None
    """Largest difference of a published reading from the truth."""
    published: int
    withheld: int
    flags: dict[str, int]
    """Flag → readings."""


def summarise(observed: Record) -> list[Summary]:
    """One line for each measure."""
    return [_summary(key, observed.column(key)) for key in KEYS if observed.rows and key in observed.rows[0]]


def _summary(key: str, column: list[Reading]) -> Summary:
    true = [float(one.true) for one in column if one.true is not None]
    errors = [
        abs(float(one.value) - float(one.true))
        for one in column
        if one.value is not None and one.true is not None
    ]
    counts = {
        name: sum(1 for one in column if one.flags & flag) for name, flag in _FLAGS_BY_NAME.items() if flag
    }
    published = sum(1 for one in column if one.value is not None)
    return Summary(
        key,
        min(true, default=None),
        sum(true) / len(true) if true else None,
        max(true, default=None),
        max(errors, default=None),
        published,
        len(column) - published,
        {name: count for name, count in counts.items() if count},
    )


def write_csv(observed: Record, path: Path) -> None:
    """`time`, then for each measure KEY_true, KEY (empty: withheld or not there) and KEY_flags.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        _write_rows(observed, file)


def _write_rows(observed: Record, file: TextIO) -> None:
    keys = [key for key in KEYS if observed.rows and key in observed.rows[0]]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["time", *(f"{key}{end}" for key in keys for end in ("_true", "", "_flags"))])
    for i, row in enumerate(observed.rows):
        cells = [observed.time(i).isoformat(timespec="seconds").replace("+00:00", "Z")]
        for key in keys:
            one = row[key]
            cells += [
                _cell(key, one.true, 4),
                _cell(key, one.value, DECIMALS),
                " ".join(quality.names(one.flags)),
            ]
        writer.writerow(cells)


def _cell(key: str, value: float | bool | None, decimals: int) -> str:
    if value is None:
        return ""
    if key in BOOLEAN_KEYS:
        return "true" if value else "false"
    return f"{value:.{decimals}f}"
