"""`buoy fetch`: the ledger of boards whose console was away during a run."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:

  buoy fetch                        the last run; ports as in its fleet file

  buoy fetch latest --port /dev/ttyUSB0      its only unproven board is on this port now

A board whose cable is away is asked over MQTT, where the run's broker is still there (targets broker and aws,
a twin that runs by itself).
"""


def fetch(
    run: Annotated[
        str, typer.Argument(help="A run's folder, the beginning of its name, or `latest`.")
    ] = "latest",
    port: Annotated[str, typer.Option(help="Where the unproven board is now.")] = "",
    runs: Annotated[Path, typer.Option("--runs", help="The folder that holds the runs.")] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line.")] = False,
) -> None:
    """Read what the unproven boards of a run kept on flash, and verify the run again.

    A board that lost its cable keeps what it sent until a bench has read it. The exit code is the verdict's.
    """
    from buoyfleet.cli.console import print_error, write_line
    from buoyfleet.report.load import find_run, read_result
    from buoyfleet.report.terminal import print_verdict
    from buoyfleet.runs.complete import complete
    from buoyfleet.runs.finished import finish

    folder = find_run(run, runs)
    result = complete(folder, read_result(folder), port, lambda _line: None if quiet else write_line(_line))
    done = finish(result, folder, print_error)
    print_verdict(result, folder, quiet=quiet)
    raise typer.Exit(done.exit_code)
