"""The grammar of thresholds."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.inventory.available import TARGETS
from buoyfleet.model.thresholds import (
    METRICS,
    OPERATORS,
    STORE_METRICS,
    STORES,
    ThresholdError,
    parse_threshold,
    threshold_pattern,
)


@pytest.mark.parametrize(
    ("text", "metric", "operator", "value", "unit"),
    [
        ("timestream.missing == 0", "timestream.missing", "==", 0.0, "measures"),
        ("s3.found>=27000 measures", "s3.found", ">=", 27000.0, "measures"),
        ("ack.p99 < 500 ms", "ack.p99", "<", 500.0, "ms"),
        ("  ack.p99<0.5s ", "ack.p99", "<", 500.0, "ms"),
        ("ack.max <= 250 µs", "ack.max", "<=", 0.25, "ms"),
        ("ack.mean < 1 min", "ack.mean", "<", 60000.0, "ms"),
        ("send.rate >= 300 /s", "send.rate", ">=", 300.0, "messages/s"),
        ("send.rate >= 300 messages/s", "send.rate", ">=", 300.0, "messages/s"),
        ("send.rate > 60/min", "send.rate", ">", 1.0, "messages/s"),
        ("boards.failed == 0", "boards.failed", "==", 0.0, "boards"),
    ],
)
def test_a_threshold_is_a_metric_an_operator_and_a_number(text, metric, operator, value, unit):
    threshold = parse_threshold(text)
    assert (threshold.metric, threshold.operator, threshold.value, threshold.unit) == (
        metric,
        operator,
        value,
        unit,
    )
    assert threshold.text == text.strip()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("s3.missing = 0", "'s3.missing = 0' is no threshold", "s3.missing == 0"),
        ("ack.p99 =< 5 ms", "'ack.p99 =< 5 ms' is no threshold", "ack.p99 <= 5 ms"),
        ("ack.p99 ≤ 5 ms", "'ack.p99 ≤ 5 ms' is no threshold", "ack.p99 <= 5 ms"),
        ("s3.found == 27_000", "'s3.found == 27_000' is no threshold", "s3.found == 27000"),
        ("ack.p99 < 5", "'ack.p99 < 5' has no unit", "ack.p99 < 5 ms"),
        ("ack.p96 < 5 ms", "unknown metric 'ack.p96'; one of ack.mean, ack.p50, ack.p90, ack.p95, ack.p99, "
         "ack.p999, ack.max, ack.count", "ack.p99"),
        ("kafka.x == 0", "unknown metric 'kafka.x'; metrics begin with ack, send, boards, sensors, "
         "witness, timestream, s3, influxdb, subscriber", ""),
        ("s3.missing == 0 ms", "s3.missing is in measures, not in 'ms'; allowed: measures", ""),
        ("s3.missing == -1", "'s3.missing == -1' asks for a negative value; nothing measured is negative",
         ""),
        ("s3.missing >= 0", "'s3.missing >= 0' always holds: nothing measured is negative", ""),
        ("s3.missing < 0", "'s3.missing < 0' can never hold: nothing measured is negative", ""),
        ("s3.missing ! 0", "'!' is no operator; one of == != <= >= < >", ""),
        ("all good", "'all good' is no threshold; write e.g. `timestream.missing == 0` or `ack.p99 < 500 ms`",
         ""),
    ],
)  # fmt: skip
def test_a_wrong_threshold_is_told_what_is_allowed(text, message, hint):
    with pytest.raises(ThresholdError) as caught:
        parse_threshold(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        ("==", False, True, False),
        ("!=", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_a_threshold_compares_with_what_was_measured(operator, below, at, above):
    threshold = parse_threshold(f"ack.p99 {operator} 5 ms")
    assert [threshold.holds(value) for value in (4.999, 5.0, 5.001)] == [below, at, above]


@pytest.mark.parametrize("operator", OPERATORS)
def test_nothing_holds_for_what_is_not_a_number(operator):
    assert not parse_threshold(f"ack.p99 {operator} 5 ms").holds(math.nan)


def test_a_threshold_knows_the_store_it_needs():
    assert parse_threshold("s3.late == 0").store == "s3"
    assert parse_threshold("send.late == 0").store == ""
    assert set(STORES) == {name.split(".")[0] for name in STORE_METRICS}


def test_the_usual_thresholds_of_every_target_are_about_stores_that_it_has():
    for target in TARGETS.values():
        stores = {parse_threshold(text).store for text in target.thresholds}
        assert stores - {""} == set(target.stores)


@given(
    text=st.text() | st.from_regex(r"[a-z0-9]{1,10}\.[a-z0-9]{1,8} ?(==|<|=|<=) ?[0-9_.]{1,20} ?[a-z/]{0,4}")
)
def test_any_text_is_a_threshold_or_an_error_and_the_pattern_agrees(text):
    matches = re.search(threshold_pattern(), text) is not None and "\n" not in text
    try:
        parse_threshold(text)
    except ThresholdError as error:
        # The pattern cannot say what always holds.
        assert not matches or "negative" in error.message  # noqa: PT017
    else:
        assert matches or "\n" in text


@given(
    metric=st.sampled_from([*METRICS, *STORE_METRICS]),
    operator=st.sampled_from(OPERATORS),
    number=st.integers(1, 10**9),
    unit=st.sampled_from(["", " ms", "s", " /s", " measures", " boards", " parsecs"]),
)
def test_pattern_and_grammar_agree_on_units(metric, operator, number, unit):
    text = f"{metric} {operator} {number}{unit}"
    try:
        parse_threshold(text)
        good = True
    except ThresholdError:
        good = False
    assert (re.search(threshold_pattern(), text) is not None) == good
