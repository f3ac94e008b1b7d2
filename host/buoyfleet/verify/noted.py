"""Losses that a stage wrote down with the message itself, where no trace can follow messages.

A target that only sees what an account keeps has no numbers of messages. But records that failed lie in the
bucket with their content, and say why: that is evidence for single messages, by identity or by value.
"""

from pathlib import Path

from buoyfleet.model.evidence import EVIDENCE_FOLDER, NOTED, NOTED_SCHEMA, StageCount
from buoyfleet.verify.database import Database, text
from buoyfleet.verify.messages import create_wide, long_rows, shown
from buoyfleet.verify.routes import route_of


def locate_noted(
    db: Database,
    run_folder: Path,
    stores: tuple[str, ...],
    identified: frozenset[str],
    stages: list[StageCount],
) -> None:
    """Fill `located` for the missing measures of messages that a stage on the way to their store noted.

    Arguments as of `buoyfleet.verify.locate.locate`.
    """
    file = run_folder / EVIDENCE_FOLDER / NOTED
    if not file.exists():
        return
    db.files("noted_file", [file], NOTED_SCHEMA)
    db.run("CREATE TABLE noted AS SELECT row_number() OVER () AS id, * FROM noted_file")
    anonymous = [store for store in stores if store not in identified]
    if anonymous:
        create_wide(db, "told", "SELECT id, buoy, payload FROM noted", ("buoy",))
    for store in stores:
        on_the_way = ", ".join(text(stage) for stage in route_of(store, stages))
        if store in identified:
            _by_identity(db, store, on_the_way)
        else:
            _by_value(db, store, on_the_way)


def _by_identity(db: Database, store: str, on_the_way: str) -> None:
    db.run(f"""
        INSERT INTO located
        SELECT f.number, n.stage, '', n.reason, n.detail, NULL
        FROM fault AS f JOIN identity AS i ON i.id = f.subject
            JOIN noted AS n ON n.buoy = i.buoy AND n.timestamp_ms = i.ts
        WHERE f.kind = 'missing' AND f.store = {text(store)} AND n.stage IN ({on_the_way})
        QUALIFY row_number() OVER (PARTITION BY f.number ORDER BY n.at_ns DESC, n.id) = 1
    """)


def _by_value(db: Database, store: str, on_the_way: str) -> None:
    """Without identity: as many missing values as there are noted ones of that buoy, measure and value."""
    db.run(f"""
        INSERT INTO located
        WITH lost AS (
            SELECT number, buoy, measure, expected,
                row_number() OVER (PARTITION BY buoy, measure, expected ORDER BY number) AS instance
            FROM fault WHERE store = {text(store)} AND kind = 'missing'
        ), candidate AS (
            SELECT t.buoy, l.measure, {shown("l.")} AS expected, n.stage, n.reason, n.detail,
                row_number() OVER (PARTITION BY t.buoy, l.measure, {shown("l.")} ORDER BY n.id) AS instance
            FROM ({long_rows("told")}) AS l JOIN told AS t USING (id) JOIN noted AS n USING (id)
            WHERE n.stage IN ({on_the_way})
        )
        SELECT lost.number, c.stage, '', c.reason, c.detail, NULL
        FROM lost JOIN candidate AS c USING (buoy, measure, expected, instance)
    """)
