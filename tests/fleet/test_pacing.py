"""The plan of a fleet: starts on a common grid, and the ledger's planned rows."""

import pyarrow as pa
import pytest
from buoy.schedule import planned
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.boards.ledger import LedgerWriter
from buoyfleet.model.ledger import Event
from buoyfleet.model.plan import BoardPlan, interval_us
from buoyfleet.runs.pacing import PHASE_GRID_MS, phase_ms


@given(st.integers(1, 5000), st.integers(0, 60_000))
def test_many_boards_share_the_moments_of_a_grid_and_start_in_order_inside_the_spread(count, spread_ms):
    starts = [phase_ms(index, count, spread_ms) for index in range(count)]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert all(start <= spread_ms * index / count for index, start in enumerate(starts))
    assert len(set(starts)) <= spread_ms / PHASE_GRID_MS + 1 or spread_ms >= PHASE_GRID_MS * count


def test_few_boards_keep_an_even_spread():
    assert [phase_ms(index, 3, 100) for index in range(3)] == [0, 33, 66]


@given(
    interval_ms=st.one_of(
        st.integers(1, 4000).map(lambda rate: 1000 / rate),
        st.integers(1, 240).map(lambda rate: 60_000 / rate),
        st.floats(0.3, 70_000),
    ),
    duration_ms=st.integers(1, 100_000),
    start=st.tuples(st.integers(1, 50), st.integers(0, 49), st.integers(0, 20_000)),
    origin_ms=st.integers(0, 1 << 40),
    first=st.integers(0, 40),
)
def test_a_board_makes_what_its_plan_says_when_it_says(interval_ms, duration_ms, start, origin_ms, first):
    count, index, spread_ms = start
    plan = BoardPlan(
        100, phase_ms(index % count, count, spread_ms), interval_us(interval_ms), None, duration_ms
    )
    number = plan.planned()
    assert number is not None
    # The end alone, without the number that the plan gives it too: both are the same rule.
    schedule = planned(origin_ms + plan.start_ms, plan.interval_us, None, origin_ms + duration_ms)
    made = []
    while not schedule.finished(0) and len(made) < 300:
        made.append(schedule.due_ms - origin_ms)
        schedule.advance()
    assert made == [plan.due_ms(n) for n in range(min(number, 300))]
    # After a reset the board goes on in the middle.
    later = planned(origin_ms + plan.start_ms, plan.interval_us, number, None, first)
    for n in range(first, first + 20):
        assert (later.seq, later.due_ms - origin_ms) == (n, plan.due_ms(n))
        assert later.finished(0) == (n >= number)
        later.advance()


@pytest.mark.parametrize(
    ("per_s", "duration_s"), [(3, 10), (7, 10), (3, 60), (30, 7), (10, 10), (1, 30), (0.1, 60), (9, 1)]
)
def test_a_rate_times_a_duration_is_the_number_of_messages(per_s, duration_s):
    plan = BoardPlan(100, 0, interval_us(1000 / per_s), None, duration_s * 1000)
    assert plan.planned() == round(per_s * duration_s)


@pytest.mark.parametrize("rows_per_batch", [4, 65536])
def test_the_ledger_holds_a_planned_row_for_each_message_of_each_board(tmp_path, monkeypatch, rows_per_batch):
    monkeypatch.setattr("buoyfleet.boards.ledger._PLANNED_ROWS_PER_BATCH", rows_per_batch)
    plans = [
        BoardPlan(100, 0, 1_000_000, 3, None),
        BoardPlan(101, 25, None, 9, None),
        BoardPlan(102, 50, 250_000, None, None),
        BoardPlan(103, 75, 333_250, None, 1000),
    ]
    writer = LedgerWriter(tmp_path / "a.arrows")
    writer.plan(plans, 1_000_000_000)
    writer.close()
    found = pa.ipc.open_stream((tmp_path / "a.arrows").read_bytes()).read_all().to_pylist()
    assert {row["event"] for row in found} == {int(Event.PLANNED)}
    assert [(row["buoy"], row["seq"], row["planned_ns"]) for row in found] == [
        (plan.buoy_id, n, 1_000_000_000 + plan.due_ms(n) * 1_000_000)
        for plan in plans
        for n in range(plan.planned() or 0)
    ]
