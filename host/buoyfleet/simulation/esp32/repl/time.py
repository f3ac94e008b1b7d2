# ruff: noqa
# mypy: ignore-errors
"""`time` as the ESP32 port has it: whole seconds since 2000 by the board's own clock; ticks are the interpreter's."""

from utime import sleep, sleep_us, ticks_add, ticks_cpu, ticks_diff, ticks_ms, ticks_us
import ffi as _ffi
import utime as _unix

_EPOCH_S = 946684800  # 1970 to 2000
_poll = _ffi.open(None).func("i", "poll", "pii")


def sleep_ms(ms):
    """Waits in one call of the system: the Unix port's own wakes up 2000 times a second. Takes no memory."""
    began = ticks_ms()
    left = ms
    while left > 0:  # a Ctrl-C ends the call and is raised here
        _poll(None, 0, left)
        left = ms - ticks_diff(ticks_ms(), began)


def time_ns():
    return (__import__("buoy_wire").current().call("utc_us") - _EPOCH_S * 1000000) * 1000


def time():
    return time_ns() // 1000000000


def gmtime(seconds=None):
    return _unix.gmtime((time() if seconds is None else int(seconds)) + _EPOCH_S)[:8]


localtime = gmtime


def mktime(fields):
    # Days from the civil date (Howard Hinnant's algorithm, March-based years); no time zone on a board.
    year, month, day, hour, minute, second = fields[:6]
    year -= month <= 2
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return (days - 730425) * 86400 + hour * 3600 + minute * 60 + second
