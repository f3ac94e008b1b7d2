"""`buoy ports`: the boards that are plugged in."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host.cli.commission import FLEET, FleetFile, Ports

if TYPE_CHECKING:
    from host.serial.listing import PortInfo
    from host.serial.probe import Found

WATCH_S = 0.5


def ports(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[PORT]...", help="Paths, patterns, URLs; all by default.")
    ] = None,
    more: Ports = None,
    fleet: FleetFile = FLEET,
    watch: Annotated[bool, typer.Option("--watch", help="Follow plugging in and out until Ctrl-C.")] = False,
    wake: Annotated[
        bool,
        typer.Option("--wake", help="Interrupt or reset boards that do not answer, to learn what they are."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
) -> None:
    """List the boards that are plugged in: port, USB, chip, MAC, what runs on them, who has the port.

    Boards are asked, not disturbed. The last lines are for boards.yaml.

    \b
    buoy ports                                  USB ports of this computer, and those of boards.yaml
    buoy ports 'runs/simulated/ports/*'         these
    buoy ports --watch                          what comes and goes
    """  # fmt: skip
    from host.serial.find import look_at_all
    from host.serial.listing import list_ports

    given = tuple(words or ())
    patterns = [*given, *(more or ()), *([] if given else _fleet_ports(fleet))]

    def listed() -> "list[PortInfo]":
        found = list_ports(patterns)
        return [port for port in found if port.vid is None or not given or port.port in given]

    before = listed()
    found = look_at_all(before, wake=wake)
    if as_json:
        for port, one in zip(before, found, strict=True):
            typer.echo(json.dumps({"event": "there", **_document(port, one)}))
    else:
        typer.echo(_table(before, found))
    if watch:
        _watch({port.port: port for port in before}, listed, as_json)


def _fleet_ports(fleet: Path) -> list[str]:
    """Ports of the fleet file, if there is one that can be read; other commands tell its mistakes."""
    from host.inventory.loader import load_fleet
    from host.model.errors import BuoyError
    from host.serial.names import parse_name

    try:
        loaded = load_fleet(fleet)
    except BuoyError:
        return []
    named = [parse_name(board.port) for board in loaded.boards if board.port]
    return [*loaded.bench.ports, *(name.value for name in named if name.kind == "port")]


def _watch(known: "dict[str, PortInfo]", listed: Any, as_json: bool) -> None:
    from host.serial.find import look_at_all

    while True:
        time.sleep(WATCH_S)
        now = {port.port: port for port in listed()}
        for name in known.keys() - now.keys():
            typer.echo(json.dumps({"event": "gone", "port": name}) if as_json else f"- {name}")
        new = [now[name] for name in now.keys() - known.keys()]
        for port, found in zip(new, look_at_all(new), strict=True):
            line = json.dumps({"event": "came", **_document(port, found)})
            typer.echo(line if as_json else f"+ {_row(port, found)}")
        known = now


def _document(port: "PortInfo", found: "Found") -> dict[str, Any]:
    document = asdict(found)
    del document["identity"]
    return {
        **document,
        "usb": port.usb_id,
        "serial": port.serial,
        "location": port.location,
        "hub": port.hub,
        "bridge": port.bridge,
        "runs": found.runs,
    }


def _table(ports: "list[PortInfo]", found: "list[Found]") -> str:
    if not ports:
        return (
            "no USB serial port\n"
            "  likely cause: nothing is plugged in, a cable without data lines, or no driver for the bridge\n"
            "  next: buoy ports --watch, then plug a board in; `buoy simulate` needs --ports 'FOLDER/*'"
        )
    lines = [_row(port, one) for port, one in zip(ports, found, strict=True)]
    known = [(port, one) for port, one in zip(ports, found, strict=True) if one.mac]
    if known:
        lines += ["", "for boards.yaml:", "boards:"]
        for port, one in known:
            buoy = "ID" if one.buoy is None else one.buoy
            lines.append(f"  - {{kind: esp32, ids: [{buoy}], port: {_stable_name(port, one)}}}")
    return "\n".join(lines)


def _row(port: "PortInfo", found: "Found") -> str:
    from host.serial.names import mac_text

    usb = f"{port.bridge} {port.usb_id}" + (f" {port.serial}" if port.serial else "") if port.usb_id else "-"
    where = f"location:{port.location}" if port.location else "-"
    chip = mac_text(found.mac) if found.mac else "-"
    return f"{port.port:<28}  {usb:<26}  {where:<16}  {chip:<17}  {found.chip or '-'}  {found.runs}"


def _stable_name(port: "PortInfo", found: "Found") -> str:
    """What keeps naming this board when ports are renumbered."""
    from host.serial.lock import is_url
    from host.serial.names import mac_text

    return port.port if is_url(port.port) else f"mac:{mac_text(found.mac)}"
