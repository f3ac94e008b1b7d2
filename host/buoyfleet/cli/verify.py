"""`buoy verify`: a run verified again, with what its stores show by now."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:

  buoy verify                       the last run: what came late into its stores counts now

  buoy verify runs/20261126-1400-fleet --quiet

  buoy verify                       a run that was killed: the verdict from its ledger and the stores
"""


def verify(
    run: Annotated[
        str, typer.Argument(help="A run's folder, the beginning of its name, or `latest`.")
    ] = "latest",
    runs: Annotated[Path, typer.Option("--runs", help="The folder that holds the runs.")] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line.")] = False,
) -> None:
    """Read the stores of a run again and verify it again.

    Firehose holds records back, and a store that is not yet consistent shows them later: what was missing at
    the end of a run may be there now. A run that was killed, or ended on a full disk, gets its verdict from
    its ledger and the stores. Nothing is sent. The exit code is the verdict's.
    """
    from buoyfleet.cli.console import print_error, write_line
    from buoyfleet.report.load import find_run
    from buoyfleet.report.terminal import print_verdict
    from buoyfleet.runs.verify_run import verify_run

    def say(line: str) -> None:
        if not quiet:
            write_line(line)

    done = verify_run(find_run(run, runs, finished=False), say, print_error)
    print_verdict(done.result, done.folder, quiet=quiet)
    raise typer.Exit(done.exit_code)
