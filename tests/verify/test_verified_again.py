"""A run that is verified again: what was not known at first may be known now, and what is known stays."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from synthetic_run import S, SyntheticRun

from buoyfleet.boards.report import BoardReport
from buoyfleet.cloud.target import Collected
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.result import Result
from buoyfleet.runs.complete import FLEET_FILE, verify_again, verify_unfinished
from buoyfleet.runs.conclude import conclude
from buoyfleet.runs.pacing import make_plan
from buoyfleet.runs.run_state import RunRecord


def concluded(run: SyntheticRun, folder: Path, *, without: str = "", incomplete: str = "") -> Result:
    """The result of a run that could not read one of its stores; board 101 may not have told all it sent."""
    run.write(folder)
    section = {"messages": run.count, "interval": "100 ms"}
    document = {
        "fleet": "again",
        "target": "local",
        "run": section,
        "boards": [{"kind": "virtual", "ids": "100-102"}],
        "thresholds": ["s3.missing == 0"],
    }
    (folder / FLEET_FILE).write_text(json.dumps(document))
    fleet = load_fleet(folder / FLEET_FILE)
    if without:
        shutil.move(folder / "stores" / without, folder / without)
    reports = {
        buoy: BoardReport(buoy, 4, 4, 4, incomplete=incomplete if buoy == 101 else "") for buoy in run.boards
    }
    case = run.case(folder)
    collected = Collected(run.stores, run.counters(), unrecorded=run.unrecorded)
    record = RunRecord(
        folder,
        started_ns=run.start_ns,
        ended_ns=run.start_ns,
        since_ns=case.since_ns,
        until_ns=case.until_ns,
        collected_ns=case.until_ns,
        reports=reports,
        collected=collected,
    )
    return conclude(fleet, make_plan(fleet, "again"), record)


def again(result: Result, folder: Path) -> Result:
    said: list[str] = []
    result = verify_again(folder, result, said.append)
    assert said == ["nothing outlives a run at this target: the files in the run's folder are verified"]
    return result


@pytest.mark.parametrize("name", ["timestream", "s3"])
def test_a_store_that_can_be_read_by_now_proves_what_it_holds(tmp_path: Path, name: str) -> None:
    result = concluded(SyntheticRun(), tmp_path, without=name)
    assert {store.name: store.found for store in result.stores} == {"timestream": 108, "s3": 108, name: 0}
    assert [board.state for board in result.boards] == ["unproven"] * 3
    assert result.outcome.verdict == "unproven"
    # As it was: still not known, for the same reason, and nothing is said against the ledger.
    same = again(result, tmp_path)
    assert [board.errors for board in same.boards] == [[f"{name} could not be read"]] * 3
    assert all(board.whole_ledger for board in same.boards)
    assert same.diagnoses == result.diagnoses
    shutil.move(tmp_path / name, tmp_path / "stores" / name)
    whole = again(same, tmp_path)
    assert [board.state for board in whole.boards] == ["passed"] * 3
    assert (whole.outcome.verdict, whole.outcome.exit_code) == ("passed", 0)


def test_a_board_that_has_not_told_all_stays_so_whatever_else_is_wrong_with_it(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.sent[101, 1].sent = False
    run.sent[101, 2].acknowledged = False
    run.lose(101, 0, "broker")  # so that it failed, with a ledger that may lack rows
    result = concluded(run, tmp_path, incomplete="2 console lines lost")
    assert (result.boards[1].state, result.boards[1].whole_ledger) == ("failed", False)
    once = again(result, tmp_path)
    twice = again(once, tmp_path)
    for verified in (once, twice):
        assert [(d.kind, d.cause) for d in verified.diagnoses] == [
            (d.kind, d.cause) for d in result.diagnoses
        ]
        assert verified.boards[1].errors == result.boards[1].errors
        assert verified.outcome == result.outcome
    assert len(twice.run.verified_again_ns) == 2


def test_incomplete_records_of_the_target_are_not_forgotten(tmp_path: Path) -> None:
    run = SyntheticRun(unrecorded="its disk was full")
    run.lose(101, 1, "broker")
    result = concluded(run, tmp_path)
    assert {one.cause for one in result.diagnoses} == {"unrecorded"}
    assert again(result, tmp_path).diagnoses == result.diagnoses


class Outliving:
    """A target that outlives its runs, and notes the time it is asked for."""

    def __init__(self, run: SyntheticRun) -> None:
        self.until_ns = 0
        self._run = run

    async def reopen(self, _since_ns: int) -> Endpoint:
        return Endpoint("127.0.0.1", 1)

    async def collect_left(self, *_window: object) -> None:
        """It still answers."""

    async def collect(self, _folder: Path, _since_ns: int, until_ns: int, _buoys: object) -> Collected:
        self.until_ns = until_ns
        return Collected(self._run.stores, self._run.counters())

    async def stop(self) -> None:
        """It goes on."""


@pytest.mark.parametrize("ended_early", [False, True])
def test_a_clock_that_was_set_back_since_the_run_hides_no_measure(
    ended_early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SyntheticRun(count=20)  # 2 s: longer than the slack of the window
    result = concluded(run, tmp_path)
    target = Outliving(run)
    monkeypatch.setattr("buoyfleet.runs.complete._target", lambda *_: target)
    before_ns = run.start_ns - 3600 * S
    for path in [tmp_path / FLEET_FILE, *(tmp_path / "ledger").iterdir()]:
        os.utime(path, ns=(before_ns, before_ns))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: before_ns)
        if ended_early:
            result = verify_unfinished(tmp_path, lambda _: None)
        else:
            result = verify_again(tmp_path, result, lambda _: None)
    assert target.until_ns >= max(message.sent_ns for message in run.sent.values())
    assert [store.missing for store in result.stores] == [0, 0]
