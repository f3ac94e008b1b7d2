"""The Wi-Fi of a board: access points in range, and how long it takes to join one."""

from collections.abc import Mapping
from typing import ClassVar

# Values of MicroPython's network.STAT_* on the ESP32.
IDLE, CONNECTING, GOT_IP = 1000, 1001, 1010
BEACON_TIMEOUT, NO_AP_FOUND, WRONG_PASSWORD = 200, 201, 202
ACCESS_POINT, PASSWORD = "buoy", "secret"
"""What simulated boards find in the air unless told otherwise; `buoy simulate` prints it: nobody's secret."""
JOIN_S = 2.0
SCAN_S = 3.0
"""Until an access point that is not there is given up."""


class Radio:
    """State of the station interface.

    Args:
        access_points: name → password of those in range.
        mac: of the station.
    """

    __slots__ = ("_goal", "_joined", "_since_s", "access_points", "active", "address", "faults", "mac")

    FAULTS: ClassVar[Mapping[str, str]] = {
        "out-of-range": "no access point is heard",
        "no-lease": "joins, but gets no address",
    }

    def __init__(self, access_points: Mapping[str, str], mac: bytes, address: str = "127.0.0.1") -> None:
        self.access_points = dict(access_points)
        self.mac = mac
        self.address = address
        self.active = False
        self.faults: frozenset[str] = frozenset()
        self._goal: tuple[str, str] | None = None
        self._since_s = 0.0
        self._joined = False

    def connect(self, name: str, password: str, t_s: float) -> None:
        """Begin to join a network."""
        self._goal, self._since_s, self._joined = (name, password), t_s, False

    def disconnect(self) -> None:
        """Leave, or give up."""
        self._goal, self._joined = None, False

    def status(self, t_s: float) -> int:
        """One of the STAT_* values now."""
        if not self.active or self._goal is None:
            return IDLE
        name, password = self._goal
        if "out-of-range" in self.faults or name not in self.access_points:
            if self._joined:
                return BEACON_TIMEOUT
            return NO_AP_FOUND if t_s - self._since_s >= SCAN_S else CONNECTING
        if t_s - self._since_s < JOIN_S:
            return CONNECTING
        if self.access_points[name] != password:
            return WRONG_PASSWORD
        if "no-lease" in self.faults:
            return CONNECTING
        self._joined = True
        return GOT_IP

    def inject(self, name: str) -> None:
        """Switch a fault on.

        Raises:
            ValueError: no such fault; names those there are.
        """
        if name not in self.FAULTS:
            raise ValueError(f"radio has no fault {name!r}; it has {', '.join(self.FAULTS)}")
        self.faults |= {name}

    def clear(self, name: str | None = None) -> None:
        """Switch a fault off; None: all."""
        self.faults = frozenset() if name is None else self.faults - {name}
