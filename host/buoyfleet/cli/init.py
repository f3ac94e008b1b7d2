"""`buoy init`: a commented fleet file to begin with, with the boards that are plugged in."""

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.cli.options import Ports

if TYPE_CHECKING:
    from buoyfleet.inventory.new_file import NewBoard

VIRTUAL, SIMULATED = 28, 2
MOST_BOARDS = 20_000
SCENARIOS = Path("scenarios")
PSEUDO_TERMINALS = "/dev/pts/"


def init(
    fleet_file: Annotated[Path, typer.Argument(help="File to write.")] = Path("boards.yaml"),
    more: Ports = None,
    virtual: Annotated[int, typer.Option(min=0, max=MOST_BOARDS, help="Virtual boards.")] = VIRTUAL,
    simulated: Annotated[int, typer.Option(min=0, max=64, help="Simulated boards.")] = SIMULATED,
    target: Annotated[
        str | None,
        typer.Option(help="`local` (default), or a broker that real boards reach: mqtt://HOST:1883."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask: take every ESP32 that is found.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    scenarios: Annotated[
        bool, typer.Option("--scenarios", help="Instead: copy the example fleets into scenarios/.")
    ] = False,
) -> None:
    """Write a commented fleet file with the boards that are plugged in. `buoy check` accepts it as it is.

    It looks at the ports as `buoy ports` does, and asks which boards to take. Without a terminal, or with
    --yes, it takes all of them. Without boards the file has virtual and simulated ones. Real boards need a
    broker as --target: the twin listens on this computer only. Without one they are in the file as a comment.

    \b
    buoy init                       boards.yaml
    buoy init harbour.yaml --yes    without questions
    buoy init --virtual 3 --simulated 0 --target mqtt://192.168.1.10:1883
    buoy init --scenarios           the original stress test, and a fleet for every cause of loss
    """  # fmt: skip
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.inventory.new_file import LOCAL, fleet_text
    from buoyfleet.model.errors import ConfigurationError, PreflightError, UsageError
    from buoyfleet.model.places import SETUP
    from buoyfleet.simulation.esp32.interpreter import check_programs

    if scenarios:
        _copy_scenarios(force)
        return
    _refuse_to_overwrite(fleet_file, force)
    asking = not yes and sys.stdin.isatty()
    boards = _choose(list(more or ()), ask=asking)
    if target is None and asking and not all(board.reaches(LOCAL) for board in boards):
        target = typer.prompt("  broker that these boards reach, mqtt://HOST:1883", default=LOCAL)
    target = target or LOCAL
    reached = [board for board in boards if board.reaches(target)]
    try:
        check_programs()
        ready = True
    except PreflightError:
        ready = False
    if not (virtual or reached or (simulated and ready)):
        raise UsageError(
            "the fleet would have no boards",
            next_step="give --virtual, or --target mqtt://HOST:1883 for boards on cables"
            if not simulated
            else f"{SETUP}, for simulated boards",
        )
    text = fleet_text(boards, virtual=virtual, simulated=simulated, target=target, programs=ready)
    try:
        with tempfile.TemporaryDirectory(dir=fleet_file.parent, prefix=".init-") as folder:
            new = Path(folder) / fleet_file.name
            new.write_text(text, encoding="utf-8")
            try:
                load_fleet(new, connects=True)
            except ConfigurationError as error:
                # It is gone when somebody reads this.
                raise ConfigurationError(
                    [replace(problem, file=str(fleet_file)) for problem in error.problems]
                ) from None
            new.replace(fleet_file)
    except OSError as error:
        raise PreflightError(
            f"cannot be written: {error.strerror or error}", where=str(fleet_file)
        ) from error
    kinds = [
        f"{count} {kind}"
        for count, kind in (
            (virtual, "virtual"),
            (simulated * ready, "simulated"),
            (len(reached), "on a port"),
        )
        if count
    ]
    typer.echo(f"{fleet_file}: {', '.join(kinds)}")
    if simulated and not ready:
        typer.echo(f"simulated boards are in it as a comment: they need MicroPython; next: {SETUP}")
    if len(reached) < len(boards):
        typer.echo(
            "esp32 boards are in it as a comment: they cannot reach the twin; next: --target mqtt://HOST:1883"
        )
    name = "" if fleet_file == Path("boards.yaml") else f" {fleet_file}"
    typer.echo(f"next: buoy check{name}, then buoy run{name}")


def _refuse_to_overwrite(path: Path, force: bool) -> None:
    from buoyfleet.model.errors import UsageError

    if path.exists() and not force:
        raise UsageError("is there already", where=str(path), next_step="give another name, or --force")


def _copy_scenarios(force: bool) -> None:
    from buoyfleet.model.errors import PreflightError
    from buoyfleet.model.places import FILES

    _refuse_to_overwrite(SCENARIOS, force)
    try:
        shutil.copytree(FILES / "scenarios", SCENARIOS, dirs_exist_ok=force)
        for file in SCENARIOS.glob("*.yaml"):
            text = file.read_text(encoding="utf-8")
            file.write_text(
                text.replace("=../docs/boards.schema.json", "=../boards.schema.json"), encoding="utf-8"
            )
    except (OSError, shutil.Error) as error:
        raise PreflightError(f"cannot be written: {error}", where=str(SCENARIOS)) from error
    names = sorted(file.name for file in SCENARIOS.glob("*.yaml"))
    typer.echo(f"{SCENARIOS}/: {len(names)} fleets, {', '.join(names)}")
    typer.echo(f"next: buoy run {SCENARIOS}/original.yaml")


def _choose(patterns: list[str], *, ask: bool) -> "list[NewBoard]":
    """The boards for the fleet: every ESP32 that is found, or those that somebody chooses."""
    from buoyfleet.cli.ports import row, stable_name
    from buoyfleet.inventory.new_file import NewBoard, new_ids
    from buoyfleet.model.board_names import canonical_port
    from buoyfleet.serial.find import look_at_all
    from buoyfleet.serial.listing import list_ports

    ports = list_ports(patterns)
    looked = zip(ports, look_at_all(ports), strict=True)
    found = [(port, one) for port, one in looked if one.mac]
    boards = []
    for buoy, (port, one) in zip(new_ids([one.buoy for _, one in found]), found, strict=True):
        typer.echo(row(port, one))
        if not ask or typer.confirm(f"  into the fleet as buoy {buoy}?", default=True):
            # Only boards of `buoy simulate` are on a pseudo-terminal.
            if canonical_port(port.port).startswith(PSEUDO_TERMINALS):
                boards.append(NewBoard(buoy, port.port, "simulated"))
            else:
                boards.append(NewBoard(buoy, stable_name(port, one)))
    if not found:
        typer.echo("no ESP32 was found on a port (see `buoy ports`)")
    return boards
