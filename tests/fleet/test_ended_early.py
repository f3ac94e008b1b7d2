"""A run is never beyond verification: faults x phases, the exit code, what is left, `buoy verify` after."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from run_bench import ROOT, buoy, fleet_text, only_folder, processes_of, until

from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.runs.run_state import PHASES

pytestmark = pytest.mark.timeout(600)

PROGRAM = Path(__file__).with_name("ending_program.py")
OK, PREFLIGHT = ExitCode.OK, ExitCode.PREFLIGHT
BOARDS, VERDICT, INTERRUPTED = ExitCode.BOARDS_FAILED, ExitCode.VERDICT_FAILED, ExitCode.INTERRUPTED
KILLED = -signal.SIGKILL
ANY_FAILURE = (BOARDS, VERDICT)


@dataclass(frozen=True)
class Cell:
    """One fault in one phase."""

    fault: str
    phase: str
    code: tuple[int, ...]
    """Of the run."""
    later: tuple[int, ...]
    """Of `buoy verify`."""
    said: str = ""
    """In what the run prints; several, of which one must be there, are separated by `|`."""

    @property
    def name(self) -> str:
        return f"{self.fault}-{self.phase}"


BEFORE_ALL_WAS_SENT = ("start", "connect", "send")
TABLE = [
    *(
        Cell("kill", phase, (KILLED,), (INTERRUPTED if phase in BEFORE_ALL_WAS_SENT else OK,))
        for phase in PHASES
    ),
    *(
        # What Ctrl-C finds after the stores were read is as good as verified.
        Cell("ctrl-c", phase, (INTERRUPTED,), (OK if phase in ("verify", "report") else INTERRUPTED,))
        for phase in PHASES
    ),
    *(
        Cell(
            "ctrl-c-twice",
            phase,
            (INTERRUPTED,),
            (OK if phase in ("verify", "report") else INTERRUPTED,),
            "buoy verify",
        )
        for phase in PHASES
    ),
    *(
        Cell("kill-twin", phase, ANY_FAILURE, ANY_FAILURE, "SIGKILL")
        for phase in ("connect", "send", "drain")
    ),
    Cell("kill-twin", "collect", (OK, VERDICT), (OK, VERDICT)),
    Cell("kill-pack", "connect", (PREFLIGHT,), (INTERRUPTED,), "SIGKILL"),
    Cell("kill-pack", "send", (BOARDS,), (BOARDS,), "SIGKILL"),
    # Firehose invokes it again, as it does in AWS.
    *(Cell("kill-lambda", phase, (OK,), (OK,)) for phase in ("connect", "send", "drain")),
    *(Cell("stop-twin", phase, (OK,), (OK,)) for phase in ("connect", "drain", "collect")),
    # Messages leave late, and are counted as that; none is lost.
    Cell("stop-twin", "send", (OK,), (OK,)),
    *(Cell("stop", phase, (OK,), (OK,)) for phase in ("connect", "drain", "collect", "verify")),
    Cell("full-disk", "start", (PREFLIGHT,), (INTERRUPTED,), "written"),
    # Not even where the run is can be written down: later it looks like one that was killed.
    Cell("full-disk", "send", ANY_FAILURE, (INTERRUPTED,), "written"),
    Cell("full-disk", "collect", (VERDICT,), (OK,)),
    # What failed is written down, and read again whole.
    Cell("nearly-full-disk", "collect", (VERDICT, PREFLIGHT), (OK,)),
    Cell("full-disk", "verify", (VERDICT,), (OK,), "buoy verify"),
    Cell("full-disk", "report", (PREFLIGHT,), (OK,), "passed"),
    *(
        Cell("delete", phase, (VERDICT, PREFLIGHT), (ExitCode.USAGE,), "deleted")
        for phase in ("start", "connect", "send", "drain", "collect", "verify")
    ),
]
SAMPLE = ("kill-send", "ctrl-c-start")


def marked(cell: Cell) -> object:
    return pytest.param(cell, id=cell.name, marks=() if cell.name in SAMPLE else (pytest.mark.soak,))


@pytest.mark.parametrize("cell", [marked(cell) for cell in TABLE])
def test_whatever_befalls_a_run_it_ends_in_words_and_can_be_verified(cell: Cell, tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    long = cell.phase == "send"
    run = {"messages": 400 if long else 10, "interval": "20 ms", "late_send": "1 min"}
    fleet_file.write_text(fleet_text(ids="100-102", run=run))
    out = tmp_path / "runs"
    program = [
        sys.executable,
        str(PROGRAM),
        cell.fault,
        cell.phase,
        "run",
        str(fleet_file),
        "--out",
        str(out),
    ]
    done = subprocess.run(
        program,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode in cell.code, told
    assert "Traceback" not in told, told
    assert "internal error" not in told, told
    assert any(words in told for words in cell.said.split("|")), told
    until(lambda: processes_of(out) == [], "all processes of the run ended", 90)
    if cell.fault == "delete":
        return
    again = buoy("verify", str(only_folder(out)))
    assert again.process.returncode in cell.later, again.out + again.err
    assert "internal error" not in again.err
    result = json.loads((only_folder(out) / "result.json").read_text())
    if cell.fault == "kill":
        # What the twin took in is all there: without its run it delivers what it holds before it ends. What
        # it had not read from its sockets yet it did not acknowledge.
        assert {loss["cause"] for loss in result["losses"]} <= {"unacknowledged"}
        assert result["run"]["cut_short"] == (cell.phase if cell.phase in BEFORE_ALL_WAS_SENT else "")
