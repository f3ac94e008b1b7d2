"""`buoy doctor`: which programs are there and work, and what to type for the rest."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.cli.console import mark, write_line

if TYPE_CHECKING:
    from buoyfleet.programs.inspect import Finding


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every program that buoyfleet starts: whether it works, its version, what it is needed for.

    Exit code 0 if all that is needed works, else 3. `o` marks what can stay away: it is a convenience.

    \b
    buoy doctor
    buoy doctor --json | jq '.[] | select(.state != "works")'
    """  # fmt: skip
    from buoyfleet.model.exit_codes import ExitCode
    from buoyfleet.model.places import KEPT
    from buoyfleet.programs.inspect import State, inspect

    found = inspect(KEPT)
    bad = [one for one in found if one.needed and one.state is not State.WORKS]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        write_line(f"buoyfleet {version('buoyfleet')}, Python {platform.python_version()}")
        write_line(f"programs that were fetched: {KEPT}")
        write_line("")
        for line in _lines(found):
            write_line(line)
        write_line("")
        names = ", ".join(one.name for one in bad)
        write_line(f"needed and not working: {names}" if bad else "all that is needed works")
    if bad:
        raise typer.Exit(int(ExitCode.PREFLIGHT))


def _lines(found: "list[Finding]") -> list[str]:
    width = max(len(one.name) for one in found)
    indent = " " * (width + 16)
    lines = []
    for one in found:
        works = one.state == "works"
        sign = mark(works) if works or one.needed else "o"
        state = f"{one.version:<8}" if works else f"{one.state:<8}"
        lines.append(f"  {sign} {one.name:<{width}}  {state}  {one.needed_for}")
        details = [one.path] if works else [one.reason, f"next: {one.next_step}"]
        lines += [f"{indent}{detail}" for detail in details if detail]
    return lines
