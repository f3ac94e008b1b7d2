"""`buoy run`: carry out a fleet's run and tell whether every measure arrived."""

import inspect
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from buoyfleet.cli.options import FleetArgument, changes_what_runs

_EXAMPLES = """Examples:

\b
  buoy run                                 the fleet of boards.yaml
  buoy run scenarios/original.yaml         another fleet file (buoy init --scenarios)
  buoy run --flat-out                      no pacing: as fast as it goes
  buoy run --boards 100-109 --count 20     ten buoys, 20 messages each
  buoy run --flat-out --limits aws         unpaced, and every limit of AWS kept
  buoy run --limit publishes_in=5/s        one limit of the twin set to something else
  buoy run --target broker                 any MQTT broker, nothing behind it
  buoy run --target aws                    a pipeline in your AWS account (buoy docs cloud); asks first
  buoy run --json --quiet > result.json    for scripts; the exit code is the verdict
"""


def _run(
    changes: dict[str, Any],
    fleet_file: FleetArgument = Path("boards.yaml"),
    limits: Annotated[
        str | None, typer.Option(help="Twin's rates: `aws` or `lifted`. [aws; lifted with --flat-out]")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="One limit of the twin, NAME=VALUE as under `target.twin.limits`; repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before an account is used.")] = False,
    allow_live: Annotated[
        bool, typer.Option("--allow-live", help="Go on although boards in service may be disturbed.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print result.json instead of the verdict.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line at the end.")] = False,
) -> None:
    """Run a fleet against its target and verify that every measure arrived.

    Ctrl-C once stops sending, waits for what is out, verifies and reports it; twice stops at once.
    """
    from buoyfleet.cli.run_face import TerminalUi, limit_mode
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.inventory.overrides import Overrides
    from buoyfleet.runs.run_fleet import RunOptions, run_fleet

    overrides = Overrides(**changes, limits=tuple(limit or ()))
    fleet = load_fleet(fleet_file, overrides, connects=True)
    options = RunOptions(out, limit_mode(limits), shlex.join(["buoy", *sys.argv[1:]]))
    done = run_fleet(fleet, options, TerminalUi(quiet=quiet or as_json, yes=yes, allow_live=allow_live))
    from buoyfleet.report.terminal import print_verdict
    from buoyfleet.report.write import result_json

    if as_json:
        sys.stdout.write(result_json(done.result).decode())
    else:
        print_verdict(done.result, done.folder, quiet=quiet)
    raise typer.Exit(done.exit_code)


_run.__doc__ = f"{inspect.getdoc(_run)}\n\n{_EXAMPLES}"
run = changes_what_runs(_run)
