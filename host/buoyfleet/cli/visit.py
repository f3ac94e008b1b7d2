"""`buoy visit`: readings of a buoy in service as found, cleaned and in standards, and what they mean."""

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.cli.options import FLEET, FleetFile, Ports
from buoyfleet.model.errors import PreflightError, UsageError
from sensors.catalog import KEYS

EPILOG = """Examples:

buoy visit 130 --meter "YSI ProDSS no 4"           all sensors, with a field meter beside the buoy

buoy visit 130 --keys ph,ec                        two sensors; again after a pulled cable: it goes on

buoy visit 130 --meter HI98194 --metered ph,ec,do  the meter has only these

buoy visit 130 --since 2026-11-01                  first visit: clean and calibrated since then

buoy visit 130 --show                              the last visit, as text
"""


def visit(
    board: Annotated[
        str, typer.Argument(help="Board by id, port, MAC or USB location (`buoy docs calibration`).")
    ],
    keys: Annotated[str, typer.Option(help=f"Only these sensors, with commas: {' '.join(KEYS)}.")] = "",
    meter: Annotated[str, typer.Option(help="Name of the field meter; its readings are asked.")] = "",
    metered: Annotated[str, typer.Option(help="Sensors that the meter has; all by default.")] = "",
    operator: Annotated[str, typer.Option(help="Your name, for the record.")] = "",
    since: Annotated[
        str, typer.Option(help="UTC date, or date and time, of the deployment, where no record says it.")
    ] = "",
    new: Annotated[
        bool, typer.Option("--new", help="Close a visit that is open, and begin another.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the last visit to this id or MAC; no board is needed.")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option("--config", help="The bench's file; calibration.yaml by default.")
    ] = None,
    records: Annotated[Path | None, typer.Option(help="Where the records are.")] = None,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line per sensor on standard output.")
    ] = False,
) -> int:
    """Visit a buoy: read it as found, clean it, hold it into standards, calibrate it if need be, leave it.

    The data since the last visit are rated, and corrected where fouling and drift are over the limits of USGS
    Techniques and Methods 1-D3. A visit that stops is gone on with by the same command; its readings stay.
    Exit code 0: done; 4: the board failed; 130: stopped, and still open.
    """
    from buoyfleet.calibration.config import load_config
    from buoyfleet.cli.calibrate_terminal import TerminalCalibration
    from buoyfleet.visits.request import VisitRequest
    from buoyfleet.visits.visit import visit as visit_board

    config = load_config(plan)
    if records is not None:
        config.records = records
    if show:
        _show(config.records, board)
        return 0
    request = VisitRequest(
        keys=_names(keys),
        meter=meter,
        metered=_names(metered),
        operator=operator,
        since=_since(since),
        new=new,
        command=shlex.join(["buoy", *sys.argv[1:]]),
    )
    request.check()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PreflightError("no terminal to guide at", next_step="run it in a terminal")
    ui = TerminalCalibration({}, yes=False, quiet=as_json)
    result = visit_board(board, request, ui, config, fleet=fleet, ports=ports or ())
    if as_json:
        for key, evaluation in result.visit.evaluated.items():
            typer.echo(json.dumps({"key": key, **evaluation}, ensure_ascii=False))
    if result.error is not None:
        from buoyfleet.cli.console import print_error

        print_error(result.error)
    return int(result.exit_code)


def _show(records: Path, board: str) -> None:
    from buoyfleet.visits.record import visits_of
    from buoyfleet.visits.wording import visit_lines

    found = list(visits_of(records, board))
    if not found:
        raise UsageError(
            f"no visit to {board}", where=str(records), next_step=f"buoy visit {board} begins one"
        )
    for line in visit_lines(found[-1]):
        typer.echo(line)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _since(text: str) -> datetime | None:
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text}", next_step="write e.g. 2026-11-01 or 2026-11-01T08:30") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
