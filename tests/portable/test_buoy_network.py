"""Wi-Fi of a board, as a state machine on a fake clock; ticks that wrap."""

from buoy import shims
from buoy.timekeeping import Clock
from buoy.wifi import Wifi


class Wlan:
    def __init__(self, error=None):
        self.connected = False
        self.calls = []
        self.error = error

    def active(self, _flag):
        self.calls.append("active")

    def connect(self, ssid, password):
        self.calls.append((ssid, password))
        if self.error:
            raise self.error

    def disconnect(self):
        self.calls.append("disconnect")

    def isconnected(self):
        return self.connected

    def joins(self):
        return self.calls.count(("river", "secret"))


def wifi_of(wlan, lines):
    return Wifi(wlan, "river", "secret", lambda: 1.0, lines.append)


def test_wifi_joins_at_once_and_says_so_once():
    wlan, lines = Wlan(), []
    wifi = wifi_of(wlan, lines)
    wifi.step(0)
    assert wlan.joins() == 1
    wlan.connected = True
    for now_ms in (200, 400, 600):
        wifi.step(now_ms)
    assert wifi.up
    assert lines == ["Wi-Fi joined"]


def test_wifi_out_of_range_is_tried_ever_more_rarely_but_at_least_each_75_s():
    wlan, lines = Wlan(), []
    wifi = wifi_of(wlan, lines)
    now_ms = 0
    tries = []
    while now_ms < 3600 * 1000:
        before = wlan.joins()
        next_ms = wifi.step(now_ms)
        if wlan.joins() > before:
            tries.append(now_ms)
        assert now_ms <= next_ms <= now_ms + 200
        now_ms = max(next_ms, now_ms + 1)
    gaps = [later - earlier for earlier, later in zip(tries, tries[1:])]
    assert gaps[0] <= 16001
    assert gaps == sorted(gaps)
    assert 74000 < gaps[-1] < 75500
    assert wlan.calls.count("disconnect") >= len(tries) - 1


def test_wifi_lost_is_noticed_and_joined_again():
    wlan, lines = Wlan(), []
    wifi = wifi_of(wlan, lines)
    wlan.connected = True
    wifi.step(0)
    wlan.connected = False
    wifi.step(200)
    assert not wifi.up
    assert wifi.losses == 1
    wifi.step(1200)
    assert wlan.joins() == 1


def test_a_driver_that_refuses_to_connect_is_a_failed_try():
    for error in (OSError("Wifi Internal Error"), RuntimeError("Wifi Unknown Error")):
        wlan, lines = Wlan(error), []
        wifi = wifi_of(wlan, lines)
        assert wifi.step(0) <= 1000
        assert "Wifi" in lines[0]


class Ticks:
    """`time.ticks_ms` as it is near its wrap."""

    def __init__(self):
        self.value = shims.ticks_add(0, -500)

    def __call__(self):
        return self.value

    def advance(self, ms):
        self.value = shims.ticks_add(self.value, ms)


def test_the_clock_goes_on_where_ticks_wrap():
    ticks = Ticks()
    clock = Clock(ticks)
    seen = []
    for _ in range(30):
        ticks.advance(100000000)
        seen.append(clock.now_ms())
    assert seen == [100000000 * n for n in range(1, 31)]
