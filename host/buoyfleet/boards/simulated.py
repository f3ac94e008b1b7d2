"""Simulated boards for a run: one supervisor for all of them, each then is just a board on a port."""

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.boards.cable_board import WifiAccess
from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.model.places import FACTORY
from buoyfleet.serial.find import Finder
from buoyfleet.simulation.parts.radio import ACCESS_POINT, PASSWORD

if TYPE_CHECKING:
    from buoyfleet.simulation.esp32.simulator import Simulator

WIFI = WifiAccess(ACCESS_POINT, PASSWORD)
"""What simulated boards find in the air."""


class SimulatedBench:
    """The simulated boards of a run; started by the first that is plugged in, ended with the last.

    Args:
        folder: for their flash, removed afterwards.
        seed, water: of the water they are in.
    """

    def __init__(self, folder: Path, seed: int, water: str) -> None:
        self._folder = folder
        self._seed, self._water = seed, water
        self._guard = threading.Lock()
        self._simulator: Simulator | None = None
        self._plugged: set[int] = set()

    def plug_in(self, buoy_id: int) -> str:
        """Start one more board; returns its port."""
        with self._guard:
            if self._simulator is None:
                from buoyfleet.simulation.esp32.factory import factory_image
                from buoyfleet.simulation.esp32.simulator import Simulator

                self._simulator = Simulator(
                    self._folder,
                    seed=self._seed,
                    scenario=self._water,
                    factory=factory_image(firmware_files(), FACTORY),
                )
            self._simulator.add(buoy_id)
            self._plugged.add(buoy_id)
            return self._simulator.path(buoy_id)

    def settings_of(self, buoy_id: int) -> dict[str, Any]:
        """Pins, power and drivers as the board is built and was calibrated."""
        with self._guard:
            if self._simulator is None:
                return {}
            return self._simulator.with_board(buoy_id, lambda board: dict(board.buoy.settings))

    def release(self, buoy_id: int) -> None:
        """One board is needed no more."""
        with self._guard:
            self._plugged.discard(buoy_id)
            if self._simulator is not None and not self._plugged:
                self._simulator.close()
                self._simulator = None
                shutil.rmtree(self._folder, ignore_errors=True)


class SimulatedPlug:
    """One board of the bench."""

    kept = False
    on_this_machine = True
    wifi: WifiAccess | None = WIFI
    wifi_around: WifiAccess | None = None

    def __init__(self, bench: SimulatedBench, buoy_id: int) -> None:
        self._bench, self._buoy_id = bench, buoy_id

    def plug_in(self) -> str:
        """Start it."""
        return self._bench.plug_in(self._buoy_id)

    def own_settings(self) -> dict[str, Any]:
        """As it is built."""
        return self._bench.settings_of(self._buoy_id)

    def release(self) -> None:
        """End it."""
        self._bench.release(self._buoy_id)


class PortPlug:
    """A board that is on a port already.

    Args:
        name: port, URL, MAC, USB name or location, see `buoyfleet.model.board_names`.
        wifi: to be told to it; None: it keeps its own.
        on_this_machine: whether it is a simulated one.
        finder: looks for it; shared by the boards of a run.
    """

    kept = True

    def __init__(
        self, name: str, wifi: WifiAccess | None, on_this_machine: bool, finder: Finder | None = None
    ) -> None:
        self._name = name
        self._finder = finder or Finder()
        self.wifi = wifi
        self.on_this_machine = on_this_machine
        # Simulated boards find the same access point everywhere.
        self.wifi_around = WIFI if on_this_machine else None

    def plug_in(self) -> str:
        """It is there: where, is asked of the boards if the name does not say."""
        return self._finder.port(self._name)

    def own_settings(self) -> dict[str, Any]:
        """It knows them itself."""
        return {}

    def release(self) -> None:
        """Nothing to end."""
