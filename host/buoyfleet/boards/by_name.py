"""A board by any of its names: an id of the fleet file, a port, a MAC, a USB location."""

from collections.abc import Iterable
from pathlib import Path

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.board_names import BoardName, parse_name
from buoyfleet.model.errors import BoardError, BuoyError
from buoyfleet.serial.console import Console
from buoyfleet.serial.find import find_board


def name_and_ports(board: str, fleet: Path, ports: Iterable[str] = ()) -> tuple[BoardName, tuple[str, ...]]:
    """The board's name, by the fleet file where it is an id there, and further ports to search.

    Args:
        board: as typed.
        fleet: the fleet file; it need not exist, and `buoy check` is what says its mistakes.
        ports: to search as well.

    Raises:
        UsageError: no name of a board.
    """
    name, more = parse_name(board), tuple(ports)
    try:
        loaded = load_fleet(fleet)
    except BuoyError:
        return name, more
    if name.kind == "id":
        spec = next((one for one in loaded.boards if str(one.buoy_id) == name.value and one.port), None)
        name = name if spec is None else parse_name(spec.port)
    return name, (*more, *loaded.bench.ports)


def open_console(board: str, fleet: Path, ports: Iterable[str], purpose: str) -> Console:
    """Find a board and open its console.

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
