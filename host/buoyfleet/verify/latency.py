"""Times of a run: latency of acknowledgements and stores, exact from the ledger, and the rate of sending."""

from buoyfleet.model.result import Latency, LatencyPoint, LatencySeries, RatePoint
from buoyfleet.verify.database import Database

_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_OVER_TIME = (0.5, 0.95, 0.99)
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

_BASE_NS = "CASE WHEN paced THEN planned_ns ELSE sent_ns END"
WAITED_NS = f"acknowledged_ns - {_BASE_NS}"
"""Latency on `message` joined with `board`: open loop, so it counts from the planned time; an unpaced message
is planned when it is sent."""

_ACKNOWLEDGED = f"""
    SELECT {_BASE_NS} AS base, {WAITED_NS} AS ns FROM message JOIN board USING (buoy)
    WHERE acknowledged_ns IS NOT NULL
"""


def acknowledgement_latency(db: Database) -> tuple[Latency | None, LatencySeries | None]:
    """Overall and over the run; None where nothing was acknowledged."""
    return _latency(db, _ACKNOWLEDGED), _series(db, ACKNOWLEDGED, _ACKNOWLEDGED)


def visible_latency(db: Database, store: str) -> tuple[Latency | None, LatencySeries | None]:
    """Until every measure of a message was visible in a store that was just reconciled by identity.

    A store that holds copies counts from the first. Clocks that differ by a little can make it seem visible
    before it was sent: that is 0.
    """
    visible = f"""
        SELECT {_BASE_NS} AS base,
            greatest(CASE WHEN t.n > w.n THEN t.first_ns ELSE t.last_ns END - {_BASE_NS}, 0) AS ns
        FROM tally AS t JOIN wide AS w USING (id) JOIN message AS m USING (id)
            JOIN board AS b ON b.buoy = m.buoy
        WHERE t.n >= w.n AND w.n > 0
    """.replace("planned_ns", "m.planned_ns").replace("sent_ns", "m.sent_ns")
    return _latency(db, visible), _series(db, store, visible)


def _latency(db: Database, source: str) -> Latency | None:
    """Percentiles are values that occurred (nearest rank)."""
    count, mean, quantiles, most = db.row(f"""
        SELECT count(*), avg(ns), quantile_disc(ns, {list(_QUANTILES)}), max(ns)
        FROM ({source}) WHERE ns IS NOT NULL
    """)
    if not count:
        return None
    p50, p90, p95, p99, p999 = (value / 1e6 for value in quantiles)
    return Latency(
        count=count,
        mean_ms=mean / 1e6,
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        p999_ms=p999,
        max_ms=most / 1e6,
    )


def _series(db: Database, name: str, source: str) -> LatencySeries | None:
    # From the first planned moment on, as the rate is: the charts stand below each other.
    first, last = db.row(f"""
        SELECT min({_BASE_NS}), max({_BASE_NS}) FROM message JOIN board USING (buoy)
        WHERE {_BASE_NS} IS NOT NULL
    """)
    if first is None:
        return None
    duration_s = (last - first) / 1e9
    interval_s = next(
        (step for step in _SERIES_STEPS_S if duration_s / step <= _SERIES_POINTS), _SERIES_STEPS_S[-1]
    )
    step_ns = round(interval_s * 1e9)
    points = [
        LatencyPoint(
            t_s=round(int(index) * interval_s, 3),
            count=count,
            p50_ms=p50 / 1e6,
            p95_ms=p95 / 1e6,
            p99_ms=p99 / 1e6,
        )
        for index, count, (p50, p95, p99) in db.rows(f"""
            SELECT (base - {first}) // {step_ns}, count(*), quantile_disc(ns, {list(_OVER_TIME)})
            FROM ({source}) WHERE ns IS NOT NULL AND base IS NOT NULL GROUP BY 1 ORDER BY 1
        """)
    ]
    return LatencySeries(name=name, interval_s=interval_s, points=points) if points else None


def rate_series(db: Database) -> tuple[list[RatePoint], float]:
    """Messages planned, first sent and acknowledged per interval from the first event on, and the interval.

    A second per point; finer for short runs, coarser for those of many hours. Intervals without any are there
    too.
    """
    moments = """
        SELECT CASE WHEN paced OR sent_ns IS NULL THEN planned_ns ELSE sent_ns END AS planned,
            sent_ns AS sent, acknowledged_ns AS acknowledged
        FROM message JOIN board USING (buoy)
    """
    first, last = db.row(f"""
        SELECT min(least(planned, sent, acknowledged)), max(greatest(planned, sent, acknowledged))
        FROM ({moments})
    """)
    if first is None:
        return [], 1.0
    interval_s = _interval_s((last - first) / 1e9)
    step_ns = round(interval_s * 1e9)
    points = [
        RatePoint(t_s=round(n * interval_s, 3), planned=0, sent=0, acknowledged=0)
        for n in range((last - first) // step_ns + 1)
    ]
    for name in ("planned", "sent", "acknowledged"):
        for index, count in db.rows(
            f"SELECT ({name} - {first}) // {step_ns}, count(*) FROM ({moments}) "
            f"WHERE {name} IS NOT NULL GROUP BY 1"
        ):
            setattr(points[index], name, count)
    return points, interval_s


def _interval_s(duration_s: float) -> float:
    fitting = [step for step in _STEPS_S if duration_s / step <= _MAX_POINTS]
    if not fitting:
        return _STEPS_S[-1]
    fine = [step for step in fitting if step <= 1.0 and duration_s / step >= _MIN_POINTS]
    return max(fine, default=fitting[0]) if fitting[0] <= 1.0 else fitting[0]


def send_rate_per_s(db: Database) -> float | None:
    """Messages per second from the first to the last; None for fewer than two."""
    count, first, last = db.row(
        "SELECT count(*), min(sent_ns), max(sent_ns) FROM message WHERE sent_ns IS NOT NULL"
    )
    return (count - 1) / ((last - first) / 1e9) if count > 1 and last > first else None
