"""What befell a board's connection explains messages that never arrived, with a trace and without."""

from pathlib import Path

import pytest
from synthetic_run import MS, S, SyntheticRun

from buoyfleet.model.evidence import StageCount
from buoyfleet.model.reasons import DropReason
from buoyfleet.verify.boards import BoardFacts

TAKEN = "another connection took this client id"


def unacknowledged(run: SyntheticRun, buoy: int, seq: int) -> None:
    run.lose(buoy, seq, "broker")
    run.sent[buoy, seq].acknowledged = False


@pytest.mark.parametrize("traced", [True, False])
def test_a_second_client_under_the_id_is_the_cause_and_counted(tmp_path: Path, traced: bool) -> None:
    run = SyntheticRun(with_trace=traced)
    unacknowledged(run, 101, 2)
    unacknowledged(run, 102, 1)
    run.befall(101, "client-id-rate", "CONNECT 2 of this second from one client id; 1 allowed", 9)
    run.befall(101, "duplicate-client-id", TAKEN, 3)
    found = {(d.store, d.stage, d.cause, d.messages): d for d in run.verify(tmp_path).diagnoses}
    assert set(found) == {
        (store, "broker", cause, 1)
        for store in ("timestream", "s3")
        for cause in ("duplicate-client-id", "unacknowledged")
    }
    taken = found["s3", "broker", "duplicate-client-id", 1]
    assert f"({TAKEN}; 3 times)" in taken.sentence
    assert "board 101" in taken.sentence
    assert "who else uses that client id" in taken.change


def test_what_ended_the_connection_comes_before_refused_tries_to_connect(tmp_path: Path) -> None:
    run = SyntheticRun()
    unacknowledged(run, 101, 2)
    run.befall(101, "client-id-rate", "CONNECT 2 of this second", 50)
    run.befall(101, "keep-alive", "silent for 90 s")
    found = run.verify(tmp_path).diagnoses
    assert {d.cause for d in found} == {"keep-alive"}
    assert all("(silent for 90 s)" in d.sentence for d in found)


def test_of_several_sentences_about_a_connection_the_last_is_quoted(tmp_path: Path) -> None:
    run = SyntheticRun()
    unacknowledged(run, 101, 2)
    for detail in ("silent for 91 s", "silent for 90 s"):
        run.befall(101, "keep-alive", detail)
        run.links[-1]["at_ns"] += len(run.links)
    assert all("(silent for 90 s; 2 times)" in d.sentence for d in run.verify(tmp_path).diagnoses)


def test_a_message_that_was_refused_by_itself_keeps_its_own_reason(tmp_path: Path) -> None:
    run = SyntheticRun()
    unacknowledged(run, 101, 2)
    message = run.sent[101, 2]
    run.refused.append(
        {
            "buoy": 101,
            "client": "buoy101",
            "topic": "aws/0/101/data/",
            "payload": message.payload,
            "reason": "payload-too-large",
            "detail": "a payload of 126 bytes; 100 are allowed",
            "at_ns": message.sent_ns,
        }
    )
    run.befall(101, "duplicate-client-id", TAKEN)
    assert {d.cause for d in run.verify(tmp_path).diagnoses} == {"payload-too-large"}


def test_what_was_acknowledged_is_not_blamed_on_the_connection(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.lose(101, 2, "broker")
    run.befall(101, "duplicate-client-id", TAKEN)
    assert {d.cause for d in run.verify(tmp_path).diagnoses} == {"not-received"}


def test_messages_that_never_left_are_explained_by_a_refused_connection(tmp_path: Path) -> None:
    run = SyntheticRun()
    for seq in range(run.count):
        run.lose(101, seq, "broker")
        message = run.sent[101, seq]
        message.sent, message.acknowledged, message.dropped = False, False, "not sent before the run ended"
    run.befall(101, "not-authorised", "iot:Connect on client/buoy101 is not allowed for client 'buoy101'", 2)
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.kind, diagnosis.cause, diagnosis.messages) == ("not-sent", "dropped", 4)
    assert "not sent before the run ended" in diagnosis.sentence
    assert "iot:Connect on client/buoy101" in diagnosis.sentence
    assert "policy" in diagnosis.change


def test_a_client_that_is_no_board_of_the_fleet_says_nothing(tmp_path: Path) -> None:
    run = SyntheticRun()
    unacknowledged(run, 101, 2)
    run.befall(999, "duplicate-client-id", TAKEN)
    assert {d.cause for d in run.verify(tmp_path).diagnoses} == {"unacknowledged"}


def test_a_measure_that_a_rule_does_not_select_is_placed_at_the_store_it_feeds(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.remove("s3", 101, 2, "ph")
    run.note(101, 2, "kinesis", "rejected", "not-selected", "rule a: its SELECT leaves ph out", "ph")
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.store, diagnosis.stage, diagnosis.cause) == ("s3", "kinesis", "not-selected")
    assert "its SELECT leaves ph out" in diagnosis.sentence


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("s3", "not yet flushed to S3"),
        ("firehose", "before the Lambda function"),
        ("timestream", "not yet consistent"),
    ],
)
def test_what_waits_is_told_from_what_is_lost(tmp_path: Path, stage: str, words: str) -> None:
    run = SyntheticRun()
    run.reject(101, 2, stage, "in-buffer", "due at 12:00:00 UTC", outcome="waiting")
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.stage, diagnosis.cause) == (stage, "waiting")
    assert words in diagnosis.sentence
    assert "due at 12:00:00 UTC" in diagnosis.sentence
    assert diagnosis.change.startswith("Nothing is lost")


def test_influxdb_has_a_way_of_its_own(tmp_path: Path) -> None:
    stages = [StageCount(name, "messages", 12, 12) for name in ("broker", "rules", "timestream")]
    stages.append(StageCount("influxdb", "points", 12, 11, {"type-conflict": 1}))
    run = SyntheticRun(with_trace=False, stores=("timestream", "influxdb"), stages=stages)
    run.remove("influxdb", 101, 2)
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.store, diagnosis.stage, diagnosis.cause) == ("influxdb", "influxdb", "type-conflict")


@pytest.mark.parametrize("ever", [False, True])
def test_a_board_that_never_connected_is_explained_by_that_and_not_by_its_full_outbox(
    tmp_path: Path, ever: bool
) -> None:
    facts = BoardFacts(link_reason="login-refused", link_detail="not authorised", ever_connected=ever)
    run = SyntheticRun(facts={101: facts})
    for seq in range(run.count):
        run.lose(101, seq, "broker")
        message = run.sent[101, seq]
        message.sent, message.acknowledged, message.dropped = False, False, DropReason.OUTBOX_FULL
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert diagnosis.cause == ("dropped" if ever else "login-refused")
    assert ("dropped by the board" in diagnosis.sentence) == ever
    assert "the broker refused the login (not authorised)" in diagnosis.sentence


def test_what_concerns_most_measures_is_said_first(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.lose(100, 0, "kinesis")
    for seq in range(3):
        run.lose(101, seq, "lambda")
    assert [d.measures for d in run.verify(tmp_path).diagnoses] == [27, 9]


@pytest.mark.parametrize(("offset_ms", "made_ms", "unsure_ms"), [(-500, 500, 0), (0, 60, 20)])
def test_when_a_late_message_was_made_counts_by_the_hosts_clock(
    tmp_path: Path, offset_ms: int, made_ms: int, unsure_ms: int
) -> None:
    run = SyntheticRun(stores=())
    message = run.sent[101, 2]
    message.offset_ns, message.uncertainty_ns = offset_ms * MS, unsure_ms * MS
    message.values["timestamp"] = message.ts + made_ms  # by the clock of the board
    message.sent_ns = message.planned_ns + S
    (diagnosis,) = run.verify(tmp_path).diagnoses
    assert (diagnosis.kind, diagnosis.cause) == ("late-send", "held-back")
