"""The pytest plugin, as other people's projects have it: pytest runs in a process and a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from run_bench import fleet_text

pytestmark = pytest.mark.timeout(400)
PAGE = "docs/testing.md"


def project(folder: Path, text: str, **files: str) -> Path:
    for name, content in {"test_it": text, **files}.items():
        (folder / f"{name}.py").write_text(content)
    return folder


def pytest_in(folder: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_examples_of_the_page_pass(tmp_path, project_root):
    examples = re.findall(r"```python\n(.*?)```", (project_root / PAGE).read_text(), re.DOTALL)
    assert len(examples) == 4
    (tmp_path / "boards.yaml").write_text(fleet_text(ids="100-101", run={"messages": 3}))
    code, output = pytest_in(project(tmp_path, "\n".join(examples)))
    assert code == 0, output
    assert "4 passed" in output


@pytest.mark.soak
def test_a_failure_shows_what_the_board_said_and_why_the_run_did_not_pass(tmp_path):
    (tmp_path / "boards.yaml").write_text(
        fleet_text(ids="100-101", run={"messages": 3}, thresholds=["ack.p99 < 0.000001 ms"])
    )
    text = """\
def test_a_board(board):
    board.run("print('what the board ' + 'said')")
    assert False


def test_a_fleet(fleet):
    assert fleet("boards.yaml").verdict.passed
"""
    code, output = pytest_in(project(tmp_path, text))
    assert code == 1
    assert "what the board said" in output
    assert "threshold not met: ack.p99" in output
    assert re.search(r"report: .*report\.html", output)


@pytest.mark.soak
def test_a_board_that_two_want_is_used_by_one_at_a_time(tmp_path):
    """Two tests on one real board, by two workers: the port is named as on a bench."""
    text = """\
import time

def test_first(board):
    assert board.kind == "real"
    began = time.time()
    board.run("import time; time.sleep(1)")
    open("first", "w").write(f"{began} {time.time()}")

def test_second(board):
    began = time.time()
    board.run("import time; time.sleep(1)")
    open("second", "w").write(f"{began} {time.time()}")
"""
    from buoyfleet.simulation.esp32.simulator import Simulator

    with Simulator(tmp_path / "boards", [128]) as simulator:
        options = ("--buoy-board", simulator.path(128), "-n", "2", "--dist", "load")
        code, output = pytest_in(project(tmp_path, text), *options)
    assert code == 0, output
    spans = sorted(tuple(map(float, (tmp_path / name).read_text().split())) for name in ("first", "second"))
    assert spans[0][1] <= spans[1][0]


def test_a_project_that_does_not_use_it_keeps_its_own_sensors_and_loads_nothing(tmp_path):
    text = """\
import sys

import sensors


def test_nothing_of_it_is_loaded():
    assert sensors.OWN
    assert [name for name in sys.modules if name.split(".")[0] in ("buoyfleet", "buoy")] == []
"""
    code, output = pytest_in(project(tmp_path, text, sensors="OWN = True\n"))
    assert code == 0, output


def test_a_project_with_sensors_of_its_own_is_told_so_where_it_uses_a_board(tmp_path):
    text = "import sensors\n\n\ndef test_a_board(board):\n    pass\n"
    code, output = pytest_in(project(tmp_path, text, sensors="OWN = True\n"))
    assert code == 1
    assert "a package `sensors` of another program is loaded" in output
