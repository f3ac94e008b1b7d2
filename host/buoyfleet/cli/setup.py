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
    from buoyfleet.model.places import KEPT
    from buoyfleet.programs.set_up import set_up

    for command in set_up(programs or (), KEPT, Path(sys.executable), typer.echo):
        typer.echo(f"ready: {command}")
