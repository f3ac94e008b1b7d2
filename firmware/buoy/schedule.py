"""When messages are due: open loop, planned ahead, whatever the link does."""

from sensors import seldom


class Schedule:
    """Message n is due at start + n * interval, rounded down to whole ms; without an interval, as soon as the
    link has room.

    Times are whole milliseconds of the application's clock: nothing adds up to something else than the plan
    (buoyfleet.model.plan) says.

    `part_us` and `rest_us` are what the interval and the time until then have beyond.
    """

    __slots__ = ("_count", "_end_ms", "_part_us", "_rest_us", "due_ms", "interval_ms", "seq")

    @seldom
    def __init__(self, start_ms, interval_ms, count=None, end_ms=None, seq=0, part_us=0, rest_us=0):
        self.seq = seq  # number of the next message
        self.due_ms = start_ms
        self.interval_ms = interval_ms
        self._part_us = part_us
        self._rest_us = rest_us
        self._count = count
        self._end_ms = end_ms

    def finished(self, now_ms):
        """Whether no message is left; an unpaced schedule also ends when its time is over."""
        if self._count is not None and self.seq >= self._count:
            return True
        if self._end_ms is None:
            return False
        return (now_ms if self.interval_ms is None else self.due_ms) >= self._end_ms

    def advance(self):
        """The message that was due has been made."""
        self.seq += 1
        if self.interval_ms is not None:
            self.due_ms += self.interval_ms
            if self._part_us:
                self._rest_us += self._part_us
                if self._rest_us >= 1000:
                    self._rest_us -= 1000
                    self.due_ms += 1

    @seldom
    def change_interval(self, interval_ms, now_ms):
        """Follow a configuration message: the next message comes one new interval from now at the latest."""
        self.interval_ms = interval_ms
        self._part_us = 0
        if self.due_ms > now_ms + interval_ms:
            self.due_ms = now_ms + interval_ms

    @seldom
    def left(self):
        """Messages of a counted schedule that were not made yet; None without a count."""
        return None if self._count is None else max(0, self._count - self.seq)


@seldom
def planned(start_ms, interval_us, count, end_ms, first=0):
    """A schedule that begins with message `first` of a plan; `start_ms` is the time of message 0."""
    if interval_us is None:
        return Schedule(start_ms, None, count, end_ms, first)
    interval_ms, part_us = divmod(interval_us, 1000)
    ahead_ms, rest_us = divmod(first * interval_us, 1000)
    return Schedule(start_ms + ahead_ms, interval_ms, count, end_ms, first, part_us, rest_us)
