"""Replay: a real series from a CSV file as the water around a buoy.

    time,temp,do,ec
    2026-08-01T00:00:00Z,17.2,96.1,108
    2026-08-01T00:15:00Z,17.3,96.4,109

The first row names the columns: `time` (any form of ISO 8601, or seconds as a number) and at least one of
the nine keys in published units. What the file lacks comes from the simulated water. Values are linear
between rows; an empty cell is filled from its neighbours; before the first and after the last row
the nearest holds.
"""

import csv
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path

from buoyfleet.model.errors import ConfigurationError, Problem
from buoyfleet.simulation.water.iso_time import read_iso_time
from buoyfleet.simulation.water.medium import TDS_PER_EC25, Medium, Sample
from buoyfleet.simulation.water.seawater import at_temperature
from sensors.catalog import KEYS, UNITS

# Physical bounds beyond which a cell is a mistake of the file (another unit, a missing-value code such as
# −9999), not water. Source: the parts' ranges and the reference's fault bounds.
BOUNDS: dict[str, tuple[float, float]] = {
    "do": (0.0, 300.0),
    "ec": (0.0, 500_000.0),
    "ph": (0.0, 14.0),
    "tds": (0.0, 250_000.0),
    "tbd": (0.0, 10_000.0),
    "wf": (0.0, 2.0),
    "wp": (-20.0, 1700.0),
    "temp": (-5.0, 60.0),
}
# Later than the year 5138 if it counts from 1970: milliseconds, or a date and time run together.
_MOST_SECONDS = 1e11
_DAY_COUNTS = ((20_000.0, 80_000.0), (2_400_000.0, 2_500_000.0))
"""Of our days: a spreadsheet's serial dates (days since 1899-12-30) from 1954 to 2119, and Julian dates."""
_TRUE = frozenset(("1", "true", "yes", "wet"))
_FALSE = frozenset(("0", "false", "no", "dry"))


@dataclass(slots=True)
class Series:
    """A series as read: per key its times (s since the first row) and values."""

    path: str
    start: datetime | None
    """UTC time of the first row; None where the file counts seconds."""
    length_s: float
    rows: int
    columns: dict[str, tuple[list[float], list[float]]]
    notes: list[str] = field(default_factory=list)
    """What a reader should know, e.g. a column that is not used."""

    def value(self, key: str, t_s: float) -> float | None:
        """Value of a key at a time since the first row; None if the file lacks the key."""
        column = self.columns.get(key)
        if column is None:
            return None
        times, values = column
        i = bisect_right(times, t_s)
        if i == 0:
            return values[0]
        if i == len(times):
            return values[-1]
        if key == "liqlev":
            return values[i - 1]
        w = (t_s - times[i - 1]) / (times[i] - times[i - 1])
        return values[i - 1] + (values[i] - values[i - 1]) * w


class ReplayPlace:
    """A medium that follows a series; `background` gives what the series lacks."""

    __slots__ = ("_background", "_series")

    def __init__(self, series: Series, background: Medium) -> None:
        self._series = series
        self._background = background

    def sample(self, t_s: float) -> Sample:
        """The medium at a time in seconds since the first row of the series."""
        base = self._background.sample(t_s)
        value = self._series.value
        temp = _or(value("temp", t_s), base.temp_c)
        wet_value = value("liqlev", t_s)
        wet = base.wet if wet_value is None else wet_value > 0.5
        ec25 = value("ec", t_s)
        if ec25 is None:
            tds = value("tds", t_s)
            ec25 = base.ec25_us_cm if tds is None else tds / TDS_PER_EC25
        # How conductivity follows temperature: as the background's water does, where there is some.
        ratio = base.ec_us_cm / base.ec25_us_cm if base.ec25_us_cm > 0.0 else 0.0
        same_water = ratio > 0.0 and value("temp", t_s) is None
        return Sample(
            temp_c=temp,
            ph=_or(value("ph", t_s), base.ph),
            ec25_us_cm=ec25,
            ec_us_cm=ec25 * ratio if same_water else at_temperature(ec25, temp),
            do_pct=_or(value("do", t_s), base.do_pct),
            ntu=_or(value("tbd", t_s), base.ntu),
            kpa=_or(value("wp", t_s), base.kpa),
            flow_l_s=_or(value("wf", t_s), base.flow_l_s),
            wet=wet,
            salinity=base.salinity,
            do_mg_l=base.do_mg_l,
        )


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def read_series(path: str | Path) -> Series:
    """Read a series.

    Raises:
        ConfigurationError: every mistake of the file at once, each with its line.
    """
    return _Reader(str(path)).read()


class _Reader:
    """Reads one file and collects its problems."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []

    def read(self) -> Series:
        try:
            text = Path(self.path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            self._problem(0, "", f"cannot read the series: {reason}")
            raise ConfigurationError(self.problems) from error
        rows = [
            (n, row) for n, row in enumerate(csv.reader(text.splitlines()), 1) if any(map(str.strip, row))
        ]
        if not rows:
            self._problem(1, "", "the file is empty", f"first row: time and some of {', '.join(KEYS)}")
            raise ConfigurationError(self.problems)
        header_line, header = rows[0]
        names = self._header(header_line, header)
        if self.problems:
            raise ConfigurationError(self.problems)
        times, start = self._times(rows[1:], names)
        columns = self._columns(rows[1:], names, times)
        if not self.problems and len(times) < 2:
            self._problem(rows[-1][0], "", f"{len(times)} row(s) of data; a series needs at least two")
        if self.problems:
            raise ConfigurationError(self.problems)
        notes = []
        if "ec" in columns and "tds" in columns:
            del columns["tds"]
            notes.append("column tds is not used: the same ions make both, and ec is given")
        notes += [f"column {key} has no values" for key in names if key != "time" and key not in columns][:9]
        length_s = times[-1] if times else 0.0
        return Series(self.path, start, length_s, len(times), columns, notes)

    def _problem(self, line: int, column: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.path, line, column, message, hint))

    def _header(self, line: int, header: list[str]) -> list[str]:
        names = [name.strip().lower() for name in header]
        for position, name in enumerate(names):
            if name != "time" and name not in KEYS:
                self._problem(line, "", f"unknown column {name!r}", f"one of time, {', '.join(KEYS)}")
            elif name in names[:position]:
                self._problem(line, "", f"column {name!r} is there twice")
        if "time" not in names:
            self._problem(line, "", "no column 'time'", "ISO 8601 such as 2026-08-01T00:00:00Z, or seconds")
        if not any(name in KEYS for name in names):
            self._problem(line, "", "no measure in the file", f"at least one of {', '.join(KEYS)}")
        return names

    def _times(
        self, rows: list[tuple[int, list[str]]], names: list[str]
    ) -> tuple[list[float], datetime | None]:
        """Seconds since the first row, strictly rising, and the first row's date."""
        column = names.index("time")
        times: list[float] = []
        first: datetime | None = None
        dated: bool | None = None
        offset = 0.0
        for line, row in rows:
            if len(row) != len(names):
                self._problem(line, "", f"{len(row)} cells, but the first row names {len(names)} columns")
                continue
            text = row[column].strip()
            parsed = _time(text, dated)
            if parsed is None:
                self._problem(line, "time", f"{text!r} is no time", "ISO 8601 or seconds")
                continue
            if parsed[1] is None and abs(parsed[0]) > _MOST_SECONDS:
                self._problem(
                    line,
                    "time",
                    f"{text!r} makes no sense as seconds",
                    "is it milliseconds, or a date? Divide by 1000, or write 2026-07-30T12:00:00Z",
                )
                continue
            seconds, date = parsed
            if dated is None:
                dated, first, offset = date is not None, date, seconds
            elif dated != (date is not None):
                self._problem(line, "time", f"{text!r}: dates and seconds are mixed in one column")
                continue
            if times and seconds - offset <= times[-1]:
                self._problem(line, "time", f"{text!r} is not after the row before it")
                continue
            times.append(seconds - offset)
        if dated is False and _counts_days(offset, times):
            self._problem(
                rows[0][0],
                "time",
                f"{rows[0][1][column].strip()!r} to {times[-1]:g} more makes little sense as seconds",
                "are these days of a spreadsheet? Format the column as yyyy-mm-dd hh:mm:ss, or count from 0",
            )
        return times, first

    def _columns(
        self, rows: list[tuple[int, list[str]]], names: list[str], times: list[float]
    ) -> dict[str, tuple[list[float], list[float]]]:
        columns: dict[str, tuple[list[float], list[float]]] = {}
        for position, key in enumerate(names):
            if key == "time":
                continue
            at: list[float] = []
            values: list[float] = []
            for row_number, (line, row) in enumerate(rows):
                text = row[position].strip() if position < len(row) else ""
                if not text:
                    continue
                value = self._value(line, key, text)
                # Where a time was wrong, rows and times do not match; the problems say so already.
                if value is not None and row_number < len(times):
                    at.append(times[row_number])
                    values.append(value)
            if values:
                columns[key] = (at, values)
        return columns

    def _value(self, line: int, key: str, text: str) -> float | None:
        if key == "liqlev":
            word = text.lower()
            if word in _TRUE or word in _FALSE:
                return 1.0 if word in _TRUE else 0.0
            self._problem(line, key, f"{text!r} is no boolean", "true or false")
            return None
        try:
            value = float(text)
        except ValueError:
            self._problem(line, key, f"{text!r} is no number")
            return None
        low, high = BOUNDS[key]
        if not isfinite(value) or not low <= value <= high:
            self._problem(
                line,
                key,
                f"{text} is outside {low:g}…{high:g} {UNITS[key]}",
                "empty cell where a value is missing",
            )
            return None
        return value


def _counts_days(first: float, times: list[float]) -> bool:
    """Whether a column holds days with fractions: numbers as of our dates, rows less than 1 apart."""
    in_range = any(low <= first <= high for low, high in _DAY_COUNTS)
    return in_range and len(times) > 1 and times[-1] < len(times) - 1


def _time(text: str, dated: bool | None) -> tuple[float, datetime | None] | None:
    """Seconds and, for ISO 8601, the UTC date; None if it is neither.

    `dated`: whether the column holds dates; None: this is its first row, which decides. A basic date such as
    20260730 looks like a number, and is one where the column counts seconds.
    """
    if dated is not False:
        date = read_iso_time(text)
        if date is not None:
            return date.timestamp(), date
    try:
        seconds = float(text)
    except ValueError:
        date = None if dated is not False else read_iso_time(text)
        return None if date is None else (0.0, date)
    return (seconds, None) if isfinite(seconds) else None
