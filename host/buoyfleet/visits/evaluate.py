"""What the readings of a visit say of one sensor, and of its data since the visit before."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from buoyfleet.visits.errors import Correction, Part, Shift, between, drift_error, fouling_error, shift
from buoyfleet.visits.limits import LIMITS, Rating


class Stage(StrEnum):
    """When a reading was taken."""

    FOUND = "found"
    """In the water, untouched."""
    CLEANED = "cleaned"
    """In the water, clean."""
    STANDARD = "standard"
    """Clean, in a standard, before any calibration."""
    FINAL = "final"
    """In the water, as it is left."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A reading of the board beside what it should be."""

    key: str
    stage: Stage
    standard: str
    """Name of the standard; empty in the water."""
    value: float
    """Published unit."""
    reference: float | None
    """Field meter or standard; None: there was none."""
    reference_name: str
    celsius: float | None
    """Of the water, by the board's own probe."""
    stable: bool
    time: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Since:
    """From when on the errors of a sensor grew."""

    cleaned: datetime | None
    calibrated: datetime | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Of one sensor. Errors are what has to be added, at the reading as found, in the published unit."""

    key: str
    reading: float | None
    fouling: float | None
    drift: float | None
    total: float | None
    """Sum of the sizes of both."""
    limit: float | None
    """Above it the record is corrected."""
    rating: Rating
    correction: Correction | None
    """None: none is needed, or `reasons` says why there is none."""
    calibrate: bool
    """The drift alone is above the limit at a standard."""
    left: float | None
    """Error against the field meter as the sensor was left."""
    reasons: tuple[str, ...]
    """What is missing, or was assumed."""


def evaluate(key: str, readings: list[Taken], since: Since, visited: datetime) -> Evaluation:
    """Judge one sensor.

    Args:
        key: of the sensor.
        readings: of this sensor at this visit.
        since: last cleaning and calibration.
        visited: end of the time that the data belong to: the reading as found.
    """
    limits = LIMITS[key]
    by_stage = {one.stage: one for one in readings if one.stage is not Stage.STANDARD}
    found, cleaned = by_stage.get(Stage.FOUND), by_stage.get(Stage.CLEANED)
    standards = [one for one in readings if one.stage is Stage.STANDARD and one.reference is not None]
    reasons: list[str] = []
    water = found or cleaned
    reading = None if water is None else water.value
    celsius = None if water is None else water.celsius
    relative = limits.relative_from()
    fouled = _fouling(found, cleaned, relative, reasons)
    drifts = tuple(
        shift(one.value, drift_error(one.reference or 0.0, one.value), relative) for one in standards
    )
    if not drifts:
        reasons.append("it was held into no standard: the calibration drift is not known")
    calibrate = any(
        abs(one.error) > limits.amount(limits.correct, one.at, taken.celsius) + 1e-9
        for one, taken in zip(drifts, standards, strict=True)
    )
    left = _left(by_stage.get(Stage.FINAL) or cleaned)
    if reading is None or fouled is None or not drifts:
        fouling = None if fouled is None else fouled.error
        drift = between(drifts, reading) if drifts and reading is not None else None
        return Evaluation(
            key, reading, fouling, drift, None, None, Rating.UNRATED, None, calibrate, left, tuple(reasons)
        )
    if limits.unit == "mg/L" and celsius is None:
        reasons.append("the temperature of the water is not known: only the percentages of the limits count")
    drift = between(drifts, reading)
    total = abs(fouled.error) + abs(drift)
    limit = limits.amount(limits.correct, reading, celsius)
    correction = None
    rating = limits.rate(total, reading, celsius)
    if rating is Rating.UNUSABLE:
        reasons.append("beyond the maximum allowable limit: the data are not to be used, not even corrected")
    elif total > limit + 1e-9:
        correction = _correction((fouled,), drifts, since, visited, reasons)
    return Evaluation(
        key, reading, fouled.error, drift, total, limit, rating, correction, calibrate, left, tuple(reasons)
    )


def _fouling(
    found: Taken | None, cleaned: Taken | None, relative: float | None, reasons: list[str]
) -> Shift | None:
    if found is None or cleaned is None:
        missing = [name for name, one in (("as found", found), ("after cleaning", cleaned)) if one is None]
        reasons.append(f"there is no reading {' and none '.join(missing)}: the fouling is not known")
        return None
    if found.reference is None or cleaned.reference is None:
        reasons.append("without a field meter the water is taken as unchanged while the sensor was cleaned")
    error = fouling_error(found.value, cleaned.value, found.reference, cleaned.reference)
    return shift(found.value, error, relative)


def _correction(
    fouling: tuple[Shift, ...],
    drifts: tuple[Shift, ...],
    since: Since,
    visited: datetime,
    reasons: list[str],
) -> Correction | None:
    begins = {"cleaning": since.cleaned, "calibration": since.calibrated}
    unknown = [name for name, when in begins.items() if when is None or when > visited]
    if since.cleaned is None or since.calibrated is None or unknown:
        reasons.append(f"the data cannot be corrected: the last {' and '.join(unknown)} is not known")
        return None
    return Correction(Part(since.cleaned, visited, fouling), Part(since.calibrated, visited, drifts))


def _left(last: Taken | None) -> float | None:
    if last is None or last.reference is None:
        return None
    return last.value - last.reference
