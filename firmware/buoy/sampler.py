"""What goes into a data message: which sensors are due, averaged or not, disabled or not.

Configuration (topic `config/sensor/`) gives per sensor:
    time-interval           s; the sensor appears only when this long has passed since it last did
    average-value           publish the mean of the readings of the last
    average-time-interval   s before the message, instead of one reading
    disable                 leave the sensor out
A sensor that is not due is left out: nothing old is passed off as fresh.
"""

from sensors.catalog import BOOLEAN_KEYS, KEYS


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
            from buoy.channel import Channel

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

    def tell_again(self):
        """Fakes have nothing to tell."""

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
