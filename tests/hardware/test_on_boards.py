"""`make hardware`, with simulated ports in the role of real boards."""

import subprocess
import sys

import pytest
from on_boards import Board, report

from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.simulator import Simulator


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_boards_are_examined_and_the_report_says_what_differs(tmp_path, project_root):
    with Simulator(tmp_path / "sim", [180, 181]) as boards:
        done = subprocess.run(
            [
                sys.executable, project_root / "tests" / "hardware" / "on_boards.py",
                "--only", "test_*_i*", "--out", tmp_path / "out", boards.path(180), boards.url(181),
            ],
            cwd=project_root,
            capture_output=True,
            text=True,
            timeout=500,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        line = open_port(boards.path(180))
        repl = RawRepl(line, boards.path(180))
        repl.enter()
        assert "'t'" not in repl.run("import os\nprint(os.listdir())")
        line.close()
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| 24:0a:c4:00:00:b4 |" in report
    assert "| 24:0a:c4:00:00:b5 |" in report
    assert "float_0.1" not in report, "what is alike is not told"


def test_the_report_says_what_differs_from_the_simulated_board_and_nothing_else():
    passed = {"bench listing": "passed"}
    here = Board("/dev/ttyUSB0", "240ac4000080", {"heap_free": 1, "platform": "esp32"}, ["a", "b"], passed)
    there = Board("sim", "240ac4000001", {"heap_free": 2, "platform": "esp32"}, ["b", "c"], {})
    text = report([here], there)
    assert "| heap_free | 1 | 2 |" in text
    assert "platform" not in text
    assert "- only here at boot: `a`" in text
    assert "- only simulated at boot: `c`" in text
    assert "- bench listing: passed here, not run simulated" in text
