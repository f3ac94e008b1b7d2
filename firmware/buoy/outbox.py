"""Messages that wait for the link: bounded, in order, the oldest dropped first and counted."""


class MemoryOutbox:
    """An outbox in RAM.

    Every outbox has `put`, `take`, `requeue`, `settle`, `clear`, `count` (messages waiting), `dropped` and
    `on_drop`; one on flash keeps what was taken until it is settled.
    """

    __slots__ = ("_capacity", "_waiting", "count", "dropped", "on_drop")

    def __init__(self, capacity, on_drop=None):
        self._capacity = capacity
        self._waiting = []
        self.count = 0
        self.dropped = 0
        self.on_drop = on_drop  # called with (message, reason)

    def put(self, message):
        """Add behind all others; drops the oldest when full."""
        if len(self._waiting) >= self._capacity:
            self._drop()
        self._waiting.append(message)
        self.count += 1

    def take(self):
        """Remove and return the oldest message; the outbox must not be empty."""
        self.count -= 1
        return self._waiting.pop(0)

    def requeue(self, messages):
        """Put messages that were taken but not settled back in front, oldest first."""
        self._waiting[:0] = messages
        self.count += len(messages)
        while len(self._waiting) > self._capacity:
            self._drop()

    def settle(self, message):
        """The message arrived: nothing of it needs to be kept."""

    def clear(self, reason):
        """Drop everything, counted and reported with the reason."""
        while self._waiting:
            self._drop(reason)

    def _drop(self, reason="outbox full"):
        message = self.take()
        self.dropped += 1
        if self.on_drop is not None:
            self.on_drop(message, reason)
