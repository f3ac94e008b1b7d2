"""The Timestream stand-in: types, collisions and refusals as AWS has them, and rows that survive."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from drawn import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from buoyfleet.cloud.local.timestream import TableSettings, Timestream
from buoyfleet.cloud.local.trace import Trace

NOW_MS = 1_800_000_000_000
NOW_NS = NOW_MS * 10**6


class Table:
    """A table with its trace, written to a folder."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.trace = Trace(folder / "evidence")
        self.table = Timestream(folder / "timestream", self.trace, None, TableSettings(**settings))
        self.sent = 0

    def write(
        self, attributes: dict[str, Any], *, buoy: str = "100", time_ms: Any = NOW_MS, at_ns: int = NOW_NS
    ) -> None:
        self.table.write(self.sent, buoy, time_ms, attributes, at_ns)
        self.sent += 1

    def rows(self) -> list[dict[str, Any]]:
        self.table.log.flush()
        paths = sorted((self.folder / "timestream").glob("*.parquet"))
        return [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]

    def values(self) -> dict[tuple[int, int, str], Any]:
        return {
            (row["buoy"], row["timestamp_ms"], row["measure"]): row["text"]
            if row["type"] == "VARCHAR"
            else row["value"]
            for row in self.rows()
        }

    def refusals(self, outcome: str = "rejected") -> list[tuple[int, str | None, str, str]]:
        self.trace.logs[2].flush()
        paths = sorted((self.folder / "evidence" / "outcomes").glob("*.parquet"))
        return [
            (row["message"], row["measure"], row["reason"], row["detail"])
            for path in paths
            for row in pq.ParquetFile(path).read().to_pylist()
            if row["outcome"] == outcome
        ]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_each_attribute_becomes_a_row_with_the_type_of_its_json_value(table: Table) -> None:
    table.write(json.loads('{"temp": 7.0, "n": 7, "liqlev": true, "buoy_id": "100", "o": {"a": [1, 2.5]}}'))
    rows = {row["measure"]: row for row in table.rows()}
    assert {name: row["type"] for name, row in rows.items()} == {
        "temp": "DOUBLE",
        "n": "BIGINT",
        "liqlev": "BOOLEAN",
        "buoy_id": "VARCHAR",
        "o": "VARCHAR",
    }
    assert [rows[name]["value"] for name in ("temp", "n", "liqlev", "buoy_id")] == [7.0, 7.0, 1.0, None]
    assert (rows["buoy_id"]["text"], rows["o"]["text"]) == ("100", '{"a":[1,2.5]}')
    assert {
        (row["buoy"], row["timestamp_ms"], row["visible_ns"], row["message"]) for row in rows.values()
    } == {(100, NOW_MS, NOW_NS, 0)}


def test_the_first_record_fixes_the_type_of_a_measure_and_another_type_is_refused_alone(table: Table) -> None:
    table.write({"temp": 7.5, "ph": 6.5})
    table.write({"temp": 7, "ph": 6.25}, time_ms=NOW_MS + 1)
    table.write({"temp": 8.5, "ph": "x"}, buoy="101")
    assert table.values() == {
        (100, NOW_MS, "temp"): 7.5,
        (100, NOW_MS, "ph"): 6.5,
        (100, NOW_MS + 1, "ph"): 6.25,
        (101, NOW_MS, "temp"): 8.5,
    }
    refused = table.refusals()
    assert [row[:3] for row in refused] == [(1, "temp", "type-conflict"), (2, "ph", "type-conflict")]
    assert "BIGINT" in refused[0][3]
    assert "DOUBLE" in refused[0][3]


def test_a_refused_record_does_not_fix_a_type(table: Table) -> None:
    table.write({"temp": 10**30})
    table.write({"temp": 7.5})
    assert table.values() == {(100, NOW_MS, "temp"): 7.5}


def test_the_same_value_again_is_accepted_and_not_stored_twice(table: Table) -> None:
    for _ in range(3):
        table.write({"temp": 7.5, "liqlev": True, "buoy_id": "100"})
    assert len(table.rows()) == 3
    assert table.refusals() == []
    merged = table.refusals("merged")
    assert [row[:3] for row in merged] == [
        (message, name, "collision") for message in (1, 2) for name in ("temp", "liqlev", "buoy_id")
    ]
    assert "is there with the same value already" in merged[0][3]
    assert table.table.stage_count().left == 9


def test_another_value_at_the_same_time_is_refused_as_a_collision(table: Table) -> None:
    table.write({"temp": 7.5, "ph": 7.0})
    table.write({"temp": 8.5, "ph": 7.0})
    table.write({"temp": 9.5}, buoy="101")
    assert table.values() == {
        (100, NOW_MS, "temp"): 7.5,
        (100, NOW_MS, "ph"): 7.0,
        (101, NOW_MS, "temp"): 9.5,
    }
    ((message, measure, reason, detail),) = table.refusals()
    assert (message, measure, reason) == (1, "temp", "collision")
    assert "7.5" in detail
    assert "8.5" in detail


def test_a_collision_is_found_among_messages_that_come_out_of_order(table: Table) -> None:
    for offset in (10, 5, 7, 1):
        table.write({"temp": float(offset)}, time_ms=NOW_MS + offset)
    table.write({"temp": 0.5}, time_ms=NOW_MS + 5)
    table.write({"temp": 10.0, "ph": 1.5}, time_ms=NOW_MS + 10)
    assert [row[:3] for row in table.refusals()] == [(4, "temp", "collision")]
    assert len(table.values()) == 5


def test_a_higher_version_replaces_and_a_lower_one_is_refused(table: Table) -> None:
    table.write({"temp": 7.5})
    table.table.write_version(1, "100", NOW_MS, {"temp": 8.5}, 3, NOW_NS)
    table.table.write_version(2, "100", NOW_MS, {"temp": 9.5}, 2, NOW_NS)
    table.table.write_version(3, "100", NOW_MS, {"temp": 9.5}, 3, NOW_NS)
    assert [row[:3] for row in table.refusals()] == [(2, "temp", "collision"), (3, "temp", "collision")]
    assert max(table.rows(), key=lambda row: row["version"])["value"] == 8.5


@pytest.mark.parametrize(
    ("time_ms", "reason"),
    [
        (NOW_MS + 15 * 60_000, None),
        (NOW_MS + 15 * 60_000 + 1, "time-ahead"),
        (NOW_MS - 6 * 3_600_000, None),
        (NOW_MS - 6 * 3_600_000 - 1, "too-old"),
        (7.5, "no-timestamp"),
        ("1800000000000", "no-timestamp"),
        (True, "no-timestamp"),
        (None, "no-timestamp"),
    ],
)
def test_only_times_within_the_memory_store_and_15_minutes_ahead_are_taken(
    tmp_path: Path, time_ms: Any, reason: str | None
) -> None:
    table = Table(tmp_path, memory_store_h=6.0)
    table.write({"temp": 7.5, "ph": 7.0}, time_ms=time_ms)
    assert [row[2] for row in table.refusals()] == ([reason] if reason else [])
    assert len(table.rows()) == (0 if reason else 2)
    assert sum(table.table.stage_count().rejected.values()) == (2 if reason else 0)


def test_a_write_takes_100_records(table: Table) -> None:
    table.write({f"m{n}": 1.5 for n in range(100)})
    table.write({f"m{n}": 1.5 for n in range(101)}, time_ms=NOW_MS + 1)
    assert len(table.rows()) == 100
    assert [row[:3] for row in table.refusals()] == [(1, None, "too-many-records")]


def test_null_huge_numbers_and_long_texts_are_refused_alone(table: Table) -> None:
    good = {"temp": 7.5, "s": "ok", "n": 5}
    bad = {"temp": float("inf"), "s": "x" * 2049, "n": 1 << 63, "z": None}
    for number in range(2):  # the second time the layout is known
        table.write(good, time_ms=NOW_MS + 2 * number)
        table.write(bad, time_ms=NOW_MS + 2 * number + 1)
    assert len(table.rows()) == 6
    reasons = ["out-of-range", "record-too-large", "out-of-range", "no-type"]
    assert [row[2] for row in table.refusals()] == reasons * 2


def test_a_dimension_that_is_no_buoy_is_counted_and_not_listed(table: Table) -> None:
    table.write({"temp": 7.5}, buoy="pier")
    assert table.rows() == []
    count = table.table.stage_count()
    assert (count.entered, count.left) == (1, 1)
    assert "pier" in count.notes[0]


def test_rows_become_visible_later_where_the_table_is_set_so(tmp_path: Path) -> None:
    table = Table(tmp_path, visible_after_s=2.5)
    table.write({"temp": 7.5})
    assert table.rows()[0]["visible_ns"] == NOW_NS + 2_500_000_000


def test_a_segment_is_complete_or_not_there_and_rows_outlive_a_full_disk(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_table: Any, path: Path, **_options: Any) -> None:
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        for number in range(2):
            table.write({"temp": 7.5 + number}, time_ms=NOW_MS + number)
            with pytest.raises(OSError, match="No space left"):
                table.table.log.flush()
    assert list((table.folder / "timestream").iterdir()) == []
    table.write({"temp": 9.5}, time_ms=NOW_MS + 2)
    assert [row["value"] for row in table.rows()] == [7.5, 8.5, 9.5]


def test_messages_go_on_being_kept_after_a_segment_was_written(table: Table) -> None:
    for number in range(6):
        table.write({"temp": number + 0.5, "buoy_id": "100"}, time_ms=NOW_MS + number)
        if number in (2, 3):
            table.table.log.flush()
    assert [row["value"] for row in table.rows() if row["measure"] == "temp"] == [n + 0.5 for n in range(6)]


def test_messages_in_order_are_remembered_in_arrays_and_not_one_by_one(table: Table) -> None:
    """What makes millions of rows possible: only the first message of a kind is kept as objects."""
    for number in range(50):
        table.write({"temp": number + 0.5, "ph": 7.0}, time_ms=NOW_MS + number)
    (buoy,) = table.table._buoys.values()
    assert len(buoy.others) == 2


names = st.sampled_from(["temp", "ph", "liqlev", "s"])
measure_values = st.one_of(
    st.sampled_from([1.5, 2.5, 7.0]), st.sampled_from([1, 7]), st.booleans(), st.sampled_from(["a", "b"])
)
writes = st.tuples(
    st.sampled_from(["1", "2"]),
    st.integers(0, 4),
    st.dictionaries(names, measure_values, min_size=1, max_size=4),
)


@settings(max_examples=at_most(60), deadline=None)
@given(sent=st.lists(writes, max_size=25), flushes=st.sets(st.integers(0, 25)))
def test_any_order_of_writes_leaves_what_a_plain_dictionary_leaves(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Any], flushes: set[int]
) -> None:
    table = Table(tmp_path_factory.mktemp("table"))
    types: dict[str, type] = {}
    there: dict[tuple[int, int, str], Any] = {}
    refused = []
    for number, (buoy, offset, attributes) in enumerate(sent):
        if number in flushes:
            table.table.log.flush()
        table.write(attributes, buoy=buoy, time_ms=NOW_MS + offset)
        for name, value in attributes.items():
            key = (int(buoy), NOW_MS + offset, name)
            if types.setdefault(name, type(value)) is not type(value):
                refused.append((number, name, "type-conflict"))
            elif there.setdefault(key, value) != value:
                refused.append((number, name, "collision"))
    assert table.values() == there
    assert len(table.rows()) == len(there)
    assert [row[:3] for row in table.refusals()] == refused
    assert table.table.stage_count().left == sum(len(w[2]) for w in sent) - len(refused)
