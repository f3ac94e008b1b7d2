"""`buoy calibration`: what was calibrated, what is due, what ages, and what to hand on."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.cli.options import FLEET, FleetFile, Ports
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode

if TYPE_CHECKING:
    from buoyfleet.calibration.config import BenchConfig
    from buoyfleet.calibration.drift import Forecast

app = typer.Typer(
    help="Records of calibrations: status, show, certificate, undo, export, drift.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Config = Annotated[
    Path | None, typer.Option("--config", help="The bench's file; calibration.yaml by default.")
]
Records = Annotated[Path | None, typer.Option(help="Where the records are.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


def _bench(config: Path | None, records: Path | None) -> "BenchConfig":
    from buoyfleet.calibration.config import load_config

    bench = load_config(config)
    if records is not None:
        bench.records = records
    return bench


@app.command(epilog="Example: buoy calibration status 130")
def status(
    board: Annotated[str, typer.Argument(help="Only this board: id, or MAC.")] = "",
    fleet: FleetFile = FLEET,
    config: Config = None,
    records: Records = None,
    as_json: Json = False,
) -> int:
    """Sensors calibrated here, or fitted to boards of the fleet: when, health, drift since, due date.

    Exit code 5 says that something is overdue.
    """
    from buoyfleet.calibration.history import History
    from buoyfleet.calibration.limits import Limits
    from buoyfleet.calibration.status import fitted_sensors, rows, urgent

    bench = _bench(config, records)
    history = History(bench.records)
    found = rows(history, bench.intervals, datetime.now(UTC), board, fitted_sensors(fleet))
    soon = urgent(history, Limits(bench.bands), board)
    overdue = any(row.state == "fail" for row in found)
    code = ExitCode.VERDICT_FAILED if overdue else ExitCode.OK
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in found], ensure_ascii=False, indent=1))
        return code
    if not found:
        typer.echo(f"no calibrations in {bench.records}/" + (f" of {board}" if board else ""))
        typer.echo("start one: buoy calibrate BOARD KEY")
        return ExitCode.OK
    marks = {"pass": " ", "warn": "!", "fail": "✗"}
    table: list[tuple[str, ...]] = [("", "buoy", "key", "calibrated", "due", "health", "drift", "points", "")]
    table += [
        (marks[row.state], row.board, row.key, row.date, row.due, row.health, row.drift, row.points, row.note)
        for row in found
    ]
    _print_table(table)
    if soon:
        typer.echo("\ntake out first:")
        for one in soon[:10]:
            typer.echo(f"  {_sentence(one)}")
    for broken in history.damaged:
        typer.echo(f"unreadable: {broken.path}: {broken.reason}", err=True)
    for record in history.records:
        if record.broken:
            typer.echo(f"changed: {record.path}: {record.broken}", err=True)
    return code


@app.command(epilog="Example: buoy calibration show 130/ph")
def show(
    name: Annotated[str, typer.Argument(help="BOARD/KEY for the last one, a record's name, or its folder.")],
    config: Config = None,
    records: Records = None,
) -> None:
    """One calibration in full: what the certificate says, as text."""
    from buoyfleet.calibration.certificate.content import certificate_of
    from buoyfleet.calibration.history import History

    record = History(_bench(config, records).records).find(name)
    certificate = certificate_of(record)
    typer.echo(f"{certificate.title}   No. {certificate.number}\n{certificate.sentence}")
    for table in certificate.tables:
        typer.echo(f"\n{table.title}")
        _print_table([table.head, *table.rows] if any(table.head) else table.rows, "  ")
    for remark in certificate.remarks:
        typer.echo(f"- {remark}")


@app.command(epilog="Example: buoy calibration drift")
def drift(
    board: Annotated[str, typer.Argument(help="Only this board.")] = "",
    config: Config = None,
    records: Records = None,
    as_json: Json = False,
) -> None:
    """When each probe leaves its limits, from three or more calibrations; the most urgent first."""
    from buoyfleet.calibration.drift import forecasts
    from buoyfleet.calibration.history import History
    from buoyfleet.calibration.limits import Limits

    bench = _bench(config, records)
    found = forecasts(History(bench.records), Limits(bench.bands), board)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], ensure_ascii=False, indent=1, default=str))
        return
    if not found:
        typer.echo("no probe has three calibrations a week or more apart yet")
        return
    for one in found:
        typer.echo(_sentence(one))


@app.command(epilog="Example: buoy calibration certificate 130/ph")
def certificate(
    name: Annotated[str, typer.Argument(help="BOARD/KEY for the last one, a record's name, or its folder.")],
    config: Config = None,
    records: Records = None,
) -> None:
    """Make the certificate of a record again, as HTML and PDF."""
    from buoyfleet.calibration.certificate.write import write_certificate
    from buoyfleet.calibration.history import History

    record = History(_bench(config, records).records).find(name)
    files = write_certificate(record.path.parent)
    typer.echo(f"{files.html}\n{files.pdf}")


@app.command(epilog="Example: buoy calibration export 130/ph --csv ph.csv")
def export(
    name: Annotated[str, typer.Argument(help="BOARD/KEY for the last one, a record's name, or its folder.")],
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write all of it as JSON; - for standard output.")
    ] = None,
    as_csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the samples as CSV; - for standard output.")
    ] = None,
    dynamodb: Annotated[
        str, typer.Option(help="Write the device item's calibration into this DynamoDB table.")
    ] = "",
    device: Annotated[str, typer.Option(help="Id of the device item; the buoy's id by default.")] = "",
    region: Annotated[str | None, typer.Option(help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile.")] = None,
    config: Config = None,
    records: Records = None,
) -> None:
    """Hand a calibration on: JSON, CSV, the buoy system's DynamoDB table."""
    from buoyfleet.calibration.device_table import open_table, store_calibration
    from buoyfleet.calibration.export import as_csv as csv_of
    from buoyfleet.calibration.export import as_json as json_of
    from buoyfleet.calibration.history import History
    from buoyfleet.report.files import write_atomically

    if as_json is None and as_csv is None and not dynamodb:
        raise UsageError("nothing to write", next_step="give --json FILE, --csv FILE or --dynamodb TABLE")
    record = History(_bench(config, records).records).find(name)
    for path, make in ((as_json, json_of), (as_csv, csv_of)):
        if path is None:
            continue
        if str(path) == "-":
            typer.echo(make(record), nl=False)
        else:
            write_atomically(path, make(record).encode())
    if dynamodb:
        done = store_calibration(open_table(dynamodb, region, profile), record, device)
        typer.echo(f"{dynamodb}: {done}", err=True)


@app.command(epilog="Example: buoy calibration undo 130 ph")
def undo(
    board: Annotated[str, typer.Argument(help="Board by id, port, MAC or USB location.")],
    key: Annotated[str, typer.Argument(help="Sensor.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    operator: Annotated[str, typer.Option(help="Your name, for the record.")] = "",
    fleet: FleetFile = FLEET,
    ports: Ports = None,
    config: Config = None,
    records: Records = None,
) -> int:
    """Put the calibration before the last one back into force, from what the board keeps."""
    from buoyfleet.boards.by_name import open_console
    from buoyfleet.calibration.board import BenchBoard
    from buoyfleet.calibration.clock import RealClock
    from buoyfleet.calibration.undo import prepare_undo
    from buoyfleet.calibration.undo import undo as put_back
    from buoyfleet.calibration.wording import setting_text
    from buoyfleet.cli.consent import ask

    bench = _bench(config, records)
    with open_console(board, fleet, ports or (), "undoing a calibration") as console:
        plan = prepare_undo(BenchBoard(console), key, bench)
        typer.echo(f"{plan.board.where}: {key} was calibrated on {plan.note.get('date', 'an unknown date')}")
        for name, value in plan.previous.items():
            typer.echo(f"  {name} goes back to {setting_text(value)}")
        if not plan.previous:
            typer.echo("  the circuit gets back what it exported before")
        if not yes:
            ask("Undo it?", "a calibration would be undone")
        folder = put_back(plan, bench, RealClock(), operator)
    typer.echo(f"the calibration before is in force again\n  record       {folder}")
    return ExitCode.OK


def _sentence(one: "Forecast") -> str:
    """`130 ph slope_acid 93.1 %, -0.4 ± 0.1 %/month: leaves 90 to 110 on 2027-04-02, at the earliest …`."""
    rate = f"{one.per_month:+.3g} ± {one.uncertainty_per_month:.2g} {one.unit}/month"
    head = f"{one.board} {one.key} {one.figure} {one.last:.4g} {one.unit}, {rate}"
    if not one.significant:
        return f"{head}: no drift that {one.count} calibrations could tell"
    if one.leaves is None:
        return f"{head}: stays within its limits for years"
    earliest = f", at the earliest {one.earliest:%Y-%m-%d}" if one.earliest else ""
    return f"{head}: leaves {one.limits} on {one.leaves:%Y-%m-%d}{earliest}"


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def _print_table(rows: list[tuple[str, ...]], margin: str = "") -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo(
            margin + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
