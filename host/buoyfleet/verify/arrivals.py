"""What the evidence knows of the messages that something is wrong with.

    route         the traced stages of every store, in order
    stretch       per store, where changes can have happened that no trace shows
    arrival       subject of a fault → the target's numbers of its messages (measure: where only one counts)
    seen          which stages a subject entered, how often and when
    turned_away   subject → why the broker refused it

A subject is a message where identity is known. In stores without identity it is one missing measure, and
which message it came with is a matter of counting: any that carried the value and is not in the store.
"""

from pathlib import Path

import pyarrow as pa

from buoyfleet.model.evidence import (
    EVIDENCE_FOLDER,
    OUTCOMES,
    OUTCOMES_SCHEMA,
    RECEIVED,
    RECEIVED_SCHEMA,
    REFUSED,
    REFUSED_SCHEMA,
    TRACE,
    TRACE_SCHEMA,
    StageCount,
)
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.faults import stored_view
from buoyfleet.verify.messages import STORE_CLASS, TIMESTAMP_KEY, create_wide, long_rows, shown
from buoyfleet.verify.routes import BROKER, stretches, traced_route

# A function that another stage calls: the caller's notes about a batch come after the function's own.
_CALLED_BY = {"lambda": "firehose"}

_TIMESTAMP = f"TRY_CAST(TRY(json_extract_string(decode(payload), '$.{TIMESTAMP_KEY}')) AS BIGINT)"

_ROUTE_SCHEMA = pa.schema(
    [
        ("store", pa.string()),
        ("stage", pa.string()),
        ("position", pa.int32()),
        ("rank", pa.int32()),
        ("following", pa.string()),
    ]
)


def create_arrivals(
    db: Database,
    run_folder: Path,
    stores: tuple[str, ...],
    identified: frozenset[str],
    stages: list[StageCount],
) -> bool:
    """Create the tables of this module.

    Args:
        db: with `fault` filled.
        run_folder: its `evidence/` is read.
        stores: all stores of the run.
        identified: those that were reconciled by identity.
        stages: counters of the run.

    Returns:
        Whether the target gave a trace at all.
    """
    evidence = run_folder / EVIDENCE_FOLDER
    traced = (evidence / RECEIVED).exists()
    for name, file, schema in (
        ("received", RECEIVED, RECEIVED_SCHEMA),
        ("trace", TRACE, TRACE_SCHEMA),
        ("outcome", OUTCOMES, OUTCOMES_SCHEMA),
        ("refused", REFUSED, REFUSED_SCHEMA),
    ):
        db.files(name, [evidence / file] if (evidence / file).exists() else [], schema)
    _create_routes(db, stores, stages)
    _create_identified(db)
    anonymous = [store for store in stores if store not in identified]
    if db.number("SELECT count(*) FROM fault WHERE subject < 0 AND kind = 'missing'"):
        create_wide(db, "heard", "SELECT message AS id, buoy, payload FROM received", ("buoy",))
        refused = "SELECT row_number() OVER () AS id, * FROM refused"
        db.run(f"CREATE TABLE refusal AS {refused}")
        create_wide(db, "shunned", "SELECT id, buoy, payload FROM refusal", ("buoy",))
        for store in anonymous:
            _assign_received(db, store)
            _assign_refused(db, store)
    _create_seen(db)
    return traced


def _create_routes(db: Database, stores: tuple[str, ...], stages: list[StageCount]) -> None:
    seen = frozenset(str(stage) for (stage,) in db.rows("SELECT DISTINCT stage FROM trace"))
    rows = []
    for store in stores:
        route = traced_route(store, stages, seen)
        for position, stage in enumerate(route):
            caller = _CALLED_BY.get(stage, stage)
            rows.append(
                {
                    "store": store,
                    "stage": stage,
                    "position": position,
                    "rank": route.index(caller) if caller in route else position,
                    "following": route[position + 1] if position + 1 < len(route) else None,
                }
            )
    db.table("route", pa.Table.from_pylist(rows, _ROUTE_SCHEMA))
    parts = [stretches(store, stores, stages) for store in stores]
    columns = {
        "store": pa.array(stores, pa.string()),
        "shared": pa.array([part.shared for part in parts], pa.string()),
        "own": pa.array([part.own for part in parts], pa.string()),
    }
    db.table("stretch", pa.table(columns))


def _create_identified(db: Database) -> None:
    db.run("CREATE TABLE sought AS SELECT DISTINCT subject AS id FROM fault WHERE subject >= 0")
    db.run(f"""
        CREATE TABLE arrival AS
        SELECT m.id AS subject, NULL::VARCHAR AS measure, r.message, r.at_ns, r.payload = m.payload AS same
        FROM (SELECT message, buoy, at_ns, payload, {_TIMESTAMP} AS ts FROM received) AS r
            JOIN (
                SELECT id, i.buoy, ts, payload
                FROM identity AS i SEMI JOIN sought USING (id)
                    JOIN (SELECT id, payload FROM message) USING (id)
            ) AS m ON m.buoy = r.buoy AND m.ts = r.ts
    """)
    db.run(f"""
        CREATE TABLE turned_away AS
        SELECT m.id AS subject, arg_max(r.reason, r.at_ns) AS reason, arg_max(r.detail, r.at_ns) AS detail
        FROM (SELECT buoy, reason, detail, at_ns, {_TIMESTAMP} AS ts FROM refused) AS r
            JOIN (SELECT id, buoy, ts FROM identity SEMI JOIN sought USING (id)) AS m
            ON m.buoy = r.buoy AND m.ts = r.ts
        GROUP BY m.id
    """)


def _lost(store: str) -> str:
    """Missing measures of a store without identity, numbered among their equals."""
    return f"""
        SELECT subject, buoy, measure, expected,
            row_number() OVER (PARTITION BY buoy, measure, expected ORDER BY number) AS instance
        FROM fault WHERE store = {text(store)} AND kind = 'missing'
            AND subject NOT IN (SELECT subject FROM arrival)
    """


def _assign_received(db: Database, store: str) -> None:
    """Give missing values the messages that carried them and are not in the store with that value.

    Where several come into question, those that a stage noted something about go first, then those that came
    least far: what was refused is missing before what merely cannot be told apart from it.
    """
    db.run(f"""
        INSERT INTO arrival
        WITH lost AS ({_lost(store)}),
        noted AS (
            SELECT DISTINCT o.message, k.measure
            FROM outcome AS o
                JOIN route AS r ON r.stage = o.stage AND r.store = {text(store)}
                JOIN (SELECT DISTINCT measure FROM lost) AS k
                ON o.measure IS NULL OR o.measure = k.measure
        ), depth AS (
            SELECT message, count(*) AS stages
            FROM trace JOIN route AS r ON r.stage = trace.stage AND r.store = {text(store)}
            GROUP BY message
        ), carried AS (
            SELECT h.id AS message, h.buoy, l.measure, {shown("l.")} AS expected
            FROM ({long_rows("heard")}) AS l JOIN heard AS h USING (id)
            WHERE (h.buoy, l.measure) IN (SELECT (buoy, measure) FROM lost)
        ), candidate AS (
            SELECT c.*, row_number() OVER (
                PARTITION BY c.buoy, c.measure, c.expected
                ORDER BY n.message IS NULL, coalesce(d.stages, 0), c.message
            ) AS instance
            FROM carried AS c SEMI JOIN lost USING (buoy, measure, expected)
                ANTI JOIN (SELECT *, {STORE_CLASS} AS class FROM {stored_view(store)}) AS s
                ON s.message = c.message AND s.measure = c.measure AND {shown("s.")} = c.expected
                LEFT JOIN noted AS n ON n.message = c.message AND n.measure = c.measure
                LEFT JOIN depth AS d ON d.message = c.message
        )
        SELECT lost.subject, measure, c.message, r.at_ns, NULL
        FROM lost JOIN candidate AS c USING (buoy, measure, expected, instance)
            JOIN received AS r ON r.message = c.message
    """)


def _assign_refused(db: Database, store: str) -> None:
    """Give missing values that no received message explains the messages that the broker refused."""
    db.run(f"""
        INSERT INTO turned_away
        WITH lost AS ({_lost(store)}), candidate AS (
            SELECT buoy, measure, expected, id,
                row_number() OVER (PARTITION BY buoy, measure, expected ORDER BY id) AS instance
            FROM (
                SELECT id, buoy, l.measure, {shown("l.")} AS expected
                FROM ({long_rows("shunned")}) AS l JOIN shunned USING (id)
            )
        )
        SELECT lost.subject, r.reason, r.detail
        FROM lost JOIN candidate AS c USING (buoy, measure, expected, instance)
            JOIN refusal AS r ON r.id = c.id
    """)


def _create_seen(db: Database) -> None:
    db.run(f"""
        CREATE TABLE seen AS
        SELECT a.subject, r.store, r.stage, r.position, r.rank, r.following, e.at_ns
        FROM arrival AS a
            JOIN (
                SELECT message, stage, at_ns FROM trace WHERE stage <> '{BROKER}'
                UNION ALL SELECT message, '{BROKER}', at_ns FROM arrival
            ) AS e ON e.message = a.message
            JOIN route AS r ON r.stage = e.stage
    """)
