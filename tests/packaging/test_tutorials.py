"""The tutorials, typed from begin to end in an empty folder."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
BUOY = Path(sys.executable).with_name("buoy")
TYPED = re.compile(r"^ {4}(buoy [^\n]*)$", re.MULTILINE)
FAILS = {"buoy run scenarios/lambda-error.yaml": 5}
"""Exit codes of what goes wrong on purpose."""
BUSY = "this computer was busy. Nothing was lost"
"""A verdict of machines that are slower than the plan."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{BUOY.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("WIFI_PASSWORD", "secret")
    return tmp_path


def commands_of(project_root: Path, page: str) -> list[str]:
    return TYPED.findall((project_root / "docs" / page).read_text())


def type_(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=400, check=False)
    expected = 5 if BUSY in done.stdout else FAILS.get(command, 0)
    assert done.returncode == expected, (command, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


@pytest.fixture
def simulate(folder):
    """Start `buoy simulate` as a page says it, and wait for its port."""
    started = []

    def start(command: str, port: str) -> None:
        started.append(subprocess.Popen(command.split(), stdout=subprocess.DEVNULL, cwd=folder))
        deadline = time.monotonic() + 120
        while not (folder / port).exists():
            assert started[-1].poll() is None, command
            assert time.monotonic() < deadline, f"{command}: no {port}"
            time.sleep(0.1)

    yield start
    for process in started:
        process.terminate()
        process.wait(60)


def test_a_fleet_is_run_and_a_loss_is_explained(folder, project_root):
    said = {command: type_(command) for command in commands_of(project_root, "tutorial-run.md")}
    assert "ready" in said["buoy check"]
    assert "lambda" in said["buoy run scenarios/lambda-error.yaml"]
    assert len(list((folder / "runs").iterdir())) == 2


def test_a_board_is_put_into_service_and_sends(folder, project_root, simulate):
    page = (project_root / "docs" / "tutorial-bench.md").read_text()
    first, *commands = commands_of(project_root, "tutorial-bench.md")
    simulate(first, "sim/ports/buoy-131")
    (fleet,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (folder / "boards.yaml").write_text(fleet)
    run = commands.pop()
    assert run == "buoy run"
    said = {command: type_(command) for command in commands}
    assert "interpreter" in said["buoy commission --dry-run"]
    assert "buoy 131" in said["buoy id 131"]
    done = subprocess.run(run, shell=True, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode in (0, 5), done.stdout[-3000:]
    assert "20 of 20 messages acknowledged" in done.stdout


def test_a_sensor_is_calibrated_and_taken_back(project_root, simulate):
    first, *commands = commands_of(project_root, "tutorial-calibrate.md")
    simulate(first, "runs/simulated/ports/buoy-128")
    for command in commands:
        if "calibrate" in command.split():
            _calibrate(command)
        elif "hand" not in command.split():
            type_(f"{command} --yes" if "undo" in command else command)


def _calibrate(command: str) -> None:
    """At a terminal: the probe goes where the step says, by a command of the page."""
    with pexpect.spawn(command, encoding="utf-8", timeout=200, dimensions=(40, 100)) as terminal:
        while True:
            found = terminal.expect(["Enter when it is ready", r"\[y/n\]", "certificate  ", pexpect.EOF])
            if found == 0:
                type_("buoy hand put 128 pressure-zero wp")
                terminal.sendline("")
            elif found == 1:
                terminal.sendline("y")
            elif found == 2:
                terminal.expect(pexpect.EOF)
                break
            else:
                pytest.fail(f"it ended without a certificate: {terminal.before}")
    assert terminal.exitstatus == 0
