"""What MQTT 3.1.1 asks of a broker, where IoT Core does not differ."""

from collections.abc import Callable

import pytest
from broker_bench import Bench
from broker_clients import Client, RawClient

from buoyfleet.cloud.local.broker import DisconnectReason, Limits
from buoyfleet.mqtt.codec import PINGREQ, Will, encode_publish

New = Callable[..., Client]
Raw = Callable[..., RawClient]
Start = Callable[..., Bench]


# QoS


def test_the_sink_gets_every_accepted_message_before_its_acknowledgement(raw: Raw, start: Start) -> None:
    client: list[RawClient] = []
    acknowledged_before: list[int] = []

    def sink(*_: object) -> None:
        acknowledged_before.append(len(client[0].acks))

    bench = start(sink=sink)
    client.append(raw(bench.port))
    client[0].connect("buoy-100")
    for _ in range(3):
        client[0].publish("t")
        assert client[0].fence()
    assert acknowledged_before == [0, 1, 2]


def test_the_sink_is_told_topic_payload_flags_and_client(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(encode_publish("aws/0/100/data/é".encode(), b"\x00\xff", 1, True, True, 7))
    client.send(encode_publish(b"t", b"", 0))
    assert client.fence()
    assert client.acks == [7]
    assert bench.received == [
        ("aws/0/100/data/é", b"\x00\xff", 1, True, True, "buoy-100"),
        ("t", b"", 0, False, False, "buoy-100"),
    ]


def test_a_copy_with_dup_is_passed_on_and_acknowledged_again(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    for dup in (False, True):
        client.send(encode_publish(b"t", b"x", 1, dup=dup, packet_id=7))
    assert client.fence()
    assert client.acks == [7, 7]
    assert [message.dup for message in bench.received] == [False, True]


def test_all_acknowledgements_of_one_read_leave_in_one_write(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(b"".join(encode_publish(b"t", b"x", 1, packet_id=n) for n in range(1, 51)) + PINGREQ)
    data = client.socket.recv(65_536)
    assert len(data) == 50 * 4 + 2


@pytest.mark.parametrize(("published", "granted", "delivered"), [(0, 1, 0), (1, 0, 0), (1, 1, 1), (0, 0, 0)])
def test_the_lower_qos_of_publisher_and_subscriber_counts(
    new_client: New, bench: Bench, published: int, granted: int, delivered: int
) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100")
    assert client.subscribe(("t", granted)) == bytes([granted])
    client.publish("t", qos=published)
    assert client.fence()
    assert [message.qos for message in client.messages] == [delivered]


def test_a_failing_sink_leaves_the_message_unacknowledged_and_the_broker_running(
    raw: Raw, start: Start
) -> None:
    def sink(_: str, payload: bytes, *__: object) -> None:
        if payload == b"bad":
            raise OSError("disk full")

    bench = start(sink=sink)
    client = raw(bench.port)
    client.connect("buoy-100")
    for payload in (b"bad", b"good"):
        client.publish("t", payload)
    assert client.fence()
    assert client.acks == [2]
    assert bench.metric("PublishIn.ServerError") == 1
    assert bench.metric("PublishIn.Success") == 1
    assert bench.refused[0].reason == "sink-failed"
    assert "OSError: disk full" in bench.refused[0].detail


# Subscriptions


def test_unsubscribing_ends_delivery_and_is_answered_even_for_unknown_filters(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.subscribe(("a", 1), ("b/+", 1))
    assert client.unsubscribe("a", "b/+", "never")
    client.publish("a")
    client.publish("b/c")
    assert client.fence()
    assert client.messages == []


def test_overlapping_subscriptions_bring_one_copy_with_the_higher_qos(new_client: New, bench: Bench) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100")
    client.subscribe(("a/#", 0), ("a/b", 1), ("+/b", 0))
    client.publish("a/b")
    assert client.fence()
    assert [message.qos for message in client.messages] == [1]


def test_a_topic_that_was_published_before_reaches_a_later_subscriber(raw: Raw, bench: Bench) -> None:
    """The broker remembers which topics nobody wants; a subscription must undo that."""
    publisher, reader = raw(bench.port), raw(bench.port)
    publisher.connect("publisher")
    reader.connect("reader")
    expected = []
    for topic_filter in ("a/b", "a/+"):
        publisher.publish("a/b", topic_filter.encode() + b" not yet")
        assert publisher.fence()
        reader.subscribe((topic_filter, 0))
        publisher.publish("a/b", topic_filter.encode())
        assert publisher.fence()
        assert reader.unsubscribe(topic_filter)
        publisher.publish("a/b", topic_filter.encode() + b" no more")
        assert publisher.fence()
        expected.append(topic_filter.encode())
    assert reader.fence()
    assert [message.payload for message in reader.messages] == expected


# Retained


def test_an_empty_payload_clears_a_retained_message(new_client: New, bench: Bench) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100")
    client.publish("t", b"kept", retain=True)
    client.publish("t", b"newer", retain=True)
    client.subscribe(("t", 1))
    assert [(m.payload, m.retain, m.qos) for m in client.messages] == [(b"newer", True, 1)]
    client.subscribe(("t", 0))
    assert [(m.payload, m.retain, m.qos) for m in client.messages[1:]] == [(b"newer", True, 0)]
    client.publish("t", b"", retain=True)
    assert client.fence()
    assert client.messages[-1].payload == b""
    client.subscribe(("t", 1))
    assert len(client.messages) == 3
    assert bench.call(lambda: bench.broker.retained) == 0


def test_retained_messages_reach_wildcards_where_that_is_set(raw: Raw, start: Start) -> None:
    bench = start(Limits(retained_to_wildcards=True, hash_matches_parent=True, reserved_topics=False))
    client = raw(bench.port)
    client.connect("buoy-100")
    for topic in ("a", "a/b", "$c/d"):
        client.publish(topic, topic.encode(), retain=True)
    client.subscribe(("a/#", 1))
    assert {message.payload for message in client.messages} == {b"a", b"a/b"}
    client.messages.clear()
    client.subscribe(("#", 0), ("$c/+", 0))
    assert sorted(message.payload for message in client.messages) == [b"$c/d", b"a", b"a/b"]


# Wills


def test_the_will_of_a_client_that_vanishes_is_published_and_kept(new_client: New, bench: Bench) -> None:
    watcher = new_client(bench.port)
    watcher.connect("watcher")
    watcher.subscribe(("gone/#", 1))
    client = new_client(bench.port)
    client.connect("buoy-100", will=Will(b"gone/100", b"bye", 1, True))
    client.vanish()
    bench.eventually(lambda: len(bench.received) == 1, "the will")
    assert bench.received[0] == ("gone/100", b"bye", 1, True, False, "buoy-100")
    assert watcher.fence()
    assert [message.payload for message in watcher.messages] == [b"bye"]
    assert bench.call(lambda: bench.broker.retained) == 1


def test_a_polite_disconnect_discards_the_will(new_client: New, bench: Bench) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100", will=Will(b"gone/100", b"bye"))
    client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    assert bench.received == []
    info = bench.call(lambda: bench.broker.data.connection_info("buoy-100"))
    assert info is not None
    assert info.disconnect_reason is DisconnectReason.CLIENT_INITIATED_DISCONNECT


def test_a_refused_packet_publishes_the_will_too(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100", will=Will(b"gone/100", b"bye"))
    client.send(b"\xf0\x00")
    assert client.wait_closed()
    assert bench.payloads() == [b"bye"]
