"""The ESP32 itself, as far as `machine`, `esp32` and `network` show it: resets, NVS, clock, radio."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from buoyfleet.simulation.buses.idf_heap import IdfHeap
from buoyfleet.simulation.parts.radio import ACCESS_POINT, PASSWORD, Radio

# machine.reset_cause() of the ESP32 port.
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

POWER_ON_UTC_US = 946_684_800_000_000
"""2000-01-01 00:00: what the port's clock says after power-on."""
SLEEP_DRIFT = 0.005
"""In deep sleep the clock runs on the RC oscillator (150 kHz), which the chip compares with its crystal only
while it is awake: a board is off by a share of its own, at most this much. Users report 20 s an hour."""

ESPRESSIF_OUI = bytes.fromhex("240ac4")


@dataclass(frozen=True, slots=True)
class ChipEvent:
    """What the program asked of the chip."""

    kind: str
    """reset, soft_reset, deepsleep, lightsleep or wdt."""
    at_us: int
    sleep_ms: int = 0
    """Of a sleep; 0: for ever."""


class NvsError(OSError):
    """A key is missing, of another type, or too long; codes are ESP-IDF's."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(code, name)


class Nvs:
    """Non-volatile storage: what was committed survives a reset, the rest does not."""

    __slots__ = ("_pending", "committed")

    def __init__(self) -> None:
        self.committed: dict[tuple[str, str], int | bytes] = {}
        """(namespace, key) → a 32-bit integer or a blob."""
        self._pending: dict[tuple[str, str], int | bytes | None] = {}

    def get(self, namespace: str, key: str, kind: type) -> int | bytes:
        """A value of that type.

        Raises:
            NvsError: as on the board.
        """
        at = (namespace, key)
        value = self._pending[at] if at in self._pending else self.committed.get(at)
        if value is None or not isinstance(value, kind):
            raise NvsError(-4354, "ESP_ERR_NVS_NOT_FOUND")
        return value

    def set(self, namespace: str, key: str, value: int | bytes) -> None:
        """Set a value, to be committed."""
        if len(key) > 15:
            raise NvsError(-4361, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._pending[namespace, key] = value

    def erase(self, namespace: str, key: str) -> None:
        """Erase a key, to be committed."""
        self.get(namespace, key, object)
        self._pending[namespace, key] = None

    def commit(self) -> None:
        """Write to flash what was set and erased."""
        for at, value in self._pending.items():
            if value is None:
                self.committed.pop(at, None)
            else:
                self.committed[at] = value
        self._pending.clear()

    def forget_pending(self) -> None:
        """A reset: what was not committed is gone."""
        self._pending.clear()


class Chip:
    """One ESP32.

    Args:
        mac: six bytes; also the unique id.
        reset_cause: what `machine.reset_cause()` says at first.
        access_points: Wi-Fi in range, name → password.
    """

    __slots__ = (
        "_asleep_us",
        "_utc_at_zero_us",
        "boot_us",
        "events",
        "handshake",
        "idf",
        "mac",
        "nvs",
        "open_sockets",
        "radio",
        "reference_voltage",
        "reset_cause",
        "rtc_memory",
        "sleep_drift",
        "wdt_us",
    )

    def __init__(
        self, mac: bytes, reset_cause: int = PWRON_RESET, access_points: Mapping[str, str] | None = None
    ) -> None:
        self.mac = mac
        self.reset_cause = reset_cause
        self.nvs = Nvs()
        self.rtc_memory = b""
        self._utc_at_zero_us = POWER_ON_UTC_US
        self._asleep_us: int | None = None
        self.sleep_drift = SLEEP_DRIFT * (mac[-1] * 37 % 201 - 100) / 100
        """Share by which the clock gains in deep sleep; every board has its own."""
        self.boot_us = 0
        self.radio = Radio({ACCESS_POINT: PASSWORD} if access_points is None else access_points, mac)
        self.events: list[ChipEvent] = []
        self.reference_voltage = True
        """In the eFuse. Without it `ADC.read_uv` raises OSError -258."""
        self.idf = IdfHeap()
        self.handshake = ""
        """Whose memory a TLS handshake under way takes."""
        self.open_sockets: Callable[[], dict[int, str]] = dict
        """Descriptor → identity, of the sockets that the program has open; whoever runs it knows."""
        self.wdt_us: tuple[int, int] | None = None
        """(timeout, last fed), once started; it cannot be stopped."""

    def utc_us(self, now_us: int) -> int:
        """Microseconds since 1970 by the board's clock, as RTC, `time.time()` and TLS see it."""
        return self._utc_at_zero_us + now_us

    def set_utc_us(self, utc_us: int, now_us: int) -> None:
        """Set that clock; it goes on over every reset but a power-on."""
        self._utc_at_zero_us = utc_us - now_us

    def ask(self, kind: str, now_us: int, sleep_ms: int = 0) -> None:
        """The program wants a reset or a sleep: noted for whoever runs the board."""
        if kind == "deepsleep":
            self._asleep_us = now_us
        self.events.append(ChipEvent(kind, now_us, sleep_ms))

    def watch(self, now_us: int) -> bool:
        """Whether the watchdog has bitten; notes it once."""
        if self.wdt_us is None or now_us - self.wdt_us[1] < self.wdt_us[0]:
            return False
        self.ask("wdt", now_us)
        self.wdt_us = None
        return True

    def boot(self, cause: int, now_us: int) -> None:
        """Start anew after a reset: peripherals and what was not committed are gone."""
        self.reset_cause = cause
        self.boot_us = now_us
        self.wdt_us = None
        self.nvs.forget_pending()
        if cause != SOFT_RESET:
            self.idf = IdfHeap(self.idf.lows)
        self.idf.shaking_hands = False
        for owner in self.idf.owners("area") + self.idf.owners("tls") + self.idf.owners("handshake"):
            self.idf.give_back(owner)  # a soft reset empties every area, and closes what was open
        self.radio.active = False
        self.radio.disconnect()
        if cause == PWRON_RESET:
            self.rtc_memory = b""
            self.set_utc_us(POWER_ON_UTC_US, now_us)
        elif cause == DEEPSLEEP_RESET and self._asleep_us is not None:
            self._utc_at_zero_us += round((now_us - self._asleep_us) * self.sleep_drift)
        self._asleep_us = None


def mac_of(number: int) -> bytes:
    """A MAC of Espressif's for a board's number."""
    return ESPRESSIF_OUI + (number & 0xFFFFFF).to_bytes(3, "big")
