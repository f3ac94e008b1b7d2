"""Where a target traces no single messages, its counters are all there is to go by."""

from pathlib import Path

import pytest
from synthetic_run import SyntheticRun

from buoyfleet.model.evidence import StageCount


def counted(**rejected: dict[str, int]) -> list[StageCount]:
    names = ("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3")
    return [StageCount(name, "records", 12, 12, rejected.get(name, {})) for name in names]


def test_without_a_trace_the_counters_of_the_stores_own_way_are_blamed(tmp_path: Path) -> None:
    run = SyntheticRun(
        with_trace=False, stages=counted(timestream={"collision": 50}, kinesis={"records-per-second": 1})
    )
    run.remove("s3", 101, 2)
    verification = run.verify(tmp_path)
    (diagnosis,) = verification.diagnoses
    assert (diagnosis.stage, diagnosis.cause) == ("kinesis", "records-per-second")
    assert "kinesis counted 1 records refused" in diagnosis.sentence
    assert "counters alone" in verification.warnings[0]


def test_without_a_trace_what_was_not_acknowledged_and_is_nowhere_never_arrived(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted())
    for name in run.stores:
        run.remove(name, 101, 2)
        run.remove(name, 102, 2)
    run.sent[101, 2].acknowledged = False
    causes = {(d.store, d.cause) for d in run.verify(tmp_path).diagnoses}
    assert causes == {(name, cause) for name in run.stores for cause in ("unacknowledged", "unlocated")}


@pytest.mark.parametrize(
    ("change", "stage", "cause"),
    [
        ({"waiting": 4}, "firehose", "waiting"),
        ({"entered": 11}, "firehose", "lost-between"),
        ({}, "", "unlocated"),
    ],
)
def test_without_a_trace_buffers_and_gaps_between_counters_are_looked_at(
    tmp_path: Path, change: dict[str, int], stage: str, cause: str
) -> None:
    stages = counted()
    for name, value in change.items():
        setattr(stages[4], name, value)
    run = SyntheticRun(with_trace=False, stages=stages)
    run.remove("s3", 101, 2)
    stages[4].notes.append("it holds data back for up to 360 s")
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.stage, diagnosis.cause) == (stage, cause)
    assert ("4 records are in its buffer: it holds data back" in diagnosis.sentence) == (cause == "waiting")


def test_without_a_trace_the_other_kinds_are_told_without_a_place(tmp_path: Path) -> None:
    run = SyntheticRun(with_trace=False, stages=counted())
    run.duplicate("s3", 100, 0)
    run.delay("s3", 100, 1, 1000.0)
    run.alter("s3", 100, 2, "ph", 1.5)
    verification = run.verify(tmp_path)
    assert {(d.kind, d.stage, d.cause) for d in verification.diagnoses} == {
        ("duplicated", "", "copied"),
        ("late", "", "delayed"),
        ("altered", "kinesis–s3", "altered"),
    }
    assert not any("{" in d.sentence or "()" in d.sentence for d in verification.diagnoses)
