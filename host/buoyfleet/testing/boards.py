"""A board under test, real or simulated: the same calls go to both."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from buoyfleet.bench.session import BoardLog, Session
from buoyfleet.boards.by_name import name_and_ports
from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.model.board_names import canonical_port
from buoyfleet.model.file_lock import file_lock
from buoyfleet.model.places import FACTORY
from buoyfleet.simulation.esp32.factory import factory_image
from buoyfleet.simulation.esp32.simulator import Simulator

REQUEST_S = 20.0
WAIT_FOR_BOARD_S = 1800.0
"""For another worker that tests the same board."""
FIRST_ID = 500


@dataclass(frozen=True, slots=True)
class BoardUnderTest:
    """An ESP32 on a serial port, held by this test alone."""

    port: str
    """Path or URL: pyserial, mpremote and esptool open it once `release` was called."""
    kind: Literal["real", "simulated"]
    session: Session
    log_path: Path

    def run(self, code: str, timeout_s: float = REQUEST_S) -> str:
        """Run code at MicroPython's raw REPL; whatever runs there is interrupted. Returns what it printed.

        Raises:
            BoardError: it raised, or the board does not answer.
        """
        return self.session.repl().run(code, timeout_s)

    def request(self, name: str, timeout_s: float = REQUEST_S, **arguments: Any) -> Any:
        """Ask the firmware over its console (docs/firmware.md lists the requests).

        Raises:
            BoardError: no firmware answers, or it refuses.
        """
        console = self.session.console()
        console.wait_until_ready(timeout_s)
        return console.request(name, timeout_s, **arguments)

    def reset(self) -> None:
        """Press the reset button.

        Raises:
            BoardError: no way worked.
        """
        self.session.reset()

    def release(self) -> None:
        """Let the port go, for a program of the test's own; `run` and `request` open it again."""
        self.session.release()

    def log(self) -> str:
        """All that the board said to `run` and `request` so far."""
        return self.log_path.read_text(encoding="utf-8") if self.log_path.exists() else ""

    def explained(self) -> list[tuple[str, str]]:
        """Title and text for the report of a failed test."""
        return [(f"board {self.port}", self.log() or "(it said nothing)")]


class SimulatedBoards:
    """New boards, one for each test: what a test leaves on its board no other test finds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._simulators: dict[bool, Simulator] = {}
        self._next = FIRST_ID

    @contextlib.contextmanager
    def new(self, firmware: bool) -> Iterator[str]:
        """The port of a board that boots; it is gone afterwards.

        Args:
            firmware: with the buoy's firmware; else with MicroPython alone.
        """
        simulator = self._simulators.get(firmware)
        if simulator is None:
            folder = self._folder / ("firmware" if firmware else "bare")
            folder.mkdir(parents=True)
            factory = factory_image(firmware_files(), FACTORY) if firmware else None
            simulator = self._simulators[firmware] = Simulator(folder, factory=factory)
        self._next += 1
        buoy_id = self._next
        simulator.add(buoy_id)
        try:
            yield simulator.path(buoy_id)
        finally:
            simulator.unplug(buoy_id)

    def close(self) -> None:
        """End all of them."""
        for simulator in self._simulators.values():
            simulator.close()


@contextlib.contextmanager
def held(name: str, kind: Literal["real", "simulated"], folder: Path) -> Iterator[BoardUnderTest]:
    """A board for one test; others that want it wait, in other processes too.

    Args:
        name: of the board, as on the command line: a port, `mac:…`, `usb:…`, a URL.
        kind: for the test to know.
        folder: of the test; the board's log is kept there.

    Raises:
        PreflightError: no such board, or another test has it for half an hour.
    """
    log_path = folder / "board.log"
    parsed, more = name_and_ports(name, Path("boards.yaml"))
    lock = Path(tempfile.gettempdir()) / f"buoyfleet-board-{canonical_port(name).replace('/', '_')}.lock"
    with (
        file_lock(lock, WAIT_FOR_BOARD_S, f"testing {name}"),
        Session(parsed, more, log=BoardLog(log_path), purpose="a test") as session,
    ):
        yield BoardUnderTest(session.port, kind, session, log_path)
