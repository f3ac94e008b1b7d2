"""IoT Core's other rules, with paho and with our codec, on a clock that a test turns."""

from collections.abc import Callable

import pytest
from broker_bench import Bench
from broker_clients import Client, RawClient, connected

from buoyfleet.cloud.local.broker import DisconnectReason, Limits
from buoyfleet.mqtt.codec import Will

New = Callable[..., Client]
Start = Callable[..., Bench]
Raw = Callable[..., RawClient]

BAD_VERSION, ID_REJECTED = 1, 2
"""CONNACK codes."""

# Payload, topic, slashes, client id


@pytest.mark.parametrize(
    ("topic", "size", "reason"),
    [
        ("t", 128 * 1024 + 1, "payload-too-large"),
        ("t" * 257, 1, "topic-too-long"),
        ("1/2/3/4/5/6/7/8/9", 1, "topic-too-deep"),
    ],
)
def test_a_publish_outside_the_limits_costs_the_connection(
    new_client: New, bench: Bench, topic: str, size: int, reason: str
) -> None:
    client = connected(new_client, bench)
    client.publish(topic, bytes(size))
    assert client.wait_closed()
    assert client.acks == []
    assert bench.payloads() == []
    assert bench.metric("PublishIn.ClientError") == 1
    assert bench.reasons() == [reason]
    assert bench.refused[0].topic == topic
    assert bench.refused[0].payload == bytes(size)


def test_a_publish_at_the_limits_is_taken(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench, "c" * 128)
    client.publish("1/2/3/4/5/6/7/" + "t" * 242, bytes(128 * 1024))
    assert client.fence()
    assert len(client.acks) == 1
    assert bench.refused == []


def test_a_packet_far_above_the_limit_is_refused_by_its_header(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(b"\x30\xff\xff\xff\x7f")
    assert client.wait_closed()
    assert bench.reasons() == ["protocol-error"]
    assert "268435460 bytes" in bench.refused[0].detail


@pytest.mark.parametrize("client_id", ["c" * 129, "$buoy"])
def test_a_bad_client_id_is_refused(new_client: New, bench: Bench, client_id: str) -> None:
    answer = new_client(bench.port).connect(client_id)
    assert answer is not None
    assert answer.code == ID_REJECTED
    assert bench.metric("Connect.ClientError") == 1
    assert bench.reasons() == ["client-id-invalid"]


@pytest.mark.parametrize(
    ("will", "detail"),
    [
        (Will(b"t" * 257, b""), "will: a topic of 257 bytes; 256 are allowed"),
        (Will(b"t", bytes(1001)), "will: a payload of 1001 bytes; 1000 are allowed"),
    ],
)
def test_a_will_outside_the_limits_is_refused_at_once(
    raw: Raw, start: Start, will: Will, detail: str
) -> None:
    bench = start(Limits(payload_bytes=1000))  # a will's length field ends before IoT Core's limit
    assert raw(bench.port).connect("buoy-100", will=will) is None
    assert bench.metric("Connect.ClientError") == 1
    assert bench.refused[0].detail == detail


# 50 subscriptions a connection, 8 filters a SUBSCRIBE


def test_the_51st_subscription_is_refused_and_the_connection_closed(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench)
    for first in range(0, 48, 8):
        assert client.subscribe(*((f"t{number}", 1) for number in range(first, first + 8))) == b"\x01" * 8
    assert client.subscribe(("t0", 1), ("t48", 1), ("t49", 0)) == b"\x01\x01\x00", (
        "a known filter is no new one"
    )
    assert client.subscribe(("t0", 0)) == b"\x00", "nor at the limit"
    assert client.subscribe(("t50", 1)) == b"\x80"
    assert client.wait_closed()
    assert bench.reasons() == ["too-many-subscriptions"]
    assert bench.metric("Subscribe.ClientError") == 1


def test_more_than_8_filters_in_one_subscribe_cost_the_connection(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench)
    assert client.subscribe(*((f"t{number}", 1) for number in range(9))) is None
    assert client.wait_closed()
    assert bench.refused[0].detail == "9 filters in one SUBSCRIBE; 8 are allowed"


# Keep-alive


@pytest.mark.parametrize(("asked_s", "dropped_after_s"), [(40, 60), (5, 45), (0, 1800), (3000, 1800)])
def test_a_silent_client_is_dropped_after_one_and_a_half_keep_alives(
    new_client: New, bench: Bench, asked_s: int, dropped_after_s: int
) -> None:
    client = connected(new_client, bench, keep_alive_s=asked_s)
    bench.advance(dropped_after_s - 1)
    assert bench.connected() == 1
    bench.advance(1)
    assert client.wait_closed()
    assert bench.reasons() == ["keep-alive"]
    info = bench.call(lambda: bench.broker.data.connection_info("buoy-100"))
    assert info is not None
    assert info.disconnect_reason is DisconnectReason.MQTT_KEEP_ALIVE_TIMEOUT


def test_any_packet_keeps_a_client_alive(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench, keep_alive_s=30)
    for _ in range(4):
        bench.advance(40)
        assert client.fence()
    assert bench.connected() == 1


# Persistent session: an hour, replay at 10 messages a second


def test_a_session_is_kept_for_an_hour_and_replayed_at_10_a_second(new_client: New, bench: Bench) -> None:
    board = connected(new_client, bench, clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner = connected(new_client, bench, "owner")
    for number in range(25):
        owner.publish("config", b"%d" % number)
    assert owner.fence()
    bench.advance(3599.0)
    again = new_client(bench.port)
    answer = again.connect("buoy-100", clean=False)
    assert answer is not None
    assert answer.session_present
    for seconds in range(3):
        assert again.fence()
        assert len(again.messages) == min(25, 10 * (seconds + 1))
        bench.advance(1.0)
    assert [message.payload for message in again.messages] == [b"%d" % number for number in range(25)]


def test_a_session_ends_after_an_hour_with_what_it_held(new_client: New, bench: Bench) -> None:
    board = connected(new_client, bench, clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner = connected(new_client, bench, "owner", keep_alive_s=1200)
    owner.publish("config")
    assert owner.fence()
    bench.advance(3601.0)
    assert "delivery-session-expired" in bench.reasons()
    answer = new_client(bench.port).connect("buoy-100", clean=False)
    assert answer is not None
    assert not answer.session_present


def test_current_messages_pass_those_that_are_replayed(raw: Raw, bench: Bench) -> None:
    board = raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner = raw(bench.port)
    owner.connect("owner")
    for number in range(12):
        owner.publish("config", b"%d" % number)
    assert owner.fence()
    bench.advance(1.0)
    board = raw(bench.port)
    board.connect("buoy-100", clean=False)
    owner.publish("config", b"now")
    assert owner.fence()
    assert board.fence()
    assert [message.payload for message in board.messages[9:]] == [b"9", b"now"]


# QoS 2


def test_qos_2_is_neither_taken_nor_answered(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench)
    client.publish("t", b"never", qos=2)
    assert client.fence()
    assert bench.payloads() == []
    assert bench.metric("PublishIn.ClientError") == 1
    assert client.subscribe(("t", 2)) is None
    assert bench.metric("Subscribe.ClientError") == 1
    assert bench.reasons() == ["qos-2", "qos-2"]
    client.publish("t", b"after", qos=1)
    assert client.fence()
    assert len(client.acks) == 1
    assert client.messages == []


def test_qos_2_can_be_made_to_show(raw: Raw, start: Start) -> None:
    bench = start(Limits(qos2_silent=False))
    client = raw(bench.port)
    client.connect("buoy-100")
    client.publish("t", qos=2)
    assert client.wait_closed()


# Duplicate client id


def test_the_newer_of_two_connections_with_one_client_id_wins(new_client: New, bench: Bench) -> None:
    older = connected(new_client, bench, will=Will(b"gone", b"older"))
    bench.advance(1.0)
    newer = connected(new_client, bench)
    assert older.wait_closed()
    assert bench.payloads() == [b"older"], "the will is published for a lost client id, too"
    assert bench.reasons() == ["duplicate-client-id"]
    newer.publish("t", b"newer")
    assert newer.fence()
    assert bench.connected() == 1


# Retained messages


def test_retained_messages_go_to_exact_filters_only(new_client: New, bench: Bench) -> None:
    owner = connected(new_client, bench, "owner")
    owner.publish("aws/0/100/config/global/", b"{}", retain=True)
    assert owner.fence()
    board = connected(new_client, bench)
    board.subscribe(("aws/0/100/config/+/", 1), ("aws/0/100/#", 1))
    assert board.messages == []
    board.subscribe(("aws/0/100/config/global/", 1))
    assert [(m.payload, m.retain) for m in board.messages] == [(b"{}", True)]
    owner.publish("aws/0/100/config/global/", b"{1}", retain=True)
    assert owner.fence()
    assert board.fence()
    assert [(m.payload, m.retain) for m in board.messages[1:]] == [(b"{1}", False)], "one copy, not retained"


# $ topics


@pytest.mark.parametrize("topic", ["$aws/things/buoy/shadow/get", "$SYS/broker"])
def test_reserved_topics_end_the_connection(new_client: New, bench: Bench, topic: str) -> None:
    publisher = connected(new_client, bench, "publisher")
    publisher.publish(topic)
    assert publisher.wait_closed()
    subscriber = connected(new_client, bench, "subscriber")
    assert subscriber.subscribe((topic, 1)) is None
    assert subscriber.wait_closed()
    assert bench.reasons() == ["topic-reserved", "topic-reserved"]
    assert bench.payloads() == []


# Filters


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        ("a/#", "a", False),
        ("a/#", "a/", True),
        ("a/#", "a/b/c", True),
        ("aws/+/+/data/#", "aws/0/100/data/", True),
        ("aws/+/+/data/#", "aws/0/100/data", False),
        ("#", "a", True),
        ("+", "a", True),
    ],
)
def test_a_hash_does_not_match_its_parent(
    new_client: New, bench: Bench, topic_filter: str, topic: str, matches: bool
) -> None:
    client = connected(new_client, bench)
    assert client.subscribe((topic_filter, 1)) == b"\x01"
    client.publish(topic)
    assert client.fence()
    assert bool(client.messages) == matches


# Versions


def test_another_version_than_3_1_1_and_5_is_refused(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.send(b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x01c")
    answer = client.packet()
    assert answer is not None
    assert answer.code == BAD_VERSION  # type: ignore[union-attr]
    assert client.wait_closed()
    assert bench.reasons() == ["protocol-version"]
    assert "level 6" in bench.refused[0].detail


# Diagnosis


def test_the_reason_of_a_disconnection_can_be_asked_for_half_an_hour(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench)
    broker = bench.broker
    info = bench.call(lambda: broker.data.connection_info("buoy-100"))
    assert info is not None
    assert info.connected
    client.publish("$aws/x")
    assert client.wait_closed()
    bench.advance(1800.0)
    info = bench.call(lambda: broker.data.connection_info("buoy-100"))
    assert info is not None
    assert (info.connected, info.disconnect_reason) == (False, DisconnectReason.CLIENT_ERROR)
    bench.advance(1.0)
    assert bench.call(lambda: broker.data.connection_info("buoy-100")) is None
