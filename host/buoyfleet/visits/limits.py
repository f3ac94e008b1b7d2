"""How far a sensor may be off: when data are corrected, how they are rated, when they are not to be used.

The source of the rows marked `TM 1-D3` are three tables of Wagner and others (2006), Techniques and Methods
1-D3: "Criteria for water-quality data corrections", "Maximum allowable limits for continuous water-quality
monitoring sensors" and "Accuracy ratings of continuous water-quality records". They were entered without the
report at hand and are still to be compared with it (docs/visits.md says so). That report has no limits for
dissolved solids, pressure, flow and level: those rows are this project's own, with the reason.
"""

from dataclasses import dataclass
from enum import StrEnum

from buoyfleet.calibration.stability import StabilityRule
from buoyfleet.simulation.water.oxygen import saturation_mg_l
from sensors.catalog import UNITS

USGS = "TM 1-D3"


class Rating(StrEnum):
    """Of the data between two visits."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    UNUSABLE = "not usable"
    """Beyond the maximum allowable limit: not to be published."""
    UNRATED = "not rated"
    """A reading is missing, so nothing is proven."""


ORDER = (Rating.EXCELLENT, Rating.GOOD, Rating.FAIR, Rating.POOR, Rating.UNUSABLE)


@dataclass(frozen=True, slots=True)
class Limit:
    """An absolute amount or a percentage of the reading: the greater of both counts."""

    absolute: float
    percent: float = 0.0

    def text(self, unit: str) -> str:
        """`±5 µS/cm or 3 %`."""
        parts = [f"{self.absolute:g} {unit}".strip()] * bool(self.absolute or not self.percent)
        parts += [f"{self.percent:g} %"] * bool(self.percent)
        return "±" + " or ".join(parts)


@dataclass(frozen=True, slots=True)
class Standard:
    """Something of which the true value is known, that the clean sensor is held into."""

    name: str
    title: str
    prepare: str
    kind: str = ""
    """Of a bottled solution with a table of values (buoyfleet.calibration.solutions)."""
    value: float | None = None
    """Where it is always the same; without kind and value it is asked."""


@dataclass(frozen=True, slots=True)
class SensorLimits:
    """One row: criteria on the sum of the sizes of fouling error and calibration drift error."""

    correct: Limit
    """Above, the record is corrected, and the sensor is calibrated if its drift alone is above."""
    excellent: Limit
    good: Limit
    fair: Limit
    """Above: poor."""
    most: Limit
    """Above: the data are not usable."""
    standards: tuple[Standard, ...]
    unit: str
    """Of the absolute amounts; mg/L for oxygen, which the board gives in % of saturation."""
    source: str = USGS

    def amount(self, limit: Limit, reading: float, celsius: float | None) -> float:
        """A limit in the published unit, at a reading.

        Args:
            limit: of this row.
            reading: of the sensor.
            celsius: of the water; without it an amount in mg/L cannot be turned into % of saturation, and
                only the percentage counts, which is the narrower one.
        """
        absolute = limit.absolute
        if self.unit == "mg/L":
            absolute = 0.0 if celsius is None else 100.0 * absolute / saturation_mg_l(celsius)
        return max(absolute, limit.percent / 100.0 * abs(reading))

    def relative_from(self) -> float | None:
        """Readings from here on are corrected by a percentage, below by an amount; None: always by an amount.

        It is where the percentage of `correct` becomes the greater one.
        """
        if not self.correct.percent:
            return None
        return 100.0 * self.correct.absolute / self.correct.percent

    def rate(self, error: float, reading: float, celsius: float | None) -> Rating:
        """Of a sum of errors at a reading."""
        limits = (self.excellent, self.good, self.fair, self.most)
        for rating, limit in zip(ORDER, limits, strict=False):
            if error <= self.amount(limit, reading, celsius) * (1.0 + 1e-9) + 1e-12:
                return rating
        return Rating.UNUSABLE


def _bottle(name: str, title: str, kind: str = "", value: float | None = None) -> Standard:
    return Standard(name, title, "Rinse the sensor, and put it into fresh standard.", kind, value)


_AIR = "Dry the membrane, and hang the sensor into moist air over water, out of the sun, for ten minutes."
_CONDUCTIVITY = "of conductivity, from which dissolved solids are computed"

LIMITS: dict[str, SensorLimits] = {
    "temp": SensorLimits(
        Limit(0.2), Limit(0.2), Limit(0.5), Limit(0.8), Limit(2.0),
        (Standard("bath", "stirred bath with a reference thermometer", "Put both into the bath and stir."),),
        UNITS["temp"],
    ),
    "ph": SensorLimits(
        Limit(0.2), Limit(0.2), Limit(0.5), Limit(0.8), Limit(2.0),
        (_bottle("ph-7", "pH 7.00 buffer", "ph-7"), _bottle("ph-10", "pH 10.01 buffer", "ph-10")),
        UNITS["ph"],
    ),
    "ec": SensorLimits(
        Limit(5.0, 3.0), Limit(0.0, 3.0), Limit(0.0, 10.0), Limit(0.0, 15.0), Limit(0.0, 30.0),
        (
            # The board publishes conductivity at 25 °C, which is what a bottle is named after.
            _bottle("ec-84", "84 µS/cm standard", value=84.0),
            _bottle("ec-1413", "1413 µS/cm standard", value=1413.0),
        ),
        UNITS["ec"],
    ),
    "do": SensorLimits(
        Limit(0.3), Limit(0.3, 5.0), Limit(0.5, 10.0), Limit(0.8, 15.0), Limit(2.0, 20.0),
        (Standard("air", "water-saturated air", _AIR, value=100.0),),
        "mg/L",
    ),
    "tds": SensorLimits(
        Limit(2.5, 3.0), Limit(2.5, 3.0), Limit(2.5, 10.0), Limit(2.5, 15.0), Limit(2.5, 30.0),
        (_bottle("standard", "standard of known dissolved solids"),),
        UNITS["tds"],
        f"ours: the percentages {_CONDUCTIVITY}",
    ),
    "tbd": SensorLimits(
        Limit(0.5, 5.0), Limit(0.5, 5.0), Limit(1.0, 10.0), Limit(1.5, 15.0), Limit(3.0, 30.0),
        (_bottle("turbidity", "turbidity standard, such as formazin"),),
        UNITS["tbd"],
    ),
    "wp": SensorLimits(
        Limit(2.0), Limit(2.0), Limit(4.0), Limit(8.0), Limit(16.0),
        (Standard("open-air", "open air", "Hold the sensor in the air and let it drip off.", value=0.0),),
        UNITS["wp"],
        "ours: acceptance of its calibration, and 1 % of the part's 1.6 MPa at most",
    ),
    "wf": SensorLimits(
        Limit(0.0, 5.0), Limit(0.0, 5.0), Limit(0.0, 10.0), Limit(0.0, 15.0), Limit(0.0, 30.0),
        (Standard("bucket", "steady flow into a bucket of known volume", "Time the bucket while it fills."),),
        UNITS["wf"],
        "ours: acceptance of its calibration, and the part's ±10 %",
    ),
    "liqlev": SensorLimits(
        Limit(0.0), Limit(0.0), Limit(0.0), Limit(0.0), Limit(0.0),
        (
            Standard("full", "under water", "Hold the sensor under water.", value=1.0),
            Standard("empty", "in air", "Dry the sensor and hold it in the air.", value=0.0),
        ),
        UNITS["liqlev"],
        "ours: it is right or it is not",
    ),
}  # fmt: skip
"""By sensor: correct, excellent, good, fair, most, standards, unit, source."""


def settling(key: str) -> StabilityRule:
    """When a reading in a river counts as settled: no more drift than the least error that counts."""
    limits = LIMITS[key]
    relative = limits.relative_from()
    if key == "liqlev":
        return StabilityRule(6.0, 0.0, 0.0, 6.0, 60.0)
    if relative is not None:
        percent = limits.correct.percent
        return StabilityRule(15.0, percent, percent, 20.0, 180.0, relative=True, floor=max(relative, 1e-3))
    amount = limits.correct.absolute
    if limits.unit == "mg/L":
        amount = 100.0 * amount / saturation_mg_l(20.0)
    return StabilityRule(15.0, amount, amount, 20.0, 180.0)
