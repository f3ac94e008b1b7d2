"""The application of a buoy, driven in steps: no I/O of its own, no sleep, no clock of its own.

It is wired from parts it is given; whoever drives it calls `step(now_ms)` when the returned time has come and
soon after every event of the transport.
"""

from buoy.link import FOREVER_MS
from buoy.message import Message
from buoy.payload import CODE_CONNECTION_LOST, CONNECTIVITY_ERROR, SENSOR_ERROR, error_payload
from buoy.shims import forget
from sensors import once, seldom

MOST_AT_ONCE = 100  # messages made up for in one step: the watchdog waits for its end
IDLE_SAMPLE_MS = 50  # least distance of looks at probes while there is no schedule

ERROR_SEQ = -1  # messages that are not data carry no number


class Topics:
    """The topics of one buoy, as bytes: `<prefix>/<buoy_id>/data/` and its siblings."""

    __slots__ = ("config_global", "config_sensor", "data", "error")

    @once
    def __init__(self, prefix, buoy_id, rule=""):
        base = "%s/%d/" % (prefix, buoy_id)
        # With a rule, data go straight to it (IoT Core, Basic Ingest), and no subscriber sees them.
        self.data = ((rule and "$aws/rules/%s/" % rule) + base + "data/").encode()
        self.error = (base + "error/").encode()
        self.config_global = (base + "config/global/").encode()
        self.config_sensor = (base + "config/sensor/").encode()

    @once
    def console(self):
        """Where requests to the console come and its answers leave; see `buoy.remote`."""
        base = self.error[:-6]
        return base + b"config/console/", base + b"error/console/"


class App:
    """One buoy.

    Args:
        topics: `Topics`.
        payload: `buoy.payload.Payload`.
        sampler: `buoy.sampler.Sampler`.
        storage: `get(key) -> text or None` and `set(key, text)`, which lasts over a reset.
        utc_ms: function from the application's clock to integer ms since 1970.
        on_command: called with `config.RESET` or `config.SHUTDOWN`, once per distinct message, or with
            `config.WAKE`.
        log: called with a line of text.
    """

    __slots__ = (
        "_events",
        "_payload",
        "_utc_ms",
        "last_timestamp_ms",
        "link",
        "log",
        "low_power",
        "on_command",
        "sampler",
        "schedule",
        "storage",
        "topics",
    )

    @once
    def __init__(self, topics, payload, sampler, storage, utc_ms, on_command, log):
        self.topics = topics
        self._payload = payload
        self.sampler = sampler
        self.storage = storage
        self._utc_ms = utc_ms
        self.on_command = on_command
        self.log = log
        self._events = []  # (topic, payload), or (None, reason) of trouble, until the next step
        self.last_timestamp_ms = 0  # 0 again where the clock was wrong and is set
        self.link = None  # set by whoever wires the parts: the link needs the application's callbacks
        self.schedule = None
        self.low_power = False

    def step(self, now_ms):
        """Do what is due. Returns the time of the next call at the latest."""
        if self._events:
            self._handle_events(now_ms)
        link = self.link
        schedule = self.schedule
        sampler = self.sampler
        if schedule is None or schedule.finished(now_ms):
            wake_ms = link.step(now_ms)
            if schedule is None and sampler.needs_steps:
                # Probes are kept read before there is anything to send: the first message then is in time.
                sample_ms = max(self._sample(0, now_ms, now_ms), now_ms + IDLE_SAMPLE_MS)
                wake_ms = min(wake_ms, sample_ms)
            return wake_ms
        if schedule.interval_ms is None:
            return self._step_unpaced(schedule, now_ms)
        seq = schedule.seq
        if sampler.needs_steps:
            next_ms = self._sample(seq, now_ms, schedule.due_ms)
        last = seq + MOST_AT_ONCE
        while (
            schedule.due_ms <= now_ms
            and not schedule.finished(now_ms)
            and schedule.seq < last
            and sampler.ready(schedule.due_ms)
        ):
            self._produce(schedule, schedule.due_ms, now_ms)
        wake_ms = link.step(now_ms)
        if schedule.finished(now_ms):
            return wake_ms
        if not sampler.needs_steps:
            next_ms = schedule.due_ms
        elif schedule.seq != seq:
            next_ms = self._sample(schedule.seq, now_ms, schedule.due_ms)
        return next_ms if next_ms < wake_ms else wake_ms

    def ready(self, now_ms):
        """Whether a message due now could be made: probes take a while for their first reading."""
        return self.sampler.ready(now_ms)

    def done(self, now_ms):
        """Whether every message of the schedule was made and has arrived."""
        schedule = self.schedule
        return (schedule is None or schedule.finished(now_ms)) and self.link.idle()

    def next_timestamp_ms(self, now_ms):
        """Integer ms since 1970, strictly increasing per buoy: it is the identity of a message."""
        timestamp_ms = self._utc_ms(now_ms)
        if timestamp_ms <= self.last_timestamp_ms:
            timestamp_ms = self.last_timestamp_ms + 1
        self.last_timestamp_ms = timestamp_ms
        return timestamp_ms

    @seldom
    def report_error(self, kind, code, text, now_ms, sensor=""):
        """Tell the cloud on the error topic, as soon as the link allows."""
        body = error_payload(self._utc_ms(now_ms), kind, code, text, sensor)
        self.link.send(Message(ERROR_SEQ, self.topics.error, body, now_ms), now_ms)

    # Callbacks of the link. They come without a time, so what they bring waits for the next step.

    def on_trouble(self, reason):
        """The connection ended, could not be made, or lacks something."""
        self._events.append((None, reason))

    def on_config(self, topic, payload):
        """A message on one of the two configuration topics; None in its place: too large to be received."""
        self._events.append((topic, payload))

    # Inside

    @seldom
    def _handle_events(self, now_ms):
        events = self._events
        self._events = []
        for topic, content in events:
            if topic is None:
                self.log(content)
                self.report_error(CONNECTIVITY_ERROR, CODE_CONNECTION_LOST, content, now_ms)
            else:
                # Its code is in a board's memory only while a configuration is followed.
                try:
                    from buoy import config

                    config.follow(self, topic, content, now_ms)
                except MemoryError:
                    # No room even for its code; it is retained, and comes again with the next connection.
                    self.log("no memory to follow a configuration")
                forget("buoy", ("config",))

    def _step_unpaced(self, schedule, now_ms):
        link = self.link
        sampler = self.sampler
        next_ms = now_ms + FOREVER_MS
        if sampler.needs_steps:
            next_ms = self._sample(schedule.seq, now_ms, now_ms)
        wake_ms = link.step(now_ms)
        while link.room() and not schedule.finished(now_ms) and sampler.ready(now_ms):
            self._produce(schedule, now_ms, now_ms)
        return next_ms if next_ms < wake_ms else wake_ms

    def _sample(self, seq, now_ms, due_ms):
        wake_ms = self.sampler.step(seq, now_ms, due_ms)
        for sensor, code, text in self.sampler.take_errors():
            self.log(text)
            self.report_error(SENSOR_ERROR, code, text, now_ms, sensor)
        return wake_ms

    def _produce(self, schedule, planned_ms, now_ms):
        seq = schedule.seq
        keys, values = self.sampler.take(seq, now_ms)
        payload = self._payload.render(keys, values, self.next_timestamp_ms(now_ms))
        self.link.send(Message(seq, self.topics.data, payload, planned_ms), now_ms)
        schedule.advance()
