"""Reconciles stamped payloads with a store: by identity (buoy, timestamp, measure) and value.

Two passes. The first joins every row of the store with its message and finds the messages of which every
measure is there exactly once, with the right value and class, and in time: for these there is nothing to say.
The second looks at the measures of all others, one by one.
"""

from buoyfleet.model.result import StoreResult
from buoyfleet.verify.database import Database, column, text
from buoyfleet.verify.faults import Window, store_result
from buoyfleet.verify.messages import BOOLEAN, NUMBER, STORE_CLASS, long_rows, shown
from sensors.catalog import BOOLEAN_KEYS, KEYS

_NS_PER_MS = 1_000_000


def mark_clashes(db: Database) -> list[tuple[int, int]]:
    """Find messages of one board with the same timestamp, which no store can tell apart: table `clash`.

    The first keeps the identity: view `identity` is `wide` without the others.

    Returns:
        (buoy, number of the others).
    """
    db.run("""
        CREATE TABLE clash AS
        SELECT id, buoy FROM wide
        SEMI JOIN (SELECT buoy, ts FROM wide WHERE ts IS NOT NULL GROUP BY buoy, ts HAVING count(*) > 1)
        USING (buoy, ts)
        QUALIFY row_number() OVER (PARTITION BY buoy, ts ORDER BY id) > 1
    """)
    db.run("CREATE VIEW identity AS SELECT * FROM wide ANTI JOIN clash USING (id)")
    return [
        (int(buoy), int(n)) for buoy, n in db.rows("SELECT buoy, count(*) FROM clash GROUP BY 1 ORDER BY 1")
    ]


def reconcile_stamped(
    db: Database, store: str, rows: str, late_after_s: float, expected: int, window: Window
) -> StoreResult:
    """Compare one store with the ledger; what is wrong goes to `fault`.

    Args:
        db: with the tables of `create_messages`, `clash` and `fault`.
        store: its name.
        rows: name of the view of its rows (buoyfleet.model.store).
        late_after_s: visible later than this after sending is late, beyond the clock's uncertainty.
        expected: measures sent.
        window: rows of its time that no message explains are unexpected.
    """
    late_ns = round(late_after_s * 1e9)
    _first_pass(db, rows, late_ns)
    if db.number("SELECT count(*) FROM gone"):
        _write_gone(db, store)
    redelivered = 0
    if db.number("SELECT count(*) FROM suspect"):
        _second_pass(db, rows)
        _write_faults(db, store, late_ns)
        redelivered = db.number(
            "SELECT sum(least(copies, attempts) - 1) FROM compared JOIN wide USING (id) "
            "WHERE is_expected AND copies > 1"
        )
    if db.number("SELECT count(*) FROM tally WHERE id IS NULL"):
        _unexplained(db, store, rows, window)
    return store_result(db, store, expected, redelivered, late_after_s)


def _first_pass(db: Database, rows: str, late_ns: int) -> None:
    """Make `gone`: ids of messages of which nothing is there; and `suspect`: of others that are not wholly
    right."""
    values = " ".join(f"WHEN {text(key)} THEN m.{column(key)}" for key in KEYS)
    bits = " ".join(f"WHEN {text(key)} THEN {1 << bit}" for bit, key in enumerate(KEYS))
    booleans = ", ".join(text(key) for key in BOOLEAN_KEYS)
    # A text has no value, so that it equals none.
    db.run(f"""
        CREATE OR REPLACE TABLE tally AS
        SELECT m.id, count(*) AS n,
            bit_or(
                CASE WHEN s.value = CASE s.measure {values} END
                    AND (s.type = 'BOOLEAN') = (s.measure IN ({booleans}))
                THEN CASE s.measure {bits} END ELSE 0 END
            ) AS mask,
            min(s.visible_ns) AS first_ns, max(s.visible_ns) AS last_ns
        FROM {rows} AS s LEFT JOIN identity AS m ON m.buoy = s.buoy AND m.ts = s.timestamp_ms
        GROUP BY m.id
    """)
    db.run("""
        CREATE OR REPLACE TABLE gone AS
        SELECT id FROM identity ANTI JOIN tally USING (id) WHERE regular AND n > 0
    """)
    db.run(f"""
        CREATE OR REPLACE TABLE suspect AS
        SELECT m.id
        FROM wide AS m LEFT JOIN tally AS t USING (id) ANTI JOIN gone USING (id)
        WHERE (m.readable AND NOT m.regular) OR coalesce(t.n, 0) <> m.n
            OR coalesce(t.mask, 0) <> m.mask OR t.last_ns > m.sent_ns + m.uncertainty_ns + {late_ns}
    """)


def _write_gone(db: Database, store: str) -> None:
    db.run(f"""
        INSERT INTO fault BY NAME
        SELECT {text(store)} AS store, 'missing' AS kind, id AS subject, buoy, seq, ts, measure,
            {shown("l.")} AS expected, 1 AS weight, acknowledged_ns IS NOT NULL AS acknowledged,
            false AS partial
        FROM ({long_rows("wide", "gone")}) AS l JOIN wide USING (id)
    """)


def _second_pass(db: Database, rows: str) -> None:
    """Make `compared`: one row per measure of the suspects, expected or found."""
    same = (
        f"e.class = f.class AND CASE WHEN e.class IN ('{NUMBER}', '{BOOLEAN}') "
        "THEN e.value = f.value ELSE e.text = f.text END"
    )
    db.run(f"""
        CREATE OR REPLACE TABLE compared AS
        WITH e AS ({long_rows("wide", "suspect")}), f AS (
            SELECT m.id, s.measure, {STORE_CLASS} AS class, s.value, s.text, s.visible_ns, s.message
            FROM {rows} AS s
            JOIN (SELECT id, buoy, ts FROM identity SEMI JOIN suspect USING (id)) AS m
            ON m.buoy = s.buoy AND m.ts = s.timestamp_ms
        )
        SELECT id, measure, bool_or(is_expected) AS is_expected, any_value(expected) AS expected,
            count(visible_ns) AS copies,
            count(visible_ns) FILTER (NOT same) AS wrong,
            string_agg(DISTINCT found, ', ' ORDER BY found) FILTER (NOT same) AS found,
            min(visible_ns) AS first_ns, max(message) AS message
        FROM (
            SELECT coalesce(e.id, f.id) AS id, coalesce(e.measure, f.measure) AS measure,
                e.id IS NOT NULL AS is_expected, {shown("e.")} AS expected, {shown("f.")} AS found,
                f.visible_ns, f.message, coalesce({same}, false) AS same
            FROM e FULL JOIN f ON f.id = e.id AND f.measure = e.measure
        )
        GROUP BY id, measure
    """)


def _write_faults(db: Database, store: str, late_ns: int) -> None:
    kinds = ", ".join(
        f"{{'kind': '{kind}', 'weight': CASE WHEN {condition} THEN {weight} END}}"
        for kind, (condition, weight) in {
            "missing": ("is_expected AND copies = 0", "1"),
            "altered": ("is_expected AND wrong > 0", "1"),
            "duplicated": ("is_expected AND copies > attempts", "copies - attempts"),
            "late": (f"is_expected AND first_ns - sent_ns > {late_ns} + uncertainty_ns", "1"),
            "unexpected": ("NOT is_expected", "copies"),
        }.items()
    )
    db.run(f"""
        INSERT INTO fault BY NAME
        SELECT {text(store)} AS store, fault.kind, id AS subject, buoy, seq, ts, measure, expected,
            found, fault.weight, sent_ns, first_ns AS visible_ns,
            CASE WHEN fault.kind = 'late' THEN (first_ns - sent_ns) / 1e9 END AS delay_s,
            acknowledged_ns IS NOT NULL AS acknowledged, message, any_found AS partial
        FROM (
            SELECT *, unnest([{kinds}]) AS fault
            FROM (SELECT *, bool_or(copies > 0) OVER (PARTITION BY id) AS any_found FROM compared)
                JOIN wide USING (id)
        )
        WHERE fault.weight IS NOT NULL
    """)


def _unexplained(db: Database, store: str, rows: str, window: Window) -> None:
    """Rows of the run's boards and time whose identity the ledger does not know.

    Timestamps are by the boards' clocks. What was visible before the run began belongs to an earlier one.
    """
    db.run(f"""
        INSERT INTO fault BY NAME
        SELECT {text(store)} AS store, 'unexpected' AS kind, nextval('anonymous_subject') AS subject,
            buoy, ts, measure, found, weight, visible_ns, false AS partial, message
        FROM (
            SELECT s.buoy, s.timestamp_ms AS ts, s.measure, count(*) AS weight,
                min(s.visible_ns) AS visible_ns, max(s.message) AS message,
                string_agg(DISTINCT {shown("s.")}, ', ') AS found
            FROM (SELECT *, {STORE_CLASS} AS class FROM {rows}) AS s
                JOIN clock AS c ON c.buoy = s.buoy
                ANTI JOIN wide AS m ON m.buoy = s.buoy AND m.ts = s.timestamp_ms
            WHERE s.visible_ns >= {window.since_ns} - c.uncertainty_ns AND (s.timestamp_ms IS NULL OR
                (s.timestamp_ms + 1) * {_NS_PER_MS} + c.most_ns + c.uncertainty_ns > {window.since_ns}
                AND s.timestamp_ms * {_NS_PER_MS} + c.least_ns - c.uncertainty_ns <= {window.until_ns})
            GROUP BY s.buoy, s.timestamp_ms, s.measure
        )
    """)
