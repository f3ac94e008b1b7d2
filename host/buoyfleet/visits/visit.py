"""`visit`: a technician's visit to a buoy in service, as a call."""

from collections.abc import Iterable
from pathlib import Path

from buoyfleet.boards.by_name import open_console
from buoyfleet.calibration.board import Clock, Console
from buoyfleet.calibration.clock import RealClock
from buoyfleet.calibration.config import BenchConfig, load_config
from buoyfleet.calibration.ui import CalibrationUi
from buoyfleet.visits.request import VisitRequest
from buoyfleet.visits.session import VisitResult, VisitSession


def visit(
    board: str,
    request: VisitRequest,
    ui: CalibrationUi,
    config: BenchConfig | None = None,
    *,
    fleet: str | Path = "boards.yaml",
    ports: Iterable[str] = (),
) -> VisitResult:
    """Read a buoy as found, cleaned and in standards; rate its data and say how to correct them.

    Args:
        board: by any of its names, as for `calibrate`.
        request: which sensors, and with which field meter.
        ui: who follows.
        config: of the bench; None: `calibration.yaml` here, or the defaults.
        fleet: file that says which id is on which port; it need not exist.
        ports: to search for the board as well.

    Raises:
        UsageError: a sensor that is not fitted, or an unknown one.
        PreflightError: no such board, or its port is taken.
        BoardError: the board did not answer before anything was begun.
    """
    request.check()
    config = load_config(None) if config is None else config
    with open_console(board, Path(fleet), ports, "a visit") as console:
        return visit_on(console, RealClock(), config, request, ui)


def visit_on(
    console: Console, clock: Clock, config: BenchConfig, request: VisitRequest, ui: CalibrationUi
) -> VisitResult:
    """The same on a console that is open, with the clock of its bench."""
    session = VisitSession(
        console, config, clock, lambda board, key: ui.dialogue(board, key, config, clock), ui.say
    )
    with ui.session():
        return session.run(request)
