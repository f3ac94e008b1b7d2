"""What goes into a data message: which sensors are due, averaged or not, disabled or not.

Configuration (topic `config/sensor/`) gives per sensor:
    time-interval           s; the sensor appears only when this long has passed since it last did
    average-value           publish the mean of the readings of the last
    average-time-interval   s before the message, instead of one reading
    disable                 leave the sensor out
A sensor that is not due is left out: nothing old is passed off as fresh.
"""

from sensors.catalog import BOOLEAN_KEYS, KEYS

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


class Sampler:
    """The sensors of a buoy, in the order of publication.

    `sources` is a list of (key, sample), where `sample(n)` gives the value for message n; sensors that are
    off are not in it.
    """

    __slots__ = ("_channels", "_keys", "_plain", "_samples", "_sources", "needs_steps")

    def __init__(self, sources):
        order = dict(sources)
        self._keys = tuple(key for key in KEYS if key in order)
        self._samples = [_texted(order[key]) if key in BOOLEAN_KEYS else order[key] for key in self._keys]
        self._sources = order
        self._channels = []  # made by the first configuration: most buoys never get one
        self._plain = True
        self.needs_steps = False

    def every_key(self):
        """Keys of the sensors the buoy carries, disabled ones included."""
        return self._keys

    def configure(self, key, interval_ms, average_ms, disabled):
        """Apply a configuration; False if the buoy has no such sensor."""
        if key not in self._keys:
            return False
        if not self._channels:
            self._channels = [Channel(own, self._sources[own]) for own in self._keys]
        self._channels[self._keys.index(key)].configure(interval_ms, average_ms, disabled)
        self._plain = all(channel.plain() for channel in self._channels)
        self.needs_steps = any(channel.average_ms and not channel.disabled for channel in self._channels)
        return True

    def ready(self, _message_due_ms):
        """Fakes are always ready."""
        return True

    def take_errors(self):
        """Fakes have none."""
        return ()

    def step(self, n, now_ms, message_due_ms):
        """Gather readings for averages while `needs_steps`; returns the time of the next reading."""
        wake_ms = message_due_ms
        for channel in self._channels:
            if channel.average_ms and not channel.disabled:
                next_ms = channel.gather(n, now_ms, message_due_ms)
                if next_ms < wake_ms:
                    wake_ms = next_ms
        return wake_ms

    def take(self, n, now_ms):
        """Keys and values of message n; booleans come as their JSON texts.

        Returns:
            (keys, values): a tuple of keys that is the same object for the same set, and a new list.
        """
        if self._plain:
            return self._keys, [sample(n) for sample in self._samples]
        keys = []
        values = []
        for channel in self._channels:
            if channel.disabled or now_ms < channel.due_ms:
                continue
            if channel.interval_ms:
                channel.due_ms = now_ms + channel.interval_ms
            value = channel.value(n)
            keys.append(channel.key)
            values.append(("true" if value else "false") if channel.boolean else value)
        return tuple(keys), values


def _texted(sample):
    def text(n):
        return "true" if sample(n) else "false"

    return text
