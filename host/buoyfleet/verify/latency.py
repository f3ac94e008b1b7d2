"""Times of a run: latency of acknowledgements and stores, exact from the ledger, and the rate of sending."""

from buoyfleet.model.result import Latency, LatencyPoint, LatencySeries, RatePoint
from buoyfleet.verify.database import Database
from buoyfleet.verify.totals import BASE_NS, PLANNED_NS, Totals

_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_SERIES_POINTS = 120
ACKNOWLEDGED = "acknowledged"
"""Name of the series of acknowledgements."""

# A chart has about this many points at least, where a second is too coarse for it.
_MIN_POINTS = 60
_MAX_POINTS = 3600
_STEPS_S = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
)
# Of a series: about as many points as a chart can show.
_SERIES_STEPS_S = (*_STEPS_S, 7200.0, 21600.0, 86400.0)

WAITED_NS = f"acknowledged_ns - {BASE_NS}"
"""Latency on `message` joined with `board`."""


def acknowledgement_latency(db: Database, totals: Totals) -> tuple[Latency | None, LatencySeries | None]:
    """Overall and over the run; None where nothing was acknowledged."""
    acknowledged = f"""
        SELECT {BASE_NS} AS base, {WAITED_NS} AS ns FROM message JOIN board USING (buoy)
        WHERE acknowledged_ns IS NOT NULL
    """
    return _latency(db, ACKNOWLEDGED, acknowledged, totals)


def visible_latency(db: Database, store: str, totals: Totals) -> tuple[Latency | None, LatencySeries | None]:
    """Until every measure of a message was visible in a store that was just reconciled by identity.

    A store that holds copies counts from the first. Clocks that differ by a little can make it seem visible
    before it was sent: that is 0.
    """
    base = BASE_NS.replace("planned_ns", "m.planned_ns").replace("sent_ns", "m.sent_ns")
    visible = f"""
        SELECT {base} AS base,
            greatest(CASE WHEN t.n > w.n THEN t.first_ns ELSE t.last_ns END - {base}, 0) AS ns
        FROM tally AS t JOIN wide AS w USING (id) JOIN message AS m USING (id)
            JOIN board AS b ON b.buoy = m.buoy
        WHERE t.n >= w.n AND w.n > 0
    """
    return _latency(db, store, visible, totals)


def _latency(
    db: Database, name: str, source: str, totals: Totals
) -> tuple[Latency | None, LatencySeries | None]:
    """Percentiles are values that occurred (nearest rank); of all, and per interval.

    Intervals begin with the first planned moment, as those of the rate do: the charts stand below each other.
    """
    first, last = totals.first_base_ns, totals.last_base_ns
    if first is None or last is None:
        return None, None
    interval_s = next(
        (step for step in _SERIES_STEPS_S if (last - first) / 1e9 / step <= _SERIES_POINTS),
        _SERIES_STEPS_S[-1],
    )
    latency, points = None, []
    for index, count, mean, quantiles, most in db.rows(f"""
        SELECT point, count(*), avg(ns), quantile_disc(ns, {list(_QUANTILES)}), max(ns)
        FROM (SELECT (base - {first}) // {round(interval_s * 1e9)} AS point, ns FROM ({source}))
        WHERE ns IS NOT NULL AND point IS NOT NULL
        GROUP BY GROUPING SETS ((), (point)) ORDER BY point NULLS FIRST
    """):
        if not count:  # the sum of no rows
            break
        p50, p90, p95, p99, p999 = (value / 1e6 for value in quantiles)
        if index is None:
            latency = Latency(
                count=count,
                mean_ms=mean / 1e6,
                p50_ms=p50,
                p90_ms=p90,
                p95_ms=p95,
                p99_ms=p99,
                p999_ms=p999,
                max_ms=most / 1e6,
            )
        else:
            t_s = round(int(index) * interval_s, 3)
            points.append(LatencyPoint(t_s=t_s, count=count, p50_ms=p50, p95_ms=p95, p99_ms=p99))
    return latency, LatencySeries(name=name, interval_s=interval_s, points=points) if points else None


def rate_series(db: Database, totals: Totals) -> tuple[list[RatePoint], float]:
    """Messages planned, first sent and acknowledged per interval from the first event on, and the interval.

    A second per point; finer for short runs, coarser for those of many hours. Intervals without any are there
    too.
    """
    first, last = totals.first_ns, totals.last_ns
    if first is None or last is None:
        return [], 1.0
    interval_s = _interval_s((last - first) / 1e9)
    step_ns = round(interval_s * 1e9)
    points = [
        RatePoint(t_s=round(n * interval_s, 3), planned=0, sent=0, acknowledged=0)
        for n in range((last - first) // step_ns + 1)
    ]
    for name, index, count in db.rows(f"""
        SELECT name, (moment - {first}) // {step_ns}, count(*)
        FROM (
            SELECT unnest(['planned', 'sent', 'acknowledged']) AS name,
                unnest([{PLANNED_NS}, sent_ns, acknowledged_ns]) AS moment
            FROM message JOIN board USING (buoy)
        )
        WHERE moment IS NOT NULL GROUP BY ALL
    """):
        setattr(points[index], name, count)
    return points, interval_s


def _interval_s(duration_s: float) -> float:
    fitting = [step for step in _STEPS_S if duration_s / step <= _MAX_POINTS]
    if not fitting:
        return _STEPS_S[-1]
    fine = [step for step in fitting if step <= 1.0 and duration_s / step >= _MIN_POINTS]
    return max(fine, default=fitting[0]) if fitting[0] <= 1.0 else fitting[0]
