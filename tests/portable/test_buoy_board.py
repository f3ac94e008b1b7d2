"""A whole board on a fake clock: console, Wi-Fi, time, link, commands, sleep."""

import json
import os
import sys

from buoy import settings
from buoy.board import SHUTDOWN_SLEEP_MS, Board
from buoy.console import MARKER, checked, sealed
from buoy.identity import Identity
from buoy.sampler import Sampler
from buoy.shims import MICROPYTHON
from buoy.timekeeping import EARLIEST_MS
from buoy_nvs import Nvs
from buoy_parts import ScriptedTransport

UTC_MS = EARLIEST_MS + 1779200000  # a time that the firmware believes, some days after its own date


class Wdt:
    fed = 0

    def feed(self):
        self.fed += 1


class Rtc:
    """`machine.RTC` after power-on; its clock stands still."""

    def __init__(self):
        self.date = (2000, 1, 1, 5, 0, 0, 0, 0)
        self.kept = b""

    def datetime(self, date=None):
        if date is None:
            return self.date
        self.date = tuple(date)
        return None

    def memory(self, data=None):
        if data is None:
            return self.kept
        self.kept = bytes(data)
        return None


class Bare:
    """A module: whatever attributes it is given."""


class World:
    """A board and everything around it; `boot` starts it again with the same flash."""

    def __init__(self, **changes):
        for name in os.listdir():
            if name.startswith("settings."):
                os.remove(name)
        if "outbox" in os.listdir():
            for name in os.listdir("outbox"):
                os.remove("outbox/" + name)
        self.nvs = Nvs()
        identity = Identity(self.nvs)
        identity.set_buoy_id(128)
        identity.set_texts(thing="buoy-128", ssid="river", password="hush")
        given = {
            "broker_host": "b.test",
            "publish_interval_s": 10,
            "sensors": {"ph": {"mode": "counter"}},
        }
        given.update(changes)
        settings.save(settings.merge(settings.defaults(), given))
        self.now_ms = 0
        self.cause = 1
        self.acks = True

    def boot(self, cause=1):
        self.calls = []
        self.cause = cause
        self.inbox = b""
        self.output = b""
        self.wdts = []
        self.transport = ScriptedTransport()
        self.transport.poll = lambda: False
        self.now_ms = 0
        machine = Bare()
        machine.DEEPSLEEP_RESET = 4
        machine.reset_cause = lambda: self.cause
        machine.unique_id = lambda: b"\x01\x02\x03\x04\x05\x06"
        machine.reset = lambda: self.calls.append("reset")
        machine.deepsleep = lambda ms: self.calls.append(("sleep", ms))
        machine.WDT = self.make_wdt
        machine.RTC = lambda: self.rtc
        if cause == 1:
            self.rtc = Rtc()
        wlan = Bare()
        self.online = True
        wlan.isconnected = lambda: self.online
        wlan.active = wlan.connect = lambda *_arguments: None
        wlan.disconnect = lambda: None
        network = Bare()
        network.STA_IF = 0
        network.WLAN = lambda _kind: wlan
        esp32 = Bare()
        esp32.NVS = lambda _space: self.nvs
        found = {"machine": machine, "network": network, "esp32": esp32}
        self.board = Board(
            found.get, self, lambda: self.now_ms, lambda _s, _i: self.transport, self.no_ntp, lambda: 0.5
        )
        self.set_at_start()
        return self.board

    def set_at_start(self):
        self.board.clock.set_utc(UTC_MS, 0)

    def make_wdt(self, timeout):
        self.wdts.append(timeout)
        self.wdt = Wdt()
        return self.wdt

    def no_ntp(self, _host, _port):
        raise OSError(118)

    def read(self):
        data = self.inbox
        self.inbox = b""
        return data

    def write(self, data):
        self.output += data

    def run(self, ms):
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms and not self.calls:
            self.board.step()
            if self.acks and self.transport.published:
                self.board.link.on_pubacks(self.transport.ids())
            self.now_ms += 20
        return self

    def connect(self, config=None):
        self.run(40)
        self.board.link.on_open(False)
        self.board.link.on_suback(self.transport.subscriptions[-1][0], b"\x01\x01")
        if config is not None:
            self.board.link.on_message(b"aws/0/128/config/global/", config, True)

    def ask(self, do, **more):
        body = {"id": 1, "do": do}
        body.update(more)
        self.output = b""
        self.inbox = MARKER + json.dumps(body).encode() + b"\n"
        self.run(60)
        lines = [
            line
            for line in self.output.split(b"\r\n")
            if line.startswith(MARKER + b'{"id"') or b'"id"' in line
        ]
        assert len(lines) == 1
        return json.loads(checked(lines[0][len(MARKER) :]))

    def data(self):
        return [p[2] for p in self.transport.published if p[1] == b"aws/0/128/data/"]


def test_a_board_publishes_at_its_interval_with_the_time():
    world = World()
    world.boot()
    world.connect()
    world.run(25000)
    assert len(world.data()) == 3
    assert UTC_MS <= json.loads(world.data()[0])["timestamp"] < UTC_MS + 1000


def test_the_watchdog_is_fed_by_turns_of_the_loop_alone():
    world = World()
    world.boot()
    assert world.wdts == [120000]
    world.run(1000)
    assert world.wdt.fed == 50


def test_reset_by_configuration_acts_once_over_ten_reboots():
    world = World()
    world.boot()
    world.connect(b'{"reset": true}')
    world.run(1000)
    assert world.calls == ["reset"]
    for _ in range(10):
        world.nvs.power_cut()
        world.boot()
        world.connect(b'{"reset": true}')
        world.run(1000)
        assert world.calls == []


def test_shutdown_sleeps_until_a_configuration_says_otherwise():
    world = World()
    world.boot()
    world.connect(b'{"shutdown": true}')
    world.run(1000)
    assert world.calls == [("sleep", SHUTDOWN_SLEEP_MS)]
    world.boot(cause=4)
    world.connect(b'{"shutdown": true}')
    world.run(10000)
    assert world.calls == [("sleep", SHUTDOWN_SLEEP_MS)]
    assert world.board.app.schedule is None
    world.boot(cause=4)
    world.connect(b'{"shutdown": false}')
    world.run(10000)
    assert world.calls == []
    assert len(world.data()) >= 1


def test_low_power_publishes_once_and_sleeps_for_the_rest_of_the_interval():
    world = World(low_power=True)
    world.acks = False
    world.boot()
    world.connect()
    world.run(3000)
    assert len(world.data()) == 1
    assert world.calls == []
    world.board.link.on_pubacks([world.transport.ids()[-1]])
    world.run(1000)
    assert world.calls[0][0] == "sleep"
    assert 5000 < world.calls[0][1] < 8000


def test_low_power_without_a_broker_keeps_the_message_and_sleeps():
    world = World(low_power=True)
    world.boot()
    world.run(200000)
    assert world.calls[0][0] == "sleep"
    assert world.board.outbox.count >= 1


def test_maintenance_has_a_console_and_nothing_else_and_ends_by_itself():
    world = World()
    Identity(world.nvs).set_maintenance(60)
    board = world.boot()
    assert board.app is None
    assert world.wdts == []
    assert world.ask("identify")["ok"]["maintenance"] is True
    world.run(61000)
    assert world.calls == ["reset"]
    assert world.boot().app is not None


def test_the_console_never_shows_a_secret():
    world = World()
    world.boot()
    assert world.ask("wifi", ssid="sea", password="whisper")["ok"]["wifi"] == "set"
    for do in ("identify", "get", "health"):
        world.ask(do)
        for secret in (b"hush", b"whisper", b'sea"'):
            assert secret not in world.output


def test_settings_are_checked_and_kept():
    world = World()
    world.boot()
    assert "qos" in world.ask("set", settings={"qos": 5})["error"]
    assert settings.load()[0]["qos"] == 1
    assert "ok" in world.ask("set", settings={"publish_interval_s": 77})
    assert settings.load()[0]["publish_interval_s"] == 77


def test_settings_that_are_too_large_are_refused_with_their_size_and_the_limit():
    world = World()
    world.boot()
    keys = ("ph", "do", "temp")
    assert "ok" in world.ask("set", settings={"sensors": {key: {"mode": "counter"} for key in keys}})
    for key in keys:
        before = world.ask("get")["ok"]
        note = {"record": "n" * 1700}
        answer = world.ask("calibrate", key=key, step="write", set={}, note=note)
    assert answer["error"].endswith(" bytes; at most 4608")
    assert world.ask("get")["ok"] == before
    assert list(settings.load()[0]["calibration"]) == list(before["calibration"])
    assert len(before["calibration"]) == 2


def events_of(world):
    lines = [line for line in world.output.split(b"\r\n") if b'"event"' in line]
    return [json.loads(checked(line[len(MARKER) :]))["event"] for line in lines]


def test_a_plan_that_is_asked_for_again_gives_no_number_to_two_messages():
    world = World()
    world.boot()
    world.connect()
    world.run(200)
    world.ask("run", start=UTC_MS + 500, interval_us=100000, count=9)
    world.run(700)
    seqs = [event["seq"] for event in events_of(world) if event["what"] == "sent"]
    assert 0 < len(seqs) < 9
    assert "ok" in world.ask("run", start=UTC_MS + 500, interval_us=100000, count=9)
    world.run(2000)
    seqs += [event["seq"] for event in events_of(world) if event["what"] == "sent"]
    assert seqs == list(range(9))


def test_a_new_plan_has_its_sensors_tell_again_what_is_wrong():
    class Telling(Sampler):
        told = 0

        def tell_again(self):
            self.told += 1

    world = World()
    world.boot()
    world.connect()
    world.run(200)
    sampler = world.board.app.sampler = Telling([])
    world.ask("run", start=UTC_MS + 500, interval_us=100000, count=2)
    assert sampler.told == 1
    world.ask("run", start=UTC_MS + 9000, interval_us=100000, count=9, first=2)
    assert sampler.told == 1  # one plan, gone on with


def test_a_test_plan_is_told_message_by_message():
    world = World()
    world.boot()
    world.connect()
    assert "on their way" in world.ask("run", start=UTC_MS + 500, interval_us=100000, count=3)["error"]
    world.run(200)
    world.ask("run", start=UTC_MS + 500, interval_us=100000, count=3)
    world.run(2000)
    lines = [
        json.loads(checked(line[len(MARKER) :])) for line in world.output.split(b"\r\n") if b'"event"' in line
    ]
    events = [line["event"] for line in lines]
    assert [event["seq"] for event in events if event["what"] == "sent"] == [0, 1, 2]
    assert [line["n"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert world.ask("stop")["ok"] == {"left": 0}


def test_a_lost_wifi_sends_what_was_out_to_the_outbox_and_the_link_comes_back_with_it():
    world = World(publish_interval_s=0)
    world.acks = False
    world.boot()
    world.connect()
    world.ask("run", start=UTC_MS + 100, interval_us=100000, count=2)
    world.run(500)
    assert world.board.link.in_flight() == 2
    world.online = False
    world.run(400)
    health = world.ask("health")["ok"]
    assert (health["outbox"], health["link"], health["reconnects"]) == (3, 0, 1)  # with the error message
    opened = world.transport.count("open")
    world.online = True
    world.acks = True
    world.run(400)
    assert world.transport.count("open") == opened + 1
    world.board.link.on_open(False)
    world.run(400)
    assert world.board.link.idle()


def test_a_reset_in_the_middle_of_a_test_resends_what_is_on_flash_and_goes_on_where_it_was():
    world = World(publish_interval_s=0)
    world.acks = False
    world.boot()
    world.connect()
    world.ask("run", start=UTC_MS + 100, interval_us=100000, count=9, durable=True)
    world.run(350)
    first = [p[2] for p in world.transport.published]
    made = len(first)
    assert made >= 3
    world.boot(cause=2)
    world.connect()
    assert events_of(world)[0]["what"] == "start"
    world.run(100)
    assert [p[2] for p in world.transport.published] == first
    sent = [event for event in events_of(world) if event["what"] == "sent"]
    assert [(event["seq"], event["attempt"]) for event in sent] == [(seq, 2) for seq in range(made)]
    assert world.ask("health")["ok"]["last_seq"] == made - 1
    world.acks = True
    world.ask("run", start=UTC_MS + 100, interval_us=100000, count=9, first=made, durable=True)
    world.run(1500)
    seqs = [event["seq"] for event in events_of(world) if event["what"] == "sent"]
    assert seqs == list(range(made, 9))
    assert world.board.link.idle()
    world.ask("stop", end=True)
    world.boot()
    assert world.board.journal is None


def test_intervals_that_are_no_whole_ms_add_up():
    world = World(publish_interval_s=0)
    world.boot()
    world.connect()
    world.ask("run", start=UTC_MS + 1000, interval_us=33333, count=31)
    schedule = world.board.app.schedule
    world.run(2500)
    assert schedule.due_ms == 1000 + 31 * 33333 // 1000
    world.ask("run", start=UTC_MS + 9000, interval_us=33333, count=31, first=30)
    assert world.board.app.schedule.due_ms == 9000 + 30 * 33333 // 1000


def test_a_board_whose_interval_is_0_publishes_nothing_by_itself():
    world = World(publish_interval_s=0)
    world.boot()
    world.connect()
    world.run(5000)
    assert world.transport.published == []


def test_sensors_are_read_for_the_console():
    world = World()
    world.boot()
    assert "ph" in world.ask("sensors")["ok"]
    assert "xy" in world.ask("sensors", keys=["xy"])["error"]


def test_bad_settings_are_told_on_the_error_topic():
    world = World()
    settings.save(settings.merge(settings.load()[0], {"qos": 1}))
    with open(settings.FILE, "w") as file:
        file.write("{")
    world.boot()
    world.connect()
    world.run(1000)
    errors = [p[2] for p in world.transport.published if p[1] == b"aws/0/128/error/"]
    assert b"settings.json" in errors[0]


def test_what_flash_lost_of_the_outbox_is_told_once_and_shown_by_health():
    world = World(publish_interval_s=1)
    world.boot()
    world.run(5000)  # no broker: messages wait
    (name,) = os.listdir("outbox")
    with open("outbox/" + name, "rb") as file:
        data = bytearray(file.read())
    data[40] ^= 1
    with open("outbox/" + name, "wb") as file:
        file.write(data)
    world.boot()
    assert world.ask("health")["ok"]["damaged"] == 1
    assert world.calls == []
    world.connect()
    world.run(3000)
    errors = [p[2] for p in world.transport.published if p[1] == b"aws/0/128/error/"]
    assert len([text for text in errors if b"1 messages damaged on flash" in text]) == 1
    assert world.ask("health")["ok"]["write_failures"] == 0


def test_every_command_answers_on_a_board_that_was_never_commissioned():
    world = World(broker_host="")
    world.boot()
    assert world.board.app is None
    for do in list(world.board.console.handlers):
        if do not in ("reboot", "sensors"):
            assert set(world.ask(do)) in ({"id", "ok"}, {"id", "error", "code"})
    world.ask("reboot")
    assert world.calls == ["reset"]


def test_a_board_without_a_cable_tells_over_mqtt_what_it_told_and_nothing_else():
    world = World(publish_interval_s=0)
    world.boot()
    world.connect()
    world.ask("run", start=UTC_MS + 100, interval_us=100000, count=5, durable=True)
    world.run(1000)

    def ask(body):
        world.transport.published.clear()
        request = b"\n" + MARKER + sealed(json.dumps(body).encode()) + b"\n"
        world.board.link.on_message(b"aws/0/128/config/console/", request, False)
        ((_, topic, lines, qos, _),) = world.transport.published
        assert (topic, qos) == (b"aws/0/128/error/console/", 0)
        return [json.loads(checked(line[len(MARKER) :])) for line in lines.split(b"\r\n")[:-1]]

    (found,) = ask({"id": 1, "do": "identify"})
    assert (found["ok"]["buoy"], found["ok"]["events"]) == (128, 10)
    told = []
    while len(told) < 10:
        *lines, answer = ask({"id": 2, "do": "tell", "first": len(told) + 1, "last": 10})
        assert answer["ok"]["told"] == [line["n"] for line in lines]
        assert 0 < len(lines) <= 4, "one packet on a small board"
        told += lines
    assert [line["event"] for line in told] == events_of(world)
    for do in ("set", "reboot", "run", "stop", "wifi", "calibrate"):
        assert "unknown command" in ask({"id": 3, "do": do})[0]["error"]
    world.ask("stop", end=True)


def test_settings_are_in_force_after_a_reboot_and_not_before():
    world = World(publish_interval_s=0)
    world.boot()
    world.connect()
    assert world.ask("set", settings={"publish_interval_s": 10})["ok"] == "in force after reboot"
    world.run(15000)
    assert world.data() == []
    world.boot()
    world.connect()
    world.run(15000)
    assert len(world.data()) == 2


def test_a_command_leaves_the_memory_with_its_answer_and_comes_back():
    world = World()
    world.boot()
    for _ in range(2):
        for command in ("health", "get", "identify", "clock"):
            assert "ok" in world.ask(command)
            if MICROPYTHON:
                assert not [name for name in sys.modules if name.startswith("buoy.commands_")]
                assert "buoy.settings" not in sys.modules
