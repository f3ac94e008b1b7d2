"""Reconciles payloads without identity: as a multiset per (board, measure, value) inside the run's window.

How often a value of a measure of a board arrived is decidable, and no more: which message it came with is
not, and an altered value is one that is missing and another that is unexpected.
"""

from buoyfleet.model.result import StoreResult
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.faults import Window, store_result
from buoyfleet.verify.messages import STORE_CLASS, long_rows, shown

_NS_PER_MS = 1_000_000

DECIDABLE = (
    "rows carry no identity: decided is how often each value of each board's measures arrived in the "
    "run's window; not which message a copy belongs to, nor whether a value was altered (that shows as "
    "missing plus unexpected), and lateness only for values that a board sent once"
)


def reconcile_original(
    db: Database, store: str, rows: str, late_after_s: float, expected: int, window: Window
) -> StoreResult:
    """Compare one store with the ledger as multisets; what is wrong goes to `fault`.

    Rows count by the store's own time where they have one (for these payloads it is the time of processing),
    else by when they became visible. Arguments as of `reconcile_stamped`.
    """
    late_ns = round(late_after_s * 1e9)
    begins = f"{window.since_ns} - c.uncertainty_ns"
    witnessed = store == SUBSCRIBER  # what it saw has the time of its arrival
    db.run(f"""
        CREATE OR REPLACE TABLE balance AS
        SELECT buoy, measure, class, value, text,
            sum(e)::BIGINT AS e, sum(a)::BIGINT AS a, sum(f)::BIGINT AS f, sum(u)::BIGINT AS unacknowledged,
            max(sent_ns) AS sent_ns, max(visible_ns) AS visible_ns,
            max(limit_ns) AS limit_ns, min(begin_ns) AS begin_ns
        FROM (
            SELECT m.buoy, l.measure, l.class, l.value, l.text, 1 AS e, m.attempts AS a, 0 AS f,
                (m.acknowledged_ns IS NULL)::INTEGER AS u, m.sent_ns, NULL::BIGINT AS visible_ns,
                m.sent_ns + m.uncertainty_ns + {late_ns} AS limit_ns,
                m.sent_ns - m.uncertainty_ns AS begin_ns
            FROM ({long_rows("wide")}) AS l JOIN wide AS m USING (id)
            UNION ALL
            SELECT s.buoy, s.measure, {STORE_CLASS}, s.value, s.text, 0, 0, 1, 0, NULL, s.visible_ns,
                NULL, NULL
            FROM {rows} AS s JOIN clock AS c ON c.buoy = s.buoy
            WHERE CASE WHEN s.timestamp_ms IS NULL THEN s.visible_ns >= {begins}
                ELSE (s.timestamp_ms + 1) * {_NS_PER_MS} > {begins}
                    AND s.timestamp_ms * {_NS_PER_MS} <= {window.until_ns} + c.uncertainty_ns END
        )
        GROUP BY buoy, measure, class, value, text
        HAVING sum(e) <> sum(f) OR (sum(e) = 1 AND max(visible_ns) > max(limit_ns))
            OR ({witnessed} AND min(visible_ns) < min(begin_ns))
    """)
    if witnessed:
        _take_out_early(db, store, rows, begins)
    # One row per missing measure, so that each can have its own cause.
    db.run(f"""
        INSERT INTO fault BY NAME
        SELECT {text(store)} AS store, 'missing' AS kind, nextval('anonymous_subject') AS subject,
            buoy, measure, expected, 1 AS weight, instance <= missing - unacknowledged AS acknowledged,
            false AS partial
        FROM (
            SELECT *, e - f AS missing, {shown("")} AS expected, unnest(range(1, e - f + 1)) AS instance
            FROM balance WHERE e > f
        )
    """)
    kinds = {
        "duplicated": ("e > 0 AND f > greatest(a, e)", "f - greatest(a, e)", "expected"),
        "unexpected": ("e = 0", "f", "found"),
        "late": ("e = 1 AND f = 1 AND visible_ns > limit_ns", "1", "expected"),
    }
    for kind, (condition, weight, side) in kinds.items():
        db.run(f"""
            INSERT INTO fault BY NAME
            SELECT {text(store)} AS store, '{kind}' AS kind, nextval('anonymous_subject') AS subject,
                buoy, measure, {shown("")} AS {side}, {weight} AS weight, sent_ns, visible_ns,
                CASE WHEN '{kind}' = 'late' THEN (visible_ns - sent_ns) / 1e9 END AS delay_s,
                true AS acknowledged, false AS partial
            FROM balance WHERE {condition}
        """)
    redelivered = db.number("SELECT sum(least(f, greatest(a, e)) - e) FROM balance WHERE f > e AND e > 0")
    return store_result(db, store, expected, redelivered, late_after_s, DECIDABLE)


def _take_out_early(db: Database, store: str, rows: str, begins: str) -> None:
    """Values that were seen before their board sent them for the first time came from an earlier run, or from
    another sender: they are unexpected, and count for nothing that was sent."""
    same = " AND ".join(f"b.{name} IS NOT DISTINCT FROM s.{name}" for name in ("class", "value", "text"))
    db.run(f"""
        CREATE OR REPLACE TABLE early AS
        SELECT b.buoy, b.measure, b.class, b.value, b.text, count(*) AS n, min(s.visible_ns) AS visible_ns
        FROM (SELECT *, {STORE_CLASS} AS class FROM {rows}) AS s
            JOIN clock AS c ON c.buoy = s.buoy
            JOIN balance AS b ON b.buoy = s.buoy AND b.measure = s.measure AND {same}
        WHERE s.visible_ns >= {begins} AND s.visible_ns < b.begin_ns
        GROUP BY ALL
    """)
    same = " AND ".join(
        f"balance.{name} IS NOT DISTINCT FROM early.{name}" for name in ("class", "value", "text")
    )
    db.run(f"""
        UPDATE balance SET f = f - early.n FROM early
        WHERE early.buoy = balance.buoy AND early.measure = balance.measure AND {same}
    """)
    db.run(f"""
        INSERT INTO fault BY NAME
        SELECT {text(store)} AS store, 'unexpected' AS kind, nextval('anonymous_subject') AS subject,
            buoy, measure, {shown("")} AS found, n AS weight, visible_ns, true AS acknowledged,
            false AS partial
        FROM early
    """)
