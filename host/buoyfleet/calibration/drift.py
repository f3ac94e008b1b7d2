"""How probes age: a line through the figures of their calibrations, and when it leaves the limits.

The forecast is a straight line by least squares through at least three calibrations of one probe.
`earliest` is where the line moved by twice its standard uncertainty meets the limit: what to plan by.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

from buoyfleet.calibration.history import History
from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.record import Record

# Figure of `Fitted.health` → limits that it must stay within.
LIMITS = {figure: f"{key}.{band}" for key, one in PROCEDURES.items() for figure, band in one.ages.items()}
LEAST = 3
LEAST_DAYS = 7.0
FAR_DAYS = 3650.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """One figure of one probe."""

    board: str
    key: str
    figure: str
    unit: str
    last: float
    per_month: float
    uncertainty_per_month: float
    """Expanded, k = 2."""
    count: int
    leaves: datetime | None
    """When the line leaves the limits; None: not within ten years."""
    earliest: datetime | None
    limits: str
    significant: bool
    """Whether it moves more than its uncertainty."""


def forecasts(history: History, limits: Limits, board: str = "", key: str = "") -> list[Forecast]:
    """Every figure with enough history, those that leave their limits first at the top."""
    series: dict[tuple[str, str, str], list[tuple[datetime, float]]] = {}
    for record in history.of(board, key):
        if record.fitted is None or not _counts(record):
            continue
        probe = str(record.begin.get("probe") or "")
        for figure, value in record.fitted.health.items():
            series.setdefault((record.board, f"{record.key} {probe}".strip(), figure), []).append(
                (record.started, value)
            )
    found = [
        one
        for (name, own, figure), points in series.items()
        if (one := forecast(name, own, figure, points, limits))
    ]
    return sorted(found, key=_urgency)


def forecast(
    board: str, key: str, figure: str, points: list[tuple[datetime, float]], limits: Limits
) -> Forecast | None:
    """Of one figure; None if there is too little history."""
    if len(points) < LEAST or figure not in LIMITS:
        return None
    first = points[0][0]
    days = [(when - first).total_seconds() / 86400.0 for when, _ in points]
    if days[-1] < LEAST_DAYS:
        return None
    values = [value for _, value in points]
    slope, error = _line(days, values)
    fitted_last = sum(values) / len(values) + slope * (days[-1] - sum(days) / len(days))
    band = limits.bands[LIMITS[figure]]
    low, high = band.warns
    last_day = points[-1][0]

    def leaves(rate: float) -> datetime | None:
        if not low <= fitted_last <= high:
            return last_day
        if rate == 0.0:
            return None
        left = ((high if rate > 0 else low) - fitted_last) / rate
        return last_day + timedelta(days=left) if left <= FAR_DAYS else None

    ends = [end for end in (leaves(slope - 2 * error), leaves(slope + 2 * error)) if end is not None]
    return Forecast(
        board, key, figure, band.unit, values[-1], 30.44 * slope, 30.44 * 2 * error, len(points),
        leaves(slope), min(ends, default=None), band.text(), abs(slope) > 2 * error,
    )  # fmt: skip


def _counts(record: Record) -> bool:
    """Aborted and failed ones count too where the points were taken: they say how the probe was."""
    return not record.forced and record.outcome in ("passed", "warned", "failed")


def _line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope and its standard uncertainty."""
    count = len(x)
    mean_x, mean_y = sum(x) / count, sum(y) / count
    square = sum((one - mean_x) ** 2 for one in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / square
    rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, sqrt(rest / (count - 2) / square) if count > 2 else 0.0


def _urgency(one: Forecast) -> tuple[bool, bool, float]:
    """Certain and early first."""
    when = one.leaves or one.earliest
    return (not one.significant, one.leaves is None, when.timestamp() if when else float("inf"))
