"""Sessions, and messages that wait: for their client, for throughput, for a reader that does not read."""

from collections.abc import Callable

from broker_bench import Bench
from broker_clients import Client, RawClient

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.mqtt.codec import Will, encode_publish

New = Callable[..., Client]
Raw = Callable[..., RawClient]
Start = Callable[..., Bench]


# Sessions


def test_a_persistent_session_keeps_subscriptions_and_qos_1_messages(new_client: New, bench: Bench) -> None:
    board = new_client(bench.port)
    first = board.connect("buoy-100", clean=False)
    assert first is not None
    assert not first.session_present
    board.subscribe(("config", 1), ("chatter", 0))
    board.vanish()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner = new_client(bench.port)
    owner.connect("owner")
    owner.publish("config", b"kept")
    owner.publish("chatter", b"not kept: QoS 0 subscription")
    owner.publish("config", b"not kept: QoS 0 message", qos=0)
    assert owner.fence()
    bench.advance(1.0)
    board = new_client(bench.port)
    second = board.connect("buoy-100", clean=False)
    assert second is not None
    assert second.session_present
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"kept"]
    owner.publish("config", b"live")
    assert owner.fence()
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"kept", b"live"]


def test_a_clean_session_ends_the_persistent_one(new_client: New, bench: Bench) -> None:
    board = new_client(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    for clean, present in ((True, False), (False, False)):
        bench.eventually(lambda: bench.broker.connections == 0)
        bench.advance(1.0)
        board = new_client(bench.port)
        answer = board.connect("buoy-100", clean=clean)
        assert answer is not None
        assert answer.session_present == present
        board.publish("config")
        assert board.fence()
        assert board.messages == []
        board.disconnect()


def test_what_a_clean_session_ended_collects_no_more_messages(raw: Raw, start: Start) -> None:
    bench = start(Limits(queue_bytes=1_000))
    board = raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1), ("config/#", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(1.0)
    board = raw(bench.port)
    board.connect("buoy-100")
    for _ in range(5):
        board.publish("config", bytes(500))
        board.publish("config/x", bytes(500))
    assert board.fence()
    assert bench.refused == []


def test_a_resumed_session_does_not_expire_under_its_client(raw: Raw, bench: Bench) -> None:
    board = raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(1800.0)
    board = raw(bench.port)
    board.connect("buoy-100", clean=False, keep_alive_s=1200)
    for _ in range(3):
        bench.advance(1000.0)
        assert board.fence()
    board.publish("config")
    assert board.fence()
    assert len(board.messages) == 1
    assert bench.call(lambda: bench.broker.sessions) == 1


def test_a_message_that_a_connected_client_never_acknowledges_is_given_up_after_an_hour(
    raw: Raw, bench: Bench
) -> None:
    board = raw(bench.port, acknowledge=False)
    board.connect("buoy-100", keep_alive_s=1200)
    board.subscribe(("config", 1))
    board.publish("config")
    for _ in range(5):
        assert board.fence()
        bench.advance(1000.0)
    assert bench.reasons() == ["delivery-expired"]
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_what_was_not_acknowledged_comes_again_with_dup_and_its_packet_id(raw: Raw, bench: Bench) -> None:
    first = raw(bench.port, acknowledge=False)
    first.connect("buoy-100", clean=False)
    first.subscribe(("t", 1))
    for number in range(3):
        first.publish("t", b"%d" % number)
    assert first.fence()
    assert [message.packet_id for message in first.messages] == [1, 2, 3]
    first.send(b"\x40\x02\x00\x02")
    assert first.fence()
    first.vanish()
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(1.0)
    second = raw(bench.port)
    second.connect("buoy-100", clean=False)
    second.publish("t", b"new")
    assert second.fence()
    seen = {message.payload: (message.packet_id, message.dup) for message in second.messages}
    assert seen.pop(b"new")[0] not in (1, 3)
    assert seen == {b"0": (1, True), b"2": (3, True)}
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_an_acknowledgement_of_nothing_is_ignored(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(b"\x40\x02\x12\x34")
    assert client.fence()


def test_stored_messages_come_at_once_and_in_order_where_the_replay_rate_is_lifted(
    raw: Raw, start: Start
) -> None:
    bench = start(Limits.lifted())
    board, owner = raw(bench.port), raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("t", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner.connect("owner")
    for number in range(250):
        owner.publish("t", b"%d" % number)
    assert owner.fence()
    board = raw(bench.port, acknowledge=False)
    board.connect("buoy-100", clean=False)
    owner.publish("t", b"250")
    assert owner.fence()
    assert board.fence()
    assert len(board.messages) == 100, "no more than may be in flight"
    board.acknowledge = True
    for message in list(board.messages):
        board.send(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))
    while len(board.messages) < 251:
        assert board.packet() is not None
    assert [message.payload for message in board.messages] == [b"%d" % number for number in range(251)]


def test_a_session_holds_no_more_than_its_bound(raw: Raw, start: Start) -> None:
    bench = start(Limits(queue_bytes=10_000))
    board, owner = raw(bench.port), raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("t", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner.connect("owner")
    for _ in range(10):
        owner.publish("t", bytes(2_000))
    assert owner.fence()
    assert bench.call(lambda: bench.broker.waiting) == 4
    assert bench.reasons() == ["delivery-queue-full"] * 6
    assert len(owner.acks) == 10


def test_what_was_acknowledged_no_longer_counts_against_the_bound(raw: Raw, start: Start) -> None:
    bench = start(Limits(queue_bytes=10_000, in_flight_out=1))
    client = raw(bench.port)
    client.connect("buoy-100")
    client.subscribe(("t", 1))
    for number in range(1, 21):
        client.publish("t", bytes(2_000))
        assert client.fence()
        assert client.fence()
        assert len(client.messages) == number
    client.send(b"".join(encode_publish(b"t", bytes(2_000), 1, packet_id=100 + n) for n in range(3)))
    for _ in range(4):  # one in flight at a time
        assert client.fence()
    assert len(client.messages) == 23
    assert bench.refused == []


def test_a_client_without_an_id_is_given_one(raw: Raw, bench: Bench) -> None:
    for _ in range(2):
        answer = raw(bench.port).connect("")
        assert answer is not None
        assert answer.code == 0
    assert bench.connected() == 2
    refused = raw(bench.port).connect("", clean=False)
    assert refused is not None
    assert refused.code == 2


# What throughput holds back


def test_a_client_that_leaves_while_its_messages_are_held_back_loses_none(raw: Raw, start: Start) -> None:
    bench = start(Limits(bytes_in_per_s=1_000))
    client = raw(bench.port)
    client.connect("buoy-100", will=Will(b"gone", b"no"))
    for number in range(5):
        client.publish("t", b"%d" % number * 1_200, qos=0)
    client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    assert bench.payloads() == [b"%d" % number * 1_200 for number in range(5)]


def test_messages_still_held_back_when_the_broker_ends_the_connection_are_named(
    raw: Raw, start: Start
) -> None:
    bench = start(Limits(bytes_in_per_s=1_000))
    client = raw(bench.port)
    client.connect("buoy-100")
    for number in range(3):
        client.publish("t", b"%d" % number * 1_200)
    bench.eventually(lambda: "throughput-delay" in bench.broker.refusals())
    bench.clock.now_s += 1.0
    raw(bench.port).connect("buoy-100")
    assert client.wait_closed()
    assert client.acks in ([1], [1, 2]), "the timer may have let one more pass"
    lost = [refusal.payload for refusal in bench.refused if refusal.payload is not None]
    assert lost == [b"%d" % number * 1_200 for number in range(len(client.acks), 3)]
    assert bench.metric("PublishIn.Throttle") == len(lost)


def test_no_more_is_held_back_than_a_session_may_hold(raw: Raw, start: Start) -> None:
    bench = start(Limits(bytes_in_per_s=1_000, publishes_in_per_s=None, queue_bytes=10_000))
    client, other = raw(bench.port), raw(bench.port)
    client.connect("buoy-100")
    other.connect("other")
    for _ in range(100):
        client.publish("t", bytes(10_000), qos=0)
    held = bench.broker._clients["buoy-100"]._held
    bench.eventually(lambda: held.size_bytes > 10_000)
    assert other.fence()
    assert bench.call(lambda: held.size_bytes) < 10_000 + 256 * 1024, "at most one read above the bound"


# A reader that does not read


def test_a_subscriber_that_does_not_read_neither_stops_nor_bloats_the_broker(raw: Raw, start: Start) -> None:
    bench = start(Limits.lifted())
    stuck, reader, writer = raw(bench.port), raw(bench.port), raw(bench.port)
    for client, name in ((stuck, "stuck"), (reader, "reader"), (writer, "writer")):
        client.connect(name)
    stuck.subscribe(("t", 0))
    reader.subscribe(("t", 0))
    size, count = 100_000, 400
    for _ in range(count):
        writer.publish("t", bytes(size), qos=0)
        if not writer.acks:
            reader.wait_message()
    assert writer.fence()
    assert len(reader.messages) == count
    waiting = bench.call(lambda: bench.broker.waiting)
    assert 0 < waiting < count
    assert waiting * size <= Limits().queue_bytes
    assert "delivery-queue-full" in bench.reasons()
    while stuck.packet() is not None and len(stuck.messages) < waiting:
        pass
    assert bench.connected() == 3
