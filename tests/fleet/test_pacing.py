"""The plan of a fleet: starts on a common grid, and the ledger's planned rows."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.boards.ledger import LedgerWriter
from host.fleet.pacing import PHASE_GRID_MS, phase_ms
from host.model.ledger import Event
from host.model.plan import BoardPlan


@given(st.integers(1, 5000), st.integers(0, 60_000))
def test_many_boards_share_the_moments_of_a_grid_and_start_in_order_inside_the_spread(count, spread_ms):
    starts = [phase_ms(index, count, spread_ms) for index in range(count)]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert all(start <= spread_ms * index / count for index, start in enumerate(starts))
    assert len(set(starts)) <= spread_ms / PHASE_GRID_MS + 1 or spread_ms >= PHASE_GRID_MS * count


def test_few_boards_keep_an_even_spread():
    assert [phase_ms(index, 3, 100) for index in range(3)] == [
        0,
        pytest.approx(33.3, abs=0.1),
        pytest.approx(66.7, abs=0.1),
    ]


@pytest.mark.parametrize("rows_per_batch", [4, 65536])
def test_the_ledger_holds_a_planned_row_for_each_message_of_each_board(tmp_path, monkeypatch, rows_per_batch):
    monkeypatch.setattr("host.boards.ledger._PLANNED_ROWS_PER_BATCH", rows_per_batch)
    plans = [
        BoardPlan(100, 0.0, 1000.0, 3, None),
        BoardPlan(101, 25.0, None, 9, None),
        BoardPlan(102, 50.0, 250.0, None, None),
        BoardPlan(103, 75.0, 333.25, None, 1000.0),
    ]
    writer = LedgerWriter(tmp_path / "a.arrows")
    writer.plan(plans, 1_000_000_000)
    writer.close()
    found = pa.ipc.open_stream((tmp_path / "a.arrows").read_bytes()).read_all().to_pylist()
    assert {row["event"] for row in found} == {int(Event.PLANNED)}
    assert [(row["buoy"], row["seq"], row["planned_ns"]) for row in found] == [
        (plan.buoy_id, n, 1_000_000_000 + int((plan.start_ms + n * (plan.interval_ms or 0)) * 1e6))
        for plan in plans
        for n in range(plan.planned() or 0)
    ]
