"""The console of the board that a calibration command names."""

from host.model.errors import BoardError
from host.serial.console import Console
from host.serial.find import find_board

ANSWER_S = 10.0


def open_console(name: str, ports: list[str], purpose: str) -> Console:
    """Find a board and open its console.

    Raises:
        PreflightError: no such board, or its port is taken.
        BoardError: it does not run the firmware.
    """
    found = find_board(name, more_ports=ports)
    if found.state != "firmware":
        raise BoardError(
            f"no firmware answers: {found.runs}",
            where=f"{name} on {found.port}" if found.port != name else name,
            cause="calibration talks to the running firmware",
            next_step="commission the board first, or look what is there: buoy ports",
        )
    return Console(found.port, purpose=purpose)
