"""How long messages took until they were acknowledged, and visible in each store."""

import json
from pathlib import Path

import pytest
from synthetic_run import MS, SyntheticRun

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.result import LatencySeries
from buoyfleet.model.visibility import visibility
from buoyfleet.verify.verdict import Verification


def series_of(verification: Verification, name: str) -> LatencySeries:
    (found,) = [series for series in verification.latencies if series.name == name]
    return found


def test_a_message_is_visible_when_its_last_measure_is_and_counts_from_its_planned_time(
    tmp_path: Path,
) -> None:
    run = SyntheticRun(count=6, thresholds=("s3.p99 < 1 s", "timestream.p99 < 1 s", "ack.p95 < 1 s"))
    run.delay("s3", 101, 3, 7.5, "ph")
    verification = run.verify(tmp_path)
    timestream, s3 = (store.latency for store in verification.stores)
    assert timestream is not None
    assert s3 is not None
    # Sent 1 ms after it was planned, visible 50 ms after that.
    assert (timestream.count, timestream.p50_ms, timestream.max_ms) == (18, 51.0, 51.0)
    assert (s3.p50_ms, s3.p95_ms, s3.p99_ms, s3.max_ms) == (51.0, 7501.0, 7501.0, 7501.0)
    assert [threshold.passed for threshold in verification.thresholds] == [False, True, True]
    points = series_of(verification, "s3").points
    assert [point.p99_ms for point in points] == [51.0, 51.0, 51.0, 7501.0, 51.0, 51.0]
    assert [point.count for point in points] == [3] * 6
    assert [point.p50_ms for point in series_of(verification, "acknowledged").points] == [6.0] * 6


def test_an_unpaced_message_counts_from_its_sending(tmp_path: Path) -> None:
    verification = SyntheticRun(interval_ms=None).verify(tmp_path)
    assert verification.stores[0].latency is not None
    assert verification.stores[0].latency.max_ms == 50.0


def test_of_a_copied_message_the_first_copy_counts_and_of_a_lost_one_nothing(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.redeliver(100, 1)
    for row in run.rows["s3"][-9:]:
        row["visible_ns"] += 9_000 * MS
    run.lose(101, 2, "kinesis")
    verification = run.verify(tmp_path)
    latency = verification.stores[1].latency
    assert latency is not None
    assert (latency.count, latency.max_ms) == (11, 51.0)


def test_clocks_that_differ_make_nothing_visible_before_it_was_sent(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.delay("timestream", 100, 0, -3.0)
    latency = run.verify(tmp_path).stores[0].latency
    assert latency is not None
    assert latency.max_ms == 51.0
    assert latency.mean_ms == pytest.approx(51.0 * 11 / 12)


def test_a_store_that_cannot_say_it_says_so(tmp_path: Path) -> None:
    verification = SyntheticRun(payload="original").verify(tmp_path)
    for store in verification.stores:
        assert store.latency is None
        assert "which message" in store.latency_words
    assert [series.name for series in verification.latencies] == ["acknowledged"]
    assert not visibility("aws", "timestream").known
    assert visibility("aws", "s3").known


@pytest.mark.parametrize(
    ("run", "threshold", "why"),
    [
        ({"qos": 0}, "ack.p99 < 1 s", "never acknowledged"),
        ({"qos": 0}, "send.unacknowledged == 0", "never acknowledged"),
        ({"payload": "original"}, "s3.p95 < 1 min", "which message"),
    ],
)
def test_what_a_run_can_never_measure_is_refused_when_the_file_is_read(
    run: dict[str, object], threshold: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "boards.yaml"
    fleet = {
        "fleet": "probe",
        "target": "local",
        "run": {"messages": 3, "interval": "1 s", **run},
        "boards": [{"kind": "virtual", "ids": 100}],
        "thresholds": [threshold],
    }
    path.write_text(json.dumps(fleet))
    with pytest.raises(ConfigurationError, match=why):
        load_fleet(path)
