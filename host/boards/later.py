"""The ledger of a board whose console was away: what it kept on flash, read at the next cable."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from host.boards.board_settings import changes_between
from host.boards.cable_ledger import CableLedger
from host.boards.clock_track import ClockTrack
from host.model.errors import BoardError
from host.model.fleet import BoardSpec
from host.model.ledger import COMPACTED, Event
from host.model.plan import BoardPlan
from host.serial.console import Console
from host.serial.records import BoardEvent, ConsoleRecord

TRIES = 4
READY_TIMEOUT_S = 25.0
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a board had kept."""

    events: int
    incomplete: str
    """Why its ledger may still lack rows; empty: it is whole."""


def fetch_kept(spec: BoardSpec, plan: BoardPlan, port: str, run_folder: Path, started_ns: int) -> Fetched:
    """Read the events of a run from a board, add them to the run's ledger, and end the test on the board.

    The ledger's streams get one more, `<name>-later`; the board gets back the settings it had before the run.

    Raises:
        BoardError: another board, no answer, or no test is under way on it.
        PreflightError: the port cannot be opened.
    """
    name = f"buoy-{spec.buoy_id}"
    kept: dict[int, dict[str, Any]] = {}

    def heard(record: ConsoleRecord) -> None:
        if isinstance(record, BoardEvent):
            kept[record.number] = record.body

    with Console(port, purpose="buoy fetch") as console:
        found = console.wait_until_ready(READY_TIMEOUT_S)
        if found["buoy"] != spec.buoy_id:
            raise BoardError(f"the board there is buoy {found['buoy']}, not {spec.buoy_id}", where=port)
        console.add_listener(heard)
        last = int(found["events"])
        for _ in range(TRIES):
            for first in range(1, last + 1, _AT_ONCE):
                upto = min(last, first + _AT_ONCE - 1)
                if not all(number in kept for number in range(first, upto + 1)):
                    console.request("tell", first=first, last=upto, tries=TRIES)
        if not kept:
            cause = "the test was ended, or is of another run"
            raise BoardError("keeps nothing of a test", where=port, cause=cause)
        incomplete = _add(spec, plan, run_folder, started_ns, name, kept, last)
        console.request("stop", end=True, tries=TRIES)
        earlier = run_folder / "boards" / f"{name}.earlier.json"
        if earlier.exists():
            settings = json.loads(earlier.read_text())["settings"]
            for changes in changes_between(console.request("get", tries=TRIES), settings):
                console.request("set", settings=changes, tries=TRIES)
            console.restart(READY_TIMEOUT_S)
    return Fetched(len(kept), incomplete)


def _add(
    spec: BoardSpec,
    plan: BoardPlan,
    run_folder: Path,
    started_ns: int,
    name: str,
    kept: dict[int, dict[str, Any]],
    last: int,
) -> str:
    table = pq.read_table(run_folder / COMPACTED, filters=[("buoy", "=", spec.buoy_id)])
    known = [row for row in table.to_pylist() if row["event"] != Event.PLANNED]
    clock = ClockTrack()
    ledger = CableLedger(run_folder, f"{name}-later", plan, clock)
    ledger.take_up(known, started_ns)
    for number in sorted(kept):
        ledger.event_once(kept[number])
    ledger.close()
    planned = plan.planned()
    accounted = ledger.sent | ledger.dropped
    whole = all(number in kept for number in range(1, last + 1))
    if whole or (planned is not None and len(accounted) >= planned and not ledger.on_their_way()):
        return ""
    return f"{last - len(kept)} of the {last} events that it told are kept no more"
