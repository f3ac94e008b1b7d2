"""Time of a board: which answers are believed, how a wrong time is put right, and what becomes of stamps."""

import json
import sys
import time

from buoy.shims import MICROPYTHON, new_random
from buoy.sntp import (
    POLL_MIN_MS,
    REFRESH_LOW_POWER_MS,
    REFRESH_MS,
    Refused,
    Sntp,
    parse_answer,
)
from buoy.timekeeping import BUILT_S, EARLIEST_MS, LATEST_MS, WRONG_MS, Clock
from test_buoy_board import UTC_MS, Bare, World

_NTP_TO_UNIX_S = 2208988800


def answer(request, utc_ms, first=0x24, stratum=2, code=b"\0\0\0\0"):
    """A server's packet as RFC 4330 wants it."""
    packet = bytearray(48)
    packet[0] = first
    packet[1] = stratum
    packet[12:16] = code
    packet[24:32] = request[40:48]
    packet[40:44] = ((utc_ms // 1000 + _NTP_TO_UNIX_S) & 0xFFFFFFFF).to_bytes(4, "big")
    packet[44:48] = ((utc_ms % 1000 << 32) // 1000 + 1).to_bytes(4, "big")
    return bytes(packet)


class Server:
    """All time servers; `reply(request)` gives the packets that come back, and may be exchanged by host."""

    def __init__(self, now_ms, utc_ms=UTC_MS):
        self._now_ms = now_ms
        self.zero_ms = utc_ms  # UTC at the board's 0
        self.asked = []  # (time, host, port)
        self.requests = []
        self.replies = {}  # host → function of the request
        self.open_sockets = 0

    def right(self, request):
        return [answer(request, self.zero_ms + self._now_ms())]

    def off_by(self, ms):
        return lambda request: [answer(request, self.zero_ms + self._now_ms() + ms)]

    def open(self, host, port):
        self.asked.append((self._now_ms(), host, port))
        found = Bare()
        found.inbox = []
        reply = self.replies.get(host, self.right)
        self.open_sockets += 1

        def send(request):
            self.requests.append(bytes(request))
            found.inbox += reply(bytes(request))

        def recv(size):
            if not found.inbox:
                raise OSError(11)
            return found.inbox.pop(0)[:size]

        def close():
            self.open_sockets -= 1

        found.send, found.recv, found.close = send, recv, close
        return found


class Asking:
    """A board that only keeps the time, on a fake clock."""

    def __init__(self, servers="one.test"):
        self.now_ms = 0
        self.clock = Clock(lambda: self.now_ms)
        self.ntp_host = servers
        self.ntp = {}
        self.app = None
        self.random = lambda: 0.0
        self.lines = []
        self.console = Bare()
        self.console.log = self.lines.append
        self.server = Server(lambda: self.now_ms)
        self.open_ntp = self.server.open

    def set_time(self, utc_ms, now_ms):
        assert EARLIEST_MS <= utc_ms <= LATEST_MS + 2000
        self.clock.set_utc(utc_ms, now_ms)

    def ask(self):
        """One question to its end; returns how long until the next."""
        sntp = Sntp(self, self.set_time)
        while True:
            next_ms = sntp.step(self.now_ms)
            if sntp.done:
                assert self.server.open_sockets == 0
                return next_ms - self.now_ms
            self.now_ms = max(next_ms, self.now_ms + 1)

    def go_on(self, duration_ms):
        """Ask as often as it is due."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            self.now_ms += max(1, self.ask())

    def error_ms(self):
        """Of its clock; 0 if it is what a round trip of up to 20 ms makes of it."""
        error_ms = self.clock.utc_ms(self.now_ms) - self.server.zero_ms - self.now_ms
        return 0 if -10 <= error_ms <= 10 else error_ms


def zero(request):
    packet = bytearray(answer(request, UTC_MS))
    packet[40:48] = bytes(8)
    return bytes(packet)


def of_nobody(_request):
    return answer(bytes(48), UTC_MS)


def altered(at, value):
    def make(request):
        packet = bytearray(answer(request, UTC_MS))
        packet[at] = value
        return bytes(packet)

    return make


def at(utc_s):
    return lambda request: answer(request, utc_s * 1000)


BAD = {
    "empty": lambda _request: b"",
    "truncated": lambda request: answer(request, UTC_MS)[:47],
    "half": lambda request: answer(request, UTC_MS)[:32],
    "our own request": lambda request: request,
    "mode client": altered(0, 0x23),
    "mode broadcast": altered(0, 0x25),
    "mode symmetric": altered(0, 0x22),
    "version 0": altered(0, 0x04),
    "version 7": altered(0, 0x3C),
    "leap 3": altered(0, 0xE4),
    "stratum 0": altered(1, 0),
    "stratum 16": altered(1, 16),
    "stratum 255": altered(1, 255),
    "transmit zero": zero,
    "originate zero": of_nobody,
    "originate wrong by one bit": lambda request: altered(31, request[47] ^ 1)(request),
    "of 1970": at(0),
    "of 2024": at(1704067200),
    "before the firmware": at(EARLIEST_MS // 1000 - 1),
    "after 20 years": at(LATEST_MS // 1000 + 1),
    "of 2100": at(4102444800),
}


def test_no_bad_answer_sets_the_clock_and_the_server_is_asked_again_within_two_minutes():
    for name in BAD:
        board = Asking()
        board.server.replies["one.test"] = lambda request, name=name: [BAD[name](request)]
        for _ in range(10):
            wait_ms = board.ask()
            assert 500 <= wait_ms <= 120000, name
            board.now_ms += wait_ms
        assert not board.clock.known(), name
        board.server.replies.clear()
        board.ask()
        assert board.error_ms() == 0, name


def test_bytes_that_somebody_drew_never_set_a_clock_out_of_bounds():
    draw = new_random(20260901)
    believed = 0
    for n in range(1000):
        packet = bytearray([int(draw() * 256) for _ in range(int(draw() * 60))])
        if n % 2 and len(packet) >= 48:
            packet[0], packet[1] = 0x24, 1 + int(draw() * 15)  # all but the time is right
        try:
            utc_ms = parse_answer(packet)
        except Refused:
            continue
        believed += 1
        assert EARLIEST_MS <= utc_ms <= LATEST_MS
    assert believed > 5


def test_half_of_the_round_trip_is_added():
    board = Asking()

    def late(request):
        board.now_ms += 40
        return [answer(request, board.server.zero_ms + board.now_ms - 20)]

    board.server.replies["one.test"] = late
    board.ask()
    assert -6 <= board.error_ms() <= 6
    assert board.lines == []


def test_the_firmware_was_not_made_in_the_future():
    # Raised too far, it would make every board refuse the time of day.
    if not MICROPYTHON:
        assert BUILT_S <= time.time()


def test_time_goes_on_in_the_next_ntp_era():
    utc_ms = 2100000000000  # 2036-07-18
    assert parse_answer(answer(bytes(48), utc_ms)) == utc_ms


def test_two_questions_have_numbers_that_nobody_can_guess():
    board = Asking()
    board.go_on(3600000)
    numbers = [request[40:48] for request in board.server.requests]
    assert len(set(numbers)) == len(numbers) >= 3


def test_a_flood_of_foreign_answers_hides_the_right_one_no_longer_than_it_lasts():
    board = Asking()
    board.server.replies["one.test"] = lambda request: (
        [of_nobody(request)] * 300 + board.server.right(request) + [zero(request)] * 300
    )
    board.ask()
    assert board.clock.known()
    assert abs(board.error_ms()) < 1000


def test_the_next_server_is_asked_soon_after_a_refused_or_missing_answer():
    board = Asking("silent.test, zero.test:1123 ,good.test")
    board.server.replies["silent.test"] = lambda _request: []
    board.server.replies["zero.test"] = lambda request: [zero(request)]
    board.go_on(8000)
    assert [asked[1:] for asked in board.server.asked][:3] == [
        ("silent.test", 123), ("zero.test", 1123), ("good.test", 123),
    ]  # fmt: skip
    assert board.server.asked[2][0] < 6000
    assert board.clock.known()
    assert [line.split(":")[0] for line in board.lines[:2]] == [
        "time server silent.test",
        "time server zero.test",
    ]


def test_servers_that_never_answer_are_asked_about_once_a_minute():
    board = Asking("one.test,two.test")
    for name in ("one.test", "two.test"):
        board.server.replies[name] = lambda _request: []
    board.go_on(1800000)
    assert 30 <= len(board.server.asked) <= 70


def test_a_server_that_denies_is_left_alone_and_the_others_are_asked():
    for code in (b"DENY", b"RSTR"):
        board = Asking("closed.test,good.test")
        board.server.replies["closed.test"] = lambda request, code=code: [
            answer(request, UTC_MS, code=code, stratum=0)
        ]
        board.go_on(12 * 3600000)
        hosts = [asked[1] for asked in board.server.asked]
        assert hosts.count("closed.test") == 1
        assert hosts.count("good.test") >= 4
        assert board.clock.known()


def test_a_single_server_that_denies_is_asked_again_a_day_later():
    board = Asking()
    board.server.replies["one.test"] = lambda request: [answer(request, UTC_MS, code=b"DENY", stratum=0)]
    board.go_on(23 * 3600000)
    assert len(board.server.asked) == 1
    board.server.replies.clear()
    board.go_on(2 * 3600000)
    assert board.clock.known()


def test_a_server_that_says_rate_is_asked_ever_less_often():
    board = Asking()
    board.server.replies["one.test"] = lambda request: [answer(request, UTC_MS, code=b"RATE", stratum=0)]
    board.go_on(3600000)
    times = [asked[0] for asked in board.server.asked]
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 60000
    assert gaps[-1] >= 8 * 60000


def test_a_new_time_is_confirmed_soon_and_then_ever_more_rarely():
    board = Asking()
    waits = []
    for _ in range(7):
        waits.append(board.ask())
        board.now_ms += waits[-1]
    assert waits[0] == POLL_MIN_MS
    assert waits == sorted(waits)
    assert waits[-1] == REFRESH_MS


def test_one_wrong_answer_among_right_ones_moves_no_clock():
    board = Asking("one.test,two.test,bad.test")
    board.ask()
    board.server.replies["bad.test"] = board.server.off_by(300 * 86400000)
    for _ in range(12):
        board.now_ms += board.ask()
        assert board.error_ms() == 0
    assert "bad.test" in [asked[1] for asked in board.server.asked]


def test_a_wrong_time_believed_first_is_put_right_within_a_minute():
    for servers in ("one.test", "one.test,two.test"):
        board = Asking(servers)
        board.server.replies["one.test"] = board.server.off_by(300 * 86400000)
        board.ask()
        assert abs(board.error_ms() - 300 * 86400000) <= 10
        board.server.replies.clear()
        board.go_on(60000)
        assert board.error_ms() == 0


def test_a_network_that_is_not_there_is_a_retry():
    board = Asking()

    def fail(_host, _port):
        raise OSError(118)

    board.open_ntp = fail
    assert board.ask() <= 2000
    assert len(board.lines) == 1


def test_names_that_are_none_are_a_retry():
    for servers in (",", "one.test:many"):
        board = Asking(servers)
        assert board.ask() >= 500
        assert not board.clock.known()


# A whole board.


class River(World):
    """A board whose time comes from servers alone; its port's clock goes on while it sleeps."""

    def __init__(self, **changes):
        World.__init__(self, **changes)
        self.server = Server(lambda: self.now_ms)
        self.started_ms = 0

    def boot(self, cause=1, slept_ms=0):
        if cause != 1:
            utc_ms = self.board.clock.utc_ms(self.now_ms) + slept_ms
            self.server.zero_ms += self.now_ms + slept_ms
            self.advance_rtc(utc_ms)
        World.boot(self, cause)
        return self.board

    def advance_rtc(self, utc_ms):
        from buoy import kept_time

        clock = Clock(lambda: 0)
        clock.set_utc(utc_ms, 0)
        board = Bare()
        board.clock, board.machine = clock, Bare()
        board.machine.RTC = lambda: self.rtc
        kept = self.rtc.kept
        kept_time._keep(board, utc_ms)
        self.rtc.kept = kept

    def set_at_start(self):
        """Nobody but the servers."""

    def no_ntp(self, host, port):
        return self.server.open(host, port)

    def stamps(self):
        return [json.loads(data)["timestamp"] for data in self.data()]

    def errors(self):
        topic = b"aws/0/128/error/"
        return [json.loads(p[2]) for p in self.transport.published if p[1] == topic]

    def settle(self):
        """Wait until the time is known, and connect."""
        self.run(100)
        self.connect()
        return self


def test_the_ports_clock_is_set_before_the_first_connection():
    world = River()
    world.boot()
    seen = []
    transport_open = world.transport.open
    world.transport.open = lambda: (seen.append(world.rtc.date), transport_open())
    world.run(200)
    assert len(seen) == 1
    assert seen[0][:3] + seen[0][4:6] == tuple(time.gmtime(UTC_MS // 1000)[:5])


def test_the_console_has_its_answer_before_the_board_is_busy_with_the_connection():
    world = River(ntp_host="")
    world.boot()
    world.run(100)
    seen = []
    transport_open = world.transport.open
    world.transport.open = lambda: (seen.append(bytes(world.output)), transport_open())
    world.ask("clock", utc=UTC_MS)
    assert len(seen) == 1
    assert b'"ok"' in seen[0]


def test_the_console_sets_the_ports_clock_inside_the_bounds_and_says_its_age():
    world = River(ntp_host="")
    world.boot()
    world.run(100)
    assert world.ask("clock")["ok"]["utc"] is None
    for wrong in (EARLIEST_MS - 1, LATEST_MS + 1, 0, -1, "now", None, 1 << 60):
        assert "this firmware's date" in world.ask("clock", utc=wrong)["error"]
    assert not world.board.clock.known()
    assert world.rtc.date[0] == 2000
    world.ask("clock", utc=UTC_MS)
    assert world.rtc.date[0] == 2026
    world.run(5000)
    assert 4900 <= world.ask("clock")["ok"]["age_ms"] <= 5300
    assert 4900 <= world.ask("health")["ok"]["utc_age_ms"] <= 5300


def test_the_time_is_kept_over_resets_and_deep_sleep_and_not_over_a_power_cut():
    world = River(ntp_host="")
    world.boot()
    world.ask("clock", utc=UTC_MS)
    world.run(1000)
    for cause, slept_ms in ((2, 0), (4, 900000)):
        world.boot(cause, slept_ms)
        assert world.board.clock.known()
        assert abs(world.board.clock.utc_ms(world.now_ms) - world.server.zero_ms) <= 1
    assert world.board.clock.age_ms(0) >= 901000
    world.boot(1)
    assert not world.board.clock.known()


def test_a_clock_that_somebody_else_set_is_not_believed():
    world = River(ntp_host="")
    world.boot()
    world.ask("clock", utc=UTC_MS)
    for kept in (b"seq=5", b"UTC0" + world.rtc.kept[4:]):
        world.advance_rtc(UTC_MS)
        world.rtc.kept = kept
        World.boot(world, 2)
        assert not world.board.clock.known()
    # A mark of a time that the clock has not reached: it is not of this clock.
    world.ask("clock", utc=UTC_MS + 1000)
    world.advance_rtc(UTC_MS)
    World.boot(world, 2)
    assert not world.board.clock.known()


def test_the_time_server_is_asked_by_code_that_is_forgotten_each_time_also_when_nobody_answers():
    world = River()
    world.server.replies["pool.ntp.org"] = lambda _request: []
    for name in ("0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org"):
        world.server.replies[name] = lambda _request: []
    world.boot()
    world.run(2200)
    if MICROPYTHON:
        assert "buoy.sntp" not in sys.modules
    world.server.replies.clear()
    world.run(60000)
    assert world.board.clock.known()
    if MICROPYTHON:
        for name in ("sntp", "kept_time", "restamp"):
            assert "buoy." + name not in sys.modules


def test_a_low_power_board_wakes_with_the_time_and_asks_about_once_an_hour():
    world = River(low_power=True, publish_interval_s=1800, ntp_host="one.test")
    asked = []
    world.boot()
    for _ in range(8):
        before = len(world.server.asked)
        world.settle().run(10000)
        assert world.calls[0][0] == "sleep"
        asked.append(len(world.server.asked) - before)
        assert abs(world.stamps()[0] - world.server.zero_ms) < 10000
        world.boot(4, world.calls[0][1] + 20)
    assert asked[0] == 1
    assert max(asked) == 1
    assert asked[-4:].count(0) == 2
    assert REFRESH_LOW_POWER_MS == 3600000


def test_a_wrong_time_believed_once_costs_no_later_stamp_and_is_told_once():
    wrong_ms = 300 * 86400000
    world = River(ntp_host="one.test", publish_interval_s=1)
    world.server.replies["one.test"] = world.server.off_by(wrong_ms)
    world.boot()
    world.settle().run(2000)
    assert world.stamps()[0] > UTC_MS + wrong_ms - 1000
    # The network is lost: what is made now waits, stamped by the wrong clock.
    world.online = False
    world.run(5000)
    waiting = world.board.outbox.count
    assert waiting >= 4
    world.server.replies.clear()
    world.online = True
    world.transport.published = []
    while len(world.server.asked) < 3:
        world.run(200)
    world.board.link.on_open(False)
    world.board.link.on_suback(world.transport.subscriptions[-1][0], b"\x01\x01")
    world.run(5000)
    stamps = world.stamps()
    assert len(stamps) >= waiting + 8
    assert stamps == sorted(stamps)
    assert all([UTC_MS < stamp <= world.server.zero_ms + world.now_ms for stamp in stamps])
    told = [e for e in world.errors() if e.get("connectivity-error", {}).get("code") == 5]
    assert len(told) == 1
    assert "%d s" % (wrong_ms // 1000) in told[0]["connectivity-error"]["message"]


def test_a_clock_that_was_slow_is_put_right_too():
    world = River(ntp_host="")
    world.boot()
    world.ask("clock", utc=UTC_MS)
    world.run(15000)
    assert world.board.outbox.count
    world.ask("clock", utc=UTC_MS + 86400000)
    world.connect()
    world.run(15000)
    stamps = world.stamps()
    assert stamps == sorted(stamps)
    assert UTC_MS + 86400000 - 20000 < stamps[0] < UTC_MS + 86400000


def test_a_clock_that_was_a_little_fast_gives_no_stamp_twice():
    world = River(ntp_host="", publish_interval_s=1)
    world.boot()
    world.ask("clock", utc=UTC_MS)
    world.connect()
    world.run(5000)
    world.ask("clock", utc=UTC_MS - WRONG_MS // 2)
    world.run(5000)
    stamps = world.stamps()
    assert len(stamps) >= 8
    assert sorted(set(stamps)) == stamps


def test_what_waits_with_a_stamp_of_the_future_after_a_power_cut_is_dropped_and_counted():
    world = River(ntp_host="")
    world.boot()
    world.ask("clock", utc=UTC_MS)
    world.run(15000)
    good = world.board.outbox.count
    world.boot(1)
    world.ask("clock", utc=UTC_MS + 300 * 86400000)
    world.run(15000)
    wrong = world.board.outbox.count - good
    assert good and wrong
    world.boot(1)
    world.ask("clock", utc=UTC_MS + 60000)
    assert world.board.outbox.dropped == wrong
    world.connect()
    world.run(5000)
    stamps = world.stamps()
    assert len(stamps) >= good
    assert all([stamp < UTC_MS + 120000 for stamp in stamps])
    assert [e for e in world.errors() if "%d waiting" % wrong in json.dumps(e)]


def test_a_board_that_cannot_connect_asks_for_the_time_again():
    world = River(ntp_host="one.test")
    world.boot()
    world.run(100)
    world.board.ask_ms = REFRESH_MS
    for age_ms, asked in ((300000, 1), (900000, 2)):
        world.board.clock.set_ms = world.board.clock.utc_ms(world.now_ms) - age_ms
        world.board.link.on_closed("the certificate has expired")
        world.run(100)
        assert len(world.server.asked) == asked
        world.run(2000)
        assert len(world.server.asked) == asked
