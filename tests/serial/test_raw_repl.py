"""Raw REPL, files and looking at ports, on simulated boards by PTY and by RFC 2217."""

import hashlib
import os
import threading

import pytest

from buoyfleet.model.errors import BoardError, PreflightError
from buoyfleet.serial import board_files
from buoyfleet.serial.board_files import fetch_file, list_files, remove_files, send_files
from buoyfleet.serial.esptool import Esptool
from buoyfleet.serial.find import find_board
from buoyfleet.serial.lock import PortLock
from buoyfleet.serial.on_board import program
from buoyfleet.serial.port import open_port
from buoyfleet.serial.probe import probe
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.serial.repl_errors import ReplError
from buoyfleet.simulation.esp32.simulator import Simulator

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), [130, 131]) as running:
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("empty"), [132], flashed=False) as running:
        yield running


@pytest.fixture(params=["pty", "rfc2217"])
def repl(request, simulator):
    port = simulator.path(130) if request.param == "pty" else simulator.url(130)
    line = open_port(port)
    found = RawRepl(line, port)
    found.enter()
    yield found
    found.leave()
    line.close()


def test_code_prints_raises_and_leaves_the_prompt(repl):
    assert repl.run("print(6 * 7)") == "42\r\n" or repl.run("print(6 * 7)").strip() == "42"
    with pytest.raises(ReplError, match="ZeroDivisionError") as caught:
        repl.run("1 / 0")
    assert "Traceback" in caught.value.traceback
    assert caught.value.where == repl.port
    long = "\n".join(f"a{n} = {n}" for n in range(400)) + "\nprint(a399)"
    assert repl.run(long).strip() == "399"


SPOILED = "import sys\nsys.path[:] = []\nspoiled = 1"
"""What a command can do that noise has changed."""
AS_BOOTED = "import sys\nprint('.frozen' in sys.path, 'spoiled' in globals())"


def test_a_start_afresh_forgets_what_a_spoiled_command_did(repl):
    repl.run(SPOILED)
    repl.enter(afresh=True)
    assert repl.run(AS_BOOTED).strip() == "True False"


def test_what_spoils_the_first_step_of_a_session_is_forgotten(repl):
    repl.run(f"{SPOILED}\nbuoy_path = 5")
    repl.enter()
    assert repl.run(AS_BOOTED).strip() == "True False"


def test_files_arrive_in_one_batch_and_replace_what_was_there(repl):
    files = {f"batch/{n}.bin": os.urandom(n * 97) for n in range(12)}
    files["batch/deep/text.txt"] = b"hello " * 2000 + b"\x03\x04\x01"
    shares = []
    sent = send_files(repl, files, lambda done, whole: shares.append(done / whole))
    assert shares[-1] == 1.0
    assert sent < sum(map(len, files.values()))
    files["batch/3.bin"] = b"other"
    send_files(repl, {"batch/3.bin": b"other"})
    listing = list_files(repl, ["batch/", "nothing/", "boot.py", "none.py"])
    found = {path: file.digest for path, file in listing.files.items() if path.startswith("batch")}
    assert found == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    assert "boot.py" in listing.files
    assert listing.free > 1_000_000
    assert fetch_file(repl, "batch/deep/text.txt") == files["batch/deep/text.txt"]
    remove_files(repl, [*files, "batch/never.bin"])
    assert list_files(repl, ["batch/"]).files == {}


def test_a_private_key_is_neither_hashed_nor_fetched(repl):
    send_files(repl, {"certs/key.der": b"very private"})
    assert list_files(repl, ["certs/"]).files["certs/key.der"].digest == "-"
    with pytest.raises(BoardError, match="keys stay"):
        fetch_file(repl, "/certs/key.der")
    remove_files(repl, ["certs/key.der"])


def test_blocks_that_the_line_spoils_are_sent_again(simulator):
    line = open_port(simulator.path(131))
    repl = RawRepl(line, simulator.path(131))
    repl.enter()
    files = {f"noise/{n}": os.urandom(3000) for n in range(6)}
    started = threading.Event()

    def spoil(_done, _whole):
        if not started.is_set():
            started.set()
            simulator.noise(131, 0.0002)

    try:
        send_files(repl, files, spoil)
    finally:
        simulator.noise(131, 0.0)
    repl.enter()
    listing = list_files(repl, ["noise/"])
    assert {path: file.digest for path, file in listing.files.items()} == {
        path: hashlib.sha256(data).hexdigest() for path, data in files.items()
    }
    line.close()


SLOW = """
import sys, time
class Slow:
    def __getattr__(self, name):
        return getattr(real, name)
    def rename(self, old, new):
        time.sleep_ms(150)
        real.rename(old, new)
import os as real
sys.modules["os"] = Slow()
"""


def test_a_slow_file_system_is_no_broken_line(repl, monkeypatch):
    monkeypatch.setattr(board_files, "_ANSWER_S", 0.6)
    monkeypatch.setattr(board_files, "_BLOCK_S", 0.6)
    monkeypatch.setattr(board_files, "_STORE_S", 3.0)
    files = {f"slow/{n}": b"x" for n in range(8)}
    repl.run(SLOW)
    try:
        sent = send_files(repl, files)
    finally:
        repl.run("sys.modules.pop('os')\ndel real")
    assert sent < 1000, "nothing was sent twice"
    assert len(list_files(repl, ["slow/"]).files) == 8
    remove_files(repl, files)


def test_a_transfer_that_is_stopped_leaves_the_prompt_and_nothing_half_done(repl):
    def stop(done, _whole):
        if done > 4000:
            raise KeyboardInterrupt

    files = {f"half/{n}": os.urandom(1500) for n in range(8)}
    with pytest.raises(KeyboardInterrupt):
        send_files(repl, files, stop)
    assert repl.run("print('at the prompt')").strip() == "at the prompt"
    assert list_files(repl, ["half/"]).files == {}
    repl.leave()
    repl.send(b"print('friendly', 6 * 7)\r")
    assert "friendly 42" in [repl.read_line(2.0) for _ in range(6)]
    repl.enter()


def test_a_program_that_hogs_the_repl_is_interrupted(simulator):
    port = simulator.path(131)
    line = open_port(port)
    repl = RawRepl(line, port)
    repl.enter()
    send_files(repl, {"main.py": b"import time\nwhile True:\n  print('busy')\n  time.sleep_ms(1)\n"})
    repl.hard_reset()
    repl.enter()
    assert repl.run("print('mine')").strip() == "mine"
    remove_files(repl, ["main.py"])
    line.close()


def test_a_board_that_hangs_is_given_up_at_the_deadline(simulator):
    port = simulator.path(131)
    simulator.hang(131)
    line = open_port(port)
    try:
        with pytest.raises(BoardError, match=r"no REPL within 0\.5 s"):
            RawRepl(line, port).enter(0.5)
    finally:
        line.close()
        simulator.hang(131, False)


def test_a_board_that_hangs_is_reset_and_tells_what_it_has(simulator):
    port = simulator.path(131)
    simulator.hang(131)
    assert probe(port, patience_s=0.5).state == "silent", "without leave nothing is reset"
    found = probe(port, patience_s=0.5, wake=True)
    assert (found.state, found.micropython, found.mac) == ("micropython", "1.25.0", "240ac4000083")


def test_a_look_tells_what_runs_and_finds_boards_by_mac(simulator, empty):
    found = probe(simulator.path(130))
    assert (found.state, found.mac, found.micropython) == ("micropython", "240ac4000082", "1.25.0")
    nothing = probe(empty.path(132))
    assert (nothing.state, nothing.mac, nothing.runs) == ("empty", "240ac4000084", "nothing")
    assert "ESP32" in nothing.chip
    ports = [str(simulator.folder / "ports/*")]
    assert find_board("mac:24:0a:c4:00:00:83", more_ports=ports).port.endswith("buoy-131")
    moved = simulator.replug(131, "another-name")
    assert find_board("mac:24:0a:c4:00:00:83", more_ports=ports).port == moved
    with pytest.raises(PreflightError, match="no board with id 999") as caught:
        find_board("999", more_ports=ports)
    assert "24:0a:c4:00:00:82" in caught.value.cause
    assert find_board(simulator.url(130)).mac == "240ac4000082"


def test_a_port_in_use_is_told_with_who_has_it(simulator):
    port = simulator.path(130)
    with PortLock(port, "another job"):
        found = probe(port)
    assert found.state == "busy"
    assert "another job" in found.detail
    assert probe("/nowhere/at-all").state == "gone"


def test_esptool_writes_with_progress_and_tells_the_mac(empty, tmp_path):
    from buoyfleet.serial.esp_image import read_image
    from buoyfleet.simulation.esp32.synthetic import write_synthetic

    image = read_image(write_synthetic(tmp_path / "image.bin", size=120_000))
    pieces = []
    for address, data in image.pieces():
        file = tmp_path / f"{address:x}.bin"
        file.write_bytes(data)
        pieces.append((address, file))
    shares = []
    tool = Esptool(empty.path(132))
    assert tool.write(pieces, 460800, shares.append) == "240ac4000084"
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    chip = tool.identify()
    assert (chip.kind, chip.flash_bytes, chip.mac) == ("ESP32", 4 << 20, "240ac4000084")
    with pytest.raises(BoardError, match="stopped"):
        Esptool(empty.path(132), stopped=lambda: True).identify()
    with pytest.raises(BoardError, match="the port is gone or in use"):
        Esptool("/nowhere/at-all").identify()


def test_a_host_that_died_in_a_transfer_leaves_a_board_that_the_next_one_gets_at_once(simulator):
    port = simulator.path(131)
    line = open_port(port)
    repl = RawRepl(line, port)
    repl.enter()
    repl.begin(f"{program('receive')}\nreceive(2048)")
    assert repl.read_line(20.0) == "ready"
    repl.send(bytes(700))  # the beginning of a block, and nothing more
    line.close()
    line = open_port(port)
    repl = RawRepl(line, port)
    repl.enter()
    assert repl.run("print('mine')").strip() == "mine"
    line.close()


class Script:
    """A line that answers what is written as a list says."""

    def __init__(self, answers):
        self.answers = answers
        self.waiting = b""
        self.written = b""

    @property
    def in_waiting(self):
        return len(self.waiting)

    def read(self, size=1):
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return data

    def write(self, data):
        self.written += data
        for ask, answer in self.answers:
            if data.endswith(ask):
                self.waiting += answer
                return


def test_a_late_greeting_before_the_answer_is_passed_over_and_nothing_is_sent_twice():
    greeting = b"raw REPL; CTRL-B to exit\r\n>"
    line = Script([(b"\x05A\x01", greeting * 2 + b"R\x01\x80\x00\x01"), (b"\x04", b"\x0442\r\n\x04\x04>")])
    repl = RawRepl(line, "port")
    assert repl.run("print(42)", 2.0).strip() == "42"
    assert line.written == b"\x05A\x01print(42)\x04"
