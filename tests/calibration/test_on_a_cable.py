"""The whole way: commands, serial port, a simulated ESP32 with MicroPython, probes moved by a program."""

import json
import os
import select
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest
from library_page import run_example

from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.cli.main import invoke
from buoyfleet.model.places import FACTORY
from buoyfleet.serial.console import Console
from buoyfleet.simulation.esp32.factory import factory_image
from buoyfleet.simulation.esp32.simulator import Simulator

pytestmark = pytest.mark.timeout(400)

BUOY = str(Path(sys.executable).with_name("buoy"))
ID = 131


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """(simulator, port) of a board with a pressure sensor, and a plan to calibrate unattended."""
    monkeypatch.chdir(tmp_path)
    image = factory_image(firmware_files(), FACTORY)
    with Simulator(tmp_path / "sim", [ID], factory=image) as simulator:
        port = simulator.path(ID)
        with Console(port, purpose="test") as console:
            console.wait_until_ready(120)
            console.request("id", buoy=ID)
            console.request("set", settings={"sensors": {"wp": {"mode": "hardware"}}})
            console.restart()
        move = [BUOY, "hand", "put", "{board}", "{vessel}", "{probes}", "--folder", str(tmp_path / "sim")]
        Path("calibration.yaml").write_text(
            "operator: M. Lee\nstability:\n  wp: {window: 3 s, min: 3 s}\nplan:\n  move: "
            + json.dumps(move)
            + "\n"
        )
        yield simulator, port


def settings_of(port):
    with Console(port, purpose="test") as console:
        console.wait_until_ready(120)
        return console.request("get", tries=3)


def test_calibrated_recorded_and_undone_by_commands(bench, capfd):
    _, port = bench
    assert invoke(["calibrate", port, "wp", "--yes", "--json"]) == 0
    out, _ = capfd.readouterr()
    done = json.loads(out.splitlines()[-1])
    assert done["outcome"] == "passed"
    there = settings_of(port)
    assert there["sensors"]["wp"]["zero_v"] == done["settings"]["zero_v"]
    assert there["calibration"]["wp"]["previous"] == {"zero_v": None}
    assert "open" not in there["calibration"]["wp"]
    page = Path(done["certificate"]).read_text()
    assert page.count("M. Lee") == 2, "as who did it, and where to sign"
    assert invoke(["calibration", "status"]) == 0
    assert f"{ID}" in capfd.readouterr().out
    assert invoke(["calibration", "undo", port, "wp", "--yes"]) == 0
    after = settings_of(port)
    assert "zero_v" not in after["sensors"]["wp"]
    assert after["calibration"] == {}
    assert invoke(["calibration", "undo", port, "wp", "--yes"]) == 2


@pytest.mark.soak
def test_the_example_of_the_library_page_calibrates(bench, project_root, capsys):
    _, port = bench
    run_example(project_root, "Calibrate a sensor", ("/dev/ttyUSB0", port))
    assert capsys.readouterr().out.startswith("wp passed ")
    assert "zero_v" in settings_of(port)["sensors"]["wp"]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_circuits_are_calibrated_kept_and_undone_on_a_cable(bench, capfd):
    _, port = bench
    sensors = {key: {"mode": "hardware"} for key in ("ph", "ec", "temp")}
    with Console(port, purpose="test") as console:
        console.request("set", settings={"sensors": sensors})
        console.restart()
    text = Path("calibration.yaml").read_text()
    rules = "  ph: {min: 20 s}\n  ec: {min: 10 s}\n"
    Path("calibration.yaml").write_text(text.replace("stability:\n", "stability:\n" + rules))
    for key in ("ph", "ec"):
        code = invoke(["calibrate", port, key, "--yes", "--json"])
        out, errors = capfd.readouterr()
        assert code == 0, errors
        assert json.loads(out.splitlines()[-1])["outcome"] == "passed"
    assert sorted(settings_of(port)["calibration"]) == ["ec", "ph"]
    assert invoke(["calibration", "undo", port, "ph", "--yes"]) == 0
    assert sorted(settings_of(port)["calibration"]) == ["ec"]


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("writes", range(1, 30, 4))
def test_power_that_goes_at_any_write_to_flash_leaves_the_old_calibration(bench, writes):
    simulator, port = bench
    before = settings_of(port)["sensors"]["wp"]
    assert invoke(["calibrate", port, "wp", "--yes"]) == 0
    good = settings_of(port)["sensors"]["wp"]
    assert good != before
    simulator.cut_power_after_writes(ID, writes)
    code = invoke(["calibrate", port, "wp", "--yes"])
    simulator.cut_power_after_writes(ID, 0)
    if code:
        assert code == 4
        simulator.power(ID, True)
    with Console(port, purpose="test") as console:
        console.wait_until_ready(120)
        console.request("maintenance", seconds=0)
        console.restart()
    left = settings_of(port)
    assert left["sensors"]["wp"].keys() == good.keys()
    if code:
        assert left["sensors"]["wp"] == good
    assert "open" not in left["calibration"]["wp"]


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_cable_that_is_pulled_while_a_point_settles(bench):
    simulator, port = bench
    before = settings_of(port)
    running = subprocess.Popen(
        [BUOY, "calibrate", port, "wp", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    records = Path("calibrations")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        b'"sample"' in f.read_bytes() for f in records.glob("*/*/record.jsonl")
    ):
        time.sleep(0.05)
    simulator.unplug(ID)
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 4, out
    assert "old calibration" in out
    simulator.replug(ID)
    assert settings_of(port)["sensors"] == before["sensors"]


class CutCable:
    """A cable that goes at the answer to one request, which is lost, and is back at once.

    Args:
        path: where its end at the computer is.
        port: of the board.
        request: part of the request's line.
    """

    def __init__(self, path, port, request):
        self.path, self.cuts = path, 0
        self._port, self._request = port, request
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._plug()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._unplug()

    def _plug(self):
        self._board = os.open(self._port, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._board)
        self._computer, end = os.openpty()
        tty.setraw(end)
        self._end = end
        new = self.path.with_name("new")
        new.symlink_to(os.ttyname(end))
        new.replace(self.path)

    def _unplug(self):
        for end in (self._board, self._computer, self._end):
            os.close(end)

    def _serve(self):
        asked = b""
        while not self._over.is_set():
            ready, _, _ = select.select([self._board, self._computer], [], [], 0.05)
            if self._computer in ready:
                data = os.read(self._computer, 4096)
                asked = (asked + data)[-4096:]
                os.write(self._board, data)
            if self._board not in ready:
                continue
            answer = os.read(self._board, 4096)
            if self._request not in asked or self.cuts:
                os.write(self._computer, answer)
                continue
            request = asked[asked.rindex(b'{"id": ') :].split(b",")[0]
            while request.replace(b" ", b"") not in answer.replace(b" ", b"") or not answer.endswith(b"\n"):
                answer += os.read(self._board, 4096)
            self.cuts += 1
            self._unplug()
            self._plug()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_cable_that_goes_when_the_board_has_accepted_and_not_yet_said_so(bench, capfd, tmp_path):
    _, port = bench
    with CutCable(tmp_path / "cable", port, b'"step": "accept"') as cable:
        assert invoke(["calibrate", str(cable.path), "wp", "--yes", "--json"]) == 0, capfd.readouterr().err
        done = json.loads(capfd.readouterr().out.splitlines()[-1])
        assert cable.cuts == 1
    assert done["outcome"] == "passed"
    there = settings_of(port)
    assert there["sensors"]["wp"]["zero_v"] == done["settings"]["zero_v"]
    assert there["calibration"]["wp"]["record"] == Path(done["record"]).name
    assert "open" not in there["calibration"]["wp"]
