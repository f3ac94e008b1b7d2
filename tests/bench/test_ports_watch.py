"""`buoy ports --watch` tells what comes and goes, until Ctrl-C."""

import json
import signal
import subprocess
import threading

import pytest
from bench_place import PROGRAM, environment

from buoyfleet.simulation.esp32.simulator import Simulator

WAIT_S = 60.0


@pytest.fixture
def watch(tmp_path):
    with Simulator(tmp_path / "sim", [180, 181]) as simulator:
        process = subprocess.Popen(
            [*PROGRAM, "ports", "sim/ports/*", "--watch", "--json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        killer = threading.Timer(WAIT_S, process.kill)
        killer.start()
        try:
            yield simulator, process
        finally:
            killer.cancel()
            process.kill()
            process.communicate()


def told(process):
    """(event, port) of the next line; a watcher that ended tells nothing."""
    line = process.stdout.readline()
    assert line, process.stderr.read()
    document = json.loads(line)
    return document["event"], document["port"].rsplit("/", 1)[-1], document.get("state")


def test_boards_that_come_and_go_are_told_until_ctrl_c(watch):
    simulator, process = watch
    assert {told(process), told(process)} == {
        ("there", "buoy-180", "micropython"),
        ("there", "buoy-181", "micropython"),
    }
    simulator.unplug(180)
    assert told(process) == ("gone", "buoy-180", None)
    simulator.replug(180)
    event, port, state = told(process)
    assert (event, port) == ("came", "buoy-180")
    assert state == "micropython"
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in error
