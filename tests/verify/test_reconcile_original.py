"""Payloads without identity: what a multiset per (board, measure, value) can decide, and nothing beyond."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_run import MS, START_NS, S, SyntheticRun

from buoyfleet.model.result import StoreResult
from buoyfleet.verify.verdict import Verification


def original(**changes: object) -> SyntheticRun:
    return SyntheticRun(payload="original", **changes)  # type: ignore[arg-type]


def store(verification: Verification, name: str) -> StoreResult:
    return next(result for result in verification.stores if result.name == name)


def listed(verification: Verification) -> Counter[tuple[str, str, int, str, str]]:
    """How many measures each loss stands for, by (store, kind, board, measure, value)."""
    counter: Counter[tuple[str, str, int, str, str]] = Counter()
    for loss in verification.losses:
        assert loss.seq is None
        assert loss.timestamp_ms is None
        (measure,) = loss.measures
        (value,) = loss.expected or loss.found
        counter[loss.store, loss.kind, loss.buoy_id, measure, value] += loss.copies
    return counter


def test_a_faultless_run_passes_and_says_what_was_decidable(tmp_path: Path) -> None:
    verification = original().verify(tmp_path)
    assert not listed(verification)
    assert verification.data_complete
    assert all("which message a copy belongs to" in result.decidable for result in verification.stores)


def test_losses_name_board_measure_value_and_number(tmp_path: Path) -> None:
    run = original()
    run.remove("s3", 100, 1, "liqlev")
    run.remove("s3", 100, 3, "liqlev")
    run.remove("timestream", 101, 2, "ph")
    verification = run.verify(tmp_path)
    assert listed(verification) == {
        ("s3", "missing", 100, "liqlev", "true"): 2,
        ("timestream", "missing", 101, "ph", "28.25"): 1,
    }
    assert store(verification, "s3").missing == 2


def test_an_altered_value_shows_as_one_missing_and_one_unexpected(tmp_path: Path) -> None:
    run = original()
    run.alter("s3", 100, 1, "ph", 99.5)
    verification = run.verify(tmp_path)
    assert listed(verification) == {
        ("s3", "missing", 100, "ph", "27.25"): 1,
        ("s3", "unexpected", 100, "ph", "99.5"): 1,
    }
    assert store(verification, "s3").altered == 0


def test_values_exchanged_between_messages_of_a_board_cannot_be_seen(tmp_path: Path) -> None:
    run = original()
    run.alter("s3", 100, 1, "ph", 28.25)
    run.alter("s3", 100, 2, "ph", 27.25)
    assert not listed(run.verify(tmp_path))


def test_the_same_value_of_another_board_does_not_stand_in(tmp_path: Path) -> None:
    run = original()
    run.remove("s3", 100, 1, "ph")
    run.duplicate("s3", 101, 1, "ph")
    assert listed(run.verify(tmp_path)) == {
        ("s3", "missing", 100, "ph", "27.25"): 1,
        ("s3", "duplicated", 101, "ph", "27.25"): 1,
    }


def test_a_number_as_text_is_another_value(tmp_path: Path) -> None:
    run = original()
    run.alter("s3", 100, 1, "ph", "27.25")
    assert listed(run.verify(tmp_path)) == {
        ("s3", "missing", 100, "ph", "27.25"): 1,
        ("s3", "unexpected", 100, "ph", '"27.25"'): 1,
    }


def test_copies_up_to_the_attempts_are_redelivered_and_those_beyond_duplicated(tmp_path: Path) -> None:
    run = original()
    run.redeliver(100, 1, "s3")
    run.duplicate("s3", 100, 1, "ph")
    result = store(run.verify(tmp_path), "s3")
    assert (result.redelivered, result.duplicated, result.missing) == (9, 1, 0)


def test_lateness_is_judged_for_values_sent_once(tmp_path: Path) -> None:
    run = original()
    run.delay("s3", 100, 1, 901.0, "ph", "liqlev")
    run.sent[100, 2].uncertainty_ns = 2 * S
    run.delay("s3", 100, 2, 901.0, "ph")
    verification = run.verify(tmp_path)
    assert listed(verification) == {("s3", "late", 100, "ph", "27.25"): 1}


def test_a_second_run_with_the_same_values_is_not_confused_by_the_first(tmp_path: Path) -> None:
    first, second = original(), original(start_ns=START_NS + 5 * S)
    second.remove("s3", 101, 1)
    second.remove("timestream", 101, 1)
    for name in second.stores:
        second.rows[name] += [{**row, "message": None} for row in first.rows[name]]
    verification = second.verify(tmp_path)
    assert {(result.missing, result.unexpected) for result in verification.stores} == {(9, 0)}


def test_same_millisecond_collisions_of_a_flat_out_run_are_named_and_fail_it(tmp_path: Path) -> None:
    """Timestream refuses another value, and takes an equal one for the same record without a word."""
    run = original(interval_ms=None, boards=(100,), count=5, thresholds=("timestream.missing == 0",))
    kept_at_ms = run.sent[100, 0].sent_ns // MS
    for seq in range(1, 5):
        message = run.sent[100, seq]
        message.sent_ns = run.sent[100, 0].sent_ns
        run.remove("timestream", 100, seq)
        for row in run.trace:
            if row["message"] == message.number and row["stage"] == "timestream":
                row["at_ns"] = kept_at_ms * MS + seq
        for key in message.values:
            # liqlev alternates: of the even messages it equals what is stored.
            if key != "liqlev" or seq % 2:
                detail = f"{key} of buoy 100 at {kept_at_ms} ms is there with another value"
                run.note(100, seq, "timestream", "rejected", "collision", detail, key)
    verification = run.verify(tmp_path)
    (diagnosis,) = [d for d in verification.diagnoses if d.store == "timestream"]
    assert (diagnosis.stage, diagnosis.cause) == ("timestream", "collision")
    assert (diagnosis.measures, diagnosis.messages) == (36, 4)
    assert "same millisecond" in diagnosis.sentence
    assert str(kept_at_ms) in diagnosis.sentence
    assert "stamped" in diagnosis.change
    assert not verification.thresholds_passed
    assert store(verification, "s3").missing == 0


def test_causes_are_found_for_values_too(tmp_path: Path) -> None:
    run = original()
    run.lose(100, 1, "broker")
    run.sent[100, 1].acknowledged = False
    run.lose(101, 1, "firehose")
    run.reject(102, 1, "kinesis", "records-per-second", "shard 0 of 1 takes 1000 records/s")
    verification = run.verify(tmp_path)
    assert {(d.store, d.stage, d.cause, d.measures) for d in verification.diagnoses} == {
        ("s3", "broker", "unacknowledged", 9),
        ("timestream", "broker", "unacknowledged", 9),
        ("s3", "firehose", "lost-between", 9),
        ("s3", "kinesis", "records-per-second", 9),
    }


@pytest.mark.parametrize("noted", [True, False])
def test_of_equal_values_the_one_that_came_least_far_is_taken_for_the_missing_one(
    tmp_path: Path, noted: bool
) -> None:
    """The store does not know its messages' numbers, and two messages carried `true`."""
    run = original(boards=(100,))
    if noted:
        run.reject(100, 1, "kinesis", "records-per-second", "shard 0 of 1 takes 1000 records/s")
    else:
        run.lose(100, 1, "kinesis")
    for row in run.rows["s3"]:
        row["message"] = None
    causes = {(d.stage, d.cause, d.measures) for d in run.verify(tmp_path).diagnoses}
    assert causes == {("kinesis", "records-per-second" if noted else "lost-between", 9)}


def test_a_refused_publish_is_recognised_by_its_values(tmp_path: Path) -> None:
    run = original()
    run.lose(100, 1, "broker")
    message = run.sent[100, 1]
    run.refused.append(
        {
            "buoy": 100, "client": "buoy100", "topic": "aws/0/100/data/", "payload": message.payload,
            "reason": "publish-rate", "detail": "100 publishes/s and connection", "at_ns": message.sent_ns,
        }
    )  # fmt: skip
    verification = run.verify(tmp_path)
    assert {(d.stage, d.cause) for d in verification.diagnoses} == {("broker", "publish-rate")}


@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_lost_and_copied_rows_give_exactly_that_balance(data: st.DataObject) -> None:
    run = original(boards=(100, 101), count=4, stores=("s3",))
    size = len(run.rows["s3"])
    lost = data.draw(st.sets(st.integers(0, size - 1), max_size=20))
    copied = data.draw(st.sets(st.integers(0, size - 1), max_size=10))
    sent = Counter((row["buoy"], row["measure"], row["value"]) for row in run.rows["s3"])
    rows = [row for index, row in enumerate(run.rows["s3"]) if index not in lost]
    run.rows["s3"] = rows + [dict(run.rows["s3"][index]) for index in copied]
    there = Counter((row["buoy"], row["measure"], row["value"]) for row in run.rows["s3"])
    with tempfile.TemporaryDirectory() as folder:
        verification = run.verify(Path(folder))
    assert store(verification, "s3").missing == (sent - there).total()
    assert store(verification, "s3").duplicated == (there - sent).total()
    assert sum(listed(verification).values()) == (sent - there).total() + (there - sent).total()
