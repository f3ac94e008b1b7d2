"""Numbers read as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.report import figures
from buoyfleet.report.svg import round_steps


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [
        (0, "0 ms"),
        (0.0042, "4.2 µs"),
        (0.43, "430 µs"),
        (0.99996, "1 ms"),
        (8.64, "8.64 ms"),
        (74.23, "74.2 ms"),
        (499.6, "500 ms"),
        (999.9, "1 s"),
        (1240, "1.24 s"),
        (90_000, "1.5 min"),
    ],
)
def test_a_latency_takes_the_unit_that_suits_it(value_ms, text):
    assert figures.milliseconds(value_ms) == text


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.413, "0.41 s"),
        (12.345, "12.3 s"),
        (59.99, "60 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_reads_as_a_clock_does(value_s, text):
    assert figures.seconds(value_s) == text


def test_a_share_is_all_or_nothing_only_if_it_is():
    assert figures.share(27_000, 27_000) == "100 %"
    assert figures.share(26_999, 27_000) == "> 99.9 %"
    assert figures.share(1, 27_000) == "< 0.1 %"
    assert figures.share(0, 27_000) == "0.0 %"
    assert figures.share(0, 0) == "–"


def test_measured_values_carry_their_unit():
    assert figures.measured(2700.0, "measures") == "2,700 measures"
    assert figures.measured(612.0, "ms") == "612 ms"
    assert figures.measured(99.94, "messages/s") == "99.9 messages/s"
    assert figures.measured(None, "ms") == "not measured"


def test_a_timestamp_that_is_no_date_stays_a_number():
    assert figures.utc_ms(1_795_478_257_042) == "2026-11-23 23:57:37.042"
    assert figures.utc_ms(10**18) == str(10**18)


@given(st.floats(1e-6, 1e12), st.integers(1, 10))
def test_an_axis_covers_its_values_in_round_even_steps(largest, steps):
    values = round_steps(largest, steps)
    assert values[0] == 0
    assert values[-1] >= largest * 0.999
    assert len(values) <= steps + 2
    step = values[1]
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert any(math.isclose(mantissa, factor, rel_tol=1e-6) for factor in (1, 2, 5, 10))


@given(st.floats(0, 1e9, allow_nan=False))
def test_no_number_is_written_with_an_exponent_that_people_must_count(value):
    assert "e" not in figures.significant(value) or value < 1e-4
