"""The link policy: back-off, deadlines, window, resend, keep-alive."""

from buoy.link import CONNECTING, STOPPED, UP, WAITING
from buoy.message import Message
from buoy_parts import Bench


def message(seq):
    return Message(seq, b"aws/0/100/data/", b"payload %d" % seq, 0)


def fill(bench, count, now_ms=0):
    for seq in range(count):
        bench.link.send(message(seq), now_ms)


def test_it_subscribes_to_its_configuration_after_every_connect():
    bench = Bench()
    bench.up()
    bench.link.on_closed("gone")
    bench.link.step(1)
    bench.link.step(100000)
    bench.link.on_open(True)
    assert len(bench.transport.subscriptions) == 2
    assert bench.transport.subscriptions[1][1] == (b"aws/0/100/config/global/", b"aws/0/100/config/sensor/")


def test_no_more_than_the_window_is_unacknowledged():
    bench = Bench(in_flight=3)
    bench.up()
    fill(bench, 10)
    bench.link.step(0)
    assert len(bench.transport.published) == 3
    bench.link.on_pubacks(bench.transport.ids()[:2])
    bench.link.step(1)
    assert len(bench.transport.published) == 5
    assert bench.journal.acknowledged_seqs == [0, 1]


def test_messages_leave_in_order():
    bench = Bench(in_flight=2)
    bench.up()
    fill(bench, 6)
    while len(bench.journal.acknowledged_seqs) < 6:
        bench.link.on_pubacks(bench.transport.ids()[-2:])
        bench.link.step(1)
    assert bench.journal.sent_seqs == [0, 1, 2, 3, 4, 5]


def test_messages_wait_in_the_outbox_until_the_link_is_up():
    bench = Bench()
    fill(bench, 3)
    assert not bench.transport.published
    bench.up()
    assert bench.transport.payloads() == [b"payload 0", b"payload 1", b"payload 2"]


def test_what_was_not_acknowledged_is_sent_again_first_with_the_same_bytes():
    bench = Bench(in_flight=3)
    bench.up()
    fill(bench, 5)
    bench.link.on_pubacks(bench.transport.ids()[:1])
    bench.link.on_closed("gone")
    bench.transport.published = []
    bench.link.step(1)
    bench.link.step(100000)
    bench.link.on_open(False)
    bench.link.step(100001)
    assert bench.transport.payloads()[:2] == [b"payload 1", b"payload 2"]
    assert [published[4] for published in bench.transport.published[:3]] == [True, True, False]
    assert bench.journal.sent_seqs[:3] == [0, 1, 2]
    assert bench.journal.sent_seqs[3:5] == [1, 2]


def test_a_missing_puback_ends_the_connection_after_the_deadline():
    bench = Bench(ack_timeout_ms=5000)
    bench.up()
    fill(bench, 1, 1000)
    wake_ms = bench.link.step(1000)
    assert wake_ms <= 6000
    bench.link.step(5999)
    assert bench.link.state == UP
    bench.link.step(6000)
    assert bench.link.state == WAITING
    assert bench.transport.calls[-1] == "close"
    assert "PUBACK" in bench.troubles[0]


def test_a_missing_connack_ends_the_attempt_after_the_deadline():
    bench = Bench(connect_timeout_ms=3000)
    bench.link.connect(0)
    assert bench.link.step(0) == 3000
    bench.link.step(2999)
    assert bench.link.state == CONNECTING
    bench.link.step(3000)
    assert bench.link.state == WAITING
    assert "CONNECT" in bench.troubles[0]


def test_a_missing_suback_ends_the_connection_after_the_deadline():
    bench = Bench(ack_timeout_ms=5000)
    bench.link.connect(0)
    bench.link.on_open(False)
    bench.link.step(10)
    bench.link.step(5010)
    assert bench.link.state == WAITING
    assert "SUBACK" in bench.troubles[0]


def test_a_message_sent_before_the_first_step_of_a_connection_does_not_hurry_the_deadlines():
    bench = Bench(ack_timeout_ms=5000)
    bench.link.connect(1000)
    bench.link.on_open(False)
    bench.link.send(message(0), 20000)
    bench.link.step(20000)
    assert bench.link.state == UP
    bench.link.step(24999)
    assert bench.link.state == UP


def test_a_refused_subscription_is_trouble_but_the_link_stays_up():
    bench = Bench()
    bench.link.connect(0)
    bench.link.on_open(False)
    bench.link.step(0)
    bench.link.on_suback(bench.transport.subscriptions[0][0], b"\x80\x01")
    bench.link.step(1)
    assert bench.link.state == UP
    assert "subscription" in bench.troubles[0]


def test_back_off_doubles_up_to_its_limit_and_starts_over_after_success():
    bench = Bench(backoff_min_ms=100, backoff_max_ms=1000)
    bench.link.connect(0)
    now_ms = 0
    delays = []
    for _ in range(6):
        bench.link.on_closed("refused")
        wake_ms = bench.link.step(now_ms)
        delays.append(wake_ms - now_ms)
        now_ms = wake_ms
        bench.link.step(now_ms)
        assert bench.link.state == CONNECTING
    # the jitter double always draws the middle: 3/4 of the full delay
    assert delays == [75, 150, 300, 600, 750, 750]
    bench.link.on_open(False)
    bench.link.on_suback(bench.transport.subscriptions[-1][0], b"\x01\x01")
    bench.link.on_closed("gone")
    assert bench.link.step(now_ms) - now_ms == 75


def test_a_back_off_counts_from_the_loss_even_after_a_long_silence():
    bench = Bench(backoff_min_ms=1000, keep_alive_ms=600000)
    bench.up()
    bench.link.on_closed("gone")
    assert bench.link.step(200000) == 200750
    assert bench.transport.count("open") == 1


def test_an_idle_link_is_pinged_after_half_a_keep_alive():
    bench = Bench(keep_alive_ms=60000)
    bench.up()
    assert bench.link.step(0) == 30000
    bench.link.step(29999)
    assert bench.transport.count("ping") == 0
    bench.link.step(30000)
    assert bench.transport.count("ping") == 1


def test_a_half_open_link_is_noticed_within_one_and_a_half_keep_alives():
    for qos in (0, 1):
        bench = Bench(keep_alive_ms=60000, ack_timeout_ms=100000, qos=qos)
        bench.up()
        now_ms = 0
        while bench.link.state == UP and now_ms < 100000:
            now_ms += 1000
            if now_ms % 10000 == 0:
                bench.link.send(message(now_ms // 10000), now_ms)
            bench.link.step(now_ms)
        assert bench.link.state == WAITING
        assert now_ms <= 90000


def test_an_answered_ping_keeps_the_link_up():
    bench = Bench(keep_alive_ms=60000)
    bench.up()
    for now_ms in range(0, 600000, 1000):
        pings = bench.transport.count("ping")
        bench.link.step(now_ms)
        if bench.transport.count("ping") > pings:
            bench.link.on_pong()
    assert bench.link.state == UP
    assert 15 <= bench.transport.count("ping") <= 25


def test_packet_ids_wrap_and_skip_those_in_flight():
    bench = Bench(in_flight=2)
    bench.up()
    bench.link.send(message(0), 0)
    held = bench.transport.ids()[0]
    seen = set()
    for seq in range(1, 65540):
        bench.link.send(message(seq), 0)
        packet_id = bench.transport.published.pop()[0]
        assert packet_id != held and 1 <= packet_id <= 65535
        seen.add(packet_id)
        bench.link.on_pubacks([packet_id])
    assert len(seen) == 65534


def test_acknowledgements_of_unknown_packets_are_ignored():
    bench = Bench()
    bench.up()
    fill(bench, 1)
    bench.link.on_pubacks([4711])
    assert bench.journal.acknowledged_seqs == []
    assert bench.link.in_flight() == 1


def test_qos_0_is_sent_and_never_acknowledged():
    bench = Bench(qos=0)
    bench.up()
    fill(bench, 2)
    assert [published[3] for published in bench.transport.published] == [0, 0]
    assert bench.journal.acknowledged_seqs == []
    assert bench.link.idle()


def test_a_full_socket_makes_messages_wait():
    bench = Bench()
    bench.up()
    bench.transport.writable = False
    fill(bench, 2)
    bench.link.step(1)
    assert not bench.transport.published
    bench.transport.writable = True
    bench.link.step(2)
    assert len(bench.transport.published) == 2


def test_sends_keep_the_least_distance_asked_for():
    bench = Bench(gap_ms=10, in_flight=100)
    bench.up()
    fill(bench, 50)
    now_ms = 0
    times = []
    while len(bench.transport.published) < 50:
        before = len(bench.transport.published)
        wake_ms = bench.link.step(now_ms)
        times.extend([now_ms] * (len(bench.transport.published) - before))
        now_ms = max(now_ms + 1, min(wake_ms, 1000))
        assert now_ms < 1001
    assert 480 <= times[-1] <= 500


def test_stop_says_goodbye_and_keeps_what_was_not_acknowledged():
    bench = Bench()
    bench.up()
    fill(bench, 2)
    bench.link.stop()
    assert bench.transport.calls[-1] == "disconnect"
    assert bench.link.state == STOPPED
    assert bench.outbox.count == 2
    bench.link.step(10**7)
    assert bench.transport.count("open") == 1


def test_a_full_outbox_drops_the_oldest_and_counts_it():
    bench = Bench(capacity=3)
    fill(bench, 5)
    assert bench.drops == [(0, "outbox full"), (1, "outbox full")]
    assert bench.outbox.dropped == 2
    bench.up()
    assert bench.transport.payloads() == [b"payload 2", b"payload 3", b"payload 4"]
