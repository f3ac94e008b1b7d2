"""Pacing: from a fleet to a plan, before anything is sent. Open loop: the plan never waits for an answer."""

from host.model.fleet import BoardSpec, Fleet
from host.model.plan import BoardPlan, Plan


def make_plan(fleet: Fleet, run_id: str) -> Plan:
    """Spread the boards' starts evenly over the start spread, in the order of their ids.

    An even spread keeps the load level; the first board starts at 0.
    """
    boards = fleet.boards
    step_ms = fleet.run.start_spread_s * 1000 / len(boards) if boards else 0.0
    order = {board.buoy_id: index for index, board in enumerate(sorted(boards, key=lambda b: b.buoy_id))}
    return Plan(
        run_id=run_id,
        seed=fleet.run.seed,
        boards=tuple(_board_plan(fleet, board, order[board.buoy_id] * step_ms) for board in boards),
    )


def _board_plan(fleet: Fleet, board: BoardSpec, start_ms: float) -> BoardPlan:
    paced = board.interval_ms is not None
    duration_s = fleet.run.duration_s
    return BoardPlan(
        buoy_id=board.buoy_id,
        start_ms=start_ms if paced else 0.0,
        interval_ms=board.interval_ms,
        messages=board.messages,
        end_ms=None if duration_s is None else duration_s * 1000,
    )


def planned_duration_s(plan: Plan) -> float | None:
    """Time from the run's start to the last planned message; None where nothing but the link limits it."""
    ends = []
    for board in plan.boards:
        count = board.planned()
        if board.interval_ms is None:
            return None if board.end_ms is None else board.end_ms / 1000
        if count:
            ends.append(board.start_ms + (count - 1) * board.interval_ms)
    return max(ends, default=0.0) / 1000
