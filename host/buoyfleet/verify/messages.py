"""The ledger as messages: tables that every later query works on.

    message   one row per planned message: buoy, seq, times by the host's clock, attempts, payload
    wide      one row per sent message: identity, and the value of each of the nine keys (NULL: not in it)
    wide_odd  the measures of the few payloads that do not fit into `wide`: other names, types or shapes
    clock     one row per board: how its clock stands to the host's

Messages and payloads are kept wide because that makes them nine times fewer than measures.
"""

import pyarrow as pa

from buoyfleet.model.fleet import Fleet
from buoyfleet.model.ledger import Event
from buoyfleet.verify.database import Database, column, text
from sensors.catalog import BOOLEAN_KEYS, KEYS

TIMESTAMP_KEY = "timestamp"
"""Key of a stamped payload: the identity, not a measure."""

RULE_ATTRIBUTES = ("buoy_id", TIMESTAMP_KEY)
"""Attributes of `SELECT *, topic(3) as buoy_id` that a store may hold as measures, though no sensor's."""

NUMBER, BOOLEAN, STRING, OTHER = "number", "boolean", "string", "other"
"""Classes of values. 7 and 7.0 are the same number; "7.0" is a string and another thing."""


def create_messages(db: Database, fleet: Fleet) -> None:
    """Create `message`, `wide`, `wide_odd`, `board` and `clock` from the view `ledger`."""
    columns = {
        "buoy": pa.array([board.buoy_id for board in fleet.boards], pa.int32()),
        "thing": pa.array([board.thing_name for board in fleet.boards], pa.string()),
        "paced": pa.array([board.interval_ms is not None for board in fleet.boards], pa.bool_()),
    }
    db.table("board", pa.table(columns))
    # Boards that wrote a ledger without being in the fleet count as paced: their rows carry a planned time.
    db.run(
        "INSERT INTO board SELECT DISTINCT buoy, NULL, true FROM ledger "
        "WHERE buoy NOT IN (SELECT buoy FROM board)"
    )
    sent = f"event = {int(Event.SENT)}"
    db.run(f"""
        CREATE TABLE message AS
        SELECT buoy::BIGINT * 4294967296 + seq AS id, buoy, seq,
            max(planned_ns) FILTER (event IN ({int(Event.PLANNED)}, {int(Event.SENT)})) AS planned_ns,
            min(at_ns + offset_ns) FILTER ({sent}) AS sent_ns,
            coalesce(max(uncertainty_ns) FILTER ({sent}), 0) AS uncertainty_ns,
            arg_min(offset_ns, at_ns) FILTER ({sent}) AS offset_ns,
            max(attempt) AS attempts,
            min(at_ns + offset_ns) FILTER (event = {int(Event.ACKNOWLEDGED)}) AS acknowledged_ns,
            any_value(coalesce(reason, '')) FILTER (event = {int(Event.DROPPED)}) AS dropped,
            any_value(payload) FILTER ({sent}) AS payload
        FROM ledger GROUP BY buoy, seq
    """)
    create_wide(
        db,
        "wide",
        "SELECT * FROM message WHERE sent_ns IS NOT NULL",
        ("buoy", "seq", "sent_ns", "uncertainty_ns", "acknowledged_ns", "attempts"),
    )
    db.run("""
        CREATE TABLE clock AS
        SELECT buoy, coalesce(min(offset_ns), 0) AS least_ns, coalesce(max(offset_ns), 0) AS most_ns,
            coalesce(max(uncertainty_ns), 0) AS uncertainty_ns
        FROM board LEFT JOIN message USING (buoy) GROUP BY buoy
    """)


def create_wide(db: Database, name: str, source: str, carried: tuple[str, ...]) -> None:
    """Parse payloads into `name` (wide rows) and `name_odd` (measures of the rest).

    Columns of `name`: id, the carried ones, ts (`timestamp`, NULL where there is none), readable (it is a
    JSON object), regular (all its measures are in the nine columns), n and mask (how many and which), the
    nine keys, odd (the text, where not regular).

    Args:
        db: where.
        name: of the new table.
        source: query with the columns id, payload and the carried ones.
        carried: columns to keep.
    """
    shape = "{" + ", ".join(f'"{key}": "JSON"' for key in (*KEYS, TIMESTAMP_KEY)) + "}"
    values = ", ".join(f"{_value(key)} AS {column(key)}" for key in KEYS)
    present = [f"({column(key)} IS NOT NULL)::INTEGER" for key in KEYS]
    n = " + ".join(present)
    mask = " + ".join(f"({term} << {bit})" for bit, term in enumerate(present))
    keep = "".join(f"{name}, " for name in carried)
    keys = ", ".join(column(key) for key in KEYS)
    # Every member of a JSON object has a colon of its own. Where the known keys with values of the expected
    # class account for all colons, there is nothing else in the object; any doubt makes a payload odd, which
    # only costs time.
    db.run(f"""
        CREATE TABLE {name} AS
        SELECT id, {keep} ts, readable, readable AND colons = n + stamped AS regular, n, mask, {keys},
            CASE WHEN readable AND colons <> n + stamped THEN json END AS odd
        FROM (
            SELECT *, {n} AS n, {mask} AS mask,
                coalesce(length(json) - length(replace(json, ':', '')), 0) AS colons
            FROM (
                SELECT id, {keep} json,
                    x IS NOT NULL AND ltrim(json, ' \t\r\n')[1] = '{{' AS readable,
                    TRY_CAST(x.{TIMESTAMP_KEY}::VARCHAR AS BIGINT) AS ts,
                    (x.{TIMESTAMP_KEY} IS NOT NULL)::INTEGER AS stamped, {values}
                FROM (
                    SELECT *, TRY(from_json(json, {text(shape)})) AS x
                    FROM (SELECT *, TRY(decode(payload)) AS json FROM ({source}))
                )
            )
        )
    """)
    # Of a key that comes twice the last counts, as JSON readers have it.
    db.run(f"""
        CREATE TABLE {name}_odd AS
        SELECT id, key AS measure,
            CASE WHEN type = 'BOOLEAN' THEN '{BOOLEAN}' WHEN type = 'VARCHAR' THEN '{STRING}'
                WHEN type IN ('ARRAY', 'OBJECT') THEN '{OTHER}' ELSE '{NUMBER}' END AS class,
            CASE WHEN type = 'BOOLEAN' THEN (value::VARCHAR = 'true')::INTEGER::DOUBLE
                WHEN type NOT IN ('VARCHAR', 'ARRAY', 'OBJECT') THEN value::VARCHAR::DOUBLE END AS value,
            CASE WHEN type = 'VARCHAR' THEN value ->> '$'
                WHEN type IN ('ARRAY', 'OBJECT') THEN value::VARCHAR END AS text
        FROM (
            SELECT payload.id, each.key, each.value, each.type
            FROM (SELECT id, odd FROM {name} WHERE odd IS NOT NULL) AS payload, json_each(payload.odd) AS each
            QUALIFY row_number() OVER (PARTITION BY payload.id, each.key ORDER BY each.id DESC) = 1
        )
        WHERE key <> '{TIMESTAMP_KEY}' AND type <> 'NULL'
    """)


def _value(key: str) -> str:
    raw = f"x.{column(key)}::VARCHAR"
    if key in BOOLEAN_KEYS:
        return f"CASE {raw} WHEN 'true' THEN 1.0::DOUBLE WHEN 'false' THEN 0.0::DOUBLE END"
    return f"TRY_CAST({raw} AS DOUBLE)"


def long_rows(name: str, chosen: str = "") -> str:
    """Query of the measures of a wide table: id, measure, class, value, text.

    Args:
        name: a table made by `create_wide`.
        chosen: a table whose column `id` says which payloads; empty: all.
    """
    semi = f"SEMI JOIN {chosen} USING (id)" if chosen else ""
    keys = ", ".join(column(key) for key in KEYS)
    booleans = ", ".join(text(key) for key in BOOLEAN_KEYS)
    return f"""
        SELECT id, measure, CASE WHEN measure IN ({booleans}) THEN '{BOOLEAN}' ELSE '{NUMBER}' END AS class,
            value, NULL::VARCHAR AS text
        FROM (
            UNPIVOT (SELECT id, {keys} FROM {name} {semi} WHERE regular) ON {keys}
            INTO NAME measure VALUE value
        )
        UNION ALL
        SELECT id, measure, class, value, text FROM {name}_odd {semi}
    """


STORE_CLASS = (
    f"CASE type WHEN 'DOUBLE' THEN '{NUMBER}' WHEN 'BIGINT' THEN '{NUMBER}' "
    f"WHEN 'BOOLEAN' THEN '{BOOLEAN}' ELSE '{STRING}' END"
)
"""Class of a store's row."""


def shown(prefix: str) -> str:
    """A value for people, as JSON: 7.5, true, "7.5"."""
    return (
        f"CASE {prefix}class WHEN '{NUMBER}' THEN {prefix}value::VARCHAR "
        f"WHEN '{BOOLEAN}' THEN ({prefix}value <> 0)::VARCHAR "
        f"WHEN '{STRING}' THEN to_json({prefix}text)::VARCHAR ELSE {prefix}text END"
    )
