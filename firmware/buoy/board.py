"""One board: its parts wired together and driven in steps.

`modules(name)` gives `machine`, `network`, `esp32`; `port` has `read() -> bytes` and `write(bytes)`, and
neither waits. In maintenance mode there is a console and nothing else: no watchdog, no sleep, no application.
"""

from buoy.shims import forget
from sensors import once, seldom

STEP_MS = 20  # longest wait between two looks at console and socket
RETAINED_MS = 2000  # after the connection is up, for retained configuration
AWAKE_MAX_MS = 120000  # in low-power mode: sleep then, whatever is missing; the outbox keeps what was made
SHUTDOWN_SLEEP_MS = 12 * 3600 * 1000  # shut down: when to look at the configuration again
_MESSAGE_WAIT_MS = 60000  # low power: without a link by then, the message is made for the outbox
_LEAST_SLEEP_MS = 1000
PLAN_MS = 200  # between two looks at what a buoy without a test plan has to do
RETRY_MS = 600000  # after a start that failed
_ASK_ANEW_MS = 600000  # age of a time that is asked for again where no connection comes about
_SELDOM = ("settings", "config", "starting", "circuits")


class Board:
    """One board.

    Args:
        ticks: `time.ticks_ms`.
        make_transport: (settings, identity) → transport of the link, with `poll`.
        open_ntp: (host, port) → socket for `Sntp`.
        random: returns [0, 1).
    """

    @once
    def __init__(self, modules, port, ticks, make_transport, open_ntp, random):
        from buoy import starting

        given = starting.prepare(self, modules, port, ticks, random)
        try:
            starting.start(self, given, make_transport, open_ntp, random)
        except Exception as error:
            # A console for people with a cable; then once more, as a buoy in the river needs it.
            starting.troubled(self, "cannot start", error)
            self.app = None
            self.maintenance_ms = RETRY_MS
        forget("buoy", _SELDOM)

    def step(self):
        """One turn; returns ms that may be waited before the next."""
        now_ms = self.clock.now_ms()
        data = self.port.read()
        if data:
            self.console.feed(data)
            forget("buoy", _SELDOM)
            # Answers do not wait for the application: TLS connects within one step, which takes seconds.
            self._write_out()
        wait_ms = STEP_MS
        if self.reading is not None and self.reading(now_ms):
            self.reading = None
        if self.app is not None:
            wait_ms = max(0, min(wait_ms, self._step_application(now_ms) - now_ms))
        if self.console.ring is not None:
            self.console.ring.flush()
        self._write_out()
        if self.transport is not None:
            # Whoever listens knows of a message before its bytes leave.
            self.transport.flush()
        if self.action is not None:
            action = self.action
            self.action = None
            action()
        elif self.maintenance_ms and now_ms >= self.maintenance_ms:
            self.identity.set_maintenance(0)
            self.reset()
        if self.wdt is not None:
            self.wdt.feed()
        return wait_ms

    @seldom
    def tell_messages(self, on):
        """Begin or end telling the bench what becomes of each message."""
        self.journal = None
        if on:
            from buoy.journal import EventJournal

            self.journal = EventJournal(self.console, self.clock.utc_ms, self.clock.now_ms)
        else:
            forget("buoy", ("journal",))
        if self.link is not None:
            self.link.journal = self.journal
            self.outbox.on_drop = self.journal and self.journal.dropped

    @seldom
    def set_time(self, utc_ms, now_ms):
        """The console or a time server says that it is `utc_ms`, inside the bounds of `buoy.timekeeping`."""
        from buoy import kept_time

        kept_time.set_time(self, utc_ms, now_ms)
        forget("buoy", ("kept_time",))

    @seldom
    def make_reader(self):
        """The sensors, made when first needed; raises sensors.settings.SettingsError."""
        if self.reader is None:
            from sensors.reader import Reader

            if self.sensors is None:  # in maintenance: the application makes them at the start
                from buoy.starting import make_sensors

                make_sensors(self)
            self.reader = Reader(self.sensors)
        return self.reader

    @seldom
    def reset(self):
        """Say goodbye and start again."""
        if self.link is not None:
            self.link.stop()
        self.machine.reset()

    @seldom
    def soft_reset(self):
        """Start the interpreter anew: new settings are in force, with no window for Ctrl-C before."""
        if self.link is not None:
            self.link.stop()
        self.machine.soft_reset()

    @seldom
    def sleep(self, duration_ms):
        """Deep sleep; the board starts anew after it."""
        if self.link is not None:
            self.link.stop()
        self._write_out()
        self.machine.deepsleep(duration_ms)

    # Inside

    def _write_out(self):
        """What the console has for the port."""
        while True:
            data = self.console.take()
            if not data:
                return
            self.port.write(data)

    def _step_application(self, now_ms):
        from buoy.link import IDLE, STOPPED, UP

        wake_ms = self.wifi.step(now_ms)
        if self.wifi.up:
            if self.ntp_host:
                wake_ms = min(wake_ms, self._keep_time(now_ms))
            # The time comes before TLS: certificates are judged by it, and messages carry it.
            if self.link.state == IDLE and self.clock.known():
                self.link.connect(now_ms)
        elif self.link.state not in (IDLE, STOPPED):
            # Nothing comes back over a network that is not there: no need to wait for deadlines.
            self.link.offline("Wi-Fi lost")
        opening = self.transport.opening
        if opening:
            self.console.busy(self.link.policy.connect_timeout_ms)
            self._write_out()
        if self.transport.poll():
            wake_ms = now_ms
        if opening:
            self.commands.do("health", "room", ())
        app = self.app
        if self.link.state == UP and self.up_ms is None:
            self.up_ms = now_ms
        if self.journal is None and now_ms >= self.plan_ms:
            none = app.schedule is None and self.publish_interval_ms
            if none or app.low_power or self.down:
                self.plan_ms = now_ms + PLAN_MS
                self._plan(now_ms)
        if self.link.state == UP and self.outbox.damaged + self.outbox.write_failures > self.losses:
            self._tell_losses(now_ms)
        # While the console reads the sensors, the application leaves them alone.
        step_ms = self.link.step(now_ms) if self.reading is not None else app.step(now_ms)
        return min(wake_ms, step_ms)

    @seldom
    def _tell_losses(self, now_ms):
        """Messages that flash lost, or did not take: on the error topic as soon as that can arrive."""
        from buoy.payload import CODE_OUTBOX_DROPPED, FATAL_ERROR

        damaged = self.outbox.damaged
        failures = self.outbox.write_failures
        self.losses = damaged + failures
        text = "outbox: %d messages damaged on flash, %d times flash was not written" % (damaged, failures)
        self.console.log(text, "error")
        self.app.report_error(FATAL_ERROR, CODE_OUTBOX_DROPPED, text, now_ms)

    def _keep_time(self, now_ms):
        """The code that asks a time server is there while it asks: for each try, every few hours."""
        if self.sntp is None:
            from buoy.link import WAITING

            if self.link.state == WAITING and self.ntp.get("tried") != self.link.reconnects:
                # A wrong time can be why: certificates are judged by it.
                self.ntp["tried"] = self.link.reconnects
                if self.clock.known() and self.clock.age_ms(now_ms) > _ASK_ANEW_MS:
                    self.ask_ms = min(self.ask_ms, now_ms)
            if now_ms < self.ask_ms:
                return self.ask_ms
            self._ask_time()
        self.ask_ms = self.sntp.step(now_ms)
        if self.sntp.done:
            self.sntp = None
            forget("buoy", ("sntp",))
        return self.ask_ms

    @seldom
    def _ask_time(self):
        from buoy.sntp import Sntp

        self.sntp = Sntp(self, self.set_time)

    @seldom
    def _plan(self, now_ms):
        """Without a test plan: publish at the interval, or once and sleep."""
        from buoy.schedule import Schedule

        app = self.app
        settled = self.up_ms is not None and now_ms >= self.up_ms + RETAINED_MS
        if self.down:
            if settled or now_ms >= AWAKE_MAX_MS:
                self.action = lambda: self.sleep(SHUTDOWN_SLEEP_MS)
            return
        interval_ms = self.publish_interval_ms
        if not interval_ms:
            return
        if app.schedule is None and self.clock.known():
            if not app.low_power:
                app.schedule = Schedule(now_ms, interval_ms)
            elif settled or now_ms >= _MESSAGE_WAIT_MS:
                app.schedule = Schedule(now_ms, interval_ms, 1)
        if not app.low_power:
            return
        if now_ms >= AWAKE_MAX_MS or (
            settled
            and app.schedule is not None
            and app.schedule.seq
            and app.link.idle()
            and self.ntp.get("doubt") is None
        ):
            self.action = lambda: self.sleep(max(_LEAST_SLEEP_MS, interval_ms - now_ms))

    @seldom
    def on_config(self, topic, payload):
        """The link's: a configuration came, or a request to the console."""
        if topic == self.console_topics[0]:
            if self.remote is None:
                from buoy.remote import RemoteConsole

                self.remote = RemoteConsole(self, self.console_topics[1])
            self.remote.feed(payload or b"")
            return
        self.app.on_config(topic, payload)

    @seldom
    def on_command(self, command):
        """The application's: a configuration says reset, shut down, or not shut down any more."""
        from buoy import config
        from buoy.identity import DOWN

        # The application has remembered the message; an older mark of "down" is of no use to a reset.
        if command == config.SHUTDOWN:
            self.identity.set(DOWN, "1")
            self.action = lambda: self.sleep(SHUTDOWN_SLEEP_MS)
        elif command == config.WAKE:
            self.down = False
        else:
            self.action = self.reset
