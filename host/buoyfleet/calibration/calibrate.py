"""Calibrate sensors of a board on a cable: from its name to records and certificates."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.boards.by_name import open_console
from buoyfleet.calibration.board import Clock, Console
from buoyfleet.calibration.clock import RealClock
from buoyfleet.calibration.config import BenchConfig, load_config
from buoyfleet.calibration.session import CalibrationRequest, SensorOutcome, Session, exit_code
from buoyfleet.calibration.ui import CalibrationUi, Unattended
from buoyfleet.model.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """How a session ended."""

    sensors: tuple[SensorOutcome, ...]
    """One for each sensor that was begun: key, result, folder of its record, certificate."""

    @property
    def passed(self) -> bool:
        """Whether every calibration that was begun is in force."""
        return self.exit_code is ExitCode.OK

    @property
    def exit_code(self) -> ExitCode:
        """As `buoy calibrate` ends with it."""
        return exit_code(list(self.sensors))


def calibrate(
    board: str,
    request: CalibrationRequest,
    config: BenchConfig | None = None,
    ui: CalibrationUi | None = None,
    *,
    fleet: str | Path = "boards.yaml",
    ports: Iterable[str] = (),
) -> CalibrationResult:
    """Calibrate sensors: prepare, immerse, settle, fit, write, measure again, certificate.

    The board keeps its old calibration until the new one is verified.

    Args:
        board: by any of its names: a port, `mac:…`, `usb:…`, a URL, or the id that the
            fleet file gives to a port.
        request: which sensors, and how.
        config: of the bench; None: `calibration.yaml` here, or the defaults.
        ui: who follows; None: the plan in `config`, nobody is asked.
        fleet: file that says which id is on which port; it need not exist.
        ports: to search for the board as well.

    Returns:
        How each sensor ended, also where the session was cut short. Records and certificates are in the
        folders that it names.

    Raises:
        UsageError: nothing was begun: points, bottles or sensors are not as they should be.
        PreflightError: no such board, or its port is taken.
        BoardError: the board did not follow before anything was begun.
    """
    request.check()
    config = load_config(None) if config is None else config
    with open_console(board, Path(fleet), ports, "calibrating") as console:
        return calibrate_on(console, RealClock(), config, request, ui or Unattended())


def calibrate_on(
    console: Console, clock: Clock, config: BenchConfig, request: CalibrationRequest, ui: CalibrationUi
) -> CalibrationResult:
    """The same on a console that is open, with the clock of its bench."""
    session = Session(
        console, config, clock, lambda board, key: ui.dialogue(board, key, config, clock), ui.say
    )
    with ui.session():
        return CalibrationResult(tuple(session.run(request)))
