"""The independent subscriber as a store, and how far its word goes.

What it saw becomes rows as of every other store. What it did not see is judged by what it could see: messages
of one board that are missing while other boards are complete were lost. Where no board is complete, or while
the subscriber was away, nothing proves that a message arrived, and nothing proves that it did not.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.model.errors import VerificationError
from buoyfleet.model.evidence import EVIDENCE_FOLDER, WITNESS, WITNESS_SCHEMA, WITNESS_STREAM
from buoyfleet.model.observation import Blindness, Observation, read_observation
from buoyfleet.model.store import STORE_FOLDER
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.messages import BOOLEAN, NUMBER, create_wide, long_rows, shown
from buoyfleet.verify.routes import BROKER
from buoyfleet.verify.streams import ROW_GROUP_ROWS, StreamReading
from buoyfleet.verify.words import count_text

NOT_SEEN = "not-seen"
"""Others were seen whole: this was lost between board and subscriber."""
ALL_SHORT = "all-short"
"""No board was seen whole."""
NOTHING_SEEN = "nothing-seen"
"""Not one message was seen."""
AWAY = "subscriber-away"
"""Sent while the subscriber could not see it."""
BEYOND_LIMIT = "beyond-limit"
"""More than the broker delivers to one connection."""
NO_SUBSCRIBER = {
    Blindness.NOT_CONNECTED: "no-subscriber",
    Blindness.SUBSCRIPTION_REFUSED: "subscription-refused",
    Blindness.DISK_FULL: "no-subscriber",
    Blindness.BEHIND: "no-subscriber",
    Blindness.NO_RECORD: "no-record",
}
"""Nobody watched at all."""

UNREADABLE = "payload"
"""Measure of a message that is no JSON object."""
_SHOWN_CHARACTERS = 60
_IN_FLIGHT_NS = 1_000_000_000
"""A message sent so long before a connection broke may have been on its way to it."""
_NS_PER_S = 1_000_000_000


def compact_observations(run_folder: Path) -> list[str]:
    """Make `evidence/witness.parquet` from the stream that the subscriber wrote; says what is wrong with it.

    Raises:
        BuoyError: the stream is of another version, or the file cannot be written.
    """
    folder = run_folder / EVIDENCE_FOLDER
    stream, path = folder / WITNESS_STREAM, folder / WITNESS
    if not stream.exists():
        return []
    temporary = path.with_suffix(".part")
    reading = StreamReading(stream, WITNESS_SCHEMA, "record of the subscriber")
    try:
        with pq.ParquetWriter(temporary, WITNESS_SCHEMA, use_dictionary=["buoy"]) as writer:
            for table in reading.tables():
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        os.replace(temporary, path)
        if reading.unfinished is None:
            stream.unlink()  # all of it is in the file
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise VerificationError(
            f"what the subscriber saw could not be compacted: {error.strerror or error}",
            where=str(path),
            cause="the disk is full, or the run's folder may not be written",
            next_step=f"make room, then: buoy verify {run_folder}",
        ) from error
    return [] if reading.unfinished is None else [reading.unfinished.sentence]


def collect_subscriber(db: Database, run_folder: Path) -> None:
    """Write what the subscriber saw as a store: `stores/subscriber/part-000000.parquet`.

    A message that is no JSON object becomes one row without timestamp, so that it counts as unexpected.
    """
    source = run_folder / EVIDENCE_FOLDER / WITNESS
    folder = run_folder / STORE_FOLDER / SUBSCRIBER
    folder.mkdir(parents=True, exist_ok=True)
    if source.exists():
        rows = f"read_parquet({text(str(source))}, file_row_number = true)"
    else:
        db.table("nobody", WITNESS_SCHEMA.append(pa.field("file_row_number", pa.int64())).empty_table())
        rows = "nobody"
    create_wide(db, "observed", f"SELECT file_row_number AS id, * FROM {rows}", ("buoy", "at_ns"))
    path = folder / "part-000000.parquet"
    temporary = path.with_suffix(".part")
    db.run(f"""
        COPY (
            SELECT o.buoy, o.ts AS timestamp_ms, l.measure,
                CASE l.class WHEN '{NUMBER}' THEN 'DOUBLE' WHEN '{BOOLEAN}' THEN 'BOOLEAN' ELSE 'VARCHAR' END
                AS type,
                l.value, l.text, o.at_ns AS visible_ns, NULL::BIGINT AS message
            FROM ({long_rows("observed")}) AS l JOIN observed AS o USING (id)
            UNION ALL
            SELECT o.buoy, NULL, '{UNREADABLE}', 'VARCHAR', NULL,
                coalesce(TRY(decode(r.payload))[:{_SHOWN_CHARACTERS}], hex(r.payload)[:{_SHOWN_CHARACTERS}]),
                o.at_ns, NULL
            FROM observed AS o JOIN {rows} AS r ON r.file_row_number = o.id
            WHERE NOT coalesce(o.readable, false)
        ) TO {text(str(temporary))} (FORMAT parquet)
    """)
    os.replace(temporary, path)
    db.run("DROP TABLE observed")
    db.run("DROP TABLE observed_odd")


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
    missing = {
        int(buoy): int(n)
        for buoy, n in db.rows(
            f"SELECT buoy, count(*) FROM fault WHERE store = '{SUBSCRIBER}' AND kind = 'missing' GROUP BY 1"
        )
    }
    if not missing:
        return Doubt(0, {}, {})
    _create_excuses(db, observation)
    _excuse(db)
    rest = {
        int(buoy): int(n)
        for buoy, n in db.rows(f"""
            SELECT buoy, count(*) FROM fault ANTI JOIN located USING (number)
            WHERE store = '{SUBSCRIBER}' AND kind = 'missing' GROUP BY 1
        """)
    }
    sent = {
        int(buoy): int(n)
        for buoy, n in db.rows("SELECT buoy, count(*) FROM message WHERE sent_ns IS NOT NULL GROUP BY 1")
    }
    seen = db.number("SELECT count(*) FROM witness")
    whole = [buoy for buoy in sent if buoy not in missing]
    cause, detail = NOT_SEEN, ""
    never = observation.never_watched()
    if never is not None:
        cause, detail = NO_SUBSCRIBER[never.reason], never.detail
    elif not seen:
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
        FROM fault ANTI JOIN located USING (number)
        WHERE store = '{SUBSCRIBER}' AND kind = 'missing'
        """,
        (cause, detail),
    )
    proven = cause == NOT_SEEN
    doubted = sum(missing.values()) - (sum(rest.values()) if proven else 0)
    seen_of = {int(buoy): int(n) for buoy, n in db.rows("SELECT buoy, count(*) FROM witness GROUP BY 1")}
    words = {
        buoy: f"{count_text(number, 'measure')} not seen by the subscriber"
        if seen_of.get(buoy)
        else f"the subscriber saw none of its {count_text(sent.get(buoy, 0), 'message')}"
        for buoy, number in missing.items()
    }
    lost = {buoy: sentence for buoy, sentence in words.items() if proven and rest.get(buoy)}
    return Doubt(doubted, {buoy: sentence for buoy, sentence in words.items() if buoy not in lost}, lost)


def _create_excuses(db: Database, observation: Observation) -> None:
    """`excuse`: messages that the subscriber could not see, and why."""
    rows = [
        {
            "buoy": buoy,
            "since_ns": gap.since_ns - _IN_FLIGHT_NS,
            "until_ns": gap.until_ns or (1 << 62),
            "detail": gap.detail,
        }
        for gap in observation.gaps
        if gap.since_ns or gap.until_ns
        for buoy in observation.connections[gap.connection]
    ]
    schema = pa.schema(
        [("buoy", pa.int32()), ("since_ns", pa.int64()), ("until_ns", pa.int64()), ("detail", pa.string())]
    )
    db.table("gap", pa.Table.from_pylist(rows, schema))
    db.run(f"""
        CREATE TABLE excuse AS
        SELECT m.id, '{AWAY}' AS cause, any_value(g.detail) AS detail
        FROM message AS m JOIN gap AS g ON g.buoy = m.buoy
            AND m.sent_ns + m.uncertainty_ns >= g.since_ns AND m.sent_ns - m.uncertainty_ns <= g.until_ns
        GROUP BY m.id
    """)
    if observation.delivers_per_s is None:
        return
    watched = [
        {"buoy": buoy, "connection": number}
        for number, buoys in enumerate(observation.connections)
        for buoy in buoys
    ]
    db.table(
        "watched",
        pa.Table.from_pylist(watched, pa.schema([("buoy", pa.int32()), ("connection", pa.int32())])),
    )
    limit = round(observation.delivers_per_s)
    # Which of a second's messages the broker discards is its own affair: as many of the missing ones are
    # excused as were sent beyond what it delivers.
    db.run(f"""
        INSERT INTO excuse
        WITH busy AS (
            SELECT m.id, m.buoy, w.connection, m.sent_ns // {_NS_PER_S} AS second,
                count(*) OVER (PARTITION BY w.connection, m.sent_ns // {_NS_PER_S}) AS n
            FROM message AS m JOIN watched AS w USING (buoy) WHERE m.sent_ns IS NOT NULL
        ), lost AS (
            SELECT *, row_number() OVER (PARTITION BY connection, second ORDER BY id) AS rank
            FROM busy SEMI JOIN (
                SELECT subject FROM fault WHERE store = '{SUBSCRIBER}' AND kind = 'missing' AND subject >= 0
            ) AS f ON f.subject = busy.id
            WHERE n > {limit}
        )
        SELECT id, '{BEYOND_LIMIT}', concat(
            n, ' messages were sent in one second to connection ', connection + 1, ' of the subscriber; the ',
            'broker delivers {limit}, so ', n - {limit}, ' cannot be seen')
        FROM lost WHERE rank <= n - {limit} AND id NOT IN (SELECT id FROM excuse)
    """)


def _excuse(db: Database) -> None:
    """In `located`: what is missing of messages with an excuse; without identity as many as had the value."""
    if not db.number("SELECT count(*) FROM excuse"):
        return
    db.run(f"""
        INSERT INTO located
        SELECT f.number, '{SUBSCRIBER}', '', e.cause, e.detail, NULL
        FROM fault AS f JOIN excuse AS e ON e.id = f.subject
        WHERE f.store = '{SUBSCRIBER}' AND f.kind = 'missing'
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
            FROM fault WHERE store = '{SUBSCRIBER}' AND kind = 'missing' AND subject < 0
        )
        SELECT lost.number, '{SUBSCRIBER}', '', cause, detail, NULL
        FROM lost JOIN excused USING (buoy, measure, expected, instance)
    """)
