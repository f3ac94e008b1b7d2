"""The ways that data take to the stores, as far as a target can trace them."""

from dataclasses import dataclass
from itertools import pairwise

from buoyfleet.model.evidence import StageCount
from buoyfleet.model.store_names import SUBSCRIBER

BROKER = "broker"

ROUTES: dict[str, tuple[str, ...]] = {
    "timestream": (BROKER, "rules", "timestream"),
    "influxdb": (BROKER, "rules", "influxdb"),
    "s3": (BROKER, "rules", "kinesis", "firehose", "lambda", "s3"),
    SUBSCRIBER: (BROKER,),
}
"""Store → stages in the order of the way (the source system's cloud path)."""

_UNITS_PER_MESSAGE = ("messages", "records", "points")
"""Units of which a message is one, so that the counts of neighbours can be compared."""


def route_of(store: str, stages: list[StageCount]) -> tuple[str, ...]:
    """Stages to a store; for a store that is not in `ROUTES` all stages the target named, then the store."""
    if store in ROUTES:
        return ROUTES[store]
    names = tuple(stage.name for stage in stages if stage.name != store)
    return (*names, store)


def traced_route(store: str, stages: list[StageCount], seen: frozenset[str]) -> tuple[str, ...]:
    """The stages of a route on which "not in the trace" means "did not enter".

    A stage that counts entries without tracing any is left out. One that counted none at all was not reached.

    Args:
        store: whose route.
        stages: counters.
        seen: stages with rows in the trace.
    """
    entered = {stage.name: stage.entered for stage in stages}
    return tuple(
        stage
        for stage in route_of(store, stages)
        if stage == BROKER or stage in seen or entered.get(stage) == 0
    )


@dataclass(frozen=True, slots=True)
class Stretches:
    """Where on the way to a store something can have happened that no trace shows."""

    shared: str
    """Stages that all stores of the run have in common, after the broker."""
    own: str
    """Stages that only this store has."""


def stretches(store: str, stores: tuple[str, ...], stages: list[StageCount]) -> Stretches:
    """Split a store's way into the part it shares with all others and its own."""
    routes = [route_of(other, stages) for other in stores]
    mine = route_of(store, stages)
    common = [stage for stage in mine if all(stage in route for route in routes) and stage != BROKER]
    own = [stage for stage in mine if stage not in common and stage != BROKER]
    return Stretches(_span(common), _span(own or common))


def _span(stages: list[str]) -> str:
    if not stages:
        return BROKER
    return stages[0] if len(stages) == 1 else f"{stages[0]}–{stages[-1]}"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What counters alone suggest for measures that no trace can follow."""

    stage: str
    after: str
    reason: str
    """A stage's own reason, or one of this package's causes."""
    detail: str


def suspect_by_counters(route: tuple[str, ...], stages: list[StageCount]) -> Suspicion:
    """The stage of a route that counted the most refusals; else one with a buffer that is not empty; else the
    first gap between what left a stage and what entered the next."""
    by_name = {stage.name: stage for stage in stages}
    counted = [by_name[name] for name in route if name in by_name]
    refusing = max(counted, key=_refused, default=None)
    if refusing is not None and _refused(refusing):
        reason, number = max(refusing.rejected.items(), key=lambda item: item[1])
        return Suspicion(
            refusing.name,
            "",
            reason,
            f"{refusing.name} counted {number} {refusing.unit} refused for this reason",
        )
    for stage in counted:
        if stage.waiting:
            due = f": {stage.notes[0]}" if stage.notes else ""
            detail = f"{stage.waiting} {stage.unit} are in its buffer{due}"
            return Suspicion(stage.name, "", "waiting", detail)
    for before, stage in pairwise(counted):
        if {before.unit, stage.unit} <= set(_UNITS_PER_MESSAGE) and stage.entered < before.left:
            detail = (
                f"{before.left} {before.unit} left {before.name}, "
                f"{stage.entered} {stage.unit} entered {stage.name}"
            )
            return Suspicion(stage.name, before.name, "lost-between", detail)
    return Suspicion("", "", "unlocated", "")


def _refused(stage: StageCount) -> int:
    return sum(stage.rejected.values())
