"""`buoy setup`: fetch the programs that Python's packages do not bring."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def setup(
    programs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROGRAM]...", help="micropython (default), mosquitto, influxdb."),
    ] = None,
) -> None:
    """Fetch the programs that simulated boards need: MicroPython, its 32-bit build, umqtt.

    They come out of this system's own packages (Debian, Ubuntu), and need no root. What works already is
    left alone. `buoy doctor` shows what is there, and says what to install on other systems.

    \b
    buoy setup                  what simulated boards need
    buoy setup mosquitto        a broker and its clients, to try things by hand
    """  # fmt: skip
    from buoyfleet.model.errors import UsageError
    from buoyfleet.model.places import KEPT
    from buoyfleet.programs.catalogue import FETCHED, MICROPYTHON
    from buoyfleet.programs.fetch import prepare
    from buoyfleet.programs.find import which, why_no_narrow
    from buoyfleet.programs.only_one import only_one

    known = {program.name: program for program in FETCHED}
    if unknown := [name for name in programs or () if name not in known]:
        raise UsageError(f"unknown program {', '.join(unknown)}", next_step=f"use {', '.join(known)}")
    wanted = [known[name] for name in programs or (MICROPYTHON.name,)]
    with only_one(KEPT, typer.echo):
        # Whoever types this wants it tried again now.
        why_no_narrow(KEPT).unlink(missing_ok=True)
        prepare(wanted, KEPT, Path(sys.executable), typer.echo)
    for program in wanted:
        for command in program.commands:
            typer.echo(f"ready: {which(command, KEPT)}")
