"""`time` by the board's simulated clock: ticks wrap at 2^30 as on a board."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIRED = ("ticks_ms", "ticks_us", "ticks_cpu", "time", "time_ns", "sleep", "sleep_ms", "sleep_us")

PERIOD = 1 << 30


def _wire(wire: "Any") -> "Any":
    return __import__("buoy_wire").current() if wire is None else wire


def ticks_us(wire: "Any" = None) -> int:
    now: int = _wire(wire).now_us
    return now & (PERIOD - 1)


def ticks_cpu(wire: "Any" = None) -> int:
    return ticks_us(wire)


def ticks_ms(wire: "Any" = None) -> int:
    now: int = _wire(wire).now_us
    return now // 1000 & (PERIOD - 1)


def ticks_add(ticks: int, delta: int) -> int:
    return (ticks + delta) & (PERIOD - 1)


def ticks_diff(ticks1: int, ticks2: int) -> int:
    return ((ticks1 - ticks2 + PERIOD // 2) & (PERIOD - 1)) - PERIOD // 2


def time(wire: "Any" = None) -> int:
    """Whole seconds since 2000, as the ESP32 port counts."""
    now: int = _wire(wire).call("utc_us")
    return now // 1000000 - 946684800


def time_ns(wire: "Any" = None) -> int:
    now: int = _wire(wire).call("utc_us")
    return (now - 946684800000000) * 1000


def sleep_us(us: int, wire: "Any" = None) -> None:
    """Waits on a running board; simulated time does not pass inside a call."""
    _wire(wire).wait_us(us)


def sleep_ms(ms: int, wire: "Any" = None) -> None:
    sleep_us(ms * 1000, wire)


def sleep(seconds: float, wire: "Any" = None) -> None:
    sleep_us(int(seconds * 1000000), wire)
