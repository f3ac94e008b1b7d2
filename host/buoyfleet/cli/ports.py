"""`buoy ports`: the boards that are plugged in."""

import glob
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.cli.options import FLEET, FleetFile, Ports

if TYPE_CHECKING:
    from buoyfleet.serial.listing import PortInfo
    from buoyfleet.serial.probe import Found

WATCH_S = 0.5


def ports(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PORT]...", help="Paths, patterns, URLs, usb:…, mac:…; all by default."),
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
    from buoyfleet.model.board_names import parse_name
    from buoyfleet.model.errors import PreflightError
    from buoyfleet.serial.find import fits, look_at_all, port_of
    from buoyfleet.serial.listing import expanded, list_ports
    from buoyfleet.serial.port import require_port

    # A board's MAC or id is known only when its port was asked.
    given = [parse_name(word) for word in words or ()]
    all_are_asked = not given or any(name.kind in ("mac", "id") for name in given)
    patterns = [name.value for name in given if name.kind == "port"]
    patterns += [*(more or ()), *(_fleet_ports(fleet) if all_are_asked else [])]

    def listed() -> "list[PortInfo]":
        found, named = list_ports(patterns), expanded(patterns)
        if all_are_asked:
            return found
        return [port for port in found if port.port in named or any(map(port.answers_to, given))]

    for name in given:
        if name.kind in ("usb", "location"):
            port_of(name, list_ports(patterns))  # refused where it matches none
        elif name.kind == "port" and not glob.has_magic(name.value):
            require_port(name.value)
    before = listed()
    found = look_at_all(before, wake=wake)
    if given and all_are_asked:
        kept = [
            (port, one)
            for port, one in zip(before, found, strict=True)
            if any(port.answers_to(name) or fits(name, one) for name in given)
        ]
        before, found = [port for port, _ in kept], [one for _, one in kept]
    if given and not before and not watch:
        raise PreflightError(
            f"no port or board matches {', '.join(map(str, given))}",
            cause="not plugged in, or its port is not among those of this computer and of the fleet file",
            next_step="buoy ports lists what there is; --ports 'FOLDER/*' looks at more",
        )
    if as_json:
        for port, one in zip(before, found, strict=True):
            typer.echo(json.dumps({"event": "there", **_document(port, one)}))
    else:
        typer.echo(_table(before, found))
    if watch:
        _watch({port.port: port for port in before}, listed, as_json)


def _fleet_ports(fleet: Path) -> list[str]:
    """Ports of the fleet file, if there is one that can be read; other commands tell its mistakes."""
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.model.board_names import parse_name
    from buoyfleet.model.errors import BuoyError

    try:
        loaded = load_fleet(fleet)
    except BuoyError:
        return []
    named = [parse_name(board.port) for board in loaded.boards if board.port]
    return [*loaded.bench.ports, *(name.value for name in named if name.kind == "port")]


def _watch(known: "dict[str, PortInfo]", listed: Any, as_json: bool) -> None:
    from buoyfleet.serial.find import look_at_all

    while True:
        time.sleep(WATCH_S)
        now = {port.port: port for port in listed()}
        for name in known.keys() - now.keys():
            typer.echo(json.dumps({"event": "gone", "port": name}) if as_json else f"- {name}")
        new = [now[name] for name in now.keys() - known.keys()]
        for port, found in zip(new, look_at_all(new), strict=True):
            line = json.dumps({"event": "came", **_document(port, found)})
            typer.echo(line if as_json else f"+ {row(port, found)}")
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
    lines = [row(port, one) for port, one in zip(ports, found, strict=True)]
    known = [(port, one) for port, one in zip(ports, found, strict=True) if one.mac]
    if known:
        lines += ["", "for boards.yaml:", "boards:"]
        for port, one in known:
            buoy = "ID" if one.buoy is None else one.buoy
            lines.append(f"  - {{kind: esp32, ids: [{buoy}], port: {stable_name(port, one)}}}")
    return "\n".join(lines)


def row(port: "PortInfo", found: "Found") -> str:
    from buoyfleet.model.board_names import mac_text

    usb = f"{port.bridge} {port.usb_id}" + (f" {port.serial}" if port.serial else "") if port.usb_id else "-"
    where = f"location:{port.location}" if port.location else "-"
    chip = mac_text(found.mac) if found.mac else "-"
    return f"{port.port:<28}  {usb:<26}  {where:<16}  {chip:<17}  {found.chip or '-'}  {found.runs}"


def stable_name(port: "PortInfo", found: "Found") -> str:
    """What keeps naming this board when ports are renumbered."""
    from buoyfleet.model.board_names import is_url, mac_text

    return port.port if is_url(port.port) else f"mac:{mac_text(found.mac)}"
