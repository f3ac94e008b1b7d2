"""How a run ended, in one code and one sentence: each fact alone, and what goes before what."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from buoyfleet.boards.report import BoardReport
from buoyfleet.cloud.target import Collected
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import BoardSpec, Fleet, LinkSpec, RunSpec, TargetSpec
from buoyfleet.model.result import BoardResult, Outcome, StoreResult, ThresholdResult
from buoyfleet.model.stage_count import StageCount
from buoyfleet.runs.conclude import conclude, outcome_of, stage_results
from buoyfleet.runs.pacing import make_plan
from buoyfleet.runs.run_state import RunRecord
from buoyfleet.verify.verdict import Verification

OK, BOARDS, VERDICT, INTERRUPTED = (
    ExitCode.OK,
    ExitCode.BOARDS_FAILED,
    ExitCode.VERDICT_FAILED,
    ExitCode.INTERRUPTED,
)


def board(buoy: int, state: str = "passed", **facts: Any) -> BoardResult:
    figures = {"planned": 4, "sent": 4, "acknowledged": 4, "dropped": 0, "late_sends": 0, "redelivered": 0}
    return BoardResult.model_validate(
        {"buoy_id": buoy, "kind": "virtual", "state": state, **figures, **facts}
    )


def store(**faults: int) -> StoreResult:
    names = ("missing", "altered", "duplicated", "redelivered", "late", "unexpected")
    figures = {**dict.fromkeys(names, 0), "expected": 36, "found": 36 - faults.get("missing", 0), **faults}
    return StoreResult.model_validate({"name": "s3", "late_after_s": 900.0, **figures})


def threshold(metric: str, value: float | None, *, passed: bool = False) -> ThresholdResult:
    return ThresholdResult(text=f"{metric} == 0", metric=metric, value=value, unit="", passed=passed)


def verified(*boards: BoardResult, **parts: Any) -> Verification:
    nothing: dict[str, Any] = {
        "stores": [],
        "losses": [],
        "losses_total": 0,
        "diagnoses": [],
        "thresholds": [],
        "ack_latency": None,
        "rate": [],
        "rate_interval_s": 1.0,
        "latencies": [],
        "witness": None,
        "warnings": [],
    }
    return Verification(boards=list(boards), **{**nothing, **parts})


def outcome(verification: Verification, **facts: Any) -> Outcome:
    return outcome_of(verification, RunRecord(Path("run"), **facts))


FINE = board(100)
CASES = [
    (verified(FINE, stores=[store()]), {}, OK, "passed", "Every board and every threshold passed."),
    (verified(FINE, stores=[store(missing=9)]), {}, VERDICT, "failed", "Data was lost or changed."),
    (verified(FINE, stores=[store(altered=1)]), {}, VERDICT, "failed", "Data was lost or changed."),
    (verified(FINE, stores=[store(duplicated=1)]), {}, VERDICT, "failed", "Data was lost or changed."),
    (verified(FINE, strange=1), {}, VERDICT, "failed", "Data was lost or changed."),
    # What is only late, came again after a resend, or is of a board that has not told all, is no loss.
    (
        verified(FINE, stores=[store(late=9, redelivered=9, unexpected=9)]),
        {},
        OK,
        "passed",
        "Every board and",
    ),
    (
        verified(FINE, stores=[store(missing=9, unproven=9)]),
        {},
        VERDICT,
        "unproven",
        "Nothing proves that 9 measures arrived.",
    ),
    (
        verified(FINE, stores=[store(), store(missing=9, unproven=8)]),
        {},
        VERDICT,
        "failed",
        "Data was lost or changed, nothing proves that 8 measures arrived.",
    ),
    (
        verified(FINE, board(101, "affected"), stores=[store(missing=1)]),
        {},
        VERDICT,
        "failed",
        "Data was lost or changed, 1 board affected.",
    ),
    (verified(FINE, board(101, "failed")), {}, BOARDS, "failed", "1 of 2 boards did not pass."),
    (verified(FINE, board(101, "unproven")), {}, BOARDS, "unproven", "1 of 2 boards did not pass."),
    (
        verified(FINE, board(101, "unproven"), board(102, "failed")),
        {},
        BOARDS,
        "failed",
        "2 of 3 boards did not pass.",
    ),
    (
        verified(FINE, thresholds=[threshold("send.late", 1), threshold("s3.missing", 0, passed=True)]),
        {},
        VERDICT,
        "failed",
        "1 of 2 thresholds missed.",
    ),
    # Nothing was measured: missed, and no sign of a loss.
    (
        verified(FINE, thresholds=[threshold("ack.p99", None)]),
        {},
        VERDICT,
        "unproven",
        "1 of 1 thresholds missed.",
    ),
    (
        verified(FINE, thresholds=[threshold("boards.unproven", 1)]),
        {},
        BOARDS,
        "unproven",
        "1 of 1 thresholds missed.",
    ),
    (
        verified(FINE),
        {"target_failure": "the twin ended\nmore"},
        VERDICT,
        "failed",
        "The target failed: the twin ended.",
    ),
    (verified(FINE), {"reading_failure": "no answer"}, VERDICT, "failed", "The target failed: no answer."),
    (
        verified(FINE, board(101, "failed")),
        {"interrupted": True},
        INTERRUPTED,
        "interrupted",
        "Interrupted; what was sent is verified, 1 of 2 boards did not pass.",
    ),
    (
        verified(FINE, stores=[store(missing=1)]),
        {"interrupted": True, "cut_short": "drain"},
        INTERRUPTED,
        "interrupted",
        "Ended early, while the stores were waited for; what was sent is verified, data was lost or changed.",
    ),
    (
        verified(FINE, board(101, "unproven", sent=0)),
        {"interrupted": True},
        INTERRUPTED,
        "interrupted",
        "Interrupted; what was sent is verified, 1 of 2 boards did not pass.",
    ),
    (
        verified(board(100, "unproven", sent=0), board(101, sent=0)),
        {"interrupted": True, "cut_short": "connect"},
        INTERRUPTED,
        "interrupted",
        "Interrupted before the first message: nothing was sent.",
    ),
    (
        verified(
            FINE,
            board(
                101, "failed", sent=0, ever_connected=False, link_reason="unreachable", link_detail="no route"
            ),
            board(
                102, "failed", sent=0, ever_connected=False, link_reason="unreachable", link_detail="no route"
            ),
            board(103, "failed", sent=0, ever_connected=False),
            board(104, "failed", sent=0),
            board(105, "failed", ever_connected=False),
        ),
        {},
        BOARDS,
        "failed",
        "Boards 101–102 never connected: no route, board 103 never connected: no answer, "
        "5 of 6 boards did not pass.",
    ),
]


@pytest.mark.parametrize(("verification", "facts", "code", "verdict", "sentence"), CASES)
def test_a_run_ends_as_its_facts_say(
    verification: Verification, facts: dict[str, Any], code: ExitCode, verdict: str, sentence: str
) -> None:
    found = outcome(verification, **facts)
    assert (found.exit_code, found.name, found.verdict) == (int(code), code.name.lower(), verdict)
    assert found.sentence.startswith(sentence)


def test_only_what_is_passed_ends_with_0() -> None:
    for verification, facts, _code, _verdict, _sentence in CASES:
        found = outcome(verification, **facts)
        assert (found.exit_code == 0) == (found.verdict == "passed")


def concluded(tmp_path: Path, **facts: Any) -> Any:
    boards = tuple(
        BoardSpec(buoy, "virtual", f"buoy{buoy}", (), LinkSpec(), 3, None if buoy == 101 else 100.0)
        for buoy in (100, 101)
    )
    fleet = Fleet("small", "boards.yaml", TargetSpec("local"), "aws/0", boards, RunSpec(), ())
    (tmp_path / "ledger").mkdir(exist_ok=True)
    record = RunRecord(tmp_path, started_ns=1, ended_ns=2, since_ns=1, until_ns=2, **facts)
    return conclude(fleet, make_plan(fleet, "run-1"), record)


def test_a_board_without_a_report_failed_unless_its_run_was_stopped(tmp_path: Path) -> None:
    said = {
        100: BoardReport(
            100, 0, 0, 0, crashed=True, errors=["boom", "and more"], reconnects=2, link_reason="x"
        ),
        101: BoardReport(101, 0, 0, 0, errors=["a note"], link_detail="y", ever_connected=False),
    }
    silent = concluded(tmp_path).boards
    assert [one.failed_itself for one in silent] == ["nothing was heard of it"] * 2
    assert [(one.state, one.planned) for one in silent] == [("failed", 3)] * 2
    first, second = concluded(tmp_path, reports=said).boards
    assert (first.failed_itself, first.quoted, first.reconnects) == ("boom", ["and more"], 2)
    assert (second.failed_itself, second.quoted, second.ever_connected) == ("", ["a note"], False)
    assert (first.link_reason, second.link_detail) == ("x", "y")
    stopped = concluded(tmp_path, interrupted=True).boards
    assert [(one.state, one.errors) for one in stopped] == [
        ("unproven", ["the run was stopped before it sent"])
    ] * 2
    cut = concluded(tmp_path, interrupted=True, cut_short="send").boards
    assert [one.errors for one in cut] == [["the run ended early, while boards sent"]] * 2


def test_a_result_says_what_its_run_was(tmp_path: Path) -> None:
    stages = [StageCount("broker", "messages", 3, 2, {"publish-rate": 1}, 0)]
    collected = Collected((), stages, unrecorded="its disk was full")
    result = concluded(
        tmp_path, collected=collected, warnings=["w"], limits=["l"], command="c", collected_ns=7
    )
    run = result.run
    assert (run.run_id, run.fleet, run.target, run.paced, run.unrecorded) == (
        "run-1",
        "small",
        "local",
        True,
        "its disk was full",
    )
    assert (run.started_ns, run.ended_ns, run.collected_ns, run.command, run.limits) == (1, 2, 7, "c", ["l"])
    assert result.warnings == ["w"]
    assert result.phases_s["verify"] >= 0
    (stage,) = stage_results([replace(stages[0], waiting=4)])
    assert (stage.entered, stage.left, stage.rejected, stage.waiting) == (3, 2, {"publish-rate": 1}, 4)
