"""`buoy verify`: a run verified again, with what its stores show by now."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  buoy verify                       the last run: what came late into its stores counts now

  buoy verify runs/20261126-1400-fleet --quiet
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
    the end of a run may be there now. Nothing is sent. The exit code is the verdict's.
    """
    from host.cli.console import write_line
    from host.fleet.complete import verify_again
    from host.report.load import find_run, read_result
    from host.report.terminal import print_verdict
    from host.report.write import write_reports

    folder = find_run(run, runs)
    result = verify_again(folder, read_result(folder), lambda line: None if quiet else write_line(line))
    write_reports(result, folder)
    print_verdict(result, folder, quiet=quiet)
    raise typer.Exit(result.outcome.exit_code)
