"""Times of sending: acknowledgement latency, exact from the ledger, and the rate over the run."""

from host.model.result import Latency, RatePoint
from host.verify.database import Database

_QUANTILES = (0.5, 0.9, 0.99, 0.999)

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

WAITED_NS = "acknowledged_ns - CASE WHEN paced THEN planned_ns ELSE sent_ns END"
"""Latency on `message` joined with `board`: open loop, so it counts from the planned time; an unpaced message
is planned when it is sent."""


def acknowledgement_latency(db: Database) -> Latency | None:
    """Percentiles are values that occurred (nearest rank); None where nothing was acknowledged."""
    count, mean, quantiles, most = db.row(f"""
        SELECT count(*), avg(ns), quantile_disc(ns, {list(_QUANTILES)}), max(ns)
        FROM (SELECT {WAITED_NS} AS ns FROM message JOIN board USING (buoy) WHERE acknowledged_ns IS NOT NULL)
        WHERE ns IS NOT NULL
    """)
    if not count:
        return None
    p50, p90, p99, p999 = (value / 1e6 for value in quantiles)
    return Latency(
        count=count, mean_ms=mean / 1e6, p50_ms=p50, p90_ms=p90, p99_ms=p99, p999_ms=p999, max_ms=most / 1e6
    )


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
