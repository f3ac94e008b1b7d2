"""Boards with files and programs of earlier projects: each is found, named, and brought to its prompt."""

import contextlib

import pytest
from scripted_board import ScriptedBoard

from buoyfleet.bench.batch_context import refuse_in_the_way, require_usable
from buoyfleet.boards.firmware_files import firmware_files, installed_firmware
from buoyfleet.model.errors import BoardError
from buoyfleet.serial import probe as looking
from buoyfleet.serial.board_files import fetch_file, list_files, remove_files, send_files
from buoyfleet.serial.port import open_port
from buoyfleet.serial.probe import Found, probe
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.simulator import Simulator

pytestmark = pytest.mark.timeout(600)

LEFT_OVER = b"""# left over from an earlier project
def save(name, value):
    with open(name, "w") as f:
        f.write(str(value))
"""
IGNORES = b"""
import time
while True:
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        pass
"""
DEAF = b"""
import machine, micropython, time
time.sleep_ms(300)  # a display that starts
micropython.kbd_intr(-1)
while True:
    print("level 12.5 cm, battery 3.71 V")
    time.sleep_ms(2)
"""
BOOT_LOOP = b"""
import machine
print("pump controller 2.1")
machine.reset()
"""
FIGHTERS = {0x150: IGNORES, 0x151: DEAF, 0x152: BOOT_LOOP}
FLOOD_LINE = "level 12.5 cm"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("fight"), [*FIGHTERS, 0x153]) as running:
        yield running


@contextlib.contextmanager
def at_prompt(port: str):
    line = open_port(port)
    try:
        repl = RawRepl(line, port)
        repl.enter()
        yield repl
        repl.leave()
    finally:
        line.close()


SHADOWS = {
    **{f"{name}.py": LEFT_OVER for name in ("json", "os", "binascii", "hashlib", "machine", "struct", "io")},
    "lib/select.py": LEFT_OVER,
    "buoy": b"a file where a folder belongs",
    "water.py": LEFT_OVER,
}


def test_files_that_shadow_modules_are_named_and_stop_nothing_of_ours(simulator):
    port = simulator.path(0x153)
    with at_prompt(port) as repl:
        send_files(repl, SHADOWS)
        assert repl.run("import json\nprint(hasattr(json, 'dumps'))").strip() == "True"
    simulator.power(0x153, True)
    with at_prompt(port) as repl:  # as somebody who tries things leaves it
        repl.run("import sys\nsys.path[:] = buoy_path\nimport json\nprint(json.save)")
    found = probe(port)
    assert (found.state, found.mac) == ("micropython", "240ac4000153")
    assert set(found.in_the_way) == {f"/{path}" for path in SHADOWS} - {"/water.py"}
    assert "/json.py" in found.runs
    with pytest.raises(BoardError, match=r"/json\.py.* would be imported in place") as caught:
        refuse_in_the_way(found)
    assert f"buoy files rm {port} " in caught.value.next_step
    assert "--erase" in caught.value.next_step
    with at_prompt(port) as repl:
        send_files(repl, {"notes.txt": b"x" * 5000})
        assert fetch_file(repl, "water.py") == LEFT_OVER
        assert set(list_files(repl, ["json.py", "notes.txt"]).files) == {"json.py", "notes.txt"}
        remove_files(repl, [*SHADOWS, "notes.txt"])
    found = probe(port)
    assert found.in_the_way == ()
    refuse_in_the_way(found)
    with at_prompt(port) as repl:
        repl.leave()
        line = repl.send(b"import sys; print(sys.path[0] == '', '/lib' in sys.path)\r")
        assert line is None
        said = [repl.read_line(2.0) for _ in range(6)]
        assert "True True" in said, "the way modules are found is given back"


def test_the_firmware_as_it_is_installed_is_recognised_at_the_prompt(simulator):
    port = simulator.path(0x153)
    files = firmware_files()
    version = installed_firmware().version
    with at_prompt(port) as repl:
        send_files(repl, files)
    assert probe(port).runs.endswith(f"firmware {version} stopped")
    simulator.power(0x153, True)
    with at_prompt(port) as repl:  # interrupted while it runs: its program is mounted, and loaded in part
        assert repl.run("import os\nprint('main.py' in os.listdir())").strip() == "True"
    assert probe(port).firmware == version
    with at_prompt(port) as repl:
        remove_files(repl, ["app.txt"])
    assert probe(port).firmware == version, "any program that is there is started"
    with at_prompt(port) as repl:
        remove_files(repl, files)
        send_files(repl, {"buoy/esp32_board.py": b""})
    assert probe(port).runs.endswith("firmware of unknown version stopped")
    with at_prompt(port) as repl:
        remove_files(repl, ["buoy/esp32_board.py"])


ELSEWHERE = """
import os
try:
    os.mkdir("/data")
except OSError:
    pass
os.chdir("/data")
def print(*words): pass
open = list = None
"""


def test_a_program_that_went_elsewhere_and_took_our_names_misleads_nobody(simulator):
    port = simulator.path(0x153)
    with at_prompt(port) as repl:
        send_files(repl, {"note.txt": b"in the root"})
        repl.run(ELSEWHERE)
    with at_prompt(port) as repl:
        assert repl.run("import os\nprint(os.getcwd())").strip() == "/"
        send_files(repl, {"other.txt": b"too"})
        assert {"note.txt", "other.txt"} <= set(list_files(repl, ["/"]).files)
        remove_files(repl, ["note.txt", "other.txt"])
        repl.run("import os\nos.rmdir('data')")


MOUNTS = """
import os, vfs
class Program:
    def mount(self, readonly, mkfs): pass
    def umount(self): pass
    def stat(self, path): return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
class Computer(Program):
    def ilistdir(self, path): raise SystemExit  # what `mpremote mount` left: nobody answers it
vfs.mount(Program(), "/app")
vfs.mount(Computer(), "/remote")
print(sorted(os.listdir("/"))[:1])
"""


def test_what_a_program_has_mounted_is_no_part_of_a_listing(simulator):
    port = simulator.path(0x153)
    with at_prompt(port) as repl:
        send_files(repl, {"lib/mine.txt": b"x"})
        assert "app" in repl.run(MOUNTS), "it is listed as a folder"
        assert "lib/mine.txt" in list_files(repl, ["/"]).files
        assert list_files(repl, ["/app/"]).files == {}
        remove_files(repl, ["lib/mine.txt"])
        repl.run("vfs.umount('/app')\nvfs.umount('/remote')")


@pytest.mark.parametrize(
    "buoy",
    [
        pytest.param(0x150, id="ignores Ctrl-C", marks=pytest.mark.soak),
        pytest.param(0x151, id="deaf and flooding"),
        pytest.param(0x152, id="boot loop", marks=pytest.mark.soak),
    ],
)
def test_a_program_that_takes_no_ctrl_c_is_told_and_caught_while_the_board_boots(simulator, buoy):
    port = simulator.path(buoy)
    with at_prompt(port) as repl:
        send_files(repl, {"main.py": FIGHTERS[buoy]})
        repl.hard_reset()
    found = probe(port, patience_s=10.0 if buoy == 0x152 else 1.0)
    assert found.state == "silent"
    said = {0x150: "", 0x151: FLOOD_LINE, 0x152: "restarts again and again"}[buoy]
    assert said in found.runs
    # Over RFC 2217, as an adapter has lines that reset the chip.
    found = probe(simulator.url(buoy), patience_s=0.5, wake=True)
    assert (found.state, found.micropython) == ("micropython", "1.25.0"), found.runs
    with at_prompt(port) as repl:
        remove_files(repl, ["main.py"])


def not_caught(port):
    raise BoardError("no REPL", where=port)


@pytest.mark.soak
def test_a_program_that_nothing_stops_is_named_with_what_erasing_costs(simulator, monkeypatch):
    monkeypatch.setattr(looking, "_ask_repl", lambda *_, **__: None)
    monkeypatch.setattr(looking, "caught_at_boot", not_caught)
    port = simulator.path(0x153)
    with at_prompt(port) as repl:
        send_files(repl, {"main.py": b"while True:\n    print('pump controller 2.1')\n"})
        repl.hard_reset()
    found = probe(port, patience_s=1.0, wake=True)
    assert (found.state, found.mac) == ("stuck", "240ac4000153")
    assert "cannot be stopped" in found.runs
    assert "pump controller 2.1" in found.runs
    with pytest.raises(BoardError) as caught:
        require_usable(found)
    assert "--erase" in caught.value.next_step
    assert "Wi-Fi, keys, settings" in caught.value.next_step
    require_usable(found, erase=True)


def silent(found: Found) -> str:
    assert found.state == "silent"
    assert "identify" not in found.runs
    assert "@buoy" not in found.runs
    return found.detail


def test_a_silent_board_is_not_quoted_with_our_own_words(tmp_path):
    board = ScriptedBoard(tmp_path / "port", lambda _request: None)
    try:
        assert silent(probe(str(board.path), patience_s=0.2)) == "asleep, hung or busy, or no board"
        board.answer = lambda _request: b'\r\n@buoy {"id": 1, "do": "identify"} 123\r\n'
        assert "sends every byte back" in silent(probe(str(board.path), patience_s=0.2))
        board.answer = lambda _request: b'@buoy {"id": 1}\r\nlevel 12.5 cm\r\n'
        assert silent(probe(str(board.path), patience_s=0.2)).endswith("it says 'level 12.5 cm'")
    finally:
        board.unplug()
