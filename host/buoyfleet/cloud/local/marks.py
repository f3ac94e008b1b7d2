"""Counters of one run on a twin that has run before: what has been added since a mark."""

from collections.abc import Sequence
from dataclasses import dataclass

from buoyfleet.model.stage_count import StageCount

_GAUGE_ENDINGS = (".Maximum", ".Average", ".DataFreshness", "ExecuteProcessing.Success")
_GAUGE_STARTS = ("twin busiest second",)


@dataclass(frozen=True, slots=True)
class Mark:
    """Counters as they were when a run began."""

    at_ns: int
    arrived: int
    refused: int
    stored: dict[str, int]
    stages: tuple[StageCount, ...]


def since(mark: Mark | None, now: Sequence[StageCount]) -> list[StageCount]:
    """What the stages have counted since the mark. Gauges and times are those of now: a run begins them."""
    if mark is None:
        return list(now)
    return [_minus(after, before) for after, before in zip(now, mark.stages, strict=True)]


def _minus(after: StageCount, before: StageCount) -> StageCount:
    rejected = {
        reason: count - before.rejected.get(reason, 0)
        for reason, count in after.rejected.items()
        if count > before.rejected.get(reason, 0)
    }
    metrics = {
        name: value if _is_gauge(name) else value - before.metrics.get(name, 0)
        for name, value in after.metrics.items()
    }
    return StageCount(
        after.name,
        after.unit,
        after.entered - before.entered,
        after.left - before.left,
        rejected,
        after.waiting,
        metrics,
        after.simulated_s,
        after.wall_s,
        list(after.notes),
    )


def _is_gauge(name: str) -> bool:
    return name.endswith(_GAUGE_ENDINGS) or name.startswith(_GAUGE_STARTS)
