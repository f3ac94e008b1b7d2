"""Two ways to keep a rate: count within a second and refuse the rest, or let bytes run into debt and wait.

Times are seconds of the broker's own clock; nothing here reads a clock.
"""


class SecondWindow:
    """At most `limit` events in any one second that starts with an event.

    IoT Core says "per second" and no more: a window, unlike a bucket that saves up, discards the excess of a
    load that is steadily too high from its first second on.
    """

    __slots__ = ("count", "limit", "started_s")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.started_s = float("-inf")
        self.count = 0
        """Events of the current second, refused ones included."""

    def take(self, now_s: float) -> bool:
        """Count one event; whether it is within the limit."""
        if now_s - self.started_s >= 1.0:
            self.started_s = now_s
            self.count = 1
            return True
        self.count += 1
        return self.count <= self.limit

    def take_many(self, now_s: float, count: int) -> bool:
        """Count several events of one moment; whether all are within the limit."""
        if now_s - self.started_s >= 1.0:
            self.started_s = now_s
            self.count = count
        else:
            self.count += count
        return self.count <= self.limit

    def room(self, now_s: float) -> bool:
        """Whether `take` would say yes, without counting."""
        return now_s - self.started_s >= 1.0 or self.count < self.limit


class ByteBucket:
    """`bytes_per_s` on average, a second's worth at once; a packet may overdraw, the next then waits."""

    __slots__ = ("_at_s", "_level", "bytes_per_s")

    def __init__(self, bytes_per_s: int, now_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._level = float(bytes_per_s)
        self._at_s = now_s

    def take(self, now_s: float, size: int) -> bool:
        """Pay for `size` bytes now, or say that they must wait."""
        self._level = min(self.bytes_per_s, self._level + (now_s - self._at_s) * self.bytes_per_s)
        self._at_s = now_s
        if self._level <= 0:
            return False
        self._level -= size
        return True

    def wait_s(self) -> float:
        """Seconds after the last `take` until the next succeeds."""
        return max(0.0, -self._level / self.bytes_per_s)
