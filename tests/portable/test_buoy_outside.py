"""Whatever comes from outside: the board goes on stepping, sends its next message and answers `identify`."""

import json
import os

from buoy import settings
from buoy.console import MARKER, sealed
from buoy.jsonobject import MAX_DEPTH, parse_object
from support import raises
from test_buoy_board import World

HEAP_KB = 512  # small, so that collecting it at every start is quick

GLOBAL = b"aws/0/128/config/global/"
SENSOR = b"aws/0/128/config/sensor/"

# Texts that reach a limit of an interpreter, or that the two read differently.
TEXTS = (
    b"",
    b"{",
    b"[" * 3000,
    b"{" * 3000,
    b'{"a":' * 600 + b"1" + b"}" * 600,
    b'{"ph": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"reset": ' + b'{"reset":' * 17 + b"1" + b"}" * 18,
    b'{"ph": ' + b'{"ph":' * 300 + b"1" + b"}" * 301,
    b'{"publish-time-interval": NaN}',
    b'{"publish-time-interval": Infinity, "reset": true}',
    b'{"publish-time-interval": -Infinity}',
    b'{"publish-time-interval": 1e999}',
    b'{"publish-time-interval": -1e999}',
    b'{"publish-time-interval": 1e-300}',
    b'{"publish-time-interval": 0.0001}',
    b'{"publish-time-interval": ' + b"9" * 3000 + b"}",
    b'{"publish-time-interval": true}',
    b'{"publish-time-interval": null, "reset": 1}',
    b'{"publish-time-interval": {}}',
    b'{"reset": 1}',
    b'{"reset": 1, "reset": "yes"}',
    b'{"shutdown": "true"}',
    b'{"use-low-power-mode": 0}',
    b'{"\\ud800": 1}',
    b'{"ph": "\\udfff\\ud800"}',
    b'{"ph": {"unit": "\\ud800", "time-interval": "\\ud800"}}',
    b'{"reset": "\xed\xa0\x80"}',
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"\x00" * 100,
    b'{"a\x00b": 1}',
    b"{[1]: 2}",
    b"{{}: 2}",
    b'{1: 2, null: 3, "x": 4}',
    b'{"ph": {"time-interval": 1e999}}',
    b'{"ph": {"average-value": true, "average-time-interval": 1e300}}',
    b'{"ph": {"average-value": 1}}',
    b'{"ph": {"disable": null}}',
    b'{"ph": null}',
    b'{"ph": [[]]}',
    b'{"' + b"x" * 3900 + b'": 1}',
    b'{"' + b"\\u0000" * 600 + b'": 1}',
    b'{"a": 1' + b" " * 5000 + b"}",
    b'{"reset": true}' + b"x",
    b'{"reset": tru}',
)


def healthy(world):
    """It steps, publishes, answers; no restart."""
    before = len(world.data())
    world.run(10500)
    assert world.calls == [], world.calls
    assert len(world.data()) > before
    assert world.ask("identify")["ok"]["buoy"] == 128


def refusals(world):
    errors = [p[2] for p in world.transport.published if p[1] == b"aws/0/128/error/"]
    return [text for text in errors if b"configuration refused" in text]


def test_a_configuration_that_cannot_be_followed_is_refused_and_the_board_goes_on():
    world = World()
    world.boot()
    world.connect()
    world.run(100)
    for topic in (GLOBAL, SENSOR):
        for text in TEXTS:
            before = len(refusals(world))
            world.board.link.on_message(topic, text, True)
            world.run(100)
            assert world.calls == [], text
            found = refusals(world)
            assert len(found) == before + 1, (topic, text[:60])
            assert len(found[-1]) < 600
            json.loads(found[-1])
    healthy(world)


def test_a_message_that_was_too_large_to_be_received_is_refused_too():
    world = World()
    world.boot()
    world.connect()
    for topic in (GLOBAL, SENSOR, b"aws/0/128/config/console/", b"other", b"\xff\x00"):
        world.board.link.on_message(topic, None, True)
        world.run(100)
    assert len(refusals(world)) == 2
    healthy(world)


def test_a_refused_message_that_is_retained_is_told_once_and_after_another_one_again():
    world = World()
    bad = b"[" * 3000
    told = 0
    for _ in range(5):
        world.nvs.power_cut()
        world.boot()
        world.connect()
        for _ in range(3):
            world.board.link.on_message(GLOBAL, bad, True)
            world.board.link.on_message(SENSOR, bad, True)
            world.run(100)
        told += len(refusals(world))
    assert told == 2
    world.board.link.on_message(GLOBAL, b'{"use-low-power-mode": false}', True)
    world.board.link.on_message(GLOBAL, bad, True)
    world.run(100)
    assert len(refusals(world)) == 1


def test_a_configuration_is_followed_after_any_that_was_refused():
    world = World()
    world.boot()
    world.connect()
    world.run(100)
    world.board.link.on_message(SENSOR, TEXTS[2], True)
    world.board.link.on_message(GLOBAL, b'{"publish-time-interval": 2}', True)
    world.run(100)
    assert world.board.app.schedule.interval_ms == 2000


def test_the_memory_and_the_stack_of_the_interpreter_end_no_board():
    from buoy import config

    world = World()
    world.boot()
    world.connect()
    kept = config.parse_object
    for error in (
        MemoryError(),
        RuntimeError("maximum recursion depth exceeded"),
        OSError(28),
        TypeError("x"),
    ):

        def fails(_data, error=error):
            raise error

        config.parse_object = fails
        try:
            world.board.link.on_message(GLOBAL, repr(error).encode(), True)
            world.run(100)
        finally:
            config.parse_object = kept
    healthy(world)


def test_console_noise_and_requests_of_any_shape_are_no_reason_to_stop():
    world = World()
    world.boot()
    world.connect()
    world.run(100)
    noise = [text + b"\n" for text in TEXTS] + [MARKER + text + b"\n" for text in TEXTS]
    noise += [MARKER + sealed(text) + b"\r\n" for text in TEXTS if len(text) < 2000]
    noise += [bytes(range(256)) * 20 + b"\n", b"@buoy " * 500 + b"\n", b"\xff" * 5000 + b"\n"]
    for data in noise:
        for start in range(0, len(data), 256):
            world.inbox = data[start : start + 256]
            world.board.step()
    healthy(world)


VALUES = (
    None,
    True,
    -1,
    1 << 200,
    1e30,
    1.5,
    "",
    "\ud800" if str is not bytes and len("\ud800") == 1 else "x",
    "x" * 300,
    "a\x00b",
    [],
    [[[[]]]],
    {},
    {"a": {"b": {"c": [1, {}]}}},
    {"ph": None},
    {"ph": {"mode": "hardware", "uart": 0}},
    {"set": {}, "note": {}},
)
NAMES = {
    "hash": ("path",),
    "id": ("buoy",),
    "thing": ("thing",),
    "wifi": ("ssid", "password"),
    "log": ("level",),
    "maintenance": ("seconds",),
    "set": ("settings",),
    "calibrate": ("key", "step", "set", "note"),
    "sensors": ("keys",),
    "ezo": ("key", "command", "process_ms"),
    "keep": ("key", "step"),
    "run": ("start", "count", "end", "interval_us", "first", "durable"),
    "stop": ("give_up", "end"),
    "tell": ("first", "last"),
    "clock": ("utc",),
}


def test_every_request_with_arguments_of_any_type_is_answered_once_and_the_board_goes_on():
    world = World()
    world.boot()
    world.connect()
    world.run(100)
    kept = settings.load()[0]
    for do in NAMES:
        for name in NAMES[do]:
            for value in VALUES:
                if do in ("thing", "id", "wifi", "maintenance", "clock", "run", "stop") and value in (
                    -1,
                    "",
                    False,
                ):
                    continue
                more = {name: value}
                if do == "calibrate" and name != "step":
                    more["step"] = "write"
                    more.setdefault("key", "ph")
                answer = world.ask(do, **more)
                assert set(answer) in ({"id", "ok"}, {"id", "error", "code"}), (do, name, value)
                assert world.calls == []
    settings.save(kept)
    world.ask("stop", end=True)
    world.ask("maintenance", seconds=0)
    world.ask("id", buoy=128)
    healthy(world)


# Valid JSON of a wrong shape, pins that do not exist or are used twice, files that are no JSON.
SHAPES = (
    {"sensors": []},
    {"sensors": {"ph": []}},
    {"sensors": {"ph": None}},
    {"sensors": {"ph": "hardware"}},
    {"sensors": {"ph": {"mode": []}}},
    {"sensors": {"ph": {"mode": "hardware", "limits": ["a", "b"]}}},
    {"sensors": {"ph": {"mode": "hardware", "limits": [None, 1]}}},
    {"sensors": {"ph": {"mode": "hardware", "uart": 0}}},
    {"sensors": {"ph": {"mode": "hardware", "baudrate": 0}}},
    {"sensors": {"ph": {"mode": "hardware", "tx": 6}}},
    {"sensors": {"ph": {"mode": "hardware", "tx": "25"}}},
    {"sensors": {"ph": {"mode": "hardware", "rx": 36, "tx": 34}}},
    {"sensors": {"ph": {"mode": "hardware", "settle_ms": -1}}},
    {"sensors": {"ph": {"mode": "counter", "base": "1"}}},
    {"sensors": {"ph": {"mode": "constant", "value": []}}},
    {"sensors": {"ph": {"mode": "constant", "value": 1e300}}},
    {"sensors": {"do": {"mode": "hardware", "correction": [1, "2"]}}},
    {"sensors": {"do": {"mode": "hardware", "correction": {"a": 1}}}},
    {"sensors": {"do": {"mode": "hardware", "pin": 25}}},
    {"sensors": {"tds": {"mode": "hardware", "coefficients": ["x"]}}},
    {"sensors": {"tds": {"mode": "hardware", "coefficients": None}}},
    {"sensors": {"temp": {"mode": "hardware", "pin": 999}}},
    {"sensors": {"xy": {}}},
    {"pins": []},
    {"pins": [36, 39]},
    {"pins": {"do": "36"}},
    {"pins": {"do": 36.0}},
    {"pins": {"do": True}},
    {"pins": {"do": [36]}},
    {"pins": {"do": {}}},
    {"pins": {"do": -1}},
    {"pins": {"do": 99}},
    {"pins": {"do": 1 << 70}},
    {"pins": {"temp": 27}},
    {"pins": {"power_wf": 34}},
    {"pins": {"wf": 6}},
    {"pins": {"xy": 4}},
    {"power": []},
    {"power": {"ezo": []}},
    {"power": {"ezo": {"switched": 1}}},
    {"power": {"xy": {}}},
    {"calibration": []},
    {"calibration": {"ph": []}},
    {"calibration": {"ph": None}},
    {"calibration": {"do": {"open": True}}},
    {"calibration": {"ph": {"open": True, "previous": [], "was": 1}}},
    {"version": 2},
    {"version": []},
    {"broker_host": None},
    {"broker_host": ["a"]},
    {"broker_host": "a\x00b"},
    {"broker_port": 8883.0},
    {"broker_port": True},
    {"topic_prefix": "\x00"},
    {"publish_interval_s": -1},
    {"watchdog_s": "120"},
    {"unknown": 1},
)
BROKEN = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"[" * 3000,
    b"\x00" * 200,
    b'{"qos": NaN}',
    b"{[]:1}",
    b'{"a":' * 400,
    b" " * 60000,
)


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def bad_files(share=1):
    """All, or every third: a board that starts on MicroPython reads its modules anew."""
    for number in range(0, len(SHAPES), share):
        shape = SHAPES[number]
        given = settings.defaults()
        given.update({"broker_host": "b.test", "sensors": {"ph": {"mode": "counter"}}})
        given.update(shape)
        yield shape, json.dumps(given).encode()
    for data in BROKEN:
        yield data[:40], data
    whole = json.dumps(settings.defaults()).encode()
    for length in range(1, len(whole), 137):
        yield length, whole[:length]


def test_settings_of_any_shape_fall_back_to_the_last_good_file():
    world = World()
    with open(settings.FILE, "rb") as file:
        good = file.read()
    for what, data in bad_files():
        write(settings.LAST, good)
        write(settings.FILE, data)
        board = world.boot()
        assert settings.FILE in board.trouble, what
        assert len(board.trouble) <= 300
        assert board.app is not None, what
        assert world.ask("identify")["ok"]["buoy"] == 128, what
    world.connect()
    healthy(world)


def test_with_the_last_good_file_broken_too_there_is_a_console_on_defaults():
    world = World()
    for what, data in bad_files(3):
        write(settings.LAST, data)
        write(settings.FILE, data)
        board = world.boot()
        assert board.app is None, what
        assert world.ask("identify")["ok"]["buoy"] == 128, what
        assert world.ask("get")["ok"] == settings.defaults(), what
        world.run(500)
        assert world.calls == []
    assert "ok" in world.ask("set", settings={"broker_host": "b.test"})
    assert world.boot().app is not None


def test_bad_settings_are_told_once_on_the_error_topic():
    world = World()
    with open(settings.FILE, "rb") as file:
        write(settings.LAST, file.read())
    write(settings.FILE, b"{")
    told = 0
    for _ in range(3):
        world.boot()
        world.connect()
        world.run(200)
        told += len([p for p in world.transport.published if p[1] == b"aws/0/128/error/"])
    assert told == 1


def test_what_stands_in_the_way_of_a_start_leaves_a_console_and_another_try():
    world = World()
    for name in os.listdir():
        if name == "outbox":
            for one in os.listdir(name):
                os.remove(name + "/" + one)
            os.rmdir(name)
    write("outbox", b"a file in the place of the folder")
    board = world.boot()
    assert board.app is None
    assert "outbox" in board.trouble or "start" in board.trouble
    assert world.ask("identify")["ok"]["buoy"] == 128
    world.run(601000)
    assert world.calls == ["reset"]
    os.remove("outbox")
    assert world.boot().app is not None


def test_parsing_takes_what_json_is_and_nothing_else_alike_on_both_interpreters():
    for text, found in (
        (b'{"a": [1, {"b": "\\u00e4\\"}"}], "N": null}', {"a": [1, {"b": 'ä"}'}], "N": None}),
        (b' \r\n{"I": -1.5e3,"x":true}\t', {"I": -1500.0, "x": True}),
        ('{"ä": "["}', {"ä": "["}),
    ):
        assert parse_object(text) == found
    deep = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    assert isinstance(parse_object(deep), dict)
    for text in TEXTS[:5] + (
        b'{"a":' + deep + b"}",
        b"[1]",
        b"1",
        b"null",
        b'"{}"',
        b"{}}",
        b"{]",
        b'{"a": NaN}',
        b'{"a": "\n"}',
    ):
        with raises(ValueError):
            parse_object(text)
