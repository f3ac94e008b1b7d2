# ruff: noqa
# mypy: ignore-errors
"""Runs on MicroPython: the installed program of a board with nine drivers through everything that it may meet.

Arguments: hours of the long wait; "base": only print what is in use before the program starts. Prints a line of JSON:
bytes of the program that are alive in each state.
"""

import gc
import json
import sys

from room_world import MARKER, Ended, Nvs, System, world

# A chip has its names in ROM, here they lie in the table of names: it is filled up to the end of a block, so that
# the program's own begin a new one.
NAMES_HERE = 250
BLOCKS = 620

# the scenario: a generator that yields what to wait for


def ask(do, **more):
    """One request, again while the board says that it is too early; yields until it is answered."""
    while True:
        answer = yield from asked(do, more)
        if b"ask again" not in answer:
            break
        answer = None
        yield from wait(50)
    if b'"error"' in answer:
        fail(do + ": " + answer.decode())
    answer = None
    note(do)


def asked(do, more):
    body = {"id": 7, "do": do}
    body.update(more)
    world.out = b""
    line = MARKER + json.dumps(body).encode()
    body = None
    world.inbox = line + b"\r\n"
    line = None
    end_ms = world.now_ms + 30000
    while b'"id": 7' not in world.out and b'"id":7' not in world.out:
        if world.now_ms > end_ms:
            fail("no answer to " + do)
        yield
    world.out = world.out[world.out.find(MARKER) :]
    answer = world.out[: world.out.find(b"\r\n")]
    world.out = b""
    return answer


def wait(ms):
    end_ms = world.now_ms + ms
    while world.now_ms < end_ms:
        world.out = b""
        yield


def until(condition, ms, what):
    end_ms = world.now_ms + ms
    while not condition():
        if world.now_ms > end_ms:
            fail("not within %d ms: %s" % (ms, what))
        world.out = b""
        yield


def config(topic, text):
    """A message to the board."""
    topic = b"aws/0/128/config/" + topic + b"/"
    body = bytes((0, len(topic))) + topic + text
    size = bytes((len(body),)) if len(body) < 128 else bytes((len(body) & 0x7F | 0x80, len(body) >> 7))
    world.to_board = b"\x30" + size + body


def fail(text):
    world.failed = text
    raise Ended


world.failed = None
world.marks = []


def note(name):
    """Live data of the program now."""
    gc.collect()
    world.marks.append((name, gc.mem_alloc() - base))


def every_command():
    yield from ask("identify")
    yield from ask("health")
    yield from ask("clock")
    yield from ask("log", level="info")
    yield from ask("hash", path="settings.json")
    yield from ask("get")
    yield from ask("count")
    yield from ask("sensors")
    yield from ask("set", settings={"publish_interval_s": 1})
    yield from ask("calibrate", key="ph", step="write", set={"correction": [1.0, 0.1]}, note={"date": "2026"})
    yield from ask("calibrate", key="ph", step="accept")
    yield from ask("ezo", key="ph", command="Cal,?", process_ms=300)
    yield from ask("keep", key="ph", step="keep")
    yield from ask("keep", key="ph", step="accept")
    yield from ask("run", start=1, interval_us=1000000, count=3, durable=True)
    yield from wait(8000)
    yield from ask("tell", first=1, last=3)
    yield from ask("stop", end=True)


def standing():
    yield from until(lambda: world.published > 3, 60000, "messages")
    note("publishing")
    yield from every_command()
    note("after every command")
    yield from wait(20000)
    config(b"global", b'{"publish-time-interval": 2, "use-low-power-mode": false, "reset": false}')
    yield from wait(3000)
    note("global configuration")
    config(
        b"sensor",
        json.dumps(
            {
                key: {"time-interval": 2, "average-value": True, "average-time-interval": 2}
                for key in ("ph", "ec", "do", "temp")
            }
        ).encode(),
    )
    yield from wait(20000)
    note("sensor configuration")
    for number in range(10):
        before = world.connects
        if number % 3 == 2:
            world.online = False
            yield from wait(5000)
            world.online = True
        elif world.socket is not None:
            world.refuse = number % 2
            world.socket.close()
        yield from until(
            lambda: world.connects > before + (number % 2 if number % 3 != 2 else 0),
            900000,
            "connection %d" % number,
        )
        yield from wait(5000)
        yield from ask("health")
    note("ten reconnects")
    world.leap_ms = 250
    yield from wait(int(hours * 3600000))
    world.leap_ms = 0
    note("hours")
    yield from ask("sensors")
    note("sensors")
    yield from ask("reboot")
    yield from wait(5000)


def scenarios():
    yield standing()
    yield again()


def again():
    yield from wait(20000)
    yield from ask("identify")
    note("started again")


def turn():
    try:
        next(scenario)
    except StopIteration:
        raise Ended from None


def at_handshake():
    note("handshake")


hours = float(sys.argv[1])
Nvs.values = {"id": 128, "thing": b"buoy-128", "wifi_ssid": b"river", "wifi_key": b"secret"}
scenario = None
world.turn = turn
world.at_handshake = at_handshake
modules, path, stdout = sys.modules, sys.path, sys.stdout
for number in range(BLOCKS - NAMES_HERE):
    setattr(world, "pad%d" % number, 0)
    delattr(world, "pad%d" % number)
gc.collect()
base = gc.mem_alloc()
if len(sys.argv) > 2:
    stdout.write("%d\n" % base)
    sys.exit()
modules["sys"] = System()
starts = 0
for scenario in scenarios():
    starts += 1
    for name in list(modules):
        if name.split(".")[0] in ("buoy", "sensors"):
            del modules[name]
    if starts > 1:
        __import__("vfs").umount("/app")
        path.pop(0)
    gc.collect()
    world.inbox = world.out = world.to_board = b""
    world.socket = None
    try:
        __import__("start").begin()
        from buoy.esp32_board import run

        note("start %d" % starts)
        run(None)
    except Ended:
        pass
    run = None
    if world.failed:
        break
stdout.write(
    json.dumps(
        {
            "failed": world.failed,
            "marks": world.marks,
            "connects": world.connects,
            "published": world.published,
            "words": sys.maxsize > 1 << 32 and 64 or 32,
        }
    )
    + "\n"
)
