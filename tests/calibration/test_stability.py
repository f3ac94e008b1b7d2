"""When a signal is stable; and the curve in the terminal."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.calibration.curve import curve
from buoyfleet.calibration.stability import Stability, StabilityRule

RULE = StabilityRule(window_s=30, drift_per_min=1.0, noise=0.5, min_s=40, max_s=120)


def follow(signal, rule=RULE, until_s=200.0):
    """State when it was first stable, or when the time was over."""
    stability = Stability(rule)
    state = None
    for second in range(int(until_s)):
        state = stability.add(float(second), signal(float(second)))
        if state.stable or state.expired:
            return state
    return state


def test_a_signal_that_stands_still_waits_for_the_least_time():
    state = follow(lambda _: 5.0)
    assert state.stable
    assert state.elapsed_s == 40.0


def test_a_settling_probe_is_stable_when_it_has_settled():
    state = follow(lambda t: 100.0 * math.exp(-t / 8.0))
    assert state.stable
    assert 40.0 < state.elapsed_s < 100.0
    assert abs(state.mean) < 1.0


def test_creep_never_is():
    state = follow(lambda t: t * 2.0 / 60.0)
    assert not state.stable
    assert state.expired
    assert state.drifts
    assert not state.noisy
    assert state.drift_per_min == pytest.approx(2.0)


def test_noise_never_is():
    draw = random.Random(1)
    state = follow(lambda _: draw.gauss(0.0, 1.0))
    assert not state.stable
    assert state.noisy


def test_relative_limits_follow_the_signal_down_to_a_floor():
    rule = StabilityRule(
        window_s=10, drift_per_min=1.0, noise=1.0, min_s=10, max_s=60, relative=True, floor=50.0
    )
    draw = random.Random(2)
    assert follow(lambda _: 1000.0 + draw.gauss(0.0, 5.0), rule).reason in ("", "drifts")
    assert follow(lambda t: 0.001 * t, rule).stable  # 0.06 per minute of 50
    assert follow(lambda _: 0.0, rule).stable


@given(st.floats(-1e4, 1e4), st.floats(-100, 100), st.floats(0.1, 10), st.integers(6, 200))
def test_the_trend_of_a_straight_line_is_the_line(offset, per_min, interval_s, count):
    stability = Stability(StabilityRule(window_s=1e6, drift_per_min=1, noise=1, min_s=0, max_s=1e9))
    for n in range(count):
        state = stability.add(n * interval_s, offset + per_min * n * interval_s / 60.0)
    assert state.drift_per_min == pytest.approx(per_min, rel=1e-6, abs=1e-6)
    assert state.noise == pytest.approx(
        0.0, abs=1e-7 * max(1.0, abs(offset), abs(per_min) * count * interval_s)
    )


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(1, 80), st.integers(1, 20))
def test_the_curve_fills_its_frame_and_no_more(values, width, height):
    lines = curve([(float(i), value) for i, value in enumerate(values)], width, height)
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}


def test_the_curve_shows_a_rise():
    lines = curve([(float(i), float(i)) for i in range(40)], 20, 5)
    assert lines[0].rstrip("\u2800 ") == lines[0]
    assert lines[-1][0] != "\u2800"
