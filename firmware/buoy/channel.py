"""One sensor of a buoy as a configuration wants it: how often, averaged or not, or not at all."""

from sensors.catalog import BOOLEAN_KEYS

AVERAGE_STEP_MS = 1000  # distance of readings that are averaged


class Channel:
    """One sensor of the buoy with its configuration."""

    __slots__ = (
        "_count",
        "_next_ms",
        "_sum",
        "average_ms",
        "boolean",
        "disabled",
        "due_ms",
        "interval_ms",
        "key",
        "sample",
    )

    def __init__(self, key, sample):
        self.key = key
        self.sample = sample  # n → value
        self.boolean = key in BOOLEAN_KEYS
        self.interval_ms = 0
        self.average_ms = 0
        self.disabled = False
        self.due_ms = 0
        self._next_ms = 0
        self._sum = 0.0
        self._count = 0

    def configure(self, interval_ms, average_ms, disabled):
        """Follow a configuration message."""
        self.interval_ms = interval_ms
        self.average_ms = average_ms
        self.disabled = disabled

    def plain(self):
        """Whether no configuration touches this sensor."""
        return not (self.disabled or self.interval_ms or self.average_ms)

    def gather(self, n, now_ms, message_due_ms):
        """Take a reading for the average if one is due; returns the time of the next."""
        if now_ms >= message_due_ms:
            return message_due_ms
        window_ms = message_due_ms - self.average_ms
        if now_ms < window_ms:
            return window_ms
        if now_ms >= self._next_ms:
            self.add(self.sample(n))
            self._next_ms = now_ms + AVERAGE_STEP_MS
        return self._next_ms

    def add(self, value):
        """Count a reading into the average."""
        self._sum += value
        self._count += 1

    def value(self, n):
        """The value to publish: the mean of what was gathered, or a reading taken now."""
        mean = self.mean()
        return self.sample(n) if mean is None else mean

    def mean(self):
        """The mean of what was gathered, which begins anew; None if that is nothing."""
        if not self._count:
            return None
        mean = self._sum / self._count
        self._sum = 0.0
        self._count = 0
        return mean >= 0.5 if self.boolean else mean


# Of a buoy with probes: `channel.sample` is None where a probe is behind it, and `reader` has its readings.


def keys_due(channels, due_ms):
    """Keys of the probes to read for a message due then."""
    return tuple(
        [
            channel.key
            for channel in channels
            if channel.sample is None
            and not channel.disabled
            and (not channel.interval_ms or due_ms >= channel.due_ms)
        ]
    )


def values_due(channels, reader, n, now_ms):
    """(key, value or None) of the sensors that are due; yields."""
    for channel in channels:
        if channel.disabled or now_ms < channel.due_ms:
            continue
        if channel.sample is None:
            value = channel.mean()
            if value is None:
                value = reader.value(channel.key)
        else:
            value = channel.value(n)
        if channel.interval_ms and value is not None:
            channel.due_ms = now_ms + channel.interval_ms
        yield channel.key, value


def gather(channels, reader, n, now_ms, due_ms):
    """Count a complete reading into the averages."""
    for channel in channels:
        if not channel.average_ms or channel.disabled:
            continue
        if channel.sample is not None:
            channel.gather(n, now_ms, due_ms)
        elif now_ms >= due_ms - channel.average_ms:
            value = reader.value(channel.key)
            if value is not None:
                channel.add(value)
