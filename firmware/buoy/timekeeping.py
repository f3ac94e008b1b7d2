"""Time of a board: ticks made a clock that never wraps; buoy.sntp tells it the UTC.

The application's clock is ms since start. UTC ms since 1970 is that clock plus an offset; the port's epoch
(2000 on an ESP32) plays no part, since nothing asks `time.time()`.
"""

from buoy.shims import ticks_diff
from sensors import once


class Clock:
    """Milliseconds since start. Must be asked at least once in six days: `ticks_ms` wraps at 2**30.

    Args:
        ticks: returns `time.ticks_ms()`.
    """

    @once
    def __init__(self, ticks):
        self._ticks = ticks
        self._last = ticks()
        self._now_ms = 0
        self._offset_ms = None

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

    def set_utc(self, utc_ms, now_ms):
        """It is `utc_ms` at `now_ms`."""
        self._offset_ms = utc_ms - int(now_ms)
