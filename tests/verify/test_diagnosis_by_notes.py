"""What stages wrote down with the messages themselves is evidence where a target has no trace."""

import json
from pathlib import Path
from typing import Any

from synthetic_run import SyntheticRun, write_rows

from buoyfleet.model import evidence
from buoyfleet.model.evidence import StageCount

TOLD = "Task timed out after 3.00 seconds; 500 records in the object; 4 attempts"


def counted(**rejected: dict[str, int]) -> list[StageCount]:
    names = ("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3")
    return [StageCount(name, "records", 12, 12, rejected.get(name, {})) for name in names]


def noted(
    run: SyntheticRun, buoy: int, seq: int, stage: str, reason: str, detail: str = TOLD
) -> dict[str, Any]:
    """A note as `processing-failed/` gives it: the message as the stage had it, with what a rule added."""
    message = run.sent[buoy, seq]
    stamp = message.values.get("timestamp")
    payload = json.dumps({**message.values, "buoy_id": str(buoy)}).encode()
    return {
        "stage": stage,
        "buoy": buoy,
        "timestamp_ms": stamp,
        "payload": payload,
        "reason": reason,
        "detail": detail,
        "at_ns": message.sent_ns,
    }


def diagnoses_of(run: SyntheticRun, folder: Path, notes: list[dict[str, Any]]) -> tuple[list[Any], list[str]]:
    path = folder / evidence.EVIDENCE_FOLDER / evidence.NOTED
    write_rows(path, notes, evidence.NOTED_SCHEMA)
    verification = run.verify(folder)
    found = [(d.store, d.stage, d.cause, d.measures, d.messages) for d in verification.diagnoses]
    return sorted(found), verification.warnings


def test_a_message_that_a_stage_wrote_down_is_explained_by_it_and_not_by_the_counters(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted(kinesis={"records-per-second": 9}))
    run.remove("s3", 101, 2)
    run.remove("s3", 102, 1)
    notes = [noted(run, buoy, seq, "lambda", "timeout") for buoy, seq in ((101, 2), (102, 1))]
    found, warnings = diagnoses_of(run, tmp_path, notes)
    assert found == [("s3", "lambda", "timeout", 18, 2)]
    assert warnings == []


def test_counters_are_left_for_the_rest_and_the_verdict_says_so(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted(kinesis={"records-per-second": 9}))
    run.remove("s3", 101, 2)
    run.remove("s3", 102, 1)
    found, warnings = diagnoses_of(run, tmp_path, [noted(run, 101, 2, "lambda", "timeout")])
    assert found == [("s3", "kinesis", "records-per-second", 9, 1), ("s3", "lambda", "timeout", 9, 1)]
    assert "counters alone" in warnings[0]


def test_a_note_explains_only_stores_that_its_stage_leads_to(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted())
    run.remove("timestream", 101, 2)
    found, _ = diagnoses_of(run, tmp_path, [noted(run, 101, 2, "lambda", "timeout")])
    assert [(store, cause) for store, _, cause, _, _ in found] == [("timestream", "unlocated")]


def test_of_several_notes_the_last_counts(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted())
    run.remove("s3", 101, 2)
    first = noted(run, 101, 2, "lambda", "function-error")
    last = {**noted(run, 101, 2, "lambda", "timeout"), "at_ns": first["at_ns"] + 1}
    assert diagnoses_of(run, tmp_path, [last, first])[0] == [("s3", "lambda", "timeout", 9, 1)]


def test_without_identity_as_many_values_are_explained_as_were_written_down(tmp_path: Path) -> None:
    run = SyntheticRun(
        with_trace=False, payload="original", stages=counted(kinesis={"records-per-second": 1})
    )
    run.remove("s3", 101, 2)
    run.remove("s3", 102, 1)
    found, _ = diagnoses_of(run, tmp_path, [noted(run, 101, 2, "lambda", "timeout")])
    assert [(store, stage, cause, measures) for store, stage, cause, measures, _ in found] == [
        ("s3", "kinesis", "records-per-second", 9),
        ("s3", "lambda", "timeout", 9),
    ]


def test_a_refusal_by_timestream_is_told_in_its_own_words(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted())
    run.remove("timestream", 100, 3, "ph")
    said = "rule r, TimestreamAction: the measure value type BIGINT does not match DOUBLE"
    path = tmp_path / evidence.EVIDENCE_FOLDER / evidence.NOTED
    write_rows(path, [noted(run, 100, 3, "timestream", "type-conflict", said)], evidence.NOTED_SCHEMA)
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert said in diagnosis.sentence
    assert "2015-10-08" in diagnosis.change


def test_a_note_about_another_message_explains_nothing(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted(kinesis={"records-per-second": 9}))
    run.remove("s3", 101, 2)
    others = [noted(run, buoy, seq, "lambda", "timeout") for buoy, seq in ((101, 1), (102, 2))]
    assert diagnoses_of(run, tmp_path, others)[0] == [("s3", "kinesis", "records-per-second", 9, 1)]


def test_without_identity_a_note_explains_only_stores_that_its_stage_leads_to(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, payload="original", stages=counted())
    run.remove("timestream", 101, 2, "ph")
    run.remove("s3", 101, 2, "ph")
    found, _ = diagnoses_of(run, tmp_path, [noted(run, 101, 2, "lambda", "timeout")])
    assert {(store, stage, cause) for store, stage, cause, _, _ in found} == {
        ("s3", "lambda", "timeout"),
        ("timestream", "", "unlocated"),
    }
