"""The independent subscriber as a store: what it proves, and what it cannot know."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synthetic_run import MS, S, SyntheticRun, write_rows

from buoyfleet.model import evidence
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.observation import Blindness, Gap, Observation
from buoyfleet.model.result import Outcome
from buoyfleet.model.store import SCHEMA
from buoyfleet.runs.conclude import outcome_of
from buoyfleet.runs.run_state import RunRecord
from buoyfleet.verify.verdict import Verification
from sensors.catalog import KEYS

LOSSLESS = ("subscriber.missing == 0", "subscriber.duplicated == 0", "subscriber.altered == 0")
PAYLOADS = pytest.mark.parametrize("payload", ["stamped", "original"])


def watched(**options: object) -> SyntheticRun:
    """A run against a plain broker."""
    options = {"thresholds": LOSSLESS, "stages": [], **options}
    return SyntheticRun(stores=("subscriber",), with_trace=False, **options)  # type: ignore[arg-type]


def outcome(verification: Verification) -> Outcome:
    return outcome_of(verification, RunRecord(Path()))


def states(verification: Verification) -> dict[int, str]:
    return {board.buoy_id: board.state for board in verification.boards}


def causes(verification: Verification) -> set[tuple[str, str]]:
    return {(diagnosis.kind, diagnosis.cause) for diagnosis in verification.diagnoses}


@PAYLOADS
def test_a_run_that_the_subscriber_saw_whole_passes(tmp_path: Path, payload: str) -> None:
    verification = watched(payload=payload).verify(tmp_path)
    (store,) = verification.stores
    assert (store.name, store.expected, store.found, store.missing) == ("subscriber", 108, 108, 0)
    assert outcome(verification).verdict == "passed"
    assert verification.warnings == []
    table = pq.read_table(tmp_path / "stores" / "subscriber" / "part-000000.parquet")
    assert table.num_rows == 108
    assert table.schema.types == SCHEMA.types


@PAYLOADS
def test_a_board_that_was_never_seen_while_others_were_is_named_and_has_failed(
    tmp_path: Path, payload: str
) -> None:
    run = watched(payload=payload)
    run.unsee(102)
    verification = run.verify(tmp_path)
    assert states(verification) == {100: "passed", 101: "passed", 102: "failed"}
    assert verification.boards[2].errors == ["the subscriber saw none of its 4 messages"]
    assert causes(verification) == {("missing", "not-seen")}
    assert outcome(verification).verdict == "failed"
    assert outcome(verification).exit_code == ExitCode.VERDICT_FAILED


@PAYLOADS
def test_where_nothing_was_seen_nothing_is_proven_of_any_board(tmp_path: Path, payload: str) -> None:
    run = watched(payload=payload)
    run.witnessed = []
    verification = run.verify(tmp_path)
    assert set(states(verification).values()) == {"unproven"}
    assert (verification.stores[0].missing, verification.stores[0].unproven) == (108, 108)
    assert causes(verification) == {("missing", "nothing-seen")}
    result = outcome(verification)
    assert (result.verdict, result.exit_code) == ("unproven", ExitCode.VERDICT_FAILED)
    assert "Nothing proves that 108 measures arrived" in result.sentence
    assert verification.thresholds[0].value is None
    assert not verification.thresholds[0].passed


def test_where_every_board_is_short_nobody_can_say_who_lost_it(tmp_path: Path) -> None:
    run = watched()
    for buoy in run.boards:
        run.unsee(buoy, 1)
    verification = run.verify(tmp_path)
    assert set(states(verification).values()) == {"unproven"}
    assert causes(verification) == {("missing", "all-short")}
    assert outcome(verification).verdict == "unproven"


@PAYLOADS
def test_what_was_sent_while_the_subscriber_was_away_is_not_proven_and_the_rest_is(
    tmp_path: Path, payload: str
) -> None:
    run = watched(payload=payload, count=40)
    sent = [run.sent[100, seq].sent_ns for seq in range(40)]
    # Away for messages 20 to 22; what was sent within a second before may have been on its way.
    run.observation = Observation(
        [[100], [101, 102]], gaps=[Gap(0, sent[20] - MS, sent[22] + MS, Blindness.NOT_CONNECTED, "gone")]
    )
    run.unsee(100, 19, 20, 21, 22)
    verification = run.verify(tmp_path)
    assert states(verification) == {100: "unproven", 101: "passed", 102: "passed"}
    assert causes(verification) == {("missing", "subscriber-away")}
    assert outcome(verification).verdict == "unproven"
    run.unsee(100, 30)
    verification = run.verify(tmp_path / "again")
    assert states(verification)[100] == "failed"
    assert causes(verification) == {("missing", "subscriber-away"), ("missing", "not-seen")}
    # Without identity the boolean of message 30 may as well be that of one of the four.
    excused = 36 if payload == "stamped" else 37
    assert (verification.stores[0].missing, verification.stores[0].unproven) == (45, excused)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (Blindness.SUBSCRIPTION_REFUSED, "subscription-refused"),
        (Blindness.NOT_CONNECTED, "no-subscriber"),
    ],
)
def test_a_run_that_nobody_watched_is_not_proven_and_says_why(
    tmp_path: Path, reason: Blindness, cause: str
) -> None:
    run = watched()
    run.witnessed = []
    run.observation = Observation([[100, 101, 102]], gaps=[Gap(0, 0, 0, reason, "SUBACK 0x80")])
    verification = run.verify(tmp_path)
    assert causes(verification) == {("missing", cause)}
    assert "SUBACK 0x80" in verification.diagnoses[0].sentence
    assert outcome(verification).verdict == "unproven"


def test_only_as_many_as_the_broker_cannot_deliver_are_excused_with_the_arithmetic(tmp_path: Path) -> None:
    run = watched()
    whole_second = run.start_ns // S * S
    for message in run.sent.values():
        message.sent_ns = whole_second + message.seq * MS
    run.observation = Observation([[100, 101], [102]], delivers_per_s=6)
    run.unsee(100, 1, 2)  # connection 1 was sent 8 messages in that second
    verification = run.verify(tmp_path)
    assert states(verification)[100] == "unproven"
    assert (
        "8 messages were sent in one second to connection 1 of the subscriber; the broker delivers 6, so 2"
        in (verification.diagnoses[0].sentence)
    )
    run.unsee(101, 3)
    verification = run.verify(tmp_path / "again")
    assert verification.stores[0].unproven == 18
    assert verification.stores[0].missing == 27
    assert outcome(verification).verdict == "failed"


def test_copies_changed_values_and_bytes_that_are_no_json_are_found(tmp_path: Path) -> None:
    run = watched()
    seen = run.watch()
    seen.append(dict(seen[0]))
    altered = seen[1]["payload"].replace(b'"do": 21.25', b'"do": 29.25')
    assert altered != seen[1]["payload"]
    seen[1] = {**seen[1], "payload": altered}
    seen[2] = {**seen[2], "payload": b"\xff" + seen[2]["payload"][1:]}
    verification = run.verify(tmp_path)
    (store,) = verification.stores
    assert (store.duplicated, store.altered, store.missing, store.unexpected) == (9, 1, 9, 1)
    assert causes(verification) == {
        ("duplicated", "delivered-again"),
        ("altered", "altered"),
        ("missing", "not-seen"),
        ("unexpected", "unreadable"),
    }
    assert not any("counters" in warning for warning in verification.warnings)  # a broker has none
    assert states(verification) == {100: "failed", 101: "passed", 102: "passed"}
    assert outcome(verification).verdict == "failed"


def test_a_copy_that_a_resend_explains_is_no_fault(tmp_path: Path) -> None:
    run = watched()
    run.sent[100, 0].attempts = 2
    run.watch().append({"buoy": 100, "payload": run.sent[100, 0].payload, "at_ns": run.start_ns + S})
    verification = run.verify(tmp_path)
    assert (verification.stores[0].redelivered, verification.stores[0].duplicated) == (9, 0)
    assert outcome(verification).verdict == "passed"


def test_what_was_never_acknowledged_and_not_seen_is_the_boards(tmp_path: Path) -> None:
    run = watched()
    run.sent[101, 3].acknowledged = False
    run.unsee(101, 3)
    verification = run.verify(tmp_path)
    assert states(verification)[101] == "failed"
    assert causes(verification) == {("missing", "unacknowledged")}


def test_with_qos_0_nobody_expects_an_acknowledgement_of_what_was_not_seen(tmp_path: Path) -> None:
    run = watched(qos=0)
    for message in run.sent.values():
        message.acknowledged = False
    run.unsee(102)
    verification = run.verify(tmp_path)
    assert causes(verification) == {("missing", "not-seen")}
    assert states(verification) == {100: "passed", 101: "passed", 102: "failed"}


def test_the_stream_of_a_killed_run_counts_up_to_its_last_batch(tmp_path: Path) -> None:
    import pyarrow as pa

    run = watched()
    seen = run.watch()
    run.write(tmp_path)
    proofs = tmp_path / evidence.EVIDENCE_FOLDER
    (proofs / evidence.WITNESS).unlink()
    schema = evidence.WITNESS_SCHEMA
    with (proofs / evidence.WITNESS_STREAM).open("wb") as file:
        stream = pa.ipc.new_stream(file, schema)
        stream.write_batch(pa.RecordBatch.from_pylist(seen[:8], schema))
        file.write(b"torn")
    verification = run.verify_written(tmp_path)
    assert verification.stores[0].found == 72
    assert "record of the subscriber witness.arrows" in verification.warnings[0]
    assert (proofs / evidence.WITNESS_STREAM).exists()


def test_a_whole_stream_becomes_one_file(tmp_path: Path) -> None:
    import pyarrow as pa

    run = watched()
    seen = run.watch()
    run.write(tmp_path)
    proofs = tmp_path / evidence.EVIDENCE_FOLDER
    write_rows(proofs / evidence.WITNESS, [], evidence.WITNESS_SCHEMA)
    with pa.ipc.new_stream(proofs / evidence.WITNESS_STREAM, evidence.WITNESS_SCHEMA) as stream:
        stream.write_batch(pa.RecordBatch.from_pylist(seen, evidence.WITNESS_SCHEMA))
    assert outcome(run.verify_written(tmp_path)).verdict == "passed"
    assert not (proofs / evidence.WITNESS_STREAM).exists()


@PAYLOADS
def test_a_measure_that_is_taken_out_of_every_message_is_lost_and_not_merely_unseen(
    tmp_path: Path, payload: str
) -> None:
    run = watched(payload=payload)
    for row, message in zip(run.watch(), run.sent.values(), strict=True):
        row["payload"] = json.dumps({k: v for k, v in message.values.items() if k != "ph"}).encode()
    verification = run.verify(tmp_path)
    assert causes(verification) == {("missing", "measure-lost")}
    assert set(states(verification).values()) == {"failed"}
    assert verification.boards[0].errors == ["4 measures missing in messages that the subscriber saw"]
    assert (verification.stores[0].missing, verification.stores[0].unproven) == (12, 0)
    assert "at broker" in verification.diagnoses[0].sentence
    assert outcome(verification).verdict == "failed"


@PAYLOADS
def test_what_is_missing_beyond_the_messages_that_did_not_come_was_taken_out(
    tmp_path: Path, payload: str
) -> None:
    run = watched(payload=payload)
    for row, message in zip(run.watch(), list(run.sent.values()), strict=True):
        row["payload"] = json.dumps({k: v for k, v in message.values.items() if k != "ph"}).encode()
    assert run.witnessed is not None
    del run.witnessed[::4]  # the first of each board
    verification = run.verify(tmp_path)
    store = verification.stores[0]
    assert (store.missing, store.unproven) == (3 * 9 + 9, 27)
    assert causes(verification) == {("missing", "measure-lost"), ("missing", "all-short")}
    assert set(states(verification).values()) == {"failed"}


@PAYLOADS
def test_messages_on_the_topic_of_another_board_are_lost_and_the_diagnosis_says_where_they_are(
    tmp_path: Path, payload: str
) -> None:
    run = watched(payload=payload)
    for message in run.sent.values():
        for position, key in enumerate(KEYS):
            message.values[key] = message.buoy + message.seq / 10 + position * 1000
    run.witnessed = [
        {"buoy": {100: 102, 102: 100}.get(m.buoy, m.buoy), "payload": m.payload, "at_ns": m.sent_ns + MS}
        for m in run.sent.values()
    ]
    verification = run.verify(tmp_path)
    assert ("missing", "wrong-topic") in causes(verification)
    assert ("unexpected", "wrong-topic") in causes(verification)
    assert {cause for _, cause in causes(verification)} == {"wrong-topic"}
    assert verification.stores[0].unproven == 0
    assert states(verification) == {100: "failed", 101: "passed", 102: "failed"}
    assert "on the topic of board 102" in " ".join(d.sentence for d in verification.diagnoses)
    assert outcome(verification).verdict == "failed"


def test_messages_of_others_do_not_make_a_blind_subscriber_see(tmp_path: Path) -> None:
    run = watched()
    run.witnessed = [
        {
            "buoy": message.buoy,
            "payload": message.payload.replace(str(message.ts).encode(), str(message.ts + 50).encode()),
            "at_ns": message.sent_ns + 2 * MS,
        }
        for message in run.sent.values()
    ]
    verification = run.verify(tmp_path)
    assert causes(verification) == {("missing", "nothing-seen"), ("unexpected", "unexplained")}
    assert "the subscriber saw none of its 4 messages" in verification.boards[0].errors
    assert outcome(verification).verdict == "failed"


def test_messages_of_an_earlier_run_that_come_late_are_no_fault_of_this_one(tmp_path: Path) -> None:
    run = watched()
    earlier = run.sent[100, 0].payload.replace(str(run.sent[100, 0].ts).encode(), b"1789999990000")
    run.watch().insert(0, {"buoy": 100, "payload": earlier, "at_ns": run.start_ns + MS})
    verification = run.verify(tmp_path)
    assert outcome(verification).verdict == "passed"
    assert verification.witness is not None
    assert "1 message that no board of this run sent" in verification.witness.note
    run.unsee(101, 2)
    assert outcome(run.verify(tmp_path / "again")).verdict == "failed"


@PAYLOADS
def test_the_order_in_which_messages_come_is_of_no_account(tmp_path: Path, payload: str) -> None:
    run = watched(payload=payload)
    run.watch().reverse()
    assert run.witnessed is not None
    for row, at_ns in zip(run.witnessed, range(run.start_ns + S, run.start_ns + 2 * S, MS), strict=False):
        row["at_ns"] = at_ns
    assert outcome(run.verify(tmp_path)).verdict == "passed"


def test_a_slow_delivery_reaches_back_further_before_a_gap(tmp_path: Path) -> None:
    run = watched(count=60)
    sent = [run.sent[100, seq].sent_ns for seq in range(60)]
    for row in run.watch():
        row["at_ns"] += 3 * S
    lost_ns = sent[50] + MS  # by then messages of 3 s before had come, the last of them number 20
    run.observation = Observation(
        [[100], [101, 102]], gaps=[Gap(0, lost_ns, lost_ns + S, Blindness.NOT_CONNECTED, "gone")]
    )
    run.unsee(100, *range(21, 50))
    verification = run.verify(tmp_path)
    assert states(verification) == {100: "unproven", 101: "passed", 102: "passed"}
    run.unsee(100, 8)  # 4.2 s before
    assert states(run.verify(tmp_path / "again"))[100] == "failed"


def test_a_message_that_was_acknowledged_while_nobody_listened_is_not_proven(tmp_path: Path) -> None:
    run = watched(count=60)
    sent = [run.sent[100, seq].sent_ns for seq in range(60)]
    message = run.sent[100, 5]
    message.acknowledged_after_ns = 3 * S  # by a resend after the broker's restart
    run.observation = Observation(
        [[100], [101, 102]], gaps=[Gap(0, sent[30], sent[50], Blindness.NOT_CONNECTED, "restarted")]
    )
    run.unsee(100, 5)
    verification = run.verify(tmp_path)
    assert states(verification)[100] == "unproven"
    assert causes(verification) == {("missing", "subscriber-away")}


def test_the_seconds_of_a_brokers_limit_need_not_begin_with_those_of_utc(tmp_path: Path) -> None:
    run = watched()
    half = run.start_ns // S * S + S // 2
    for n, message in enumerate(run.sent.values()):
        message.sent_ns = half + n * 80 * MS  # from 0.5 s to 1.4 s
    run.observation = Observation([[100, 101, 102]], delivers_per_s=10)
    run.unsee(100, 1, 2)
    verification = run.verify(tmp_path)
    assert states(verification)[100] == "unproven"
    assert "12 messages were sent in one second" in verification.diagnoses[0].sentence
    run.unsee(102, 3)
    assert outcome(run.verify(tmp_path / "again")).verdict == "failed"


def test_without_timestamps_what_was_seen_before_it_was_sent_proves_nothing(tmp_path: Path) -> None:
    run = watched(payload="original")
    message = run.sent[101, 3]
    run.unsee(101, 3)
    assert run.witnessed is not None
    # An earlier run sent the same values; its last message comes after this one began.
    run.witnessed.append({"buoy": 101, "payload": message.payload, "at_ns": message.sent_ns - 1})
    verification = run.verify(tmp_path)
    store = verification.stores[0]
    # The boolean was sent before: it may be that of any message.
    assert (store.missing, store.unexpected, store.duplicated, store.unproven) == (8, 8, 0, 0)
    assert states(verification) == {100: "passed", 101: "failed", 102: "passed"}
    assert outcome(verification).verdict == "failed"
    run.witnessed[-1]["at_ns"] = message.sent_ns
    assert outcome(run.verify(tmp_path / "again")).verdict == "passed"
    message.uncertainty_ns = 5
    run.witnessed[-1]["at_ns"] = message.sent_ns - 5
    assert outcome(run.verify(tmp_path / "unsure")).verdict == "passed"


@PAYLOADS
def test_a_copy_of_one_message_does_not_stand_for_another_that_was_not_seen(
    tmp_path: Path, payload: str
) -> None:
    run = watched(payload=payload)
    run.sent[100, 0].attempts = 2
    for buoy in run.boards:
        run.unsee(buoy, 3)
    assert run.witnessed is not None
    run.witnessed.append({"buoy": 100, "payload": run.sent[100, 0].payload, "at_ns": run.start_ns + S})
    verification = run.verify(tmp_path)
    assert causes(verification) == {("missing", "all-short")}
    assert (verification.stores[0].missing, verification.stores[0].unproven) == (27, 27)
    assert outcome(verification).verdict == "unproven"


def test_a_message_that_came_on_the_topic_of_another_board_as_well_is_named(tmp_path: Path) -> None:
    run = watched()
    message = run.sent[102, 1]
    run.watch().append({"buoy": 101, "payload": message.payload, "at_ns": message.sent_ns + 3 * MS})
    verification = run.verify(tmp_path)
    assert causes(verification) == {("unexpected", "wrong-topic")}
    assert "(sent by board 102)" in verification.diagnoses[0].sentence
    assert states(verification) == {100: "passed", 101: "failed", 102: "passed"}
