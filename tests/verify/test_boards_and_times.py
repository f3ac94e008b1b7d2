"""What boards did, how long acknowledgements took, and what thresholds make of it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_run import MS, START_NS, S, SyntheticRun

from buoyfleet.model.errors import BuoyError
from buoyfleet.model.result import BoardResult
from buoyfleet.model.thresholds import METRICS, STORE_METRICS
from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.verdict import Case, Verification, verify
from sensors.catalog import KEYS

pytestmark = pytest.mark.timeout(400)


def board(verification: Verification, buoy: int) -> BoardResult:
    return next(result for result in verification.boards if result.buoy_id == buoy)


def test_a_board_result_has_the_boards_own_counts(tmp_path: Path) -> None:
    run = SyntheticRun(
        facts={101: BoardFacts(reconnects=3, errors=["connection reset"], clock_drift_ppm=12.5)}
    )
    run.redeliver(101, 0, "s3")
    run.sent[101, 1].uncertainty_ns = 3 * MS
    result = board(run.verify(tmp_path), 101)
    assert (result.planned, result.sent, result.acknowledged, result.dropped) == (4, 4, 4, 0)
    assert (result.redelivered, result.reconnects, result.late_sends) == (1, 3, 0)
    assert result.errors == ["connection reset"]
    assert result.state == "passed"
    assert result.measures_expected == dict.fromkeys(KEYS, 4)
    assert result.measures == {"timestream": dict.fromkeys(KEYS, 4), "s3": dict.fromkeys(KEYS, 4)}
    assert (result.clock_uncertainty_ms, result.clock_drift_ppm) == (3.0, 12.5)
    assert result.ack_p99_ms == pytest.approx(6.0)


def test_the_heat_map_counts_what_each_store_has_of_each_measure(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.remove("s3", 101, 0, "ph")
    run.remove("s3", 101, 1, "ph", "do")
    run.duplicate("s3", 101, 2, "do")
    result = board(run.verify(tmp_path), 101)
    assert (result.measures["s3"]["ph"], result.measures["s3"]["do"], result.measures["s3"]["wf"]) == (
        2,
        3,
        4,
    )
    assert set(result.measures["timestream"].values()) == {4}


@pytest.mark.parametrize("kind", ["missing", "altered", "duplicated"])
def test_a_board_is_affected_when_a_stage_spoils_its_measures(tmp_path: Path, kind: str) -> None:
    run = SyntheticRun()
    if kind == "missing":
        run.remove("s3", 101, 0, "ph")
    elif kind == "altered":
        run.alter("s3", 101, 0, "ph", 1.5)
    else:
        run.duplicate("s3", 101, 0, "ph")
    verification = run.verify(tmp_path)
    # The board sent it well: what a stage behind the broker did to it is no failure of the board.
    assert [result.state for result in verification.boards] == ["passed", "affected", "passed"]
    assert board(verification, 101).errors == [f"1 measure {kind} in s3"]
    assert not verification.data_complete


def test_late_measures_and_redelivered_copies_fail_no_board(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.redeliver(100, 0, "s3")
    run.delay("s3", 101, 0, 1000.0)
    verification = run.verify(tmp_path)
    assert verification.boards_passed
    assert verification.data_complete


def drop(run: SyntheticRun, buoy: int, seq: int, reason: str | None) -> None:
    run.lose(buoy, seq, "broker")
    run.sent[buoy, seq].sent = False
    run.sent[buoy, seq].dropped = reason


def test_a_board_fails_for_what_it_dropped_did_not_send_or_got_no_acknowledgement_for(tmp_path: Path) -> None:
    run = SyntheticRun(boards=(100, 101, 102, 103), facts={103: BoardFacts(planned=6)})
    drop(run, 100, 1, "outbox full")
    drop(run, 101, 1, None)
    run.sent[102, 1].acknowledged = False
    verification = run.verify(tmp_path)
    assert {result.buoy_id: (result.state, result.errors) for result in verification.boards} == {
        100: ("failed", ["1 message dropped"]),
        101: ("failed", ["1 planned message neither sent nor dropped"]),
        102: ("failed", ["1 message not acknowledged"]),
        103: ("failed", ["2 planned messages neither sent nor dropped"]),
    }
    assert board(verification, 103).planned == 6


def test_what_an_interrupted_run_did_not_send_fails_no_board(tmp_path: Path) -> None:
    run = SyntheticRun(interrupted=True)
    drop(run, 100, 3, "interrupted")
    drop(run, 101, 3, None)
    verification = run.verify(tmp_path)
    assert verification.boards_passed
    assert board(verification, 100).dropped == 1


def test_a_board_is_failed_by_what_the_fleet_knows_and_unproven_by_an_incomplete_ledger(
    tmp_path: Path,
) -> None:
    facts = {
        100: BoardFacts(failed="its process was killed"),
        101: BoardFacts(incomplete="2 console lines lost"),
    }
    run = SyntheticRun(facts=facts)
    extra = {**run.rows["s3"][0], "buoy": 101, "timestamp_ms": START_NS // MS + 55, "message": None}
    run.rows["s3"].append({**extra, "visible_ns": START_NS + 99 * MS})
    verification = run.verify(tmp_path)
    assert [result.state for result in verification.boards] == ["failed", "unproven", "passed"]
    assert board(verification, 100).errors == ["its process was killed"]
    assert board(verification, 101).errors == ["2 console lines lost"]


def test_a_board_with_an_incomplete_ledger_is_unproven_whatever_a_stage_lost(
    tmp_path: Path,
) -> None:
    run = SyntheticRun(facts={101: BoardFacts(incomplete="2 console lines lost")})
    run.remove("s3", 101, 1)
    assert board(run.verify(tmp_path), 101).state == "unproven"


def test_a_board_without_any_ledger_is_listed_and_failed(tmp_path: Path) -> None:
    run = SyntheticRun(facts={102: BoardFacts(planned=4)})
    for seq in range(4):
        run.lose(102, seq, "broker")
        del run.sent[102, seq]
    result = board(run.verify(tmp_path), 102)
    assert (result.state, result.planned, result.sent) == ("failed", 4, 0)


def test_sends_later_than_allowed_are_counted_beyond_the_clocks_uncertainty(tmp_path: Path) -> None:
    run = SyntheticRun()
    for buoy, seq in ((100, 0), (100, 1), (101, 0)):
        run.sent[buoy, seq].planned_ns -= 120 * MS
    run.sent[101, 0].uncertainty_ns = 50 * MS
    verification = run.verify(tmp_path)
    assert [result.late_sends for result in verification.boards] == [2, 0, 0]


def test_unpaced_messages_are_never_late_and_wait_from_their_sending(tmp_path: Path) -> None:
    run = SyntheticRun(interval_ms=None)
    for message in run.sent.values():
        message.planned_ns = run.start_ns - 10 * S
    verification = run.verify(tmp_path)
    assert sum(result.late_sends for result in verification.boards) == 0
    assert verification.ack_latency is not None
    assert verification.ack_latency.max_ms == pytest.approx(5.0)


@given(waits_ms=st.lists(st.integers(0, 5000), min_size=1, max_size=60))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_percentiles_are_exact_and_count_from_the_planned_time(
    waits_ms: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = SyntheticRun(boards=(100,), count=len(waits_ms), stores=())
    for message, wait_ms in zip(run.sent.values(), waits_ms, strict=True):
        # Acknowledged 5 ms after sending.
        message.planned_ns = message.sent_ns + 5 * MS - wait_ms * MS
    verification = run.verify(tmp_path_factory.mktemp("run"))
    latency = verification.ack_latency
    assert latency is not None
    exact = np.percentile(waits_ms, [50, 90, 99, 99.9], method="inverted_cdf")
    assert [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms] == pytest.approx(list(exact))
    assert (latency.count, latency.max_ms) == (len(waits_ms), max(waits_ms))
    assert latency.mean_ms == pytest.approx(np.mean(waits_ms))
    assert board(verification, 100).ack_p99_ms == pytest.approx(exact[2])


def test_the_rate_series_accounts_for_every_message(tmp_path: Path) -> None:
    run = SyntheticRun(count=40)
    run.sent[100, 7].acknowledged = False
    verification = run.verify(tmp_path)
    assert verification.rate_interval_s == 0.05
    for name, total in (("planned", 120), ("sent", 120), ("acknowledged", 119)):
        assert sum(getattr(point, name) for point in verification.rate) == total
    assert [point.t_s for point in verification.rate[:3]] == [0.0, 0.05, 0.1]
    # All three boards send within the same 50 ms, every 100 ms.
    assert [point.planned for point in verification.rate[:4]] == [3, 0, 3, 0]


@pytest.mark.parametrize(
    ("seconds", "interval_s"), [(2, 0.02), (99, 1.0), (1800, 1.0), (7000, 2.0), (86_400, 30.0)]
)
def test_the_rate_interval_is_a_second_finer_for_short_runs_and_coarser_for_long_ones(
    tmp_path: Path, seconds: int, interval_s: float
) -> None:
    run = SyntheticRun(boards=(100,), count=2, stores=())
    run.sent[100, 1].planned_ns += seconds * S
    run.sent[100, 1].sent_ns += seconds * S
    verification = run.verify(tmp_path)
    assert verification.rate_interval_s == interval_s
    assert sum(point.sent for point in verification.rate) == 2


def test_an_empty_run_measures_nothing_and_passes_no_threshold_about_data(tmp_path: Path) -> None:
    texts = ("timestream.missing == 0", "ack.p99 < 500 ms", "send.late == 0", "send.dropped == 0")
    run = SyntheticRun(count=0, thresholds=texts)
    verification = run.verify(tmp_path)
    assert verification.ack_latency is None
    assert verification.rate == []
    assert verification.losses == []
    assert [(result.value, result.passed) for result in verification.thresholds] == [(None, False)] * 4
    assert [result.expected for result in verification.stores] == [0, 0]


def test_a_run_against_a_plain_broker_has_no_stores_and_is_judged_by_its_sending(tmp_path: Path) -> None:
    run = SyntheticRun(
        stores=(), with_trace=False, thresholds=("send.unacknowledged == 0", "s3.missing == 0")
    )
    verification = run.verify(tmp_path)
    assert verification.stores == []
    assert verification.boards_passed
    assert [result.passed for result in verification.thresholds] == [True, False]


def test_every_metric_is_measured_in_a_whole_run(tmp_path: Path) -> None:
    stores = ("timestream", "s3")
    units = {**METRICS, **{name: unit for name, unit in STORE_METRICS.items() if name.startswith(stores)}}
    suffix = {"ms": " ms", "messages/s": " /s"}
    texts = tuple(f"{name} < 100000{suffix.get(unit, '')}" for name, unit in units.items())
    run = SyntheticRun(thresholds=texts)
    run.witnessed = []
    verification = run.verify(tmp_path)
    values = {result.text.split()[0]: result.value for result in verification.thresholds}
    assert None not in values.values()
    assert verification.thresholds_passed
    assert values["timestream.found"] == 108
    assert values["ack.p99"] == pytest.approx(6.0)
    assert values["witness.shortfall"] == 12
    # Twelve messages from 1 ms to 303 ms.
    assert values["send.rate"] == pytest.approx(11 / 0.302)


@pytest.mark.parametrize("payload", ["stamped", "original"])
def test_the_witness_counts_messages_and_its_shortfall_is_only_evidence(tmp_path: Path, payload: str) -> None:
    run = SyntheticRun(payload=payload)
    run.witnessed = [
        {"buoy": message.buoy, "payload": message.payload, "at_ns": message.sent_ns}
        for message in run.sent.values()
        if message.seq != 3
    ]
    run.witnessed += [run.witnessed[0], {"buoy": 100, "payload": b"{}", "at_ns": 0}]
    verification = run.verify(tmp_path)
    witness = verification.witness
    assert witness is not None
    assert (witness.expected, witness.seen, witness.shortfall, witness.copies) == (12, 9, 3, 1)
    assert witness.connections == 1
    assert "1 message that no board" in witness.note
    assert verification.data_complete
    assert verification.boards_passed


def test_no_witness_is_no_result(tmp_path: Path) -> None:
    assert SyntheticRun().verify(tmp_path).witness is None


@pytest.mark.soak
def test_all_losses_are_in_the_file_and_the_result_lists_ten_thousand(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from buoyfleet.verify.losses import FILE_NAME

    run = SyntheticRun(boards=tuple(range(100, 140)), count=260, with_trace=False)
    run.rows["s3"] = []
    verification = run.verify(tmp_path)
    assert len(verification.losses) == 10_000
    assert verification.losses_total == 10_400
    table = pq.read_table(tmp_path / FILE_NAME)
    assert table.num_rows == 10_400
    assert table.column("measures")[0].as_py() == sorted(KEYS)
    assert [verification.losses[0].buoy_id, verification.losses[0].seq] == [100, 0]


def test_without_losses_their_file_has_its_columns_and_no_rows(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from buoyfleet.verify.losses import FILE_NAME

    whole, spoiled = SyntheticRun(), SyntheticRun()
    spoiled.remove("s3", 100, 0)
    whole.verify(tmp_path / "whole")
    spoiled.verify(tmp_path / "spoiled")
    empty, full = (pq.read_table(tmp_path / name / FILE_NAME) for name in ("whole", "spoiled"))
    assert (empty.num_rows, full.num_rows) == (0, 1)
    assert empty.schema.names == full.schema.names
    assert [field.type for field in empty.schema] == [field.type for field in full.schema]


def test_a_store_that_could_not_be_read_proves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    run = SyntheticRun(thresholds=("s3.missing == 0", "s3.duplicated == 0", "timestream.missing == 0"))
    run.write(tmp_path)
    (tmp_path / "stores" / "s3" / "part-0.parquet").unlink()
    (tmp_path / "stores" / "s3").rmdir()
    verification = run.verify_written(tmp_path)
    assert any("s3 could not be read" in warning for warning in verification.warnings)
    assert (verification.data_complete, verification.unproven) == (True, 3 * 4 * 9)
    assert [board.state for board in verification.boards] == ["unproven"] * 3
    assert [board.measures["s3"]["ph"] for board in verification.boards] == [0] * 3
    assert [threshold.passed for threshold in verification.thresholds] == [False, False, True]


@pytest.mark.parametrize("spoil", ["damaged", "other columns"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, spoil: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = SyntheticRun()
    run.write(tmp_path)
    path = tmp_path / "stores" / "s3" / "part-0.parquet"
    if spoil == "damaged":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        pq.write_table(pa.table({"buoy": [1]}), path)
    with pytest.raises(BuoyError, match=r"part-0\.parquet"):
        run.verify_written(tmp_path)


def test_a_folder_without_a_ledger_says_so(tmp_path: Path) -> None:
    case = Case(tmp_path, SyntheticRun().fleet(), (), [], 0, 1)
    with pytest.raises(BuoyError, match="no ledger"):
        verify(case)


def test_qos_0_is_sent_and_nobody_waits_for_an_acknowledgement(tmp_path: Path) -> None:
    run = SyntheticRun(qos=0, thresholds=("send.unacknowledged == 0", "ack.count > 0"))
    for message in run.sent.values():
        message.acknowledged = False
    run.lose(101, 2, "broker")
    verification = run.verify(tmp_path)
    assert [board(verification, buoy).acknowledged for buoy in run.boards] == [None, None, None]
    assert [board(verification, buoy).state for buoy in run.boards] == ["passed", "failed", "passed"]
    assert {diagnosis.cause for diagnosis in verification.diagnoses} == {"sent-only"}
    assert verification.ack_latency is None
    assert [threshold.value for threshold in verification.thresholds] == [None, None]


def test_a_board_that_never_connected_fails_for_that_alone(tmp_path: Path) -> None:
    facts = {
        101: BoardFacts(planned=4, ever_connected=False, link_reason="unreachable", link_detail="no route"),
        102: BoardFacts(ever_connected=False),  # it sent all the same
    }
    run = SyntheticRun(facts=facts)
    for seq in range(4):
        run.lose(101, seq, "broker")
        run.sent[101, seq].sent, run.sent[101, seq].dropped = False, "run ended"
    results = run.verify(tmp_path).boards
    assert [(one.state, one.errors) for one in results] == [
        ("passed", []),
        ("failed", ["never connected: no route"]),
        ("passed", []),
    ]
