"""Judges thresholds by what was measured. A metric with nothing to measure is not a pass."""

from collections.abc import Iterable, Mapping

from buoyfleet.model.result import BoardResult, Latency, StoreResult, ThresholdResult, WitnessResult
from buoyfleet.model.thresholds import STORE_TIMES, Threshold

# Of a store without expected measures only these say something.
_MEASURABLE_WITHOUT_EXPECTED = ("expected", "found", "unexpected")


def threshold_facts(
    boards: Iterable[BoardResult],
    stores: Iterable[StoreResult],
    latency: Latency | None,
    rate_per_s: float | None,
    witness: WitnessResult | None,
) -> dict[str, float | None]:
    """Every metric of `buoyfleet.model.thresholds`, in its base unit; None: nothing to measure."""
    boards = list(boards)
    planned = sum(board.planned for board in boards)
    sent = sum(board.sent for board in boards)
    answers = [board.acknowledged for board in boards if board.acknowledged is not None]
    facts: dict[str, float | None] = {
        "send.late": sum(board.late_sends for board in boards) if sent else None,
        "send.dropped": sum(board.dropped for board in boards) if planned else None,
        "send.unacknowledged": sent - sum(answers) if sent and answers else None,
        "send.rate": rate_per_s,
        "boards.failed": sum(board.state == "failed" for board in boards) if boards else None,
        "boards.unproven": sum(board.state == "unproven" for board in boards) if boards else None,
        "sensors.withheld": sum(sum(board.withheld.values()) for board in boards) if sent else None,
        "sensors.silent": sum(
            number == board.measures_expected[key]
            for board in boards
            for key, number in board.withheld.items()
        )
        if sent
        else None,
        "witness.shortfall": witness.shortfall if witness is not None and witness.expected else None,
    }
    for name in ("mean", "p50", "p90", "p95", "p99", "p999", "max"):
        facts[f"ack.{name}"] = getattr(latency, f"{name}_ms") if latency is not None else None
    facts["ack.count"] = latency.count if latency is not None else (0 if sent and answers else None)
    for store in stores:
        for name in STORE_TIMES:
            facts[f"{store.name}.{name}"] = getattr(store.latency, f"{name}_ms", None)
        for name in (
            "expected",
            "found",
            "missing",
            "duplicated",
            "redelivered",
            "altered",
            "late",
            "unexpected",
        ):
            measurable = store.expected > 0 or name in _MEASURABLE_WITHOUT_EXPECTED
            if name == "missing" and store.unproven:
                measurable = store.missing > store.unproven
            measurable = measurable and not (store.unread and name != "expected")
            facts[f"{store.name}.{name}"] = getattr(store, name) if measurable else None
    return facts


def evaluate_thresholds(
    thresholds: Iterable[Threshold], facts: Mapping[str, float | None]
) -> list[ThresholdResult]:
    """One result per threshold, in order. A metric that is not in `facts` was not measured."""
    results = []
    for threshold in thresholds:
        value = facts.get(threshold.metric)
        results.append(
            ThresholdResult(
                text=threshold.text,
                metric=threshold.metric,
                value=None if value is None else float(value),
                unit=threshold.unit,
                passed=value is not None and threshold.holds(float(value)),
            )
        )
    return results
