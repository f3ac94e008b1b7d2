"""One board: its parts wired together and driven in steps.

`modules(name)` gives `machine`, `network`, `esp32`; `port` has `read() -> bytes` and `write(bytes)`, and
neither waits. In maintenance mode there is a console and nothing else: no watchdog, no sleep, no application.
"""

import gc
import os

from buoy.console import Console, EventJournal
from buoy.identity import NAMESPACE, RUN_MARK, Identity
from buoy.shims import forget
from buoy.timekeeping import Clock, Sntp

STEP_MS = 20  # longest wait between two looks at console and socket
RETAINED_MS = 2000  # after the connection is up, for retained configuration
AWAKE_MAX_MS = 120000  # in low-power mode: sleep then, whatever is missing; the outbox keeps what was made
SHUTDOWN_SLEEP_MS = 12 * 3600 * 1000  # shut down: when to look at the configuration again
_MESSAGE_WAIT_MS = 60000  # low power: without a link by then, the message is made for the outbox
_LEAST_SLEEP_MS = 1000
_DOWN = "down"  # mark: shut down by configuration, until a configuration says otherwise


class Board:
    """One board.

    Args:
        ticks: `time.ticks_ms`.
        make_transport: (settings, identity) → transport of the link, with `poll`.
        open_ntp: (host) → socket for `Sntp`.
        random: returns [0, 1).
    """

    def __init__(self, modules, port, ticks, make_transport, open_ntp, random):
        self.modules = modules
        self.machine = modules("machine")
        self._port = port
        self.clock = Clock(ticks)
        self.identity = Identity(modules("esp32").NVS(NAMESPACE))
        from buoy import settings

        self.settings, self.trouble = settings.load()
        self.console = Console({}, self.settings["log_level"], port.write)
        self.journal = EventJournal(self.console, self.clock.utc_ms, self.clock.now_ms)
        self.maintenance_ms = 1000 * self.identity.maintenance_s()
        self.sensors = None
        self.reader = None
        # Tells one start of the board from the next.
        self.boot = int(random() * 65536) << 16 | int(random() * 65536)
        self.reading = None  # called with now_ms until it returns True: what the console asked of the sensors
        self.action = None  # called after the answer has left: reboot, sleep
        self.app = self.link = self.outbox = self.wifi = self._sntp = self._transport = None
        self._wdt = self._remote = None
        self._restoring = False
        self._woken = self.machine.reset_cause() == self.machine.DEEPSLEEP_RESET
        self._down = self._woken and self.identity.get(_DOWN) is not None
        self._up_ms = None
        from buoy.commands import handlers

        self.console.handlers = handlers(self)
        if self.trouble:
            self.console.log("settings: " + self.trouble, "error")
        self._undo_interrupted()
        if self.maintenance_ms:
            self.console.log("maintenance for %d s" % (self.maintenance_ms // 1000))
            return
        missing = self._missing()
        if missing:
            self.console.log("not commissioned: %s unset" % ", ".join(missing), "warning")
            return
        self._start(make_transport, open_ntp, random)
        forget()

    def step(self):
        """One turn; returns ms that may be waited before the next."""
        now_ms = self.clock.now_ms()
        data = self._port.read()
        if data:
            self.console.feed(data)
            forget()
        wait_ms = STEP_MS
        if self.reading is not None and self.reading(now_ms):
            self.reading = None
        if self.app is not None:
            wait_ms = max(0, min(wait_ms, self._step_application(now_ms) - now_ms))
        data = self.console.take()
        if self.console.ring is not None:
            self.console.ring.flush()
        if data:
            self._port.write(data)
        if self._transport is not None:
            # Whoever listens knows of a message before its bytes leave.
            self._transport.flush()
        if self.action is not None:
            action = self.action
            self.action = None
            action()
        elif self.maintenance_ms and now_ms >= self.maintenance_ms:
            self.identity.set_maintenance(0)
            self.reset()
        if self._wdt is not None:
            self._wdt.feed()
        return wait_ms

    def make_reader(self):
        """The sensors, made when first needed; raises sensors.settings.SettingsError."""
        if self.reader is None:
            from sensors.build import forget, make_sensors
            from sensors.reader import Reader

            given = {name: self.settings[name] for name in ("sensors", "pins", "power")}
            if self.maintenance_ms or self._restoring:
                # What a circuit was told, and half of an import, would be gone with its power.
                given["power"] = dict(given["power"], ezo=dict(given["power"].get("ezo", {}), switched=False))
            try:
                self.sensors = make_sensors(given, self.modules)
            finally:
                forget()
            self.reader = Reader(self.sensors)
        return self.reader

    def converse(self, driver, steps, request_id=None, process_ms=300):
        """Send an EZO circuit the commands of `steps`, a generator that is sent the replies.

        The request, if any, is answered with what the generator returns, else with the last reply.
        """
        driver.begin_command(next(steps), self.clock.now_ms(), process_ms)

        def go_on(now_ms):
            if not driver.poll(now_ms):
                return False
            value = driver.reply
            error = None
            try:
                command = steps.send(value) if hasattr(steps, "send") else next(steps)
                driver.begin_command(command, now_ms, process_ms)
                return False
            except StopIteration as end:
                if end.value is not None:
                    value = end.value
            except (ValueError, OSError) as failure:
                error = str(failure)
            if request_id is None:
                self.console.log(error or "circuit %s: %s" % (driver.key, value), "warning")
                if not error:
                    self.action = self.reset  # from here on as ever
            elif error:
                self.console.refuse(request_id, error)
            else:
                self.console.answer(request_id, value)
            return True

        self.reading = go_on

    def keep_events(self, anew):
        """From here on events are kept on flash as well, behind those of before a reset or anew."""
        from buoy.event_ring import EventRing

        console = self.console
        console.ring = EventRing("events")
        if anew:
            console.ring.clear()
            console.ring.last = console.events
        console.events = console.ring.last

    def reset(self):
        """Say goodbye and start again."""
        if self.link is not None:
            self.link.stop()
        self.machine.reset()

    def soft_reset(self):
        """Start the interpreter anew: new settings are in force, with no window for Ctrl-C before."""
        if self.link is not None:
            self.link.stop()
        self.machine.soft_reset()

    def sleep(self, duration_ms):
        """Deep sleep; the board starts anew after it."""
        if self.link is not None:
            self.link.stop()
        data = self.console.take()
        if data:
            self._port.write(data)
        self.machine.deepsleep(duration_ms)

    # Inside

    def _undo_interrupted(self):
        """A calibration that was under way when the board stopped: the old one comes back.

        In maintenance the bench is there, and restarts the board itself to try new settings.
        """
        from buoy import settings

        notes = self.settings[settings.CALIBRATION]
        files = os.listdir()
        for key in list(notes):
            circuit = notes[key].get("circuit")
            if notes[key].get("open") and (circuit or not self.maintenance_ms):
                # Of a circuit's calibration, renaming its file is what makes it hold.
                held = circuit and "ezo-%s.open" % key not in files
                self.settings = (settings.accepted if held else settings.reverted)(self.settings, key)
                settings.save(self.settings)
                self.console.log("%s: %s calibration in force" % (key, "new" if held else "old"), "warning")
        for name in files:
            if name.startswith("ezo-") and name.endswith(".open"):
                from buoy import circuits

                self._restoring = True
                try:
                    driver = self.make_reader().sensors.get(name[4:-5])
                    if hasattr(driver, "begin_command"):
                        self.converse(driver, circuits.restore(driver.key))
                except ValueError as error:
                    self.console.log("%s: %s" % (name, error), "error")
                return  # two at once are not made

    def _missing(self):
        identity = self.identity
        missing = [name for name in ("thing", "ssid") if identity.text(name) is None]
        if identity.buoy_id() is None:
            missing.append("id")
        if not self.settings["broker_host"]:
            missing.append("broker_host")
        return missing

    def _start(self, make_transport, open_ntp, random):
        given = self._in_force = self.settings  # what the console sets waits for the next start
        network = self.modules("network")
        from buoy.app import FATAL_ERROR, App, Topics
        from buoy.wifi import Wifi

        gc.collect()
        from buoy.link import Link, LinkPolicy
        from buoy.payload import Payload

        gc.collect()
        from buoy.flash_outbox import FlashOutbox

        gc.collect()
        identity = self.identity
        log = self.console.log
        topics = Topics(given["topic_prefix"], identity.buoy_id())
        self.app = App(
            topics,
            Payload(given["payload"]),
            self._make_sampler(),
            identity,
            self.clock.utc_ms,
            self._on_command,
            log,
        )
        self.app.low_power = given["low_power"]
        self.outbox = FlashOutbox(
            "outbox", (topics.data, topics.error), given["outbox_segments"], on_drop=self.journal.dropped
        )
        gc.collect()
        self._transport = make_transport(given, identity)
        policy = LinkPolicy(
            given["qos"],
            given["in_flight"],
            given["keep_alive_s"] * 1000,
            given["connect_timeout_s"] * 1000,
            given["ack_timeout_s"] * 1000,
            given["backoff_min_ms"],
            given["backoff_max_s"] * 1000,
            1000 // given["max_rate_per_s"],
        )
        self._console_topics = topics.console()
        subscribed = (topics.config_global, topics.config_sensor, self._console_topics[0])
        self.link = self.app.link = Link(
            self._transport,
            self.outbox,
            policy,
            subscribed,
            random,
            self.journal,
            self._on_config,
            self.app.on_trouble,
        )
        self._config_topic = topics.config_global
        self.wifi = Wifi(
            network.WLAN(network.STA_IF), identity.text("ssid"), identity.text("password") or "", random, log
        )
        if identity.get(RUN_MARK) is not None:
            # A reset in the middle of a test: what is still on flash will leave, and has to be told.
            self.journal.on = True
            self.keep_events(False)
            self.console.event({"what": "start", "boot": self.boot, "cause": self.machine.reset_cause()})
        self._sntp = Sntp(self.clock, lambda: open_ntp(given["ntp_host"]), log)
        if self.trouble:
            self.app.report_error(FATAL_ERROR, 4, "settings: " + self.trouble, self.clock.now_ms())
        if given["watchdog_s"]:
            self._wdt = self.machine.WDT(timeout=given["watchdog_s"] * 1000)

    def _make_sampler(self):
        from sensors.settings import SettingsError

        try:
            reader = self.make_reader()
        except SettingsError as error:
            self.trouble = self.trouble or str(error)
            self.console.log("sensors: %s" % error, "error")
            self.sensors = []
            from sensors.reader import Reader

            reader = self.reader = Reader([])
        fakes = [(sensor.key, sensor.sample) for sensor in self.sensors if hasattr(sensor, "sample")]
        if len(fakes) == len(self.sensors):
            from buoy.sampler import Sampler

            return Sampler(fakes)
        from buoy.probes import ProbeSampler
        from sensors.reader import Reader

        return ProbeSampler(Reader([s for s in reader.sensors.values() if not hasattr(s, "sample")]), fakes)

    def _step_application(self, now_ms):
        from buoy.link import IDLE, STOPPED, UP

        wake_ms = self.wifi.step(now_ms)
        if self.wifi.up:
            if self._in_force["ntp_host"]:
                wake_ms = min(wake_ms, self._sntp.step(now_ms))
            # The time comes before TLS: certificates are judged by it, and messages carry it.
            if self.link.state == IDLE and self.clock.known():
                self.link.connect(now_ms)
        elif self.link.state not in (IDLE, STOPPED):
            # Nothing comes back over a network that is not there: no need to wait for deadlines.
            self.link.offline("Wi-Fi lost")
        if self._transport.poll():
            wake_ms = now_ms
        app = self.app
        if self.link.state == UP and self._up_ms is None:
            self._up_ms = now_ms
        if not self.journal.on:
            self._plan(now_ms)
        # While the console reads the sensors, the application leaves them alone.
        step_ms = self.link.step(now_ms) if self.reading is not None else app.step(now_ms)
        return min(wake_ms, step_ms)

    def _plan(self, now_ms):
        """Without a test plan: publish at the interval, or once and sleep."""
        from buoy.schedule import Schedule

        app = self.app
        settled = self._up_ms is not None and now_ms >= self._up_ms + RETAINED_MS
        if self._down:
            if settled or now_ms >= AWAKE_MAX_MS:
                self.action = lambda: self.sleep(SHUTDOWN_SLEEP_MS)
            return
        interval_ms = 1000 * self._in_force["publish_interval_s"]
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
            settled and app.schedule is not None and app.schedule.seq and app.link.idle()
        ):
            self.action = lambda: self.sleep(max(_LEAST_SLEEP_MS, interval_ms - now_ms))

    def _on_config(self, topic, payload):
        if topic == self._console_topics[0]:
            if self._remote is None:
                from buoy.remote import RemoteConsole

                self._remote = RemoteConsole(self, self._console_topics[1])
            self._remote.feed(payload)
            return
        from buoy import config

        if topic == self._config_topic and self.identity.get(_DOWN) is not None:
            try:
                wanted = config.parse_global(payload).get(config.SHUTDOWN)
            except config.ConfigError:
                wanted = None  # the application tells
            if wanted is False:
                self.identity.set(_DOWN, "")
                self._down = False
        self.app.on_config(topic, payload)

    def _on_command(self, command):
        from buoy import config

        # The application has remembered the message; an older mark of "down" is of no use to a reset.
        if command == config.SHUTDOWN:
            self.identity.set(_DOWN, "1")
            self.action = lambda: self.sleep(SHUTDOWN_SLEEP_MS)
        else:
            self.action = self.reset
