"""The arithmetic of a visit: fouling error, calibration drift error, and the correction between two visits.

Every error here is what has to be *added* to a reading (TM 1-D3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise


def fouling_error(
    found: float, cleaned: float, meter_found: float | None = None, meter_cleaned: float | None = None
) -> float:
    """What fouling took from the reading: the change by cleaning, less what the water changed meanwhile.

    Args:
        found: reading in the water before cleaning.
        cleaned: reading in the water after cleaning.
        meter_found: field meter beside it, before.
        meter_cleaned: and after; without both the water is taken as unchanged.
    """
    water = 0.0
    if meter_found is not None and meter_cleaned is not None:
        water = meter_cleaned - meter_found
    return (cleaned - found) - water


def drift_error(standard: float, reading: float) -> float:
    """What the clean sensor is short of a standard."""
    return standard - reading


@dataclass(frozen=True, slots=True)
class Shift:
    """An error that was measured at one value."""

    at: float
    """What the sensor read there."""
    error: float
    relative: bool
    """It grows with the value, as a percentage does; otherwise it is the same amount everywhere."""

    def of(self, value: float) -> float:
        """The error at another value."""
        return value * self.error / self.at if self.relative else self.error


def shift(at: float, error: float, relative_from: float | None) -> Shift:
    """As a percentage from `relative_from` on, else as an amount."""
    return Shift(at, error, relative_from is not None and abs(at) > relative_from)


def between(shifts: Sequence[Shift], value: float) -> float:
    """The error at a value, from errors at one or more: linear between two, held beyond them."""
    if not shifts:
        return 0.0
    ordered = sorted(shifts, key=lambda one: one.at)
    if value <= ordered[0].at:
        return ordered[0].of(value)
    for low, high in pairwise(ordered):
        if value <= high.at:
            share = (value - low.at) / (high.at - low.at) if high.at > low.at else 1.0
            return (1.0 - share) * low.of(value) + share * high.of(value)
    return ordered[-1].of(value)


@dataclass(frozen=True, slots=True)
class Part:
    """One cause of a correction: nothing at its beginning, all of it at its end, in proportion between."""

    begin: datetime
    end: datetime
    shifts: tuple[Shift, ...]

    def at(self, value: float, when: datetime) -> float:
        """What to add to a value; 0 outside."""
        if not self.begin <= when <= self.end:
            return 0.0
        whole = (self.end - self.begin).total_seconds()
        share = (when - self.begin).total_seconds() / whole if whole else 1.0
        return share * between(self.shifts, value)


@dataclass(frozen=True, slots=True)
class Correction:
    """Of the data between two visits: fouling from the last cleaning on, drift from the last calibration."""

    fouling: Part | None
    drift: Part | None

    def corrected(self, value: float, when: datetime) -> float:
        """A value of that time as it should have been.

        Args:
            value: as the buoy sent it, published unit.
            when: with a time zone.
        """
        return value + sum(part.at(value, when) for part in (self.fouling, self.drift) if part is not None)
