"""`network`: the station interface, led to a simulated radio. Sockets are the host's."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIRED = ("WLAN",)

memory_changed: "Any" = None
"""Called when the radio took memory; set by whoever runs a board."""

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_BEACON_TIMEOUT, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 200, 201, 202
STAT_ASSOC_FAIL, STAT_HANDSHAKE_TIMEOUT = 203, 204


def hostname(name: "str | None" = None) -> str:
    """The board's host name; setting it changes nothing here."""
    return name or "mpy-esp32"


class WLAN:
    """The station interface."""

    IF_STA, IF_AP = 0, 1
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2

    def __init__(self, interface: int = 0, wire: "Any" = None) -> None:
        if interface != STA_IF:
            raise ValueError("only the station interface is simulated")
        self._wire = __import__("buoy_wire").current() if wire is None else wire

    def active(self, is_active: "bool | None" = None) -> bool:
        on: bool = self._wire.call("wifi_active", None if is_active is None else bool(is_active))
        if is_active and memory_changed is not None:
            memory_changed()
        return on

    def connect(self, ssid: "str | None" = None, key: str = "") -> None:
        if not self.active():
            raise OSError("Wifi Not Started")
        self._wire.call("wifi_connect", ssid or "", key or "")

    def disconnect(self) -> None:
        self._wire.call("wifi_disconnect")

    def status(self, param: "str | None" = None) -> int:
        if param == "rssi":
            return -60
        status: int = self._wire.call("wifi_status")
        return status

    def isconnected(self) -> bool:
        return self.status() == STAT_GOT_IP

    def scan(self) -> "list[tuple[bytes, bytes, int, int, int, bool]]":
        return [(name, bytes(6), 1, -60, 3, False) for name in self._wire.call("wifi_scan")]

    def ifconfig(self, config: "Any" = None) -> "tuple[str, str, str, str]":
        if not self.isconnected():
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        address: str = self._wire.call("wifi_address")
        return (address, "255.0.0.0", address, address)

    def ipconfig(self, param: str) -> "tuple[str, str]":
        if param != "addr4":
            raise ValueError("unknown config param")
        return self.ifconfig()[0], self.ifconfig()[1]

    def config(self, param: "str | None" = None, **_settings: "Any") -> "Any":
        if param == "mac":
            return self._wire.call("unique_id")
        if param is not None:
            raise ValueError("unknown config param")
        return None
