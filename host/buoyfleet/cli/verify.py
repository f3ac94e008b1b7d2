"""`buoy verify`: a run verified again, with what its stores show by now."""

from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.model.errors import PreflightError, VerificationError

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
    from buoyfleet.fleet.complete import verify_again, verify_unfinished
    from buoyfleet.fleet.run_state import require_ended
    from buoyfleet.report.load import NoResult, find_run, read_result
    from buoyfleet.report.terminal import print_verdict
    from buoyfleet.report.write import write_reports

    folder = find_run(run, runs, finished=False)
    require_ended(folder)

    def say(line: str) -> None:
        if not quiet:
            write_line(line)

    earlier = None
    try:
        earlier = read_result(folder)
    except NoResult as error:
        if not error.verifiable:
            raise
    try:
        result = verify_unfinished(folder, say) if earlier is None else verify_again(folder, earlier, say)
    except OSError as error:
        raise VerificationError(
            f"the run's folder cannot be used: {error.strerror or error}",
            where=str(error.filename or folder),
            cause="a full disk, or a folder that you may not write to",
            next_step="make room, or copy the folder to where you may write, then: buoy verify COPY",
        ) from error
    code = result.outcome.exit_code
    try:
        write_reports(result, folder)
    except PreflightError as error:
        # A folder that cannot be written: the verdict is known all the same.
        print_error(error)
        code = code or int(error.exit_code)
    print_verdict(result, folder, quiet=quiet)
    raise typer.Exit(code)
