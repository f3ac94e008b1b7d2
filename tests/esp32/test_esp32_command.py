"""`buoy simulate`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pexpect.fdpexpect
import pytest
import serial
from esp32_bench import mpremote, wait_for


def test_simulate_prints_ports_that_answer_and_ends_on_ctrl_c(tmp_path):
    command = [
        Path(sys.executable).parent / "buoy",
        "simulate",
        "--boards",
        "2",
        "--json",
        "--folder",
        tmp_path,
    ]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        boards = json.loads(process.stdout.readline())["boards"]
        assert [board["id"] for board in boards] == [128, 129]
        assert mpremote(boards[1]["port"], "eval", "__import__('machine').unique_id()[-1]").strip() == "129"
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
        assert not Path(boards[0]["port"]).exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def children_of(pid):
    """Ids of the processes that a process started and that still run."""
    return [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if stat.read_text().rpartition(")")[2].split()[1] == str(pid)
    ]


def runs(pid):
    """Whether a process still does something."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("body", ["pass", "try: p.value()\\n except OSError: pass"])
def test_boards_end_with_a_simulator_that_is_killed(body, tmp_path):
    command = [Path(sys.executable).parent / "buoy", "simulate", "--json", "--folder", tmp_path]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        [board] = json.loads(process.stdout.readline())["boards"]
        with serial.Serial(board["port"], timeout=1) as port:
            console = pexpect.fdpexpect.fdspawn(port, timeout=10)
            console.send(b"\r\n")
            console.expect_exact(b">>> ")
            console.send(b"from machine import Pin; p = Pin(4)\r\n")
            console.expect_exact(b">>> ")
            console.send(f'exec("print(6 * 7)\\nwhile True:\\n {body}")\r\n'.encode())
            console.expect_exact(b"\n42")  # it runs
            pids = children_of(process.pid)
            assert pids
            process.kill()
    wait_for(lambda: not any(runs(pid) for pid in pids))
