"""What goes into a data message of a buoy with probes: readings that take time, begun ahead of the message.

The interface is that of `buoy.sampler.Sampler`. A reading is begun so that it is complete when the message is
due. Where messages come faster than the probes can be read, a message takes the last complete reading, which
is as fresh as the parts allow.
"""

from sensors import once, seldom
from sensors.catalog import BOOLEAN_KEYS, KEYS

_FIRST_LEAD_MS = 1500  # until the first reading showed how long one takes
_LEAD_MARGIN_MS = 50
# A reading is used for messages that are due up to this many reading times after it.
_AGE_FACTOR = 2.5


class ProbeSampler:
    """Sensors of which at least one is a driver on its bus.

    Args:
        reader: `sensors.reader.Reader` of the drivers.
        fakes: list of (key, sample) of the other sensors, sampled when the message is made.
    """

    needs_steps = True

    @once
    def __init__(self, reader, fakes):
        self._reader = reader
        self._fakes = dict(fakes)
        self._keys = tuple([key for key in KEYS if key in reader.sensors or key in self._fakes])
        self._probes = tuple([key for key in self._keys if key not in self._fakes])
        self._channels = []  # made by the first configuration: most buoys never get one
        self._reading = False
        self._started_ms = 0
        self._complete_ms = None
        self._lead_ms = _FIRST_LEAD_MS
        self._errors = []

    def every_key(self):
        """Keys of the sensors the buoy carries, disabled ones included."""
        return self._keys

    @seldom
    def configure(self, key, interval_ms, average_ms, disabled):
        """Apply a configuration; False if the buoy has no such sensor."""
        if key not in self._keys:
            return False
        if not self._channels:
            from buoy.channel import Channel

            self._channels = [Channel(own, self._fakes.get(own)) for own in self._keys]
        self._channels[self._keys.index(key)].configure(interval_ms, average_ms, disabled)
        return True

    def step(self, n, now_ms, due_ms):
        """Go on with the reading for the message due next; returns when to be called again."""
        if self._reading:
            if not self._reader.poll(now_ms):
                return self._reader.due_ms
            self._finish(n, now_ms, due_ms)
        begin_ms = due_ms - self._lead_ms - self._widest_window_ms()
        complete_ms = self._complete_ms
        if (
            complete_ms is not None
            and complete_ms >= due_ms - self._lead_ms
            and not self._averaging(now_ms, due_ms)
        ):
            return due_ms
        if now_ms < begin_ms:
            return begin_ms
        keys = self._probes
        if self._channels:
            from buoy.channel import keys_due

            keys = keys_due(self._channels, due_ms)
        self._reader.start(now_ms, keys)
        self._reading = True
        self._started_ms = now_ms
        return now_ms

    def ready(self, due_ms):
        """Whether there is a reading for a message due then."""
        complete_ms = self._complete_ms
        return complete_ms is not None and due_ms - complete_ms <= _AGE_FACTOR * self._lead_ms

    def take(self, n, now_ms):
        """Keys and values of message n; booleans come as their JSON texts; withheld ones are left out."""
        keys = []
        values = []
        for key, value in self._values(n, now_ms):
            if value is not None:
                keys.append(key)
                values.append(("true" if value else "false") if key in BOOLEAN_KEYS else value)
        return tuple(keys), values

    def take_errors(self):
        """(key, code, text) for the error topic since the last call."""
        errors = self._errors
        self._errors = []
        return errors

    def tell_again(self):
        """Let the next reading tell errors that were told before."""
        self._reader.told.clear()

    def _values(self, n, now_ms):
        """(key, value or None) of every sensor that is due."""
        if self._channels:
            from buoy.channel import values_due

            return values_due(self._channels, self._reader, n, now_ms)
        pairs = []
        for key in self._keys:
            sample = self._fakes.get(key)
            pairs.append((key, self._reader.value(key) if sample is None else sample(n)))
        return pairs

    def _finish(self, n, now_ms, due_ms):
        self._reading = False
        self._complete_ms = now_ms
        self._lead_ms = now_ms - self._started_ms + _LEAD_MARGIN_MS
        self._errors.extend(self._reader.take_errors())
        if self._channels:
            from buoy.channel import gather

            gather(self._channels, self._reader, n, now_ms, due_ms)

    def _widest_window_ms(self):
        widest_ms = 0
        for channel in self._channels:
            if not channel.disabled and channel.average_ms > widest_ms:
                widest_ms = channel.average_ms
        return widest_ms

    def _averaging(self, now_ms, due_ms):
        widest_ms = self._widest_window_ms()
        return widest_ms > 0 and now_ms >= due_ms - widest_ms
