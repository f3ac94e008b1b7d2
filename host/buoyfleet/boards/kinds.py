"""Which kinds of boards exist and how their units are made: the only place that looks at a board's kind.

What drives boards on cables is imported where there are some: it takes a run of virtual boards a quarter of a
second otherwise.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buoyfleet.boards.job import PackJob
from buoyfleet.boards.unit import PackUnit, Unit
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.board_names import is_url, parse_name
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.fleet import BoardSpec, Fleet
from buoyfleet.model.plan import BoardPlan, Plan

if TYPE_CHECKING:
    from buoyfleet.boards.cable_board import Plug, WifiAccess

# One core can drive far more boards than this; the figure keeps a pack's start-up and reports short.
_BOARDS_PER_PACK = 5000

# IoT Core: publishes per second of one connection; what is above is discarded.
_BROKER_RATE_LIMIT = 100.0


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """What units need to know beyond the fleet."""

    run_folder: Path
    connect_rate: float | None
    """Connections per second of the whole fleet; None: no limit."""
    lift_rate: bool
    """Boards may publish faster than a broker with IoT Core's limits would take."""
    witness: str = "witness"
    """Thing that may read all topics."""


def make_units(fleet: Fleet, plan: Plan, options: UnitOptions) -> list[Unit]:
    """One list of units for all boards of the fleet."""
    by_kind: dict[str, list[tuple[BoardSpec, BoardPlan]]] = {}
    for board, board_plan in zip(fleet.boards, plan.boards, strict=True):
        by_kind.setdefault(board.kind, []).append((board, board_plan))
    units: list[Unit] = []
    for kind, members in by_kind.items():
        units += _MAKERS[kind](fleet, plan, members, options)
    return units


def _packs(
    fleet: Fleet, plan: Plan, members: list[tuple[BoardSpec, BoardPlan]], options: UnitOptions
) -> list[Unit]:
    # A core stays free for target and verification; more packs than cores only compete.
    cores = max(1, (os.cpu_count() or 1) - 1)
    count = max(1, min(cores, -(-len(members) // _BOARDS_PER_PACK)))
    size = -(-len(members) // count)
    starts = range(0, len(members), size)
    return [
        PackUnit(
            PackJob(
                name=f"pack-{start // size}",
                run_folder=options.run_folder,
                boards=tuple(board for board, _ in members[start : start + size]),
                plans=tuple(board_plan for _, board_plan in members[start : start + size]),
                topic_prefix=fleet.topic_prefix,
                payload=fleet.run.payload,
                water=fleet.run.water,
                qos=fleet.run.qos,
                seed=plan.seed,
                drain_timeout_s=fleet.run.drain_timeout_s,
                first_number=start,
                connect_rate=None if options.connect_rate is None else options.connect_rate / len(starts),
                max_rate=None if options.lift_rate else _BROKER_RATE_LIMIT,
                ingest_rule=fleet.ingest_rule,
            )
        )
        for start in starts
    ]


def _simulated(
    fleet: Fleet, plan: Plan, members: list[tuple[BoardSpec, BoardPlan]], options: UnitOptions
) -> list[Unit]:
    from buoyfleet.boards.simulated import PortPlug, SimulatedBench, SimulatedPlug
    from buoyfleet.serial.find import Finder

    bench = SimulatedBench(options.run_folder / "simulated", plan.seed, fleet.run.water)
    finder = Finder(fleet.bench.ports)

    def plug(board: BoardSpec) -> "Plug":
        if board.port:
            return PortPlug(board.port, _wifi(fleet, board), True, finder)
        return SimulatedPlug(bench, board.buoy_id)

    return _on_cables(fleet, members, options, plug)


def _esp32(
    fleet: Fleet, _plan: Plan, members: list[tuple[BoardSpec, BoardPlan]], options: UnitOptions
) -> list[Unit]:
    from buoyfleet.boards.simulated import PortPlug
    from buoyfleet.serial.find import Finder

    finder = Finder(fleet.bench.ports)

    def plug(board: BoardSpec) -> "Plug":
        return PortPlug(board.port, _wifi(fleet, board), False, finder)

    return _on_cables(fleet, members, options, plug)


def _on_cables(
    fleet: Fleet,
    members: list[tuple[BoardSpec, BoardPlan]],
    options: UnitOptions,
    plug: "Callable[[BoardSpec], Plug]",
) -> list[Unit]:
    from buoyfleet.boards.board_settings import RunSettings
    from buoyfleet.boards.cable_unit import CableUnit

    run = RunSettings(
        topic_prefix=fleet.topic_prefix,
        payload=fleet.run.payload,
        qos=fleet.run.qos,
        max_rate=None if options.lift_rate else _BROKER_RATE_LIMIT,
        witness=options.witness,
        ingest_rule=fleet.ingest_rule,
    )
    return [
        CableUnit(board, plan, run, plug(board), options.run_folder, fleet.run.drain_timeout_s)
        for board, plan in members
    ]


def _wifi(fleet: Fleet, board: BoardSpec) -> "WifiAccess | None":
    from buoyfleet.boards.cable_board import WifiAccess

    if board.wifi is None:
        return None
    password = board.wifi.password
    return WifiAccess(
        board.wifi.ssid, "" if password is None else resolve_secret(password, fleet.source).reveal()
    )


def unready(fleet: Fleet) -> list[PreflightError]:
    """What keeps boards of the fleet from being started on this machine."""
    found = []
    if any(board.kind == "simulated" and not board.port for board in fleet.boards):
        from buoyfleet.simulation.esp32.interpreter import check_programs

        try:
            check_programs()
        except PreflightError as error:
            found.append(error)
    found += [
        PreflightError(
            f"board {board.buoy_id}: no such port",
            where=board.port,
            cause="not plugged in, a cable without data lines, or back under another name",
            next_step="ls -l /dev/serial/by-id/",
        )
        for board in fleet.boards
        if board.port and _is_path(board.port) and not os.path.exists(board.port)
    ]
    return found + _refused_settings(fleet)


def _refused_settings(fleet: Fleet) -> list[PreflightError]:
    """What the firmware of boards on cables would not take; the same for many boards is told once."""
    from buoy import settings as board_settings

    from buoyfleet.boards.board_settings import RunSettings, settings_for

    run = RunSettings(
        fleet.topic_prefix,
        fleet.run.payload,
        fleet.run.qos,
        _BROKER_RATE_LIMIT,
        ingest_rule=fleet.ingest_rule,
    )
    endpoint = Endpoint(fleet.target.host, fleet.target.port or 1, fleet.target.tls)
    found: dict[str, int] = {}
    for board in fleet.boards:
        if board.kind != "virtual":
            wanted = {**board_settings.defaults(), **settings_for(board, run, endpoint, {})}
            for wrong in board_settings.problems(wanted):
                found.setdefault(wrong, board.buoy_id)
    return [
        PreflightError(
            f"the firmware of board {buoy} would refuse its settings: {wrong}",
            where=fleet.source,
            next_step="correct that in the fleet file",
        )
        for wrong, buoy in found.items()
    ]


def remarks(fleet: Fleet) -> list[str]:
    """What should be known about boards that start here all the same."""
    notes = []
    strangers = [board.buoy_id for board in fleet.boards if board.port and board.wifi is None]
    if strangers:
        notes.append(f"`buoy commission` would refuse {ids_shown(strangers)}: no `wifi`")
    if any(board.kind == "simulated" and not board.port for board in fleet.boards):
        from buoyfleet.simulation.esp32.interpreter import word_note

        notes.append(word_note())
    return [note for note in notes if note]


def _is_path(port: str) -> bool:
    return not is_url(port) and parse_name(port).kind == "port"


_Maker = Callable[[Fleet, Plan, list[tuple[BoardSpec, BoardPlan]], UnitOptions], list[Unit]]
_MAKERS: dict[str, _Maker] = {"virtual": _packs, "simulated": _simulated, "esp32": _esp32}
