"""Time of a board: ticks made a clock that never wraps. `buoy.kept_time` sets it, and the port's clock.

The application's clock is ms since start. UTC ms since 1970 is that clock plus an offset; the port's epoch
(2000 on an ESP32) plays no part.
"""

from buoy.shims import ticks_diff

# 2026-11-01, UTC, when this firmware was made, to some months: no earlier time is believed, and none 20 years
# later. A date from the machine that makes the program would give the same program different versions, so it
# stands here, and a test has it raised where a change of the firmware is three months younger
# (tests/boards/test_firmware_files.py).
BUILT_S = 1793491200
EARLIEST_MS = BUILT_S * 1000
LATEST_MS = (BUILT_S + 20 * 31557600) * 1000
WRONG_MS = 3600000  # a clock that was off by more was wrong, and so is what was stamped by it


class Clock:
    """Milliseconds since start. Must be asked at least once in six days: `ticks_ms` wraps at 2**30.

    Args:
        ticks: returns `time.ticks_ms()`.
    """

    def __init__(self, ticks):
        self._ticks = ticks
        self._last = ticks()
        self._now_ms = 0
        self._offset_ms = None
        self.set_ms = 0  # UTC when it was last set from outside
        self.since_ms = 0  # UTC when it was first set, or last found wrong
        self.poll_ms = 0  # how long to go on without asking a time server

    def now_ms(self):
        """Growing, never wrapping."""
        ticks = self._ticks()
        self._now_ms += ticks_diff(ticks, self._last)
        self._last = ticks
        return self._now_ms

    def known(self):
        """Whether UTC is known."""
        return self._offset_ms is not None

    def utc_ms(self, now_ms):
        """Integer ms since 1970; ms since start while UTC is not known."""
        return int(now_ms) + (self._offset_ms or 0)

    def local_ms(self, utc_ms):
        """The time of this clock at which it is `utc_ms`."""
        return utc_ms - (self._offset_ms or 0)

    def age_ms(self, now_ms):
        """Time since it was set from outside, over resets and deep sleep; None while UTC is not known."""
        return None if self._offset_ms is None else self.utc_ms(now_ms) - self.set_ms

    def set_utc(self, utc_ms, now_ms):
        """It is `utc_ms` at `now_ms`."""
        self._offset_ms = utc_ms - int(now_ms)
