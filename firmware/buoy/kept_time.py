"""Setting a board's clock, and finding it again after a reset; in memory only while that is done.

The port's own clock (`machine.RTC`) is set as well, because certificates are judged by it; after power-on it
says 2000-01-01. It goes on over resets and deep sleep. A mark in RTC memory, which a power cut erases, says
that it was this firmware that set it, and when: no other clock is believed.
"""

import struct
import time

from buoy.timekeeping import EARLIEST_MS, LATEST_MS, WRONG_MS

_MARK = ">4sQQI"  # b"UTC1", since_ms, set_ms, poll_ms
_MAGIC = b"UTC1"


def set_time(board, utc_ms, now_ms):
    """Somebody to be trusted says that it is `utc_ms`, inside the bounds, at `now_ms`."""
    clock = board.clock
    known = clock.known()
    wrong_ms = clock.utc_ms(now_ms) - utc_ms if known else 0
    since_ms = clock.since_ms
    clock.set_utc(utc_ms, now_ms)
    clock.set_ms = utc_ms
    wrong = abs(wrong_ms) > WRONG_MS
    if wrong or not known:
        clock.since_ms = utc_ms
    _keep(board, utc_ms)
    if board.app is None or (known and not wrong):
        return
    from buoy import restamp
    from buoy.shims import forget

    if wrong:
        restamp.after_step(board, since_ms, utc_ms, wrong_ms, now_ms)
    else:
        restamp.after_start(board, utc_ms, now_ms)
    forget("buoy", ("restamp", "outbox_files"))


def restore(board):
    """Go on with the port's clock, if this firmware set it and the power has been there since."""
    rtc = board.machine.RTC()
    mark = rtc.memory()
    if len(mark) != struct.calcsize(_MARK):
        return
    magic, since_ms, set_ms, poll_ms = struct.unpack(_MARK, mark)
    utc_ms = _utc_ms(rtc.datetime())
    if magic != _MAGIC or not EARLIEST_MS <= set_ms <= utc_ms <= LATEST_MS:
        return
    clock = board.clock
    now_ms = clock.now_ms()
    clock.set_utc(utc_ms, now_ms)
    clock.since_ms = since_ms
    clock.set_ms = set_ms
    clock.poll_ms = poll_ms
    board.ask_ms = now_ms + poll_ms - (utc_ms - set_ms)


def _keep(board, utc_ms):
    clock = board.clock
    rtc = board.machine.RTC()
    # `time` counts from 2000 on an ESP32, from 1970 elsewhere.
    seconds = utc_ms // 1000 - (946684800 if time.gmtime(0)[0] == 2000 else 0)
    year, month, day, hour, minute, second = time.gmtime(seconds)[:6]
    rtc.datetime((year, month, day, 0, hour, minute, second, utc_ms % 1000 * 1000))
    rtc.memory(struct.pack(_MARK, _MAGIC, clock.since_ms, clock.set_ms, clock.poll_ms))


def _utc_ms(fields):
    """Of what `RTC.datetime` gives: days from the civil date (Howard Hinnant's algorithm), then the rest."""
    year, month, day, _weekday, hour, minute, second, us = fields
    year -= month <= 2
    days = (
        365 * year
        + year // 4
        - year // 100
        + year // 400
        + (153 * ((month + 9) % 12) + 2) // 5
        + day
        - 719469
    )
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + us // 1000
