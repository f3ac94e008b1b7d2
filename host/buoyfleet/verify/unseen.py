"""What the independent subscriber did not see, judged by what it could see.

Messages of one board that are missing while other boards are complete were lost. Where no board is complete,
or while the subscriber was away, nothing proves that a message arrived, and nothing proves that it did not.
What is missing in messages that came was taken out of them.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from buoyfleet.model.evidence import EVIDENCE_FOLDER
from buoyfleet.model.observation import Blindness, Observation, read_observation
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.messages import long_rows, shown
from buoyfleet.verify.routes import BROKER
from buoyfleet.verify.words import count_text

NOT_SEEN = "not-seen"
"""Others were seen whole: this was lost between board and subscriber."""
MEASURE_LOST = "measure-lost"
"""The rest of its message was seen."""
WRONG_TOPIC = "wrong-topic"
"""It was seen on the topic of another board."""
ALL_SHORT = "all-short"
"""No board was seen whole."""
NOTHING_SEEN = "nothing-seen"
"""Not one message was seen."""
AWAY = "subscriber-away"
"""Sent while the subscriber could not see it."""
BEYOND_LIMIT = "beyond-limit"
"""More than the broker delivers to one connection."""
_PROVEN = (NOT_SEEN, MEASURE_LOST, WRONG_TOPIC)
"""Causes that say what happened; all others leave it open."""
NO_SUBSCRIBER = {
    Blindness.NOT_CONNECTED: "no-subscriber",
    Blindness.SUBSCRIPTION_REFUSED: "subscription-refused",
    Blindness.DISK_FULL: "no-subscriber",
    Blindness.BEHIND: "no-subscriber",
    Blindness.NO_RECORD: "no-record",
}
"""Nobody watched at all."""

_MISSING = f"store = '{SUBSCRIBER}' AND kind = 'missing'"
_IN_FLIGHT_NS = 1_000_000_000
"""A message sent so long before a connection broke may have been on its way to it, and longer where the last
ones that came had taken longer."""
_NS_PER_S = 1_000_000_000
_PHASES = 20
"""Where the broker's seconds begin is not known: so many places are tried."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is missing at the subscriber and proves nothing."""

    measures: int
    """Of all boards."""
    boards: dict[int, str]
    """Boards of which only such measures are missing, in words."""
    lost: dict[int, str]
    """Boards with other missing measures, in words."""


def locate_unseen(db: Database, run_folder: Path, qos: int) -> Doubt:
    """Fill `located` for what is missing at the subscriber, and say how much of it proves nothing."""
    buoys = [int(buoy) for (buoy,) in db.rows("SELECT buoy FROM board")]
    observation = read_observation(run_folder / EVIDENCE_FOLDER, buoys)
    if not db.number(f"SELECT count(*) FROM fault WHERE store = '{SUBSCRIBER}'"):
        return Doubt(0, {}, {})
    _create_strays(db)
    missing = {
        int(buoy): int(n)
        for buoy, n in db.rows(f"SELECT buoy, count(*) FROM fault WHERE {_MISSING} GROUP BY 1")
    }
    if not missing:
        return Doubt(0, {}, {})
    db.run(
        """
        CREATE TABLE excuse AS
        SELECT id, $1 AS cause, concat('on the topic of board ', min(there)) AS detail FROM stray GROUP BY id
    """,
        (WRONG_TOPIC,),
    )
    _excuse(db)
    _locate_taken_out(db)
    db.run("DELETE FROM excuse")
    _excuse_gaps(db, observation)
    if observation.delivers_per_s is not None:
        _excuse_beyond(db, observation, round(observation.delivers_per_s))
    _excuse(db)
    sent = {
        int(buoy): (int(messages), int(measures))
        for buoy, messages, measures in db.rows("""
            SELECT buoy, count(*), sum(CASE WHEN w.regular THEN n ELSE coalesce(o.odd, 0) END)::BIGINT
            FROM wide AS w LEFT JOIN (SELECT id, count(*) AS odd FROM wide_odd GROUP BY id) AS o USING (id)
            GROUP BY buoy
        """)
    }
    whole = [buoy for buoy in sent if buoy not in missing]
    cause, detail = NOT_SEEN, ""
    never = observation.never_watched()
    if never is not None:
        cause, detail = NO_SUBSCRIBER[never.reason], never.detail
    elif all(missing.get(buoy, 0) >= measures for buoy, (_, measures) in sent.items()):
        cause = NOTHING_SEEN
    elif not whole:
        cause = ALL_SHORT
    unanswered = "NOT acknowledged" if qos else "false"
    db.run(
        f"""
        INSERT INTO located
        SELECT number, CASE WHEN {unanswered} THEN '{BROKER}' ELSE '{SUBSCRIBER}' END, '',
            CASE WHEN {unanswered} THEN 'unacknowledged' ELSE $1 END,
            CASE WHEN {unanswered} THEN '' ELSE $2 END, NULL
        FROM fault ANTI JOIN located USING (number) WHERE {_MISSING}
        """,
        (cause, detail),
    )
    proven = ", ".join(text(name) for name in (*_PROVEN, *(("unacknowledged",) if cause == NOT_SEEN else ())))
    doubted = 0
    boards: dict[int, str] = {}
    lost: dict[int, str] = {}
    for buoy, number, taken_out, doubtful in db.rows(f"""
        SELECT buoy, count(*), count(*) FILTER (cause = '{MEASURE_LOST}'),
            count(*) FILTER (cause NOT IN ({proven}))
        FROM fault JOIN located USING (number) WHERE {_MISSING} GROUP BY buoy ORDER BY buoy
    """):
        messages, measures = sent.get(buoy, (0, 0))
        if number == measures:
            words = f"the subscriber saw none of its {count_text(messages, 'message')}"
        elif number == taken_out:
            words = f"{count_text(number, 'measure')} missing in messages that the subscriber saw"
        else:
            words = f"{count_text(number, 'measure')} not seen by the subscriber"
        (boards if doubtful == number else lost)[int(buoy)] = words
        doubted += doubtful
    return Doubt(doubted, boards, lost)


def _create_strays(db: Database) -> None:
    """`stray`: messages of one board that were seen on the topic of another; and in `located` what is
    unexpected or too often there because of that.

    Boards may send the same bytes: then a message strayed where one topic has a copy and another lacks it.
    """
    db.run(f"""
        CREATE TABLE stray AS
        WITH surplus AS (
            SELECT buoy AS there, payload, sum(seen) - sum(own) AS copies, sum(own) = 0 AS foreign_bytes
            FROM (
                SELECT buoy, payload, 1 AS seen, 0 AS own FROM witness
                UNION ALL SELECT buoy, payload, 0, attempts FROM message WHERE sent_ns IS NOT NULL
            ) GROUP BY buoy, payload HAVING sum(seen) > sum(own)
        )
        SELECT m.id, m.buoy, s.there
        FROM surplus AS s JOIN message AS m ON m.payload = s.payload AND m.buoy <> s.there
            LEFT JOIN (SELECT DISTINCT buoy FROM fault WHERE {_MISSING}) AS f ON f.buoy = m.buoy
        WHERE s.foreign_bytes OR f.buoy IS NOT NULL
        QUALIFY row_number() OVER (
            PARTITION BY s.there, s.payload ORDER BY f.buoy IS NULL, m.id
        ) <= s.copies
    """)
    if not db.number("SELECT count(*) FROM stray"):
        return
    db.run(f"""
        INSERT INTO located
        SELECT f.number, '{BROKER}', '', '{WRONG_TOPIC}', concat('sent by board ', s.buoy), NULL
        FROM ({long_rows("wide", "stray")}) AS l JOIN stray AS s USING (id) JOIN wide AS w USING (id)
            JOIN fault AS f ON f.buoy = s.there AND f.measure = l.measure AND (f.ts IS NULL OR f.ts = w.ts)
                AND {shown("l.")} = CASE f.kind WHEN 'duplicated' THEN f.expected ELSE f.found END
        WHERE f.store = '{SUBSCRIBER}' AND f.kind IN ('unexpected', 'duplicated')
        QUALIFY row_number() OVER (PARTITION BY f.number ORDER BY s.id) = 1
    """)


def _locate_taken_out(db: Database) -> None:
    """In `located`: measures that are missing in messages that came.

    Without identity, as many of a measure as are missing beyond the messages that did not come.
    """
    db.run(f"""
        INSERT INTO located
        SELECT number, '{BROKER}', '', '{MEASURE_LOST}', '', NULL FROM fault WHERE {_MISSING} AND partial
    """)
    if not db.number(f"SELECT count(*) FROM fault WHERE {_MISSING} AND subject < 0"):
        return
    # Copies are no other messages; bytes that no board sent may be what is left of one.
    db.run(f"""
        INSERT INTO located
        WITH absent AS (
            SELECT buoy, sum(e) - sum(CASE WHEN e > 0 THEN least(e, w) ELSE w END) AS messages
            FROM (
                SELECT buoy, payload, sum(e) AS e, sum(w) AS w FROM (
                    SELECT buoy, payload, 1 AS e, 0 AS w FROM message WHERE sent_ns IS NOT NULL
                    UNION ALL SELECT buoy, payload, 0, 1 FROM witness
                    UNION ALL SELECT s.there, payload, 0, -1 FROM stray AS s JOIN message USING (id)
                ) GROUP BY buoy, payload
            ) GROUP BY buoy
        )
        SELECT number, '{BROKER}', '', '{MEASURE_LOST}', '', NULL
        FROM (
            SELECT *, row_number() OVER (PARTITION BY buoy, measure ORDER BY number) AS rank
            FROM fault WHERE {_MISSING} AND subject < 0
        ) JOIN absent USING (buoy)
        WHERE rank > greatest(absent.messages, 0) AND number NOT IN (SELECT number FROM located)
    """)


def _excuse_gaps(db: Database, observation: Observation) -> None:
    """In `excuse`: messages that the broker may have passed on while nobody listened."""
    rows = [
        {
            "connection": gap.connection,
            "buoy": buoy,
            "since_ns": gap.since_ns,
            "until_ns": gap.until_ns or (1 << 62),
            "detail": gap.detail,
        }
        for gap in observation.gaps
        if gap.since_ns or gap.until_ns
        for buoy in observation.connections[gap.connection]
    ]
    if not rows:
        return
    schema = pa.schema(
        [
            ("connection", pa.int32()),
            ("buoy", pa.int32()),
            ("since_ns", pa.int64()),
            ("until_ns", pa.int64()),
            ("detail", pa.string()),
        ]
    )
    db.table("gap", pa.Table.from_pylist(rows, schema))
    # The broker may have taken a message at any moment from its first attempt to its acknowledgement.
    db.run(f"""
        INSERT INTO excuse
        WITH lag AS (
            SELECT connection, since_ns, max(lag_ns) AS lag_ns FROM (
                SELECT g.connection, g.since_ns, min(w.at_ns - m.sent_ns) AS lag_ns
                FROM gap AS g
                    JOIN witness AS w ON w.buoy = g.buoy
                        AND w.at_ns BETWEEN g.since_ns - {_IN_FLIGHT_NS} AND g.since_ns
                    JOIN message AS m ON m.buoy = w.buoy AND m.payload = w.payload AND m.sent_ns <= w.at_ns
                GROUP BY g.connection, g.since_ns, w.buoy, w.at_ns, w.payload
            ) GROUP BY connection, since_ns
        )
        SELECT m.id, '{AWAY}' AS cause, any_value(g.detail) AS detail
        FROM message AS m JOIN gap AS g USING (buoy)
            LEFT JOIN lag AS l ON l.connection = g.connection AND l.since_ns = g.since_ns
        WHERE coalesce(m.acknowledged_ns, m.sent_ns) + m.uncertainty_ns
                >= g.since_ns - coalesce(l.lag_ns, 0) - {_IN_FLIGHT_NS}
            AND m.sent_ns - m.uncertainty_ns <= g.until_ns
            AND m.id NOT IN (SELECT id FROM excuse)
        GROUP BY m.id
    """)


def _excuse_beyond(db: Database, observation: Observation, limit: int) -> None:
    """In `excuse`: as many of the missing messages of a second as were sent beyond what the broker delivers.

    Which of them it discards is its own affair, and so is when its seconds begin: the beginning counts that
    explains most.
    """
    watched = [
        {"buoy": buoy, "connection": number}
        for number, buoys in enumerate(observation.connections)
        for buoy in buoys
    ]
    db.table(
        "watched",
        pa.Table.from_pylist(watched, pa.schema([("buoy", pa.int32()), ("connection", pa.int32())])),
    )
    db.run(f"""
        INSERT INTO excuse
        WITH moment AS (
            SELECT m.id, w.connection, p.phase, (m.sent_ns + p.phase * {_NS_PER_S // _PHASES}) // {_NS_PER_S}
                AS second
            FROM message AS m JOIN watched AS w USING (buoy) CROSS JOIN range({_PHASES}) AS p(phase)
            WHERE m.sent_ns IS NOT NULL
        ), busy AS (
            SELECT *, count(*) OVER (PARTITION BY connection, phase, second) AS n FROM moment
        ), lost AS (
            SELECT *, row_number() OVER (PARTITION BY connection, phase, second ORDER BY id) AS rank
            FROM busy SEMI JOIN (SELECT subject FROM fault WHERE {_MISSING} AND subject >= 0) AS f
            ON f.subject = busy.id
            WHERE n > {limit} AND id NOT IN (SELECT id FROM excuse)
        ), beyond AS (
            SELECT * FROM lost WHERE rank <= n - {limit}
        ), best AS (
            SELECT connection, arg_max(phase, (explained, -phase)) AS phase
            FROM (SELECT connection, phase, count(*) AS explained FROM beyond GROUP BY ALL)
            GROUP BY connection
        )
        SELECT id, '{BEYOND_LIMIT}', concat(
            n, ' messages were sent in one second to connection ', connection + 1, ' of the subscriber; the ',
            'broker delivers {limit}, so ', n - {limit}, ' cannot be seen')
        FROM beyond SEMI JOIN best USING (connection, phase)
    """)


def _excuse(db: Database) -> None:
    """In `located`: what is missing of messages with an excuse; without identity as many as had the value."""
    if not db.number("SELECT count(*) FROM excuse"):
        return
    stage = f"CASE e.cause WHEN '{WRONG_TOPIC}' THEN '{BROKER}' ELSE '{SUBSCRIBER}' END"
    db.run(f"""
        INSERT INTO located
        SELECT f.number, {stage}, '', e.cause, e.detail, NULL
        FROM fault AS f JOIN excuse AS e ON e.id = f.subject
        WHERE {_MISSING} AND f.number NOT IN (SELECT number FROM located)
    """)
    db.run(f"""
        INSERT INTO located
        WITH excused AS (
            SELECT w.buoy, l.measure, {shown("l.")} AS expected, e.cause, e.detail,
                row_number() OVER (PARTITION BY w.buoy, l.measure, {shown("l.")} ORDER BY id) AS instance
            FROM ({long_rows("wide", "excuse")}) AS l JOIN excuse AS e USING (id) JOIN wide AS w USING (id)
        ), lost AS (
            SELECT number, buoy, measure, expected,
                row_number() OVER (PARTITION BY buoy, measure, expected ORDER BY number) AS instance
            FROM fault WHERE {_MISSING} AND subject < 0 AND number NOT IN (SELECT number FROM located)
        )
        SELECT lost.number, {stage}, '', cause, detail, NULL
        FROM lost JOIN excused AS e USING (buoy, measure, expected, instance)
    """)
