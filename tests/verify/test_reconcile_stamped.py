"""Stamped payloads: what is lost, doubled, changed, late or foreign is named, exactly that and no more."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_run import MS, START_NS, Found, S, SyntheticRun, all_of, found

from buoyfleet.model.result import StoreResult
from buoyfleet.verify.verdict import Verification
from sensors.catalog import KEYS

pytestmark = pytest.mark.timeout(400)


def store(verification: Verification, name: str) -> StoreResult:
    return next(result for result in verification.stores if result.name == name)


def counts(result: StoreResult) -> dict[str, int]:
    names = ("expected", "found", "missing", "duplicated", "redelivered", "altered", "late", "unexpected")
    return {name: value for name in names if (value := getattr(result, name))}


def test_a_faultless_run_has_nothing_to_say(tmp_path: Path) -> None:
    verification = SyntheticRun().verify(tmp_path)
    for name in ("timestream", "s3"):
        assert counts(store(verification, name)) == {"expected": 108, "found": 108}
        assert store(verification, name).decidable == ""
    assert found(verification) == set()
    assert verification.diagnoses == []
    assert verification.warnings == []
    assert verification.data_complete
    assert verification.boards_passed


def test_each_kind_of_fault_names_its_measures_and_nothing_else(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.remove("s3", 100, 0)
    run.remove("timestream", 100, 1, "ph", "temp")
    run.duplicate("s3", 101, 0, "do")
    run.redeliver(101, 1, "s3")
    run.alter("timestream", 101, 2, "ec", 0.5)
    run.alter("s3", 102, 0, "tds", "24.25")
    run.delay("timestream", 102, 1, 61.0)
    verification = run.verify(tmp_path)
    assert found(verification) == (
        all_of("s3", "missing", 100, 0)
        | all_of("timestream", "missing", 100, 1, ("ph", "temp"))
        | all_of("s3", "duplicated", 101, 0, ("do",))
        | all_of("timestream", "altered", 101, 2, ("ec",))
        | all_of("s3", "altered", 102, 0, ("tds",))
        | all_of("timestream", "late", 102, 1)
    )
    assert counts(store(verification, "timestream")) == {
        "expected": 108,
        "found": 106,
        "missing": 2,
        "altered": 1,
        "late": 9,
    }
    assert counts(store(verification, "s3")) == {
        "expected": 108,
        "found": 99,
        "missing": 9,
        "duplicated": 1,
        "redelivered": 9,
        "altered": 1,
    }


def test_copies_beyond_the_attempts_are_duplicates_and_the_others_are_redelivered(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.redeliver(100, 0, "s3")
    run.duplicate("s3", 100, 0, "wf", copies=2)
    verification = run.verify(tmp_path)
    assert counts(store(verification, "s3")) == {
        "expected": 108,
        "found": 108,
        "redelivered": 9,
        "duplicated": 2,
    }
    assert [(loss.measures, loss.copies) for loss in verification.losses] == [(["wf"], 2)]


def test_a_store_that_takes_a_resend_as_the_same_record_is_complete(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.redeliver(100, 0, "s3")
    assert counts(store(run.verify(tmp_path), "timestream")) == {"expected": 108, "found": 108}


def test_a_message_acknowledged_twice_is_one_message(tmp_path: Path) -> None:
    run = SyntheticRun()
    twice = [event for event in run.events() if event["event"] == 2 and event["seq"] == 1]
    original = run.events
    run.events = lambda buoys=None: (
        original(buoys)
        + [  # type: ignore[method-assign]
            event for event in twice if buoys is None or event["buoy"] in buoys
        ]
    )
    verification = run.verify(tmp_path)
    assert found(verification) == set()
    assert verification.ack_latency is not None
    assert verification.ack_latency.count == 12
    assert [board.acknowledged for board in verification.boards] == [4, 4, 4]


def test_an_integer_that_equals_the_float_is_the_same_number(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.sent[100, 0].values["ph"] = 7.0
    run.alter("s3", 100, 0, "ph", 7)
    run.alter("timestream", 100, 0, "ph", 7.0)
    assert found(run.verify(tmp_path)) == set()


@pytest.mark.parametrize("value", ["7.0", True])
def test_another_type_class_is_an_altered_value(tmp_path: Path, value: object) -> None:
    run = SyntheticRun()
    run.sent[100, 0].values["ph"] = 1.0
    run.alter("s3", 100, 0, "ph", "1.0" if isinstance(value, str) else value)
    run.alter("timestream", 100, 0, "ph", 1.0)
    verification = run.verify(tmp_path)
    assert found(verification) == {("s3", "altered", 100, 0, "ph")}
    loss = verification.losses[0]
    assert loss.expected == ["1.0"]
    assert loss.found == ['"1.0"' if isinstance(value, str) else "true"]
    assert loss.cause == "retyped"


def test_a_boolean_that_became_a_number_is_altered(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.alter("s3", 100, 1, "liqlev", 1.0)
    assert found(run.verify(tmp_path)) == {("s3", "altered", 100, 1, "liqlev")}


def test_one_wrong_copy_beside_a_right_one_is_altered_and_duplicated(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.duplicate("s3", 100, 1, "ph")
    run.chosen("s3", 100, 1, "ph")[0]["value"] = 99.0
    assert found(run.verify(tmp_path)) == {
        ("s3", "altered", 100, 1, "ph"),
        ("s3", "duplicated", 100, 1, "ph"),
    }


def test_a_copy_that_makes_up_for_a_missing_measure_is_not_counted_away(tmp_path: Path) -> None:
    """Nine rows are there, as many as were sent: a count would call that complete."""
    run = SyntheticRun()
    run.remove("s3", 100, 1, "ph")
    run.duplicate("s3", 100, 1, "do")
    assert found(run.verify(tmp_path)) == {
        ("s3", "missing", 100, 1, "ph"),
        ("s3", "duplicated", 100, 1, "do"),
    }


def test_exchanged_values_of_two_messages_are_altered(tmp_path: Path) -> None:
    run = SyntheticRun()
    one, other = run.chosen("s3", 100, 0, "ph")[0], run.chosen("s3", 100, 1, "ph")[0]
    one["value"], other["value"] = other["value"], one["value"]
    assert found(run.verify(tmp_path)) == {
        ("s3", "altered", 100, 0, "ph"),
        ("s3", "altered", 100, 1, "ph"),
    }


def test_lateness_is_not_judged_inside_the_clocks_uncertainty(tmp_path: Path) -> None:
    run = SyntheticRun()
    for buoy in (100, 101):
        run.delay("timestream", buoy, 0, 60.3)
    run.sent[100, 0].uncertainty_ns = 500 * MS
    run.sent[101, 0].uncertainty_ns = 200 * MS
    verification = run.verify(tmp_path)
    assert found(verification) == all_of("timestream", "late", 101, 0)
    assert verification.losses[0].delay_s == pytest.approx(60.3)


def test_a_message_that_is_looked_at_closely_is_not_late_inside_the_uncertainty_either(
    tmp_path: Path,
) -> None:
    run = SyntheticRun()
    run.delay("timestream", 100, 0, 60.3)
    run.sent[100, 0].uncertainty_ns = 500 * MS
    run.remove("timestream", 100, 0, "ph")
    assert found(run.verify(tmp_path)) == {("timestream", "missing", 100, 0, "ph")}


def test_times_of_a_board_with_a_wrong_clock_are_corrected_by_its_offset(tmp_path: Path) -> None:
    """The board's clock is an hour slow: raw times would make everything an hour late."""
    run = SyntheticRun()
    for message in run.sent.values():
        if message.buoy == 100:
            message.offset_ns = 3600 * S
    verification = run.verify(tmp_path)
    assert found(verification) == set()
    board = next(board for board in verification.boards if board.buoy_id == 100)
    assert board.clock_offset_ms == pytest.approx(3_600_000)
    assert board.late_sends == 0
    assert board.ack_p99_ms == pytest.approx(6.0)


def foreign_row(run: SyntheticRun, ts_ms: int, visible_ns: int, buoy: int = 100) -> dict[str, object]:
    row = dict(run.rows["s3"][0])
    return {**row, "buoy": buoy, "timestamp_ms": ts_ms, "visible_ns": visible_ns, "message": None}


def test_rows_in_the_runs_window_that_no_message_explains_are_unexpected(tmp_path: Path) -> None:
    run = SyntheticRun()
    ts_ms = START_NS // MS + 55
    run.rows["s3"] += [foreign_row(run, ts_ms, START_NS + 200 * MS)] * 2
    verification = run.verify(tmp_path)
    assert counts(store(verification, "s3")) == {"expected": 108, "found": 108, "unexpected": 2}
    (loss,) = verification.losses
    assert (loss.buoy_id, loss.seq, loss.timestamp_ms, loss.measures) == (100, None, ts_ms, ["do"])
    assert [board.state for board in verification.boards] == ["failed", "passed", "passed"]


def test_a_measure_that_its_message_did_not_have_is_unexpected(tmp_path: Path) -> None:
    run = SyntheticRun()
    row = dict(run.chosen("s3", 100, 2, "ph")[0])
    run.rows["s3"].append({**row, "measure": "salinity"})
    assert found(run.verify(tmp_path)) == {("s3", "unexpected", 100, 2, "salinity")}


def test_what_the_rule_itself_adds_is_not_unexpected(tmp_path: Path) -> None:
    run = SyntheticRun()
    for row in run.rows["timestream"][:18:9]:
        run.rows["timestream"].append({**row, "measure": "buoy_id", "type": "VARCHAR", "text": "100"})
        run.rows["timestream"].append({**row, "measure": "timestamp", "type": "BIGINT"})
    assert found(run.verify(tmp_path)) == set()


def test_a_second_run_into_the_same_store_is_not_confused_by_the_first(tmp_path: Path) -> None:
    first = SyntheticRun()
    second = SyntheticRun(start_ns=START_NS + 5 * S)
    second.remove("s3", 101, 1)
    for name in second.stores:
        # Some rows of the first run become visible only while the second is under way.
        late = [
            {**row, "visible_ns": second.start_ns + 100 * MS, "message": None} for row in first.rows[name]
        ]
        second.rows[name] += late
    verification = second.verify(tmp_path)
    assert found(verification) == all_of("s3", "missing", 101, 1)


def test_rows_visible_before_the_run_belong_to_an_earlier_one_whatever_their_time(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.rows["s3"].append(foreign_row(run, START_NS // MS + 55, START_NS - 3 * S))
    assert found(run.verify(tmp_path)) == set()


def test_a_payload_with_fewer_or_other_keys_is_compared_key_by_key(tmp_path: Path) -> None:
    run = SyntheticRun()
    message = run.sent[100, 1]
    message.values = {"ph": 7.5, "note": "a:b", "level": 3, "timestamp": message.ts}
    run.remove("timestream", 100, 1)
    run.remove("s3", 100, 1)
    for name in run.stores:
        run.rows[name] += [run.row(name, message, key) for key in ("ph", "note", "level")]
    assert found(run.verify(tmp_path / "complete")) == set()
    run.remove("s3", 100, 1, "note")
    run.alter("timestream", 100, 1, "level", 4)
    assert found(run.verify(tmp_path / "spoiled")) == {
        ("s3", "missing", 100, 1, "note"),
        ("timestream", "altered", 100, 1, "level"),
    }


def test_a_measure_of_another_name_is_missed_even_if_the_usual_ones_are_complete(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.sent[100, 1].values["salinity"] = 3.5
    for name in run.stores:
        run.rows[name].append(run.row(name, run.sent[100, 1], "salinity"))
    run.remove("s3", 100, 1, "salinity")
    assert found(run.verify(tmp_path)) == {("s3", "missing", 100, 1, "salinity")}


def test_a_string_sent_as_a_measure_must_come_back_as_that_string(tmp_path: Path) -> None:
    run = SyntheticRun()
    message = run.sent[100, 1]
    message.values["ph"] = "7.5"
    for name, value in (("timestream", 7.5), ("s3", "7.5")):
        run.alter(name, 100, 1, "ph", value)
    assert found(run.verify(tmp_path)) == {("timestream", "altered", 100, 1, "ph")}


@pytest.mark.parametrize("raw", [b"not json", b"[1, 2]", b'{"ph": 7.5', b"\xff"])
def test_a_ledger_payload_that_is_no_object_makes_its_board_unproven(tmp_path: Path, raw: bytes) -> None:
    run = SyntheticRun()
    for name in run.stores:
        run.remove(name, 100, 1)
    run.sent[100, 1].raw = raw
    verification = run.verify(tmp_path)
    assert [board.state for board in verification.boards] == ["unproven", "passed", "passed"]
    assert "message 1" in verification.warnings[0]
    assert found(verification) == set()


def test_two_messages_with_one_timestamp_are_said_to_be_indistinguishable(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.sent[100, 1].values["timestamp"] = run.sent[100, 0].ts
    for name in run.stores:
        run.remove(name, 100, 1)
    verification = run.verify(tmp_path)
    assert found(verification) == all_of("timestream", "missing", 100, 1) | all_of("s3", "missing", 100, 1)
    assert {loss.cause for loss in verification.losses} == {"same-identity"}
    assert "timestamp of an earlier one" in verification.warnings[0]


def test_a_store_without_timestamps_is_reconciled_as_a_multiset_and_says_so(tmp_path: Path) -> None:
    run = SyntheticRun()
    for row in run.rows["s3"]:
        row["timestamp_ms"] = None
    run.remove("s3", 101, 2, "ph")
    verification = run.verify(tmp_path)
    assert store(verification, "timestream").decidable == ""
    assert "no identity" in store(verification, "s3").decidable
    assert found(verification) == {("s3", "missing", 101, -1, "ph")}


@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_set_of_faults_gives_exactly_that_set_of_losses(data: st.DataObject) -> None:
    run = SyntheticRun(boards=(100, 101), count=3)
    faults = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(("missing", "duplicated", "redelivered", "altered", "late", "retyped")),
                st.sampled_from(run.stores),
                st.sampled_from(sorted(run.sent)),
                st.lists(st.sampled_from(KEYS), unique=True, min_size=1),
            ),
            max_size=8,
        )
    )
    wanted: Found = set()
    redelivered: set[tuple[int, int]] = set()
    copies: dict[tuple[str, int, int, str], int] = {}
    # Copies are made first: a fault of a measure is a fault of all its copies.
    for kind, name, (buoy, seq), keys in sorted(faults, key=lambda fault: fault[0] != "redelivered"):
        if kind == "redelivered":
            if (buoy, seq) not in redelivered:
                redelivered.add((buoy, seq))
                run.redeliver(buoy, seq)
            continue
        for key in keys:
            rows = [r for r in run.rows[name] if r["buoy"] == buoy and r["measure"] == key]
            rows = [r for r in rows if r["timestamp_ms"] == run.sent[buoy, seq].ts]
            if not rows:
                continue
            lost = ("missing", "duplicated", "altered", "late")
            if kind == "missing":
                run.rows[name] = [r for r in run.rows[name] if not any(r is other for other in rows)]
                wanted -= {(name, other, buoy, seq, key) for other in lost}
                copies.pop((name, buoy, seq, key), None)
            elif kind == "duplicated":
                run.rows[name].append(dict(rows[0]))
                copies[name, buoy, seq, key] = copies.get((name, buoy, seq, key), 0) + 1
            elif kind == "late":
                for row in rows:
                    row["visible_ns"] = run.sent[buoy, seq].sent_ns + 1000 * S
            else:
                for row in rows:
                    value = row["value"] if row["value"] is not None else 0.0
                    retyped = {"type": "VARCHAR", "value": None, "text": str(value)}
                    row.update(retyped if kind == "retyped" else {"type": "DOUBLE", "value": value + 0.01})
            wanted.add((name, "altered" if kind == "retyped" else kind, buoy, seq, key))
    with tempfile.TemporaryDirectory() as folder:
        verification = run.verify(Path(folder))
    assert found(verification) == wanted
    for result in verification.stores:
        kinds = [kind for name, kind, *_ in wanted if name == result.name]
        assert result.missing == kinds.count("missing")
        assert result.altered == kinds.count("altered")
        assert result.late == kinds.count("late")
        assert result.duplicated == sum(n for (name, *_), n in copies.items() if name == result.name)
        missing_copies = sum(
            1 for name, kind, buoy, seq, _ in wanted
            if name == result.name and kind == "missing" and (buoy, seq) in redelivered
        )  # fmt: skip
        assert result.redelivered == 9 * len(redelivered) - missing_copies
        assert result.unexpected == 0
