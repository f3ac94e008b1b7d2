"""What the Timestream stand-in remembers of each buoy: enough to tell the same record from a collision."""

from array import array
from bisect import bisect_left

from buoyfleet.cloud.measure_rows import NO_TIME


class Series:
    """Messages of one buoy with the same names, in order of time, in 8 bytes a value."""

    __slots__ = ("names", "times", "values")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.times = array("q")
        self.values = array("d")
        """len(names) per time; a text is its number in the table of texts."""

    def value(self, time_ms: int, name: str) -> float | None:
        """The value of a measure at a time, if it is here."""
        if name not in self.names:
            return None
        at = bisect_left(self.times, time_ms)
        if at == len(self.times) or self.times[at] != time_ms:
            return None
        return self.values[at * len(self.names) + self.names.index(name)]


class StoredBuoy:
    """Everything stored under one value of the dimension."""

    __slots__ = ("newest_ms", "number", "others", "series")

    def __init__(self, dimension: str) -> None:
        self.number = buoy_of(dimension)
        self.newest_ms = NO_TIME
        self.series: dict[tuple[str, ...], Series] = {}
        self.others: dict[tuple[int, str], tuple[float, int]] = {}
        """(time, measure) → (value, version) of records out of order, or with a newer version."""

    def find(self, time_ms: int, name: str) -> tuple[float, int] | None:
        """(value, version) of the record that is there."""
        other = self.others.get((time_ms, name))
        if other is not None:
            return other
        for series in self.series.values():
            value = series.value(time_ms, name)
            if value is not None:
                return value, 1
        return None


def buoy_of(text: str) -> int | None:
    """A buoy's number from a topic level or dimension; None where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
