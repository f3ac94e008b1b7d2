"""Every loss gets the stage where it happened and a sentence whose figures are right."""

from pathlib import Path

import pytest
from synthetic_run import MS, START_NS, S, SyntheticRun

from buoyfleet.model.result import Diagnosis
from buoyfleet.verify.cause import Figures
from buoyfleet.verify.causes import CAUSES, explain

pytestmark = pytest.mark.timeout(400)

TIMEOUT = (
    "Task timed out after 60 s: 500 records at 120 ms each (128 MB) and a cold start of 250 ms need 60.25 s; "
    "4 attempts, now under processing-failed/"
)


def only(run: SyntheticRun, folder: Path, name: str = "s3") -> Diagnosis:
    """The one diagnosis of a store, which must also be what its losses say."""
    verification = run.verify(folder)
    (diagnosis,) = [d for d in verification.diagnoses if d.store == name]
    losses = [loss for loss in verification.losses if loss.store == name]
    assert {(loss.stage, loss.cause) for loss in losses} == {(diagnosis.stage, diagnosis.cause)}
    assert sum(len(loss.measures) for loss in losses) == diagnosis.measures or diagnosis.kind == "duplicated"
    assert "{" not in diagnosis.sentence + diagnosis.change
    return diagnosis


def test_a_lambda_timeout_is_quoted_with_figures_and_the_timeout_that_would_do(tmp_path: Path) -> None:
    run = SyntheticRun()
    for seq in range(3):
        run.reject(101, seq, "lambda", "timeout", TIMEOUT, "failed")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("lambda", "timeout")
    assert (diagnosis.measures, diagnosis.messages) == (27, 3)
    for fact in ("27 measures of 3 messages (board 101)", "500 records", "60.25 s", "60 s", "4 attempts"):
        assert fact in diagnosis.sentence
    assert "at least 73 s" in diagnosis.change
    assert "up to 414 records" in diagnosis.change


def test_the_longest_of_several_batches_decides_the_timeout_to_set(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.reject(100, 0, "lambda", "timeout", TIMEOUT, "failed")
    run.reject(
        101, 0, "lambda", "timeout", TIMEOUT.replace("60.25", "100.00").replace("500", "900"), "failed"
    )
    diagnosis = only(run, tmp_path)
    assert "900 records takes 100 s" in diagnosis.sentence
    assert "at least 120 s" in diagnosis.change


def test_no_timeout_is_advised_that_firehose_would_not_wait_for(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.reject(100, 0, "lambda", "timeout", TIMEOUT.replace("60.25", "400.25"), "failed")
    diagnosis = only(run, tmp_path)
    assert "timeout to at least" not in diagnosis.change
    assert "buffer smaller" in diagnosis.change


@pytest.mark.parametrize(
    ("stage", "reason", "detail", "name", "word"),
    [
        ("rules", "no-rule-matched", "topic x matches no rule's FROM", "timestream", "FROM"),
        ("rules", "where", "rule a: WHERE is not true", "timestream", "WHERE"),
        ("rules", "malformed-payload", "payload of 3 bytes is no JSON", "timestream", "JSON"),
        ("timestream", "too-old", "timestamp 1 is 30.0 h old", "timestream", "memory store"),
        ("timestream", "time-ahead", "timestamp 1 is 20.0 min ahead", "timestream", "future"),
        ("timestream", "no-timestamp", "the action's timestamp is None", "timestream", "timestamp"),
        ("kinesis", "records-per-second", "shard 0 of 1 takes 1000 records/s", "s3", "shards"),
        ("kinesis", "bytes-per-second", "shard 0 of 1 takes 1 MB/s", "s3", "shards"),
        ("lambda", "function-error", "KeyError: 'ph'; 4 attempts", "s3", "Correct the function"),
        ("lambda", "processing-failed", "the handler returned it so", "s3", "ProcessingFailed"),
        ("lambda", "dropped-by-handler", "the handler returned it so", "s3", "Dropped"),
        ("firehose", "processing-failed", "errorCode 400", "s3", "processing-failed/"),
        ("s3", "write-failed", "no space left", "s3", "bucket"),
        ("kinesis", "brand-new-reason", "42 of 43", "s3", "brand-new-reason"),
    ],
)
def test_a_stages_own_reason_is_quoted_and_explained(
    tmp_path: Path, stage: str, reason: str, detail: str, name: str, word: str
) -> None:
    run = SyntheticRun()
    run.reject(101, 2, stage, reason, f"{detail}.")
    diagnosis = only(run, tmp_path, name)
    assert (diagnosis.stage, diagnosis.cause, diagnosis.measures) == (stage, reason, 9)
    assert f"({detail})" in diagnosis.sentence
    assert word in diagnosis.sentence + diagnosis.change
    assert diagnosis.change


def test_a_type_conflict_names_the_measures_that_were_refused(tmp_path: Path) -> None:
    run = SyntheticRun()
    for key in ("ph", "temp"):
        run.remove("timestream", 101, 2, key)
        run.note(101, 2, "timestream", "rejected", "type-conflict", f"{key} is BIGINT (7)", key)
    diagnosis = only(run, tmp_path, "timestream")
    assert (diagnosis.stage, diagnosis.cause, diagnosis.measures) == ("timestream", "type-conflict", 2)
    assert "2 measures of 1 message (board 101; ph, temp)" in diagnosis.sentence
    assert "ph is BIGINT (7)" in diagnosis.sentence
    assert "2015-10-08" in diagnosis.change


def test_what_still_waits_is_told_with_its_time_even_if_it_failed_before(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.lose(101, 2, "s3")
    run.note(101, 2, "lambda", "failed", "function-error", "first try")
    run.note(101, 2, "s3", "waiting", "in-buffer", "in Firehose's S3 buffer, due at 12:00:05")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("s3", "waiting")
    assert "due at 12:00:05" in diagnosis.sentence


def test_lambdas_own_reason_comes_before_what_firehose_says_of_it(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.reject(101, 2, "lambda", "timeout", TIMEOUT, "failed")
    run.note(101, 2, "firehose", "rejected", "processing-failed", "errorCode Lambda.FunctionTimedOut")
    run.outcomes[-1]["at_ns"] += S
    assert only(run, tmp_path).cause == "timeout"


def test_what_firehose_says_counts_though_the_record_had_been_in_the_function(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.lose(101, 2, "s3")
    run.note(101, 2, "firehose", "rejected", "processing-failed", "errorCode Lambda.MissingRecordId")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("firehose", "processing-failed")


def test_a_refusal_that_the_message_got_past_explains_nothing(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.lose(101, 2, "s3")
    run.note(101, 2, "kinesis", "failed", "records-per-second", "first try, then taken")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("s3", "lost-between")


@pytest.mark.parametrize(
    ("stage", "before", "name"),
    [
        ("rules", "broker", "timestream"),
        ("timestream", "rules", "timestream"),
        ("kinesis", "rules", "s3"),
        ("firehose", "kinesis", "s3"),
        ("lambda", "firehose", "s3"),
        ("s3", "lambda", "s3"),
    ],
)
def test_a_silent_loss_is_placed_between_two_stages(
    tmp_path: Path, stage: str, before: str, name: str
) -> None:
    run = SyntheticRun()
    run.lose(101, 2, stage)
    diagnosis = only(run, tmp_path, name)
    assert (diagnosis.stage, diagnosis.cause) == (stage, "lost-between")
    assert f"entered {before}, never entered {stage}" in diagnosis.sentence


def test_a_stage_that_nothing_reached_is_still_a_stage_of_the_way(tmp_path: Path) -> None:
    run = SyntheticRun()
    for buoy, seq in run.sent:
        run.lose(buoy, seq, "lambda")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("lambda", "lost-between")


def test_a_stage_that_counts_without_tracing_is_left_out_of_the_way(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.stages = run.counters()
    run.trace = [row for row in run.trace if row["stage"] != "lambda"]
    run.lose(101, 2, "s3")
    diagnosis = only(run, tmp_path)
    assert "entered firehose, never entered s3" in diagnosis.sentence


def test_a_message_that_entered_the_last_stage_and_is_not_there_was_lost_inside(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.remove("s3", 101, 2)
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("s3", "lost-inside")


@pytest.mark.parametrize(("acknowledged", "cause"), [(True, "not-received"), (False, "unacknowledged")])
def test_what_never_arrived_is_told_apart_by_its_acknowledgement(
    tmp_path: Path, acknowledged: bool, cause: str
) -> None:
    run = SyntheticRun()
    run.lose(101, 2, "broker")
    run.sent[101, 2].acknowledged = acknowledged
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("broker", cause)


def test_a_publish_that_the_broker_refused_is_told_with_the_brokers_reason(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.lose(101, 2, "broker")
    message = run.sent[101, 2]
    run.refused.append(
        {
            "buoy": 101, "client": "buoy101", "topic": "aws/0/101/data/", "payload": message.payload,
            "reason": "publish-rate", "detail": "101 in a second; 100 are allowed", "at_ns": message.sent_ns,
        }
    )  # fmt: skip
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("broker", "publish-rate")
    assert "101 in a second" in diagnosis.sentence


@pytest.mark.parametrize(
    ("stores", "stage"),
    [(("s3",), "kinesis–s3"), (("timestream",), "timestream"), (("timestream", "s3"), "rules")],
)
def test_a_measure_taken_out_of_a_message_is_placed_by_where_it_is_missing(
    tmp_path: Path, stores: tuple[str, ...], stage: str
) -> None:
    run = SyntheticRun()
    for name in stores:
        run.remove(name, 101, 2, "ph")
    for name in stores:
        (diagnosis,) = [d for d in run.verify(tmp_path / name).diagnoses if d.store == name]
        assert (diagnosis.stage, diagnosis.cause) == (stage, "measure-lost")


@pytest.mark.parametrize(
    ("stores", "stage"),
    [(("s3",), "kinesis–s3"), (("timestream",), "timestream"), (("timestream", "s3"), "rules")],
)
def test_an_altered_value_is_placed_by_which_stores_hold_it(
    tmp_path: Path, stores: tuple[str, ...], stage: str
) -> None:
    run = SyntheticRun()
    for name in stores:
        run.alter(name, 101, 2, "ph", 1.5)
    diagnosis = only(run, tmp_path, stores[0])
    assert (diagnosis.stage, diagnosis.cause) == (stage, "altered")


def test_bytes_that_reached_the_target_changed_were_altered_before_it(tmp_path: Path) -> None:
    run = SyntheticRun()
    for name in run.stores:
        run.alter(name, 101, 2, "ph", 1.5)
    (received,) = [row for row in run.received if row["message"] == run.sent[101, 2].number]
    received["payload"] = received["payload"].replace(b"28.25", b"1.5")
    assert only(run, tmp_path).stage == "broker"


def test_a_measure_that_was_not_in_the_bytes_received_was_lost_before_the_target(tmp_path: Path) -> None:
    run = SyntheticRun()
    for name in run.stores:
        run.remove(name, 101, 2, "ph")
    (received,) = [row for row in run.received if row["message"] == run.sent[101, 2].number]
    received["payload"] = received["payload"].replace(b'"ph": 28.25, ', b"")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("broker", "measure-lost")


def test_a_type_changed_on_the_shared_way_is_seen_from_the_refusal_of_the_other_store(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.alter("s3", 101, 2, "ph", "28.25")
    run.remove("timestream", 101, 2, "ph")
    run.note(101, 2, "timestream", "rejected", "type-conflict", "ph is VARCHAR", "ph")
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("rules", "retyped")


@pytest.mark.parametrize(
    ("stage", "cause"), [("broker", "received-again"), ("kinesis", "copied-between"), ("", "copied-inside")]
)
def test_copies_are_placed_where_the_message_first_came_more_often(
    tmp_path: Path, stage: str, cause: str
) -> None:
    run = SyntheticRun()
    run.duplicate("s3", 101, 2)
    number = run.sent[101, 2].number
    if stage == "broker":
        run.received += [{**row, "message": 99} for row in run.received if row["message"] == number]
        run.trace += [{**row, "message": 99} for row in run.trace if row["message"] == number]
    elif stage:
        later = ("kinesis", "firehose", "lambda", "s3")
        run.trace += [dict(r) for r in run.trace if r["message"] == number and r["stage"] in later]
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == (stage or "s3", cause)
    assert "9 copies" in diagnosis.sentence


def test_resends_of_the_board_are_not_taken_for_copies_of_the_target(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.redeliver(101, 2)
    run.duplicate("s3", 101, 2)
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("s3", "copied-inside")


def test_a_delay_is_placed_between_the_two_stages_where_the_time_went(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.delay("s3", 101, 2, 1000.0)
    for row in run.trace:
        if row["message"] == run.sent[101, 2].number and row["stage"] in ("lambda", "s3"):
            row["at_ns"] += 950 * S
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause, diagnosis.kind) == ("firehose", "delayed", "late")
    assert "950 s passed between firehose and lambda" in diagnosis.sentence
    assert "up to 1000 s after sending; 900 s are allowed" in diagnosis.sentence


def test_a_delay_after_a_failed_try_is_put_down_to_that_try(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.delay("s3", 101, 2, 1000.0)
    run.note(101, 2, "lambda", "failed", "timeout", TIMEOUT)
    diagnosis = only(run, tmp_path)
    assert (diagnosis.stage, diagnosis.cause) == ("lambda", "timeout")


def test_foreign_messages_are_told_with_the_topic_they_came_on(tmp_path: Path) -> None:
    run = SyntheticRun()
    ts_ms = START_NS // MS + 55
    row = {**run.rows["s3"][0], "timestamp_ms": ts_ms, "message": 77, "visible_ns": START_NS + 99 * MS}
    run.rows["s3"].append(row)
    run.received.append({**run.received[0], "message": 77, "topic": "aws/9/100/data/"})
    diagnosis = only(run, tmp_path)
    assert (diagnosis.kind, diagnosis.cause, diagnosis.measures) == ("unexpected", "foreign", 1)
    assert "topic aws/9/100/data/" in diagnosis.sentence


def test_messages_that_were_never_sent_are_told_with_the_boards_reason(tmp_path: Path) -> None:
    run = SyntheticRun()
    for seq, reason in ((2, "outbox full"), (3, None)):
        run.lose(101, seq, "broker")
        run.sent[101, seq].sent = False
        run.sent[101, seq].dropped = reason
    verification = run.verify(tmp_path)
    assert {(d.kind, d.cause, d.messages) for d in verification.diagnoses} == {
        ("not-sent", "dropped", 1),
        ("not-sent", "unaccounted", 1),
    }
    assert any("outbox full" in d.sentence for d in verification.diagnoses)
    assert verification.losses == []


def test_late_sends_say_who_was_busy(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.sent[101, 2].planned_ns -= 250 * MS  # made late
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.kind, diagnosis.cause, diagnosis.messages) == ("late-send", "computer-busy", 1)
    assert diagnosis.sentence == (
        "1 of 12 messages (8.3 %) of board 101 were sent more than 100 ms late, at worst 251 ms: "
        "this computer was busy. Nothing was lost."
    )


def test_messages_that_were_made_in_time_and_left_late_were_held_back_by_the_link(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.sent[101, 2].sent_ns += 250 * MS
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert diagnosis.cause == "held-back"


def test_late_sends_without_a_time_in_the_payload_blame_nobody(tmp_path: Path) -> None:
    run = SyntheticRun(payload="original")
    run.sent[101, 2].planned_ns -= 250 * MS
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert diagnosis.cause == "late-send"


@pytest.mark.parametrize("key", sorted(CAUSES))
def test_every_row_of_the_table_fills_in(key: str) -> None:
    stage, _, reason = key.rpartition("/")
    figures = Figures("s3", stage or "kinesis", "rules", reason, "a detail", dwell="5 s")
    why, change = explain(figures)
    for text in (why, change):
        assert text
        assert "{" not in text
    assert change.endswith(".")


@pytest.mark.parametrize("as_text", [True, False])
def test_the_advice_about_a_refused_type_follows_what_the_boards_sent(tmp_path: Path, as_text: bool) -> None:
    run = SyntheticRun()
    # The words of a stage decide nothing: another's table may speak of VARCHAR as well.
    run.reject(101, 2, "timestream", "type-conflict", "ph is DOUBLE, but its first record made it VARCHAR")
    if as_text:
        run.sent[100, 0].values["ph"] = "7.1"
        for name in run.stores:
            run.alter(name, 100, 0, "ph", "7.1")
    (one,) = (one for one in run.verify(tmp_path).diagnoses if one.cause == "type-conflict")
    assert ("numbers as numbers" in one.change) == as_text
    assert ("decimal point" in one.change) == (not as_text)


def by_cause(run: SyntheticRun, folder: Path) -> dict[tuple[str, str], int]:
    """(store, cause) → measures of what is missing."""
    return {(d.store, d.cause): d.measures for d in run.verify(folder).diagnoses if d.kind == "missing"}


def test_without_identity_what_was_refused_is_missing_before_what_was_lost_in_silence(tmp_path: Path) -> None:
    run = SyntheticRun(payload="original")
    run.lose(101, 0, "kinesis")
    run.note(101, 0, "timestream", "rejected", "type-conflict", "on another way")
    run.reject(101, 2, "lambda", "timeout", TIMEOUT)
    # Both carried the same boolean, and one row has it, of nobody knows which.
    run.rows["s3"].append({**run.row("s3", run.sent[101, 0], "liqlev"), "message": None})
    assert by_cause(run, tmp_path) == {("s3", "timeout"): 9, ("s3", "lost-between"): 8}


def test_without_identity_what_came_least_far_is_missing_first(tmp_path: Path) -> None:
    run = SyntheticRun(payload="original")
    run.lose(101, 0, "lambda")
    run.lose(101, 2, "kinesis")
    run.rows["s3"].append({**run.row("s3", run.sent[101, 0], "liqlev"), "message": None})
    found = run.verify(tmp_path).diagnoses
    assert {(d.stage, d.measures) for d in found} == {("kinesis", 9), ("lambda", 8)}


def test_a_function_of_which_the_caller_left_no_trace_is_placed_by_itself(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.reject(101, 2, "lambda", "timeout", TIMEOUT)
    counters = run.counters()
    run.trace = [row for row in run.trace if row["stage"] != "firehose"]
    run.stages = counters
    assert by_cause(run, tmp_path) == {("s3", "timeout"): 9}
