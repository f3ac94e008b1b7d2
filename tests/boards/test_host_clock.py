"""The clock that UTC is read from."""

import time

import pytest

from buoyfleet.model.clock import HostClock


def test_a_clock_is_anchored_by_the_quickest_of_several_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    now, reading = [0], [0]
    lost = [50, 30, 2, 80, 40]  # what the machine did between the two readings of a try

    def monotonic_ns() -> int:
        now[0] += 1
        return now[0]

    def time_ns() -> int:
        now[0] += 1000 * lost[reading[0]]
        reading[0] += 1
        return 10**18 + now[0]

    monkeypatch.setattr(time, "monotonic_ns", monotonic_ns)
    monkeypatch.setattr(time, "time_ns", time_ns)
    clock = HostClock()
    assert abs(clock.at(now[0]) - (10**18 + now[0])) <= 1001


def test_two_clocks_with_one_anchor_read_the_same() -> None:
    clock = HostClock()
    assert HostClock(clock.anchor).at(5 * 10**9) == clock.at(5 * 10**9)
