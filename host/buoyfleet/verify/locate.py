"""Follows what is wrong through the evidence: for each fault the stage where it happened, and the cause.

Fills the table `located`: number (of the fault), stage, after (another stage where two matter), cause (a
stage's own reason, or one of `buoyfleet.verify.causes`), detail (the stage's own sentence), dwell_s.
"""

from pathlib import Path

from buoyfleet.model.evidence import StageCount
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.verify.arrivals import create_arrivals
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.faults import stored_view
from buoyfleet.verify.links import name_trouble
from buoyfleet.verify.noted import locate_noted
from buoyfleet.verify.routes import BROKER, Suspicion, route_of, suspect_by_counters
from buoyfleet.verify.subscriber import UNREADABLE

_BOARD = "board"
_VISIBLE = "being visible"
_BY_SILENCE = ("not-received", "lost-between", "lost-inside", "measure-lost", "unlocated")
"""Causes that follow from what the target's records do not show."""


def locate(
    db: Database,
    run_folder: Path,
    stores: tuple[str, ...],
    identified: frozenset[str],
    stages: list[StageCount],
    qos: int,
    kinds: frozenset[str],
) -> bool:
    """Fill `located` for all rows of `fault`, of which there are such kinds; arguments as of
    `create_arrivals`.

    Returns:
        Whether evidence of single messages gave every cause; else causes come from counters, and are no more
        than likely.
    """
    traced = create_arrivals(db, run_folder, stores, identified, stages)
    anonymous = set(stores) - identified
    if traced and "missing" in kinds:
        _locate_missing(db, stores, anonymous)
        for store in anonymous:
            _locate_merged(db, store)
            _locate_replaced(db, store)
    elif not traced:
        _create_absent(db)
        locate_noted(db, run_folder, stores, identified, stages)
        traced = not db.number("SELECT count(*) FROM fault ANTI JOIN located USING (number)")
        for store in stores:
            _blame_counters(db, store, stores, stages, qos)
    if "missing" in kinds:
        name_trouble(db)
        if not qos:
            db.run("UPDATE located SET cause = 'sent-only' WHERE cause = 'unacknowledged'")
    if "duplicated" in kinds:
        _locate_duplicated(db)
    if "altered" in kinds:
        _locate_altered(db, len(stores))
    if "late" in kinds:
        _locate_late(db)
    if "unexpected" in kinds:
        _locate_unexpected(db)
    return traced


def name_unrecorded(db: Database, why: str) -> None:
    """In `located`: what an incomplete record of the target shows as lost without a word is not known."""
    silent = ", ".join(text(cause) for cause in _BY_SILENCE)
    db.run(
        "UPDATE located SET cause = 'unrecorded', stage = 'target', after = '', detail = $1 "
        f"WHERE cause IN ({silent})",
        (why,),
    )


def _locate_missing(db: Database, stores: tuple[str, ...], anonymous: set[str]) -> None:
    _create_places(db)
    _mark_partial(db, anonymous)
    _create_absent(
        db, "ANTI JOIN note AS n ON n.subject = f.subject AND n.store = f.store AND n.measure = f.measure"
    )
    # Where single measures of a message are missing the trace of the message says nothing: they were taken
    # out before the broker if the bytes it received differ, else on the way that is shared by all stores in
    # which they are missing.
    db.run(f"""
        INSERT INTO located
        SELECT f.number,
            CASE WHEN n.stage IS NOT NULL THEN n.stage
                WHEN NOT (f.partial AND p.silent) THEN p.stage
                WHEN NOT p.same THEN '{BROKER}'
                WHEN e.stores = {len(stores)} THEN s.shared ELSE s.own END,
            CASE WHEN n.stage IS NOT NULL OR f.partial THEN '' ELSE p.after END,
            CASE WHEN n.stage IS NOT NULL THEN n.reason WHEN f.partial AND p.silent THEN 'measure-lost'
                ELSE p.cause END,
            CASE WHEN n.stage IS NOT NULL THEN n.detail ELSE p.detail END,
            NULL
        FROM fault AS f
            JOIN place AS p ON p.subject = f.subject AND p.store = f.store
            LEFT JOIN (SELECT * FROM note WHERE measure IS NOT NULL) AS n
            ON n.subject = f.subject AND n.store = f.store AND n.measure = f.measure AND NOT p.noted
            LEFT JOIN absent AS e ON e.number = f.number
            JOIN stretch AS s ON s.store = f.store
        WHERE f.kind = 'missing'
    """)


def _create_places(db: Database) -> None:
    """`note`: what a stage said about a subject or one of its measures; `place`: where the subject ended."""
    db.run("""
        CREATE TABLE deepest AS
        SELECT subject, store, rank, stage, following
        FROM seen
        QUALIFY row_number() OVER (PARTITION BY subject, store ORDER BY position DESC) = 1
    """)
    # A note of a stage that the message got past explains nothing (a failed try, say, before one that
    # worked). Of several others: what still waits, then what Lambda said (Firehose repeats it), then by time.
    db.run("""
        CREATE TABLE note AS
        SELECT d.subject, d.store, o.measure, o.stage, o.detail,
            CASE o.outcome WHEN 'waiting' THEN 'waiting' ELSE o.reason END AS reason
        FROM deepest AS d
            JOIN arrival AS a ON a.subject = d.subject
            JOIN outcome AS o ON o.message = a.message
                AND (a.measure IS NULL OR o.measure IS NULL OR o.measure = a.measure)
            JOIN route AS r ON r.store = d.store AND r.stage = o.stage
        WHERE r.rank >= d.rank OR o.reason = 'not-selected'
        QUALIFY row_number() OVER (
            PARTITION BY d.subject, d.store, o.measure
            ORDER BY o.outcome = 'waiting' DESC, o.stage = 'lambda' DESC, o.at_ns DESC, r.position DESC
        ) = 1
    """)
    db.run(f"""
        CREATE TABLE place AS
        SELECT f.subject, f.store, a.same, n.stage IS NOT NULL AS noted,
            c.id IS NULL AND d.subject IS NOT NULL AND n.stage IS NULL AS silent,
            CASE WHEN c.id IS NOT NULL THEN '{_BOARD}'
                WHEN d.subject IS NULL THEN '{BROKER}'
                WHEN n.stage IS NOT NULL THEN n.stage
                ELSE coalesce(d.following, d.stage) END AS stage,
            CASE WHEN c.id IS NULL AND n.stage IS NULL AND d.following IS NOT NULL
                THEN d.stage ELSE '' END AS after,
            CASE WHEN c.id IS NOT NULL THEN 'same-identity'
                WHEN d.subject IS NULL THEN coalesce(
                    t.reason, CASE WHEN f.acknowledged THEN 'not-received' ELSE 'unacknowledged' END)
                WHEN n.stage IS NOT NULL THEN n.reason
                WHEN d.following IS NULL THEN 'lost-inside'
                ELSE 'lost-between' END AS cause,
            CASE WHEN d.subject IS NULL THEN coalesce(t.detail, '') ELSE coalesce(n.detail, '') END AS detail
        FROM (SELECT DISTINCT subject, store, acknowledged FROM fault WHERE kind = 'missing') AS f
            LEFT JOIN clash AS c ON c.id = f.subject
            LEFT JOIN deepest AS d ON d.subject = f.subject AND d.store = f.store
            LEFT JOIN (SELECT * FROM note WHERE measure IS NULL) AS n
            ON n.subject = f.subject AND n.store = f.store
            LEFT JOIN turned_away AS t ON t.subject = f.subject
            LEFT JOIN (SELECT subject, bool_or(same) AS same FROM arrival GROUP BY subject) AS a
            ON a.subject = f.subject
    """)


def _mark_partial(db: Database, anonymous: set[str]) -> None:
    """Without identity: whether the message that a missing value is thought to have come with is there."""
    for store in anonymous:
        db.run(f"""
            UPDATE fault SET partial = true
            FROM (
                SELECT subject FROM arrival WHERE subject < 0 AND message IN (
                    SELECT message FROM {stored_view(store)}
                )
            ) AS part
            WHERE part.subject = fault.subject AND store = {text(store)} AND kind = 'missing'
        """)


def _create_absent(db: Database, unexplained: str = "") -> None:
    """`absent`: in how many stores a missing measure is missing; without identity, by the target's number.

    `unexplained` narrows `f` down to what counts.
    """
    db.run(f"""
        CREATE TABLE absent AS
        SELECT f.number, count(*) OVER (
            PARTITION BY f.subject < 0, CASE WHEN f.subject < 0 THEN coalesce(a.message, f.subject)
                ELSE f.subject END, f.measure
        ) AS stores
        FROM fault AS f LEFT JOIN arrival AS a ON a.subject = f.subject AND f.subject < 0
            {unexplained}
        WHERE f.kind = 'missing'
    """)


def _locate_merged(db: Database, store: str) -> None:
    """A second message of a buoy in the same millisecond with the same value is no refusal for Timestream: it
    is the same record, which is there once. Without identity that looks like a silent loss."""
    if store != "timestream":
        return
    # In two steps: in one, DuckDB joins all rows of a measure before it looks at their times.
    db.run(f"""
        CREATE TABLE silent AS
        SELECT f.number, f.buoy, f.measure, e.at_ns // 1000000 AS timestamp_ms
        FROM fault AS f JOIN located AS l USING (number)
            JOIN seen AS e ON e.subject = f.subject AND e.store = f.store AND e.stage = f.store
        WHERE f.store = {text(store)} AND l.cause IN ('lost-inside', 'measure-lost')
    """)
    db.run(f"""
        UPDATE located SET cause = 'collision', stage = 'timestream', detail = concat(
            same.measure, ' of buoy ', same.buoy, ' at ', same.timestamp_ms,
            ' ms is there with the same value, from another message')
        FROM (SELECT * FROM silent SEMI JOIN {stored_view(store)} USING (buoy, measure, timestamp_ms)) AS same
        WHERE same.number = located.number
    """)


def _locate_replaced(db: Database, store: str) -> None:
    """Without identity, a value that the store holds otherwise is missing: it was changed, not taken out."""
    db.run(f"""
        UPDATE located SET cause = 'altered'
        FROM (
            SELECT f.number
            FROM fault AS f JOIN arrival AS a ON a.subject = f.subject
                SEMI JOIN {stored_view(store)} AS s ON s.message = a.message AND s.measure = f.measure
            WHERE f.store = {text(store)} AND f.kind = 'missing'
        ) AS other
        WHERE other.number = located.number AND located.cause = 'measure-lost'
    """)


def _blame_counters(
    db: Database, store: str, stores: tuple[str, ...], stages: list[StageCount], qos: int
) -> None:
    """Without a trace: what is in another store got past the stages that both share."""
    routes = {other: route_of(other, stages) for other in stores}
    shared = tuple(stage for stage in routes[store] if all(stage in route for route in routes.values()))
    own = tuple(stage for stage in routes[store] if stage not in shared)
    everywhere = suspect_by_counters(shared, stages)
    if everywhere.reason == "unlocated":
        everywhere = suspect_by_counters(routes[store], stages)
    _blame(db, store, f"e.stores = {len(stores)}", "NOT f.acknowledged" if qos else "false", everywhere)
    _blame(db, store, f"e.stores < {len(stores)}", "false", suspect_by_counters(own or shared, stages))


def _blame(db: Database, store: str, condition: str, unsent: str, suspicion: Suspicion) -> None:
    db.run(
        f"""
        INSERT INTO located
        SELECT number, here.stage, here.after, here.cause, here.detail, NULL
        FROM fault AS f JOIN absent AS e USING (number)
            LEFT JOIN clash AS c ON c.id = f.subject
            JOIN (
                VALUES ('clash', '{_BOARD}', '', 'same-identity', ''),
                    ('unsent', '{BROKER}', '', 'unacknowledged', ''), ('other', $1, $2, $3, $4)
            ) AS here(kind, stage, after, cause, detail)
            ON here.kind = CASE WHEN c.id IS NOT NULL THEN 'clash' WHEN {unsent} THEN 'unsent'
                ELSE 'other' END
        WHERE f.kind = 'missing' AND f.store = {text(store)} AND {condition}
            AND f.number NOT IN (SELECT number FROM located)
        """,
        (suspicion.stage, suspicion.after, suspicion.reason, suspicion.detail),
    )


def _locate_duplicated(db: Database) -> None:
    """The first stage that a message entered more often than the one before (the broker: than sent)."""
    db.run(f"""
        INSERT INTO located
        WITH entered AS (
            SELECT f.number, s.position, any_value(s.stage) AS stage, count(*) AS n,
                any_value(w.attempts) AS attempts
            FROM fault AS f
                JOIN seen AS s ON s.subject = f.subject AND s.store = f.store
                JOIN wide AS w ON w.id = f.subject
            WHERE f.kind = 'duplicated' GROUP BY f.number, s.position
        ), grown AS (
            SELECT *, n > coalesce(lag(n) OVER way, attempts) AS more, lag(stage) OVER way AS before
            FROM entered WINDOW way AS (PARTITION BY number ORDER BY position)
        ), origin AS (
            SELECT number, arg_max(stage, position) AS last,
                arg_min({{'stage': stage, 'before': before}}, position) FILTER (more) AS jump
            FROM grown GROUP BY number
        )
        SELECT f.number,
            coalesce(o.jump.stage, o.last, CASE WHEN f.store = '{SUBSCRIBER}' THEN '{BROKER}' END, ''),
            coalesce(o.jump.before, ''),
            CASE WHEN o.jump.stage = '{BROKER}' THEN 'received-again'
                WHEN f.store = '{SUBSCRIBER}' THEN 'delivered-again'
                WHEN o.jump IS NOT NULL THEN 'copied-between'
                WHEN o.last IS NOT NULL THEN 'copied-inside'
                ELSE 'copied' END, '', NULL
        FROM fault AS f LEFT JOIN origin AS o USING (number)
        WHERE f.kind = 'duplicated' AND f.number NOT IN (SELECT number FROM located)
    """)


def _locate_altered(db: Database, stores: int) -> None:
    """Changed before the broker where the bytes received differ; on the way shared by all stores where they
    all hold the same other value, or refused its type; else on the store's own."""
    db.run(f"""
        INSERT INTO located
        WITH altered AS (
            SELECT *, starts_with(found, '"') <> starts_with(expected, '"')
                OR (found IN ('true', 'false')) <> (expected IN ('true', 'false')) AS retyped
            FROM fault WHERE kind = 'altered'
        ), agreeing AS (
            SELECT subject, measure, found, count(*) AS stores FROM altered
            GROUP BY subject, measure, found
        ), refusing AS (
            SELECT f.subject, f.measure, count(*) AS stores
            FROM fault AS f JOIN located AS l USING (number)
            WHERE f.kind = 'missing' AND l.cause = 'type-conflict' GROUP BY f.subject, f.measure
        )
        SELECT f.number,
            CASE WHEN NOT a.same THEN '{BROKER}'
                WHEN o.stores + CASE WHEN f.retyped THEN coalesce(r.stores, 0) ELSE 0 END = {stores}
                THEN s.shared ELSE s.own END,
            '', CASE WHEN f.retyped THEN 'retyped' ELSE 'altered' END, '', NULL
        FROM altered AS f
            LEFT JOIN (SELECT subject, bool_or(same) AS same FROM arrival GROUP BY subject) AS a
            ON a.subject = f.subject
            JOIN agreeing AS o ON o.subject = f.subject AND o.measure = f.measure AND o.found = f.found
            LEFT JOIN refusing AS r ON r.subject = f.subject AND r.measure = f.measure
            JOIN stretch AS s ON s.store = f.store
    """)


def _locate_late(db: Database) -> None:
    """The longest stay between two stages, from sending to being visible; or a try that failed on the way."""
    db.run(f"""
        INSERT INTO located
        WITH point AS (
            SELECT f.number, s.position, any_value(s.stage) AS stage,
                coalesce(max(s.at_ns) FILTER (s.at_ns <= f.visible_ns), min(s.at_ns)) AS at_ns
            FROM fault AS f JOIN seen AS s ON s.subject = f.subject AND s.store = f.store
            WHERE f.kind = 'late' GROUP BY f.number, s.position, f.visible_ns
            UNION ALL SELECT number, -1, '{_BOARD}', sent_ns FROM fault WHERE kind = 'late'
            UNION ALL SELECT number, 1000, '{_VISIBLE}', visible_ns FROM fault WHERE kind = 'late'
        ), stay AS (
            SELECT number, stage, lead(stage) OVER way AS following, lead(at_ns) OVER way - at_ns AS stay_ns
            FROM point WINDOW way AS (PARTITION BY number ORDER BY position)
        ), longest AS (
            SELECT number, arg_max(stage, stay_ns) AS stage, arg_max(following, stay_ns) AS following,
                max(stay_ns) AS stay_ns, count(*) > 2 AS traced
            FROM stay GROUP BY number
        ), tried AS (
            SELECT f.number,
                arg_max({{'reason': o.reason, 'detail': o.detail, 'stage': o.stage}}, o.at_ns) AS note
            FROM fault AS f
                JOIN arrival AS a ON a.subject = f.subject
                JOIN outcome AS o ON o.message = a.message
                JOIN route AS r ON r.store = f.store AND r.stage = o.stage
            WHERE f.kind = 'late' AND o.outcome = 'failed' AND o.measure IS NULL
            GROUP BY f.number
        )
        SELECT f.number,
            coalesce(t.note.stage, CASE WHEN l.traced THEN l.stage END, ''),
            CASE WHEN t.note IS NULL AND l.traced THEN l.following ELSE '' END,
            coalesce(t.note.reason, 'delayed'),
            coalesce(t.note.detail, ''),
            CASE WHEN l.traced THEN l.stay_ns / 1e9 END
        FROM fault AS f JOIN longest AS l USING (number) LEFT JOIN tried AS t USING (number)
        WHERE f.kind = 'late'
    """)


def _locate_unexpected(db: Database) -> None:
    """Whether a board has not told of it yet; else whether the target received it, and on which topic."""
    db.run(f"""
        INSERT INTO located
        SELECT f.number, CASE WHEN r.topic IS NOT NULL THEN '{BROKER}' ELSE '' END, '',
            CASE WHEN f.subject >= 0 THEN 'extra-measure'
                WHEN f.store = '{SUBSCRIBER}' AND f.measure = '{UNREADABLE}' THEN 'unreadable'
                WHEN u.buoy IS NOT NULL THEN u.gap
                WHEN r.topic IS NOT NULL THEN 'foreign' ELSE 'unexplained' END,
            CASE WHEN r.topic IS NOT NULL THEN 'topic ' || r.topic ELSE '' END, NULL
        FROM fault AS f LEFT JOIN received AS r ON r.message = f.message
            LEFT JOIN untold AS u ON u.buoy = f.buoy
        WHERE f.kind = 'unexpected' AND f.number NOT IN (SELECT number FROM located)
    """)
