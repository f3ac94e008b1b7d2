"""The console of the board that a calibration command names."""

from pathlib import Path

from buoyfleet.cli.one_board import name_and_ports
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.console import Console
from buoyfleet.serial.find import find_board


def open_console(board: str, fleet: Path, ports: list[str] | None, purpose: str) -> Console:
    """Find a board by any of its names and open its console.

    Raises:
        PreflightError: no such board, or its port is taken.
        BoardError: it does not run the firmware.
    """
    name, more = name_and_ports(board, fleet, ports)
    found = find_board(name, more_ports=more)
    if found.state != "firmware":
        raise BoardError(
            f"no firmware answers: {found.runs}",
            where=f"{board} on {found.port}" if found.port != board else board,
            cause="calibration talks to the running firmware",
            next_step="buoy commission sets a board up; buoy ports shows what is there",
        )
    return Console(found.port, purpose=purpose)
