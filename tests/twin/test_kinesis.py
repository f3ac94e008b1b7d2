"""The stream: what a shard takes per second, and who gets which shard."""

import collections
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from buoyfleet.cloud.local.kinesis import Record, Stream, shard_of
from buoyfleet.cloud.local.rules import Chance
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.limits import ShardLimits

START_NS = 1_800_000_000_000_000_000
S = 10**9


class Bench:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.trace = Trace(folder / "evidence")
        self.taken: list[tuple[int, int]] = []
        self.stream = Stream(
            self.trace, lambda record, at_ns: self.taken.append((record.message, at_ns)), **settings
        )

    def put(self, number: int, at_ns: int, size: int = 100, key: str = "") -> None:
        self.stream.put(Record(number, 100, b"x" * size, 0, 9, key), at_ns)

    def refusals(self) -> list[dict[str, Any]]:
        self.trace.logs[2].flush()
        paths = (self.folder / "evidence" / "outcomes").glob("*.parquet")
        return [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def test_a_shard_takes_its_records_per_second_and_refuses_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=ShardLimits(10))
    for number in range(15):
        bench.put(number, START_NS)
    for number in range(15, 20):
        bench.put(number, START_NS + S // 2)
    assert [number for number, _ in bench.taken] == [*range(10), *range(15, 20)]
    refused = bench.refusals()
    assert [row["message"] for row in refused] == [10, 11, 12, 13, 14]
    assert {row["reason"] for row in refused} == {"records-per-second"}
    assert "WriteProvisionedThroughputExceeded" in refused[0]["detail"]
    assert "10 records/s" in refused[0]["detail"]
    metrics = bench.stream.stage_count().metrics
    assert metrics["AWS/Kinesis WriteProvisionedThroughputExceeded"] == 5
    assert metrics["AWS/Kinesis IncomingRecords"] == 15


def test_a_shard_takes_its_bytes_per_second_and_refuses_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=ShardLimits(shard_bytes_per_s=1 << 20))
    for number in range(4):
        bench.put(number, START_NS, size=400_000)
    assert [number for number, _ in bench.taken] == [0, 1]
    assert {row["reason"] for row in bench.refusals()} == {"bytes-per-second"}


def test_a_refused_record_uses_nothing_of_the_limit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=ShardLimits(2, 1 << 20))
    bench.put(0, START_NS, size=1_000_000)
    bench.put(1, START_NS, size=1_000_000)  # too many bytes
    bench.put(2, START_NS, size=10)
    assert [number for number, _ in bench.taken] == [0, 2]


def test_lifted_limits_refuse_nothing_and_still_tell_the_share(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=ShardLimits(None, None))
    for number in range(2500):
        bench.put(number, START_NS)
    count = bench.stream.stage_count()
    assert count.left == 2500
    assert count.metrics["twin busiest second of a shard, share of its limit"] == 2.5
    assert "250 %" in count.notes[0]


def test_the_share_of_the_limit_is_that_of_the_busiest_second(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(300):
        bench.put(number, START_NS + number * S // 30)
    metrics = bench.stream.stage_count().metrics
    assert metrics["twin busiest second of a shard, records"] == 30
    assert metrics["twin busiest second of a shard, share of its limit"] == pytest.approx(0.03)


def test_random_keys_spread_evenly_over_the_shards_and_one_key_stays_on_one() -> None:
    chance = Chance(1)
    counts = collections.Counter(shard_of(chance(), 4) for _ in range(4000))
    assert set(counts) == {0, 1, 2, 3}
    assert all(850 < count < 1150 for count in counts.values())
    assert len({shard_of("buoy-100", 4) for _ in range(10)}) == 1


def test_every_shard_has_limits_of_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shards=2, limits=ShardLimits(10))
    keys = {shard_of(key, 2): key for key in map(str, range(20))}
    for number in range(20):
        bench.put(number, START_NS, key=keys[number % 2])
    assert len(bench.taken) == 20
    bench.put(20, START_NS, key=keys[0])
    assert "shard 0 of 2" in bench.refusals()[0]["detail"]
