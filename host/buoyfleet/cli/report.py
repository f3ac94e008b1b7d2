"""`buoy report`: the reports of an earlier run again, from its result."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        str,
        typer.Argument(help="A run's folder, its result.json, the beginning of its name, or `latest`."),
    ] = "latest",
    runs: Annotated[Path, typer.Option("--runs", help="The folder that holds the runs.")] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print one line.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
) -> None:
    """Make the reports of a run again from its result.json, and print its verdict.

    Exit code 0 says that the reports were made, whatever the verdict.

    \b
    buoy report latest
    buoy report runs/20261126T101500-harbour --json
    """  # fmt: skip
    from buoyfleet.report.load import find_run, read_result
    from buoyfleet.report.terminal import print_verdict
    from buoyfleet.report.write import derived_reports, result_json

    folder = find_run(run, runs)
    result = read_result(folder)
    derived_reports(result, folder)
    if json:
        typer.echo(result_json(result).decode(), nl=False)
    else:
        print_verdict(result, folder, quiet=quiet)
