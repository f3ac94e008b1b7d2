"""Calls of the simulated modules that concern the chip itself: resets, watchdog, clock, NVS, Wi-Fi."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from buoyfleet.simulation.buses.ports import Ports

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reset(bench: Ports, kind: str, sleep_ms: int = 0) -> None:
    """The program asks for a reset or a sleep; whoever runs the board carries it out."""
    bench.chip.ask(kind, bench.now_us, sleep_ms)


def reset_cause(bench: Ports) -> int:
    """One of the *_RESET constants."""
    return bench.chip.reset_cause


def unique_id(bench: Ports) -> bytes:
    """The MAC."""
    return bench.chip.mac


def wdt_start(bench: Ports, timeout_ms: int) -> None:
    """Start the watchdog, at least 1 s on the ESP32."""
    bench.chip.wdt_us = (1000 * max(1000, timeout_ms), bench.now_us)


def wdt_feed(bench: Ports) -> None:
    """Feed it."""
    wdt = bench.chip.wdt_us
    if wdt is not None:
        bench.chip.wdt_us = (wdt[0], bench.now_us)


def rtc_get(bench: Ports) -> list[int]:
    """(year, month, day, weekday, hour, minute, second, microsecond), UTC."""
    date = _EPOCH + timedelta(microseconds=utc_us(bench))
    clock = [date.hour, date.minute, date.second, date.microsecond]
    return [date.year, date.month, date.day, date.weekday(), *clock]


def rtc_set(bench: Ports, fields: list[int]) -> None:
    """The same eight fields, of which the weekday is ignored; a day or an hour too many carries over, as the
    port's sum of seconds does.

    Raises:
        ValueError: not eight of them, or a month or year that the port has no table for.
    """
    if len(fields) != 8:
        raise ValueError(f"requested length 8 but object has length {len(fields)}")
    year, month, day, _, hour, minute, second, microsecond = fields
    date = datetime(year, month, 1, tzinfo=UTC) + timedelta(
        days=day - 1, hours=hour, minutes=minute, seconds=second, microseconds=microsecond
    )
    bench.chip.set_utc_us((date - _EPOCH) // timedelta(microseconds=1), bench.now_us)


def utc_us(bench: Ports) -> int:
    """Microseconds since 1970 by the board's clock."""
    return bench.chip.utc_us(bench.now_us)


def rtc_memory(bench: Ports, data: bytes | None = None) -> bytes:
    """The 2 KB that survive deep sleep; set if `data` is given."""
    if data is not None:
        if len(data) > 2048:
            raise ValueError("buffer too long")
        bench.chip.rtc_memory = data
    return bench.chip.rtc_memory


def nvs_get_i32(bench: Ports, namespace: str, key: str) -> int | bytes:
    """A 32-bit integer."""
    return bench.chip.nvs.get(namespace, key, int)


def nvs_get_blob(bench: Ports, namespace: str, key: str) -> int | bytes:
    """A blob."""
    return bench.chip.nvs.get(namespace, key, bytes)


def nvs_set(bench: Ports, namespace: str, key: str, value: int | bytes) -> None:
    """Set either."""
    bench.chip.nvs.set(namespace, key, value)


def nvs_erase(bench: Ports, namespace: str, key: str) -> None:
    """Erase a key."""
    bench.chip.nvs.erase(namespace, key)


def nvs_commit(bench: Ports) -> None:
    """Write to flash."""
    bench.chip.nvs.commit()


def wifi_active(bench: Ports, on: bool | None = None) -> bool:
    """Whether the radio is on; set if given."""
    if on is not None:
        bench.chip.radio.active = on
        if not on:
            bench.chip.radio.disconnect()
    return bench.chip.radio.active


def wifi_connect(bench: Ports, name: str, password: str) -> None:
    """Begin to join."""
    bench.chip.radio.connect(name, password, bench.t_s)


def wifi_disconnect(bench: Ports) -> None:
    """Leave."""
    bench.chip.radio.disconnect()


def wifi_status(bench: Ports) -> int:
    """One of the STAT_* values."""
    return bench.chip.radio.status(bench.t_s)


def wifi_scan(bench: Ports) -> list[bytes]:
    """Names of the access points in range."""
    radio = bench.chip.radio
    return [] if "out-of-range" in radio.faults else [name.encode() for name in radio.access_points]


def wifi_address(bench: Ports) -> str:
    """The leased address."""
    return bench.chip.radio.address


OPERATIONS: dict[str, Callable[..., Any]] = {
    call.__name__: call
    for call in (
        reset, reset_cause, unique_id, wdt_start, wdt_feed, rtc_get, rtc_set, utc_us, rtc_memory, nvs_get_i32,
        nvs_get_blob, nvs_set, nvs_erase, nvs_commit, wifi_active, wifi_connect, wifi_disconnect, wifi_status,
        wifi_scan, wifi_address,
    )
}  # fmt: skip
