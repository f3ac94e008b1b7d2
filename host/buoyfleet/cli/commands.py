"""Every command of `buoy`, in the order of its help."""

from importlib.metadata import version
from typing import Annotated

import typer

from buoyfleet.cli import calibration, cloud, hand, twin
from buoyfleet.cli.board_console import console
from buoyfleet.cli.calibrate import EPILOG as CALIBRATE_EXAMPLES
from buoyfleet.cli.calibrate import calibrate
from buoyfleet.cli.check import check
from buoyfleet.cli.commission import commission, flash
from buoyfleet.cli.docs import docs
from buoyfleet.cli.doctor import doctor
from buoyfleet.cli.fetch import EXAMPLES as FETCH_EXAMPLES
from buoyfleet.cli.fetch import fetch
from buoyfleet.cli.init import init
from buoyfleet.cli.label import label
from buoyfleet.cli.monitor import monitor
from buoyfleet.cli.one_board import files_app, identity, settings_app, wipe
from buoyfleet.cli.ports import ports
from buoyfleet.cli.records import records
from buoyfleet.cli.report import report
from buoyfleet.cli.run import run
from buoyfleet.cli.schema import schema
from buoyfleet.cli.sensors import sensors
from buoyfleet.cli.setup import setup
from buoyfleet.cli.simulate import simulate
from buoyfleet.cli.verify import EXAMPLES as VERIFY_EXAMPLES
from buoyfleet.cli.verify import verify
from buoyfleet.cli.water import water

app = typer.Typer(
    name="buoy",
    help="Flash, load-test, verify and calibrate ESP32 water-quality buoys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(check)
app.command()(report)
app.command(epilog=FETCH_EXAMPLES)(fetch)
app.command(epilog=VERIFY_EXAMPLES)(verify)
app.add_typer(twin.app, name="twin")
app.command(epilog=CALIBRATE_EXAMPLES)(calibrate)
app.add_typer(cloud.app, name="cloud")
app.add_typer(calibration.app, name="calibration")
app.command()(init)
app.command()(setup)
app.command()(doctor)
app.command()(docs)
app.command()(schema)
app.command()(sensors)
app.command()(simulate)
app.add_typer(hand.app, name="hand")
app.command()(water)
app.command()(ports)
app.command()(flash)
app.command()(commission)
app.command(name="id")(identity)
app.add_typer(settings_app, name="settings")
app.command()(console)
app.command()(monitor)
app.add_typer(files_app, name="files")
app.command()(wipe)
app.command()(records)
app.command()(label)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"buoy {version('buoyfleet')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Flash, load-test, verify and calibrate ESP32 water-quality buoys.

    Every command takes --debug: a traceback where there would be a message.
    """
