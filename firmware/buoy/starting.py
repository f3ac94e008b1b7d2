"""What a board does once, at its start: its parts are made and wired. Nothing of it stays in memory."""

import gc
import os

from buoy import kept_time
from buoy.commands import Commands
from buoy.console import Console
from buoy.identity import DOWN, NAMESPACE, OUTBOX, RUN_MARK, Identity
from buoy.settings import CALIBRATION
from buoy.shims import forget
from buoy.timekeeping import Clock

SECOND_AREA = 34816  # with nine drivers 57 KB of the IDF heap are left without TLS, 30 KB with it
_FILLED = 61440  # in use: the first area (57,344 bytes, MICROPY_GC_INITIAL_HEAP_SIZE) is full
_LEAST_HOLD = 1024
_MOST_HOLD = 65280  # of `rxbuf`, a uint16_t
_PSRAM = 400000  # more than an ESP32 has inside: there is room for all, and GPIO 16 and 17 lead to it


def prepare(board, modules, port, ticks, random):
    """All of a board that works before, and without, its application; returns its settings.

    See `buoy.board.Board` for the arguments.
    """
    board.modules = modules
    board.machine = modules("machine")
    board.port = port
    board.clock = Clock(ticks)
    board.identity = Identity(modules("esp32").NVS(NAMESPACE))
    from buoy import settings

    given, board.trouble, board.settings_file = settings.load()
    settings = None
    forget("buoy", ("settings",))
    gc.collect()
    board.console = Console({}, given["log_level"], port.write)
    board.journal = None  # of a test plan
    board.plan_start = None  # UTC ms, of the plan under way
    board.maintenance_ms = 1000 * board.identity.maintenance_s()
    board.sensors = None
    board.reader = None
    # Tells one start of the board from the next.
    board.boot = int(random() * 65536) << 16 | int(random() * 65536)
    board.reading = None  # called with now_ms until it returns True: what the console asked of the sensors
    board.action = None  # called after the answer has left: reboot, sleep
    board.app = board.link = board.outbox = board.wifi = board.sntp = board.transport = None
    board.plan_ms = 0  # when to look at the plan
    board.ask_ms = 0  # when to ask a time server
    board.ntp = {}  # what `buoy.sntp` has to know at the next question
    board.random = random
    kept_time.restore(board)
    forget("buoy", ("kept_time",))
    board.wdt = board.remote = None
    board.restoring = False
    board.heap_size = 1 << 29  # bytes that the start gave it, once that is known
    board.idf_lowest = 0  # bytes; 0: not known
    board.losses = 0  # of the outbox, that were told
    board.woken = board.machine.reset_cause() == board.machine.DEEPSLEEP_RESET
    board.down = board.woken and board.identity.get(DOWN) is not None
    board.up_ms = None
    board.console.handlers = board.commands = Commands(board)
    if board.trouble:
        board.console.log("settings: " + board.trouble, "error")
    try:
        return _undo_interrupted(board, given)
    except Exception as error:
        # What is in the files comes from outside, and flash can be full: the board starts all the same.
        troubled(board, "a calibration that was interrupted", error)
        return given


def troubled(board, what, error):
    """Note what could not be made at the start: `health` has it, and the error topic if there is a link."""
    text = "%s: %s" % (what, str(error) or type(error).__name__)
    board.trouble = board.trouble or text
    board.console.log(text, "error")


def _undo_interrupted(board, held):
    """A calibration that was under way when the board stopped: the old one comes back.

    In maintenance the bench is there, and restarts the board itself to try new settings.
    """
    notes = held[CALIBRATION]
    files = os.listdir()
    for key in list(notes):
        circuit = notes[key].get("circuit")
        if notes[key].get("open") and (circuit or not board.maintenance_ms):
            # Of a circuit's calibration, renaming its file is what makes it hold.
            holds = circuit and "ezo-%s.open" % key not in files
            from buoy import settings

            held = (settings.accepted if holds else settings.reverted)(held, key)
            settings.save(held)
            board.settings_file = settings.FILE
            board.console.log("%s: %s calibration in force" % (key, "new" if holds else "old"), "warning")
    for name in files:
        if name.startswith("ezo-") and name.endswith(".open"):
            from buoy import circuits

            board.restoring = True
            try:
                driver = board.make_reader().sensors.get(name[4:-5])
                if hasattr(driver, "begin_command"):
                    circuits.converse(board, driver, circuits.restore(driver.key))
            except ValueError as error:
                troubled(board, name, error)
            return held  # two at once are not made
    return held


def _missing(board, given):
    """Names of what a board needs before it can run an application."""
    identity = board.identity
    names = [name for name in ("thing", "ssid") if identity.text(name) is None]
    if identity.buoy_id() is None:
        names.append("id")
    if not given["broker_host"]:
        names.append("broker_host")
    return names


def start(board, given, make_transport, open_ntp, random):
    """Make the parts of the application and wire them together; only the console in maintenance, and without
    what a buoy needs."""
    board.ntp_host = given["ntp_host"]
    board.publish_interval_ms = 1000 * given["publish_interval_s"]
    if board.maintenance_ms:
        board.console.log("maintenance for %d s" % (board.maintenance_ms // 1000))
        return
    lacks = _missing(board, given)
    if lacks:
        board.console.log("not commissioned: %s unset" % ", ".join(lacks), "warning")
        return
    network = board.modules("network")
    _grow_heap(board, given)
    gc.collect()
    # What makes the sensors takes most, so it comes first and is forgotten before the application is loaded.
    sampler = _make_sampler(board, given)
    gc.collect()
    from buoy.app import App, Topics
    from buoy.flash_outbox import FlashOutbox
    from buoy.link import Link, LinkPolicy
    from buoy.payload import Payload
    from buoy.wifi import Wifi

    identity = board.identity
    log = board.console.log
    topics = Topics(given["topic_prefix"], identity.buoy_id(), given["ingest_rule"])
    board.app = App(
        topics,
        Payload(given["payload"]),
        sampler,
        identity,
        board.clock.utc_ms,
        board.on_command,
        log,
    )
    board.app.low_power = given["low_power"]
    board.outbox = FlashOutbox(OUTBOX, (topics.data, topics.error), given["outbox_segments"])
    gc.collect()
    board.transport = make_transport(given, identity)
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
    board.console_topics = topics.console()
    subscribed = (topics.config_global, topics.config_sensor, board.console_topics[0])
    board.link = board.app.link = Link(
        board.transport,
        board.outbox,
        policy,
        subscribed,
        random,
        None,
        board.on_config,
        board.app.on_trouble,
    )
    board.wifi = Wifi(
        network.WLAN(network.STA_IF), identity.text("ssid"), identity.text("password") or "", random, log
    )
    if identity.get(RUN_MARK) is not None:
        # A reset in the middle of a test: what is still on flash will leave, and has to be told.
        board.tell_messages(True)
        from buoy.event_ring import keep_events

        keep_events(board.console, False)
        board.console.event({"what": "start", "boot": board.boot, "cause": board.machine.reset_cause()})
    board.open_ntp = open_ntp
    if board.trouble or identity.get("bad_set") is not None:
        from buoy.config import tell_once
        from buoy.payload import CODE_BAD_SETTINGS

        why = board.trouble and "settings: " + board.trouble
        tell_once(board.app, "bad_set", why.encode(), why, board.clock.now_ms(), CODE_BAD_SETTINGS)
    if given["watchdog_s"]:
        board.wdt = board.machine.WDT(timeout=given["watchdog_s"] * 1000)


def _grow_heap(board, given):
    """Give the Python heap its second area now, of a size that leaves TLS its room.

    Drivers do not fit into the first, nor do fakes at every moment. A heap that grows by itself doubles, or
    takes the largest block of the IDF heap if that is less (gc_try_add_heap in py/gc.c). So all but
    SECOND_AREA of that block is held for a moment, as receive buffers of the UARTs: one piece each, which
    `deinit` gives back (ports/esp32/machine_uart.c).
    """
    esp32 = board.modules("esp32")
    if not hasattr(esp32, "idf_heap_info") or not hasattr(gc, "mem_alloc"):
        return
    from sensors.pins import DEFAULT

    pins = dict(DEFAULT)
    pins.update(given["pins"])
    machine = board.machine
    held = []
    try:
        for number, key in ((1, "ph"), (2, "ec")):
            # Pins that are a UART's in any case. Without them the heap grows as it would by itself.
            tx, rx = pins.get(key + "_tx"), pins.get(key + "_rx")
            spare = _largest(esp32) - SECOND_AREA
            if tx is not None and rx is not None and _LEAST_HOLD < spare < _PSRAM:
                # Half, then the rest: a small piece would go into a small block elsewhere.
                size = min(_MOST_HOLD, spare // (3 - number))
                held.append((tx, machine.UART(number, tx=tx, rx=rx, rxbuf=size)))
        filled = [None] * 480
        for at in range(480):
            if gc.mem_alloc() > _FILLED:
                break
            filled[at] = bytearray(112)
            # The last one lies in the new area, and keeps it: an empty area would be given back.
            board.in_second_area = filled[at]
    except (MemoryError, OSError) as error:
        board.console.log("second area of the heap: %s" % (str(error) or "no memory"), "warning")
    for tx, uart in held:
        uart.deinit()
        machine.Pin(tx, machine.Pin.IN)
    board.heap_size = gc.mem_alloc() + gc.mem_free() - _largest(esp32)


def _largest(esp32):
    """Block of the IDF heap."""
    return max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])


def make_sensors(board, held=None):
    """The board's sensors, made once of its settings; raises sensors.settings.SettingsError."""
    if board.sensors is None:
        from sensors import build

        if held is None:
            from buoy.settings import in_force

            held = in_force(board.settings_file)
        given = {name: held[name] for name in ("sensors", "pins", "power")}
        if board.maintenance_ms or board.restoring:
            # What a circuit was told, and half of an import, would be gone with its power.
            given["power"] = dict(given["power"], ezo=dict(given["power"].get("ezo", {}), switched=False))
        try:
            board.sensors = build.make_sensors(given, board.modules)
        finally:
            build.forget()
    return board.sensors


def _make_sampler(board, given):
    try:
        sensors = make_sensors(board, given)
    except Exception as error:
        # Settings that pass the check and a part of the chip that does not: the buoy says so, and stays on.
        troubled(board, "sensors", error)
        sensors = board.sensors = []
    fakes = [(sensor.key, sensor.sample) for sensor in sensors if hasattr(sensor, "sample")]
    if len(fakes) == len(sensors):
        from buoy.sampler import Sampler

        return Sampler(fakes)
    from buoy.probes import ProbeSampler
    from sensors.reader import Reader

    return ProbeSampler(Reader([sensor for sensor in sensors if not hasattr(sensor, "sample")]), fakes)
