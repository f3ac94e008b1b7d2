"""`buoy calibrate`: one guided calibration, or all that is due, on a board on a cable."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.cli.options import FLEET, FleetFile, Ports
from buoyfleet.model.errors import PreflightError, UsageError
from sensors.catalog import KEYS

if TYPE_CHECKING:
    from buoyfleet.calibration.session import SensorOutcome

EPILOG = """Examples:

buoy calibrate 130 ph                      three buffers, at the terminal

buoy calibrate 130 do --barometer 1009     air pressure known already

buoy calibrate /dev/ttyUSB0 wp --points 0,2

buoy calibrate mac:24:0a:c4:00:00:82 --all what is due, sensor after sensor

buoy calibrate 130 --all --yes             unattended, by the plan in calibration.yaml
"""


def calibrate(
    board: Annotated[
        str, typer.Argument(help="Board by id, port, MAC or USB location (`buoy docs calibration`).")
    ],
    key: Annotated[str, typer.Argument(help=f"Sensor: {' '.join(KEYS)}.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every sensor that is due.")] = False,
    points: Annotated[
        str, typer.Option(help="Points, with commas, e.g. 4,7,10; each sensor has its own.")
    ] = "",
    solution: Annotated[
        list[str] | None, typer.Option(help="Lot of a bottle listed in the bench's file.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="°C of the solution, by another thermometer.")
    ] = None,
    thermometer: Annotated[str, typer.Option(help="Which thermometer that is.")] = "",
    barometer: Annotated[float | None, typer.Option(help="Air pressure here, hPa (do).")] = None,
    reference: Annotated[
        float | None, typer.Option(help="What the reference thermometer shows, °C (temp).")
    ] = None,
    method: Annotated[str, typer.Option(help="Of tbd in clear water: scale (supply) or offset (lens).")] = "",
    by_key: Annotated[bool, typer.Option("--by-key", help="Stable points wait for Enter.")] = False,
    operator: Annotated[str, typer.Option(help="Your name, for the record.")] = "",
    probe: Annotated[str, typer.Option(help="Serial number of the probe, for its history.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Let unstable or failing things through; the certificate says so.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nobody: follow the plan in the bench's file.")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", "--config", help="The bench's file; calibration.yaml by default.")
    ] = None,
    records: Annotated[Path | None, typer.Option(help="Where records and certificates go.")] = None,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
    dynamodb: Annotated[
        str, typer.Option(help="Write what passed into this DynamoDB table of devices too.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line per sensor on standard output.")
    ] = False,
) -> int:
    """Calibrate sensors of a board: prepare, immerse, settle, fit, write, measure again, certificate.

    The board keeps its old calibration until the new one is verified; every step can be repeated, skipped or
    given up. Exit code 0: passed; 5: failed, old calibration in force; 4: the board failed; 130: given up.
    """
    from buoyfleet.calibration.calibrate import calibrate as calibrate_board
    from buoyfleet.calibration.config import load_config
    from buoyfleet.calibration.procedures import PROCEDURES
    from buoyfleet.calibration.session import CalibrationRequest, parse_points
    from buoyfleet.cli.calibrate_terminal import TerminalCalibration

    if bool(key) == everything:
        raise UsageError(
            "name one sensor, or --all for those that are due",
            next_step=f"buoy calibrate {board} ph; sensors are {', '.join(PROCEDURES)}",
        )
    request = CalibrationRequest(
        keys=[key] if key else [],
        points=parse_points(points) if points else (),
        lots=solution or [],
        temperature_c=temperature,
        thermometer=thermometer,
        operator=operator,
        probe=probe,
        force=force,
        by_key=by_key,
        method=method,
        command=shlex.join(["buoy", *sys.argv[1:]]),
    )
    request.check()
    config = load_config(plan)
    if records is not None:
        config.records = records
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PreflightError(
            "no terminal to guide at",
            next_step="run it in a terminal, or with --yes and a plan in calibration.yaml",
        )
    known = {"barometer": barometer, "reference": reference}
    answers = {name: value for name, value in known.items() if value is not None}
    ui = TerminalCalibration(answers, yes=yes, quiet=as_json)
    done = calibrate_board(board, request, config, ui, fleet=fleet, ports=ports or ())
    if as_json:
        for one in done.sensors:
            typer.echo(json.dumps(_summary(one), ensure_ascii=False))
    if dynamodb:
        from buoyfleet.calibration.device_table import open_table, store_passed

        # Region and credentials are those that boto3 finds.
        for stored in store_passed(open_table(dynamodb, None, None), done.sensors):
            typer.echo(f"{dynamodb}: {stored}", err=True)
    return int(done.exit_code)


def _summary(done: "SensorOutcome") -> dict[str, object]:
    fitted = done.result.fitted
    return {
        "key": done.key,
        "outcome": done.result.outcome,
        "reason": done.result.reason,
        "settings": fitted.settings if fitted else None,
        "uncertainty": fitted.uncertainty if fitted else None,
        "unit": fitted.unit if fitted else None,
        "record": str(done.folder),
        "certificate": str(done.files.html) if done.files else None,
    }
