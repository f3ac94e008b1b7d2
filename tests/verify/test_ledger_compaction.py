"""Ledger streams become one Parquet file, whatever became of their writers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import SyntheticRun, write_stream

from buoyfleet.model.errors import BuoyError
from buoyfleet.model.ledger import COMPACTED, SCHEMA, STREAM_FOLDER
from buoyfleet.verify.ledger import compact_ledger


def streams(folder: Path) -> Path:
    return folder / STREAM_FOLDER


def test_all_rows_of_all_streams_are_there_in_the_ledgers_columns(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.write(tmp_path)
    compacted = compact_ledger(tmp_path)
    table = pq.read_table(compacted.path)
    assert compacted.path == tmp_path / COMPACTED
    assert (compacted.rows, compacted.streams, compacted.unfinished) == (len(run.events()), 3, ())
    assert table.schema.equals(SCHEMA)
    order = ["buoy", "seq", "event", "attempt"]
    assert sorted(table.to_pylist(), key=lambda row: [row[name] for name in order]) == sorted(
        pa.Table.from_pylist(run.events(), SCHEMA).to_pylist(), key=lambda row: [row[name] for name in order]
    )


def test_compacting_again_gives_the_same_and_leaves_the_streams(tmp_path: Path) -> None:
    SyntheticRun().write(tmp_path)
    first = pq.read_table(compact_ledger(tmp_path).path)
    assert pq.read_table(compact_ledger(tmp_path).path).equals(first)
    assert len(list(streams(tmp_path).iterdir())) == 3


def test_a_run_without_streams_has_an_empty_ledger(tmp_path: Path) -> None:
    compacted = compact_ledger(tmp_path)
    assert (compacted.rows, compacted.streams) == (0, 0)
    assert pq.read_table(compacted.path).schema.equals(SCHEMA)


def test_a_stream_that_breaks_off_in_a_batch_is_read_up_to_there_and_named(tmp_path: Path) -> None:
    events = SyntheticRun(boards=(100,)).events()
    path = streams(tmp_path) / "pack-7.arrows"
    sizes = write_stream(path, events, close=False)
    path.write_bytes(path.read_bytes()[: sizes[2] + 100])
    compacted = compact_ledger(tmp_path)
    assert compacted.rows == 10
    (unfinished,) = compacted.unfinished
    assert unfinished.name == "pack-7.arrows"
    assert unfinished.unreadable_bytes == 100
    assert unfinished.boards == {100}
    assert "pack-7.arrows" in unfinished.sentence
    assert "100 bytes" in unfinished.sentence


def test_a_stream_that_was_not_closed_is_complete_so_far_and_named(tmp_path: Path) -> None:
    events = SyntheticRun(boards=(100,)).events()
    write_stream(streams(tmp_path) / "pack-7.arrows", events, close=False)
    compacted = compact_ledger(tmp_path)
    assert compacted.rows == len(events)
    assert [stream.unreadable_bytes for stream in compacted.unfinished] == [0]
    assert "was not closed" in compacted.unfinished[0].sentence


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_however_much_of_a_stream_was_written_all_whole_batches_are_read(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    events = SyntheticRun(boards=(100,), count=3).events()
    path = streams(folder) / "pack-0.arrows"
    sizes = write_stream(path, events, batch=2, close=True)
    whole = path.read_bytes()
    length = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:length])
    compacted = compact_ledger(folder)
    batches = sum(length >= size for size in sizes[1:])
    assert compacted.rows == min(2 * batches, len(events))
    assert bool(compacted.unfinished) == (length < len(whole))
    if compacted.unfinished and length >= sizes[0]:
        assert compacted.unfinished[0].unreadable_bytes == length - sizes[batches]


def test_zeros_after_the_last_batch_as_a_power_cut_leaves_them_are_no_rows(tmp_path: Path) -> None:
    events = SyntheticRun(boards=(100,)).events()
    path = streams(tmp_path) / "board-100.arrows"
    write_stream(path, events, close=False)
    path.write_bytes(path.read_bytes() + bytes(4096))
    compacted = compact_ledger(tmp_path)
    assert compacted.rows == len(events)
    assert compacted.unfinished


def test_a_stream_of_other_columns_is_refused_by_name(tmp_path: Path) -> None:
    path = streams(tmp_path) / "pack-0.arrows"
    path.parent.mkdir(parents=True)
    table = pa.table({"event": [1]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    with pytest.raises(BuoyError, match=r"pack-0\.arrows.*no ledger"):
        compact_ledger(tmp_path)
    assert not (tmp_path / COMPACTED).exists()


def test_a_ledger_that_cannot_be_written_says_where_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    SyntheticRun().write(tmp_path)
    (tmp_path / COMPACTED).mkdir()
    with pytest.raises(BuoyError, match="could not be compacted"):
        compact_ledger(tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_boards_of_a_broken_stream_are_unproven_and_a_warning_names_it(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.write(tmp_path)
    path = streams(tmp_path) / "pack-101.arrows"
    write_stream(path, run.events((101,)), close=False)
    path.write_bytes(path.read_bytes() + b"\xff\xff\xff\xff\x10")
    verification = run.verify_written(tmp_path)
    assert [board.state for board in verification.boards] == ["passed", "unproven", "passed"]
    assert "pack-101.arrows" in verification.warnings[0]
    assert not verification.boards_passed
