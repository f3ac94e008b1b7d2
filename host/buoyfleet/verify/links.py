"""What befell the connections of boards: refused, throttled, taken over, dropped."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from buoyfleet.model.evidence import EVIDENCE_FOLDER, LINKS, LINKS_SCHEMA
from buoyfleet.model.fleet import Fleet
from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.database import Database
from buoyfleet.verify.routes import BROKER


def create_trouble(db: Database, run_folder: Path) -> None:
    """Table `trouble`: per board the reason that was given most often, and how often; empty without evidence.

    A second client under the same client id comes first, and refused connections last: those follow from what
    ended the connection before.
    """
    file = run_folder / EVIDENCE_FOLDER / LINKS
    if not file.exists():
        db.run("CREATE TABLE trouble(buoy INTEGER, reason VARCHAR, detail VARCHAR, times BIGINT)")
        return
    db.files("link", [file], LINKS_SCHEMA)
    db.run("""
        CREATE TABLE trouble AS
        SELECT buoy, reason, detail, times FROM (
            SELECT b.buoy, l.reason, arg_max(l.detail, l.at_ns) AS detail, count(*) AS times
            FROM link AS l JOIN board AS b ON b.thing = l.client
            GROUP BY b.buoy, l.reason
        )
        QUALIFY row_number() OVER (
            PARTITION BY buoy
            ORDER BY reason = 'duplicate-client-id' DESC, reason IN ('client-id-rate', 'connect-rate'),
                times DESC, reason
        ) = 1
    """)


def create_board_trouble(
    db: Database, facts: Mapping[int, BoardFacts], fleet: Fleet, incomplete: Mapping[int, str]
) -> None:
    """Table `link_trouble`: what boards say of their own connections.

    Table `untold`: boards with an incomplete ledger, and whether they keep the rest themselves (`untold`) or
    it is gone with the process that ran them (`cut-short`).
    """
    rows = [
        {"buoy": buoy, "reason": fact.link_reason, "detail": fact.link_detail, "ever": fact.ever_connected}
        for buoy, fact in facts.items()
        if fact.link_reason
    ]
    schema = pa.schema(
        [("buoy", pa.int32()), ("reason", pa.string()), ("detail", pa.string()), ("ever", pa.bool_())]
    )
    db.table("link_trouble", pa.Table.from_pylist(rows, schema))
    virtual = {board.buoy_id for board in fleet.boards if board.kind == "virtual"}
    untold = [
        {"buoy": buoy, "gap": "cut-short" if buoy in virtual else "untold"}
        for buoy in {*(buoy for buoy, fact in facts.items() if fact.incomplete), *incomplete}
    ]
    schema = pa.schema([("buoy", pa.int32()), ("gap", pa.string())])
    db.table("untold", pa.Table.from_pylist(untold, schema))


def name_trouble(db: Database) -> None:
    """In `located`: what was never received because of what befell the board's connection."""
    db.run(f"""
        UPDATE located SET cause = here.reason, stage = '{BROKER}', detail = here.detail
        FROM (
            SELECT f.number, t.reason,
                concat(t.detail, CASE WHEN t.times > 1 THEN concat('; ', t.times, ' times') END) AS detail
            FROM fault AS f JOIN trouble AS t USING (buoy)
        ) AS here
        WHERE here.number = located.number AND located.cause = 'unacknowledged'
    """)
