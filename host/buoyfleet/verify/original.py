"""Reconciles payloads without identity: as a multiset per (board, measure, value) inside the run's window.

How often a value of a measure of a board arrived is decidable, and no more: which message it came with is
not, and an altered value is one that is missing and another that is unexpected.
"""

from buoyfleet.model.result import StoreResult
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
    db.run(f"""
        CREATE OR REPLACE TABLE balance AS
        SELECT buoy, measure, class, value, text,
            sum(e)::BIGINT AS e, sum(a)::BIGINT AS a, sum(f)::BIGINT AS f, sum(u)::BIGINT AS unacknowledged,
            max(sent_ns) AS sent_ns, max(visible_ns) AS visible_ns,
            max(limit_ns) AS limit_ns
        FROM (
            SELECT m.buoy, l.measure, l.class, l.value, l.text, 1 AS e, m.attempts AS a, 0 AS f,
                (m.acknowledged_ns IS NULL)::INTEGER AS u, m.sent_ns, NULL::BIGINT AS visible_ns,
                m.sent_ns + m.uncertainty_ns + {late_ns} AS limit_ns
            FROM ({long_rows("wide")}) AS l JOIN wide AS m USING (id)
            UNION ALL
            SELECT s.buoy, s.measure, {STORE_CLASS}, s.value, s.text, 0, 0, 1, 0, NULL, s.visible_ns, NULL
            FROM {rows} AS s JOIN clock AS c ON c.buoy = s.buoy
            WHERE CASE WHEN s.timestamp_ms IS NULL THEN s.visible_ns >= {begins}
                ELSE (s.timestamp_ms + 1) * {_NS_PER_MS} > {begins}
                    AND s.timestamp_ms * {_NS_PER_MS} <= {window.until_ns} + c.uncertainty_ns END
        )
        GROUP BY buoy, measure, class, value, text
        HAVING sum(e) <> sum(f) OR (sum(e) = 1 AND max(visible_ns) > max(limit_ns))
    """)
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
        "late": ("e = 1 AND f = 1", "1", "expected"),
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
