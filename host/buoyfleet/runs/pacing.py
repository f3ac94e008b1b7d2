"""Pacing: from a fleet to a plan, before anything is sent. Open loop: the plan never waits for an answer."""

from buoyfleet.model.fleet import BoardSpec, Fleet
from buoyfleet.model.plan import BoardPlan, Plan, interval_us

PHASE_GRID_MS = 25
"""Starts that would lie closer than this share one of its multiples.

Boards that are due at the same moment share a wake-up, a write of the ledger and a turn of the loop. The plan
itself says so, and so no message is late for it. benchmarks/virtual_boards.py shows what it saves."""


def make_plan(fleet: Fleet, run_id: str) -> Plan:
    """Spread the boards' starts evenly over the start spread, in the order of their ids."""
    boards = fleet.boards
    spread_ms = fleet.run.start_spread_s * 1000
    order = {board.buoy_id: index for index, board in enumerate(sorted(boards, key=lambda b: b.buoy_id))}
    return Plan(
        run_id=run_id,
        seed=fleet.run.seed,
        boards=tuple(
            _board_plan(fleet, board, phase_ms(order[board.buoy_id], len(boards), spread_ms))
            for board in boards
        ),
    )


def phase_ms(index: int, count: int, spread_ms: float) -> int:
    """Start of board `index` of `count`, in whole ms after the run's start; the first starts at 0.

    An even spread keeps the load level, in steps of `PHASE_GRID_MS` where there are more boards than steps.
    """
    exact_ms = int(index * spread_ms / count)
    return exact_ms if spread_ms >= PHASE_GRID_MS * count else exact_ms // PHASE_GRID_MS * PHASE_GRID_MS


def _board_plan(fleet: Fleet, board: BoardSpec, start_ms: int) -> BoardPlan:
    paced = board.interval_ms is not None
    duration_s = fleet.run.duration_s
    return BoardPlan(
        buoy_id=board.buoy_id,
        start_ms=start_ms if paced else 0,
        interval_us=interval_us(board.interval_ms),
        messages=board.messages,
        end_ms=None if duration_s is None else round(duration_s * 1000),
    )


def planned_duration_s(plan: Plan) -> float | None:
    """Time from the run's start to the last planned message; None where nothing but the link limits it."""
    ends = [board.last_ms() for board in plan.boards if board.planned() != 0]
    known = [end for end in ends if end is not None]
    return max(known, default=0) / 1000 if len(known) == len(ends) else None
