"""What boards and targets did not write down is not taken for what did not happen."""

from pathlib import Path

import pytest
from synthetic_run import SyntheticRun, write_stream

from buoyfleet.verify.boards import BoardFacts


@pytest.mark.parametrize("traced", [True, False])
def test_what_a_board_has_not_told_yet_is_neither_lost_nor_somebody_elses(
    tmp_path: Path, traced: bool
) -> None:
    run = SyntheticRun(with_trace=traced, facts={101: BoardFacts(incomplete="no answer within 2 s")})
    run.kinds[101] = "esp32"
    run.sent[101, 2].sent = False  # it is in the stores, and the ledger does not say so
    verification = run.verify(tmp_path)
    found = {(one.store, one.kind): one for one in verification.diagnoses}
    assert set(found) == {("", "not-sent"), ("timestream", "unexpected"), ("s3", "unexpected")}
    assert {one.cause for one in found.values()} == {"untold"}
    assert found["", "not-sent"].sentence.startswith("1 message (board 101) may have been sent or not: ")
    assert "(board 101) are in s3 and not in the ledger: " in found["s3", "unexpected"].sentence
    assert all("buoy fetch" in one.change for one in found.values())
    assert {board.buoy_id: board.state for board in verification.boards}[101] == "unproven"


def test_what_a_process_did_not_write_down_before_it_ended_cannot_be_fetched_later(tmp_path: Path) -> None:
    run = SyntheticRun(facts={101: BoardFacts(incomplete="its process was killed")})
    run.sent[101, 2].sent = False
    diagnoses = run.verify(tmp_path).diagnoses
    assert [(one.kind, one.cause) for one in diagnoses] == [
        ("not-sent", "cut-short"),
        ("unexpected", "cut-short"),
        ("unexpected", "cut-short"),
    ]
    assert "may have been sent or not" in diagnoses[0].sentence
    assert not any("buoy fetch" in one.change for one in diagnoses)


def test_a_board_that_has_told_all_and_skipped_a_message_is_not_waited_for(tmp_path: Path) -> None:
    run = SyntheticRun(facts={101: BoardFacts(planned=4), 102: BoardFacts(incomplete="no answer")})
    run.lose(101, 2, "broker")
    run.sent[101, 2].sent = False
    verification = run.verify(tmp_path)
    assert [(one.kind, one.cause) for one in verification.diagnoses] == [("not-sent", "unaccounted")]
    assert [board.state for board in verification.boards] == ["passed", "failed", "unproven"]


DISK = "the twin cannot write: No space left on device"


@pytest.mark.parametrize("stage", ["broker", "s3", "lambda"])
@pytest.mark.parametrize("traced", [True, False])
def test_a_target_without_room_for_its_records_is_not_taken_for_one_that_loses_data(
    tmp_path: Path, stage: str, traced: bool
) -> None:
    run = SyntheticRun(with_trace=traced, unrecorded=DISK)
    run.lose(101, 2, stage)
    verification = run.verify(tmp_path)
    assert {(one.stage, one.cause) for one in verification.diagnoses} == {("target", "unrecorded")}
    assert all(DISK in one.sentence and "disk" in one.change for one in verification.diagnoses)
    # The board sent it and had its acknowledgement.
    assert [board.state for board in verification.boards] == ["passed", "affected", "passed"]
    assert not verification.data_complete


def test_a_refusal_that_a_target_did_write_down_stays_the_cause(tmp_path: Path) -> None:
    run = SyntheticRun(unrecorded=DISK)
    run.reject(101, 2, "timestream", "type-conflict", "ph is VARCHAR")
    run.lose(102, 2, "broker")
    run.sent[102, 2].acknowledged = False
    causes = {one.cause for one in run.verify(tmp_path).diagnoses}
    assert causes == {"type-conflict", "unacknowledged"}


@pytest.mark.parametrize("readable", [0, 1, 2], ids=["schema only", "one batch", "two batches"])
def test_what_a_torn_ledger_does_not_show_is_nobody_elses(tmp_path: Path, readable: int) -> None:
    run = SyntheticRun(facts={buoy: BoardFacts(planned=4) for buoy in (100, 101, 102)})
    run.write(tmp_path)
    stream = tmp_path / "ledger" / "pack-101.arrows"
    sizes = write_stream(stream, run.events((101,)))
    stream.write_bytes(stream.read_bytes()[: sizes[readable] + 3])
    verification = run.verify_written(tmp_path)
    assert [board.state for board in verification.boards] == ["passed", "unproven", "passed"]
    assert "breaks off in the middle of a batch" in verification.boards[1].errors[0]
    assert {one.cause for one in verification.diagnoses} == {"cut-short"}
    assert (verification.strange, verification.data_complete) == (0, True)
