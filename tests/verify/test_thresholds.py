"""Every metric of a threshold as a pure function of what was found, and when there is nothing to measure."""

from typing import Any

import pytest
from test_outcome import board, store

from buoyfleet.model.result import Latency, WitnessResult
from buoyfleet.model.thresholds import METRICS, STORE_METRICS, parse_threshold
from buoyfleet.verify.thresholds import evaluate_thresholds, threshold_facts

LATENCY = Latency(
    count=7, mean_ms=1.0, p50_ms=2.0, p90_ms=3.0, p95_ms=4.0, p99_ms=5.0, p999_ms=6.0, max_ms=7.0
)
TIMES = {"mean": 1.0, "p50": 2.0, "p90": 3.0, "p95": 4.0, "p99": 5.0, "p999": 6.0, "max": 7.0}
FAULTS = ("missing", "altered", "duplicated", "redelivered", "late", "unexpected")


def witness(expected: int) -> WitnessResult:
    return WitnessResult(expected=expected, seen=3, copies=0, connections=1, shortfall=5, note="")


def measured(*boards: Any, **parts: Any) -> dict[str, float | None]:
    facts = {"stores": [], "latency": None, "rate_per_s": None, "witness": None, **parts}
    return threshold_facts(boards, facts["stores"], facts["latency"], facts["rate_per_s"], facts["witness"])


def test_every_metric_has_its_figure() -> None:
    boards = [
        board(100, late_sends=1, dropped=2, acknowledged=1, withheld={"ph": 4}, measures_expected={"ph": 4}),
        board(
            101,
            "failed",
            late_sends=3,
            dropped=4,
            withheld={"ph": 1, "do": 4},
            measures_expected={"ph": 4, "do": 4},
        ),
        board(102, "unproven"),
        board(103, "unproven"),
        board(104, "affected"),
    ]
    found = {name: index + 10 for index, name in enumerate(FAULTS)}
    facts = measured(
        *boards,
        stores=[store(**found).model_copy(update={"latency": LATENCY})],
        latency=LATENCY,
        rate_per_s=8.5,
        witness=witness(8),
    )
    assert facts == {
        "send.late": 4,
        "send.dropped": 6,
        "send.unacknowledged": 3,
        "send.rate": 8.5,
        "boards.failed": 1,
        "boards.unproven": 2,
        "sensors.withheld": 9,
        "sensors.silent": 2,
        "witness.shortfall": 5,
        **{f"ack.{name}": value for name, value in TIMES.items()},
        "ack.count": 7,
        "s3.expected": 36,
        "s3.found": 26,
        **{f"s3.{name}": number for name, number in found.items()},
        "s3.p50": 2.0,
        "s3.p95": 4.0,
        "s3.p99": 5.0,
    }
    known = set(METRICS) | {name for name in STORE_METRICS if name.startswith("s3.")}
    assert set(facts) == known


def test_a_board_that_dropped_all_and_one_that_sent_nothing_measure_what_they_can() -> None:
    facts = measured(board(100, sent=0, acknowledged=0, dropped=4))
    assert (facts["send.dropped"], facts["boards.failed"]) == (4, 0)
    for name in ("send.late", "send.unacknowledged", "sensors.withheld", "sensors.silent", "ack.count"):
        assert facts[name] is None, name
    assert measured(board(100, sent=0, planned=0))["send.dropped"] is None


def test_without_boards_latency_and_subscriber_nothing_is_measured() -> None:
    assert set(measured().values()) == {None}
    assert measured(witness=witness(0))["witness.shortfall"] is None
    # Sent, and no acknowledgement came; of QoS 0 none is waited for.
    assert measured(board(100, acknowledged=0))["ack.count"] == 0
    facts = measured(board(100, acknowledged=None))
    assert (facts["ack.count"], facts["send.unacknowledged"]) == (None, None)
    # One board of a fleet with both.
    assert measured(board(100, acknowledged=None), board(101))["ack.count"] == 0


@pytest.mark.parametrize(
    ("figures", "known"),
    [
        ({"expected": 0, "found": 0}, {"expected", "found", "unexpected"}),
        ({"missing": 9, "unproven": 9}, {"expected", "found", *FAULTS} - {"missing"}),
        ({"missing": 9, "unproven": 8}, {"expected", "found", *FAULTS}),
        ({"missing": 36, "unproven": 36, "unread": True}, {"expected"}),
        ({}, {"expected", "found", *FAULTS}),
        ({"expected": 1, "found": 1}, {"expected", "found", *FAULTS}),
    ],
)
def test_of_a_store_only_what_it_can_show_is_measured(figures: dict[str, Any], known: set[str]) -> None:
    facts = measured(board(100), stores=[store(**figures)])
    assert {
        name.removeprefix("s3.")
        for name, value in facts.items()
        if name.startswith("s3.") and value is not None
    } == known


def test_what_was_not_measured_is_missed_and_what_was_is_compared() -> None:
    texts = ("ack.p99 < 500 ms", "ack.p99 < 0.4 s", "s3.missing == 0", "boards.failed != 3", "s3.late == 0")
    facts = {"ack.p99": 450.0, "s3.missing": None, "boards.failed": 2}
    results = evaluate_thresholds([parse_threshold(text) for text in texts], facts)
    assert [(one.metric, one.value, one.unit, one.passed) for one in results] == [
        ("ack.p99", 450.0, "ms", True),
        ("ack.p99", 450.0, "ms", False),
        ("s3.missing", None, "measures", False),
        ("boards.failed", 2.0, "boards", True),
        ("s3.late", None, "measures", False),
    ]
    assert [one.text for one in results] == list(texts)
