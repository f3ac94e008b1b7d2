"""The ledger of a board whose console was away: what it kept on flash, read at the next cable."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from buoyfleet.boards.board_settings import RunSettings, changes_between
from buoyfleet.boards.cable_ledger import CableLedger
from buoyfleet.boards.clock_track import ClockTrack
from buoyfleet.boards.mqtt_line import MqttLine
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BoardError
from buoyfleet.model.fleet import BoardSpec
from buoyfleet.model.ledger import COMPACTED, Event
from buoyfleet.model.plan import BoardPlan
from buoyfleet.serial.console import Console
from buoyfleet.serial.port import SerialPort
from buoyfleet.serial.records import BoardEvent, ConsoleRecord

TRIES = 4
READY_TIMEOUT_S = 25.0
MQTT_TIMEOUT_S = 5.0
"""A board that is at the broker answers within a second."""

Told = tuple[dict[int, dict[str, Any]], int]
"""Number of event → event, and the number of the last that the board told."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a board had kept."""

    events: int
    incomplete: str
    """Why its ledger may still lack rows; empty: it is whole."""
    remark: str = ""
    """What is left to do; empty: nothing."""


def fetch_kept(spec: BoardSpec, plan: BoardPlan, port: str, run_folder: Path, started_ns: int) -> Fetched:
    """Read the events of a run from a board, add them to the run's ledger, and end the test on the board.

    The ledger's streams get one more, `<name>-later`; the board gets back the settings it had before the run.

    Raises:
        BoardError: another board, no answer, or no test is under way on it.
        PreflightError: the port cannot be opened.
    """
    name = f"buoy-{spec.buoy_id}"
    with Console(port, purpose="buoy fetch") as console:
        kept, last = told_again(console, spec.buoy_id, set())
        incomplete = _add(spec, plan, run_folder, started_ns, name, kept, last)
        console.request("stop", end=True, tries=TRIES)
        earlier = run_folder / "boards" / f"{name}.earlier.json"
        if earlier.exists():
            settings = json.loads(earlier.read_text())["settings"]
            for changes in changes_between(console.request("get", tries=TRIES), settings):
                console.request("set", settings=changes, tries=TRIES)
            console.restart(READY_TIMEOUT_S)
    return Fetched(len(kept), incomplete)


def fetch_kept_over_mqtt(
    spec: BoardSpec, plan: BoardPlan, run: RunSettings, endpoint: Endpoint, run_folder: Path, started_ns: int
) -> Fetched:
    """As `fetch_kept`, over MQTT: the board keeps the run's settings until it is on a cable.

    Raises:
        BoardError: no answer, or it keeps nothing.
        PreflightError: the broker does not let the witness ask.
    """
    kept, last = fetch_over_mqtt(spec, run, endpoint, set())
    incomplete = _add(spec, plan, run_folder, started_ns, f"buoy-{spec.buoy_id}", kept, last)
    return Fetched(len(kept), incomplete, "it has the run's settings until it is fetched at a cable")


def fetch_over_mqtt(spec: BoardSpec, run: RunSettings, endpoint: Endpoint, known: set[int]) -> Told:
    """What a board without a cable tells over MQTT; nothing on it is changed.

    Args:
        spec: the board.
        run: of the whole fleet.
        endpoint: of the broker at which board and witness are.
        known: numbers of events that need not be told again.

    Raises:
        BoardError: no answer, or it keeps nothing.
        PreflightError: the broker does not let the witness ask.
    """

    def line(_port: str, _baud: int) -> SerialPort:
        return MqttLine(endpoint, run.topic_prefix, spec.buoy_id, run.witness)

    name = f"mqtt://{endpoint.host}:{endpoint.port}/{spec.buoy_id}"
    with Console(name, purpose="what a board without a cable told", opener=line) as console:
        return told_again(console, spec.buoy_id, known, MQTT_TIMEOUT_S)


def told_again(console: Console, buoy_id: int, known: set[int], timeout_s: float = READY_TIMEOUT_S) -> Told:
    """Have a board tell the events that it kept.

    Args:
        console: of the board.
        buoy_id: which must be the board's.
        known: numbers that need not be told.
        timeout_s: for its first answer.

    Raises:
        BoardError: another board, no answer, or no test is under way on it.
    """
    kept: dict[int, dict[str, Any]] = {}

    def heard(record: ConsoleRecord) -> None:
        if isinstance(record, BoardEvent):
            kept[record.number] = record.body

    found = console.wait_until_ready(timeout_s)
    if found["buoy"] != buoy_id:
        raise BoardError(f"the board there is buoy {found['buoy']}, not {buoy_id}", where=console.port)
    console.add_listener(heard)
    last = int(found["events"])
    wanted = [number for number in range(1, last + 1) if number not in known]
    tries: dict[int, int] = {}
    while wanted:
        told = console.request("tell", first=wanted[0], last=last, tries=TRIES)["told"]
        for number in told:
            tries[number] = tries.get(number, 0) + 1
        # What it told and noise took: again, not for ever. What it did not tell is gone.
        behind = told[-1] if told else last
        again = [number for number in told if number not in kept and tries[number] < TRIES]
        wanted = again + [number for number in wanted if number > behind and number not in kept]
    if not kept and not known:
        cause = "the test was ended, or is of another run"
        raise BoardError("keeps nothing of a test", where=console.port, cause=cause)
    return kept, last


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
