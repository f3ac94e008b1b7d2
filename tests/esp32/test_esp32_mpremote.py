"""The unmodified mpremote, and a person at the REPL, against simulated boards."""

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pexpect
import pytest
import serial
from esp32_bench import mpremote, wait_for

from buoyfleet.simulation.esp32.simulator import Simulator

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), [130, 131]) as running:
        yield running


@pytest.fixture(params=["pty", pytest.param("rfc2217", marks=pytest.mark.soak)])
def port(request, simulator):
    return simulator.path(130) if request.param == "pty" else simulator.url(130)


def test_exec_eval_and_run(port, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("for n in range(3):\n    print('line', n)\n")
    assert mpremote(port, "exec", "print(6 * 7)").strip() == "42"
    assert mpremote(port, "eval", "'a' + 'b'").strip() == "ab"
    assert mpremote(port, "run", script).split() == ["line", "0", "line", "1", "line", "2"]
    assert "ZeroDivisionError" in mpremote(port, "exec", "1 / 0", ok=False)


def test_a_program_sees_an_esp32(port):
    program = "import sys; print(sys.platform, sys.implementation[0], sys.implementation._machine)"
    assert mpremote(port, "exec", program).strip() == "esp32 micropython Generic ESP32 module with ESP32"
    assert mpremote(
        port, "exec", "from sys import platform, path; print(platform, '/lib' in path)"
    ).split() == [
        "esp32",
        "True",
    ]


def test_files_go_both_ways_unaltered(port, tmp_path):
    data = os.urandom(6000) + b"\x03\x04\x01"
    (tmp_path / "out.bin").write_bytes(data)
    mpremote(port, "fs", "cp", tmp_path / "out.bin", ":data.bin")
    assert hashlib.sha256(data).hexdigest() in mpremote(port, "fs", "sha256sum", ":data.bin")
    mpremote(port, "fs", "cp", ":data.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == data
    assert "data.bin" in mpremote(port, "fs", "ls")
    mpremote(port, "fs", "rm", ":data.bin")
    assert "data.bin" not in mpremote(port, "fs", "ls")


def test_a_mounted_folder_is_imported_from(port, tmp_path):
    (tmp_path / "from_host.py").write_text("VALUE = 1234\n")
    assert "1234" in mpremote(port, "mount", tmp_path, "exec", "import from_host; print(from_host.VALUE)")


def test_soft_reset_forgets_and_reset_boots_again(simulator, port):
    mpremote(port, "exec", "kept = 1")
    mpremote(port, "soft-reset")
    before = simulator.with_board(130, lambda board: board.boots)
    mpremote(port, "reset")
    wait_for(lambda: simulator.with_board(130, lambda board: board.boots) > before)
    assert mpremote(port, "eval", "'kept' in globals()").strip() == "False"


def test_a_main_that_never_ends_is_interrupted_and_runs_again_after_reset(simulator, tmp_path):
    port = simulator.path(131)
    (tmp_path / "main.py").write_text("n = 1\nprint('started')\nwhile True:\n    pass\n")
    mpremote(port, "fs", "cp", tmp_path / "main.py", ":main.py")
    with serial.Serial(port, 115200, timeout=20) as line:
        simulator.power(131, True)
        assert b"started" in line.read_until(b"started")
    assert mpremote(port, "resume", "eval", "n > 0").strip() == "True"
    mpremote(port, "fs", "rm", ":main.py")


def test_a_person_at_the_repl(simulator):
    program = str(Path(sys.executable).parent / "mpremote")
    session = pexpect.spawn(program, ["connect", simulator.path(130), "repl"], timeout=15, encoding="utf-8")
    session.expect("Connected to MicroPython")
    session.send("\r")
    session.expect(">>> ")
    session.send("20 + 22\r")
    session.expect("42")
    session.send("while True: pass\r\r")
    session.expect(r"\.\.\. ")
    session.send("\x03")
    session.expect("KeyboardInterrupt")
    session.expect(">>> ")
    session.send("\x04")
    session.expect("soft reboot")
    session.expect("MicroPython v")
    session.send("\x1d")
    session.expect(pexpect.EOF)


def test_the_board_is_an_esp32_to_programs(simulator):
    code = (
        "import time, os, ssl, machine, esp32, network, onewire; from umqtt.simple import MQTTClient; "
        "print(type(time.time()).__name__, time.time() < 3600, os.statvfs('/')[0] * os.statvfs('/')[2], "
        "machine.reset_cause(), ssl.CERT_NONE, time.mktime((2024, 2, 29, 12, 0, 0, 0, 0)))"
    )
    assert mpremote(simulator.path(130), "exec", code).split() == [
        "int", "True", str(0x200000), "5", "0", "762523200",
    ]  # fmt: skip


def test_a_board_costs_little_memory(simulator):
    mpremote(simulator.path(130), "exec", "import machine")
    status = Path(f"/proc/{simulator.child_pid(130)}/status").read_text()
    rss_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert rss_kb <= 8 * 1024


def test_ctrl_c_while_boot_py_runs_keeps_main_py_from_running(simulator, tmp_path):
    port = simulator.path(131)
    (tmp_path / "boot.py").write_text("import time\nprint('window')\ntime.sleep(20)\n")
    (tmp_path / "main.py").write_text("print('main runs')\n")
    mpremote(
        port, "fs", "cp", tmp_path / "boot.py", ":boot.py", "+", "fs", "cp", tmp_path / "main.py", ":main.py"
    )
    with serial.Serial(port, 115200, timeout=10) as line:
        simulator.power(131, True)
        assert b"window" in line.read_until(b"window")
        line.write(b"\x03")
        assert b"main runs" not in line.read_until(b">>> ")
    mpremote(port, "resume", "fs", "rm", ":main.py", "+", "resume", "fs", "rm", ":boot.py")


@pytest.mark.soak  # tests/bench has boards at once in `make test`
@pytest.mark.parametrize("count", [3, 10])
def test_boards_are_talked_to_at_once_and_none_is_mistaken(tmp_path, count):
    data = os.urandom(3000)
    (tmp_path / "out.bin").write_bytes(data)

    def talk(buoy_id):
        port = many.path(buoy_id)
        mpremote(port, "fs", "cp", tmp_path / "out.bin", ":data.bin")
        whole = hashlib.sha256(data).hexdigest() in mpremote(port, "fs", "sha256sum", ":data.bin")
        return whole, int(mpremote(port, "eval", "__import__('machine').unique_id()[-1]"))

    with Simulator(tmp_path / "many", range(140, 140 + count)) as many, ThreadPoolExecutor(count) as pool:
        assert list(pool.map(talk, many.ids)) == [(True, buoy_id) for buoy_id in many.ids]
