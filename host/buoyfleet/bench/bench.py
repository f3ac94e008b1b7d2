"""A bench for programs: flash, commission and look after boards on cables."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from buoyfleet.bench import single
from buoyfleet.bench.bench_options import BatchResult, BenchOptions
from buoyfleet.bench.commission_all import commission_all
from buoyfleet.bench.flash_all import flash_all
from buoyfleet.bench.folder import DEFAULT, BenchFolder
from buoyfleet.bench.records import Record
from buoyfleet.bench.session import Session
from buoyfleet.bench.ui import BenchUi, SilentBench
from buoyfleet.model.fleet import Fleet
from buoyfleet.serial.listing import PortInfo, list_ports
from buoyfleet.serial.probe import Found


class Bench:
    """Boards on cables of this computer, and the folder with their records, keys, images and logs.

    A board is named as on the command line: a port, `mac:…`, `usb:…`, `location:…`, a URL, or the id that a
    fleet file gives to a port.

    Args:
        folder: of the bench.
        ports: more ports to look at: paths, `FOLDER/*` or URLs.
        fleet: file that says which id is on which port; it need not exist.
        ui: shows what happens; nothing is shown without one.
    """

    def __init__(
        self,
        folder: str | Path = DEFAULT,
        *,
        ports: Sequence[str] = (),
        fleet: str | Path = "boards.yaml",
        ui: BenchUi | None = None,
    ) -> None:
        self._folder = BenchFolder(Path(folder))
        self._ports = tuple(ports)
        self._fleet = Path(fleet)
        self._ui: BenchUi = ui or SilentBench()

    def ports(self) -> list[PortInfo]:
        """Serial ports of this computer, and those that the bench was given."""
        return list_ports(self._ports)

    def commission(
        self, fleet: Fleet, boards: Sequence[str] = (), options: BenchOptions | None = None
    ) -> BatchResult:
        """Make boards into buoys in service: interpreter, files, identity, keys, settings, self-test, record.

        Only what is missing is done, so it can be called again after a failure.

        Args:
            fleet: as `load_fleet(path, connects=True)` reads it.
            boards: ids (`131`, `128-130`) or `NAME=ID`; none: every board of the fleet with a port.
            options: how; None: as the fleet file says.

        Returns:
            One outcome for each board, also for those that failed.

        Raises:
            BuoyError: before any board was touched.
        """
        return commission_all(fleet, boards, self._with_ports(options), self._folder, self._ui)

    def flash(
        self, boards: Sequence[str] = (), options: BenchOptions | None = None, fleet: Fleet | None = None
    ) -> BatchResult:
        """Write MicroPython onto boards; identity and files stay unless `options.erase`.

        Args:
            boards: by name; none: every board of the fleet with a port.
            options: with the image; None: the fleet's.
            fleet: says which ports ids have, and the image; None: names and options say all.

        Returns:
            One outcome for each board, also for those that failed.

        Raises:
            BuoyError: before any board was touched.
        """
        return flash_all(fleet, boards, self._with_ports(options), self._folder, self._ui)

    def identify(self, board: str) -> Found:
        """What runs on a board, and who it is.

        Raises:
            BuoyError: no such board, its port is taken, or it does not answer.
        """
        with self._session(board, "identify") as session:
            return single.look(session)

    def set_id(self, board: str, buoy: int, *, reassign: bool = False) -> Record:
        """Give a board an id, read it back after its reboot, and record it.

        Args:
            board: by name.
            buoy: its new id.
            reassign: though the records name another board or id.

        Raises:
            BuoyError: refused, with both sides named; nothing was written.
        """
        with self._session(board, "set the id") as session:
            return single.set_id(session, self._folder.records, buoy, reassign)

    def settings(self, board: str) -> dict[str, Any]:
        """All settings of a board's firmware; secrets are not among them.

        Raises:
            BuoyError: it does not answer.
        """
        with self._session(board, "settings") as session:
            return single.get_settings(session)

    def change_settings(self, board: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change settings: checked as a whole, written as a whole, read back after a reboot.

        Raises:
            UsageError: the firmware would refuse them; nothing was written.
            BoardError: the board did not take them.
        """
        with self._session(board, "settings") as session:
            return single.set_settings(session, changes)

    def wipe(self, board: str, *, flash: bool = False) -> Found:
        """Take a board out of service: its identity, keys, settings and waiting messages are removed.

        Args:
            board: by name.
            flash: erase the whole flash, interpreter and files too.

        Raises:
            BoardError: it does not answer.
        """
        with self._session(board, "wipe") as session:
            return single.wipe(session, self._folder.records, flash=flash)

    def records(self) -> list[Record]:
        """What was done to which board, oldest first; a damaged line is a warning."""
        found, damaged = self._folder.records.read()
        for line in damaged:
            self._ui.warn(line)
        return found

    def _session(self, board: str, purpose: str) -> AbstractContextManager[Session]:
        return single.open_session(board, self._fleet, self._ports, purpose)

    def _with_ports(self, options: BenchOptions | None) -> BenchOptions:
        options = options or BenchOptions()
        return replace(options, ports=(*options.ports, *self._ports))
