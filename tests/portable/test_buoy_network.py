"""Wi-Fi and time of a board, as state machines on a fake clock."""

from buoy import shims
from buoy.sntp import REFRESH_MS, Sntp, parse_answer
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


def answer(request, utc_ms, first=0x24, stratum=2):
    packet = bytearray(48)
    packet[0] = first
    packet[1] = stratum
    packet[24:32] = request[40:48]
    packet[40:44] = ((utc_ms // 1000 + 2208988800) & 0xFFFFFFFF).to_bytes(4, "big")
    packet[44:48] = ((utc_ms % 1000 << 32) // 1000 + 1).to_bytes(4, "big")
    return bytes(packet)


class Udp:
    def __init__(self):
        self.sent = []
        self.inbox = []
        self.closed = False

    def send(self, data):
        self.sent.append(bytes(data))

    def recv(self, size):
        if not self.inbox:
            raise OSError(11)
        return self.inbox.pop(0)[:size]

    def close(self):
        self.closed = True


def ask():
    clock = Clock(lambda: 0)
    sockets, lines = [], []

    def open_socket():
        sockets.append(Udp())
        return sockets[-1]

    return clock, sockets, lines, Sntp(clock, open_socket, lines.append)


def test_time_comes_from_the_server_with_half_the_round_trip_added():
    clock, sockets, lines, sntp = ask()
    sntp.step(100)
    sockets[0].inbox.append(answer(sockets[0].sent[0], 1790000000500))
    assert sntp.step(140) == 140 + REFRESH_MS
    assert clock.utc_ms(140) == 1790000000520
    assert clock.local_ms(1790000000520) == 140
    assert sockets[0].closed
    assert lines == []


def test_a_silent_server_is_asked_again_later_and_every_socket_is_closed():
    clock, sockets, _lines, sntp = ask()
    now_ms = 0
    while now_ms < 600000:
        now_ms = max(sntp.step(now_ms), now_ms + 1)
    assert 10 <= len(sockets) <= 20
    assert all([udp.closed for udp in sockets[:-1]])
    assert not clock.known()


def test_answers_that_are_no_time_or_not_for_us_are_not_believed():
    for first, stratum in ((0xE4, 2), (0x24, 0), (0x24, 16), (0x23, 2)):
        clock, sockets, _lines, sntp = ask()
        sntp.step(0)
        sockets[0].inbox.append(answer(sockets[0].sent[0], 1790000000000, first, stratum))
        sntp.step(10)
        assert not clock.known()
    clock, sockets, _lines, sntp = ask()
    sntp.step(0)
    sockets[0].inbox += [b"short", answer(bytes(48), 1790000000000)]
    sntp.step(10)
    sntp.step(20)
    assert not clock.known()


def test_time_goes_on_in_the_next_ntp_era():
    utc_ms = 2100000000000  # 2036-07-18
    assert parse_answer(answer(bytes(48), utc_ms)) == utc_ms


def test_a_network_that_is_not_there_is_a_retry():
    lines = []

    def fail():
        raise OSError(118)

    sntp = Sntp(Clock(lambda: 0), fail, lines.append)
    assert sntp.step(0) == 1000
    assert len(lines) == 1
