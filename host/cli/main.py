"""`buoy`: the commands, and the one place where exceptions become messages and exit codes."""

import sys

import typer

from host.cli import calibration, cloud, hand, twin
from host.cli.board_console import console
from host.cli.calibrate import EPILOG as CALIBRATE_EXAMPLES
from host.cli.calibrate import calibrate
from host.cli.check import check
from host.cli.commission import commission, flash
from host.cli.console import print_error
from host.cli.fetch import EXAMPLES as FETCH_EXAMPLES
from host.cli.fetch import fetch
from host.cli.label import label
from host.cli.monitor import monitor
from host.cli.one_board import files_app, identity, settings_app, wipe
from host.cli.ports import ports
from host.cli.records import records
from host.cli.report import report
from host.cli.run import run
from host.cli.schema import schema
from host.cli.sensors import sensors
from host.cli.simulate import simulate
from host.cli.verify import EXAMPLES as VERIFY_EXAMPLES
from host.cli.verify import verify
from host.cli.water import water
from host.model.errors import BuoyError
from host.model.exit_codes import ExitCode

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


@app.callback()
def _root() -> None:
    """Flash, load-test, verify and calibrate ESP32 water-quality buoys.

    Every command takes --debug: a traceback where there would be a message.
    """


def main() -> None:
    """Entry point of the `buoy` script."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    sys.exit(invoke([argument for argument in arguments if argument != "--debug"], debug=debug))


def invoke(arguments: list[str], *, debug: bool = False) -> int:
    """Run one command; returns its exit code."""
    try:
        code = app(args=arguments, prog_name="buoy", standalone_mode=False)
    except BuoyError as error:
        if debug:
            raise
        print_error(error)
        return int(error.exit_code)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)  # noqa: T201
        return int(ExitCode.INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        show = getattr(error, "show", None)
        if show is not None:  # click's own complaints about the command line
            show()
            return int(ExitCode.USAGE)
        print(  # noqa: T201
            f"internal error: {type(error).__name__}: {error}\n"
            "  this is a defect in buoyfleet\n"
            "  next: run the same command with --debug and report what it prints",
            file=sys.stderr,
        )
        return int(ExitCode.INTERNAL_ERROR)
    return int(code or ExitCode.OK)


if __name__ == "__main__":
    main()
