"""MQTT 5 with IoT Core's restrictions: paho speaks it for real, and our own bytes are answered exactly."""

from collections.abc import Callable

import pytest
from broker_bench import DEADLINE_S, Bench
from broker_clients import RawClient
from broker_clients5 import Paho5
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.cloud.local.broker.authority import PUBLISH, Principal
from buoyfleet.cloud.local.broker.decoder5 import Decoder5
from buoyfleet.cloud.local.broker.message import Extra, Message
from buoyfleet.cloud.local.broker.mqtt5 import Encoder5
from buoyfleet.cloud.local.broker.packets5 import Publish5

Start = Callable[..., Bench]
Raw = Callable[..., RawClient]
CONNECT = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc"
ACCEPTED = bytes.fromhex("201b 00 00 18 210064 2401 2501 2700024800 220008 2801 2900 2a01 13003c")
"""Receive Maximum 100, Maximum Packet Size 149,504 and the rest as IoT Core's CONNACK has them."""


New5 = Callable[..., Paho5]


def test_paho_publishes_and_reads_with_mqtt_5_and_is_told_what_there_is(paho5: New5, bench: Bench) -> None:
    client = paho5(bench.port)
    present, code, properties = client.connect()
    assert (present, code) == (False, 0)
    assert (properties.MaximumQoS, properties.TopicAliasMaximum) == (1, 8)
    assert (properties.SubscriptionIdentifierAvailable, properties.SharedSubscriptionAvailable) == (0, 1)
    assert (properties.ReceiveMaximum, properties.MaximumPacketSize) == (100, 149_504)
    assert properties.ServerKeepAlive == 30
    client.client.subscribe("aws/0/+/data/", options=SubscribeOptions(qos=1))
    assert client.next("suback") == [1]
    properties = Properties(PacketTypes.PUBLISH)
    properties.MessageExpiryInterval = 60
    properties.UserProperty = [("a", "1"), ("b", "2")]
    client.client.publish("aws/0/100/data/", b"hello", 1, properties=properties)
    assert sorted([client.events.get(timeout=DEADLINE_S) for _ in range(2)]) == [
        ("message", b"hello"),
        ("puback", 0),
    ]
    assert bench.payloads() == [b"hello"]
    client.client.unsubscribe(["aws/0/+/data/", "never"])
    assert client.next("unsuback") == [0, 0]


def test_paho_hears_that_its_rate_is_used_up(paho5: New5, start: Start) -> None:
    bench = start(Limits(publishes_in_per_s=2))
    client = paho5(bench.port)
    client.connect()
    for _ in range(4):
        client.client.publish("t", b"x", 1)
    assert [client.next("puback") for _ in range(4)] == [0, 0, 0x97, 0x97]
    assert bench.reasons() == ["publish-rate"] * 2
    assert len(bench.payloads()) == 2


def test_paho_hears_that_its_policy_does_not_allow_it(paho5: New5, start: Start) -> None:
    def authorise(action: str, resource: str, _: Principal) -> bool:
        return action != PUBLISH or resource == "topic/mine"

    bench = start(authorise=authorise)
    client = paho5(bench.port)
    client.connect()
    client.client.publish("mine", b"x", 1)
    assert client.next("puback") == 0
    client.client.publish("yours", b"x", 1)
    assert client.next("puback") == 0x87
    assert client.next("closed") == 0x87
    assert bench.reasons() == ["not-authorised"]


def test_paho_may_use_no_subscription_identifier(paho5: New5, bench: Bench) -> None:
    client = paho5(bench.port)
    client.connect()
    properties = Properties(PacketTypes.SUBSCRIBE)
    properties.SubscriptionIdentifier = 7
    client.client.subscribe("t", options=SubscribeOptions(qos=1), properties=properties)
    assert client.next("closed") == 0xA1
    assert "subscription identifiers" in bench.refused[0].detail


def test_paho_may_not_begin_an_enhanced_authentication(paho5: New5, bench: Bench) -> None:
    client = paho5(bench.port)
    assert client.connect(AuthenticationMethod="SCRAM")[1] == 0x8C
    assert bench.metric("Connect.ClientError") == 1


def test_the_older_of_two_connections_hears_that_its_session_was_taken_over(
    paho5: New5, bench: Bench
) -> None:
    first, second = paho5(bench.port), paho5(bench.port)
    first.connect()
    bench.advance(1.0)
    second.connect()
    assert first.next("closed") == 0x8E


def test_a_session_lives_as_long_as_it_asks_and_a_clean_start_begins_anew(paho5: New5, bench: Bench) -> None:
    def again(*, clean_start: bool, expires_s: int) -> bool:
        client = paho5(bench.port)
        present, code, _ = client.connect(clean_start=clean_start, SessionExpiryInterval=expires_s)
        assert code == 0
        client.client.disconnect()
        client.next("closed")
        bench.eventually(lambda: bench.broker.connections == 0, "gone")
        bench.advance(1.0)
        return bool(present)

    assert not again(clean_start=False, expires_s=100)
    assert again(clean_start=False, expires_s=100)
    assert not again(clean_start=True, expires_s=100), "begun anew, and kept"
    assert again(clean_start=False, expires_s=100)
    assert not again(clean_start=True, expires_s=0), "begun anew, and not kept"
    assert not again(clean_start=False, expires_s=100)


def test_a_topic_alias_stands_for_its_topic(paho5: New5, bench: Bench) -> None:
    client = paho5(bench.port)
    client.connect()
    properties = Properties(PacketTypes.PUBLISH)
    properties.TopicAlias = 3
    client.client.publish("aws/0/100/data/", b"1", 1, properties=properties)
    client.next("puback")
    client.client.publish("", b"2", 1, properties=properties)
    client.next("puback")
    received = bench.call(lambda: [(message.topic, message.payload) for message in bench.received])
    assert received == [("aws/0/100/data/", b"1"), ("aws/0/100/data/", b"2")]


def test_our_bytes_of_mqtt_5_are_answered_byte_for_byte(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    for byte in CONNECT:  # in the smallest pieces
        client.send(bytes((byte,)))
    assert client.socket.recv(100) == ACCEPTED
    client.send(b"\x82\x0b\x00\x01\x00\x00\x01t\x01\x00\x01u\x02")
    assert client.socket.recv(100) == b"\x90\x05\x00\x01\x00\x01\x01", "QoS 2 is granted as 1"
    client.send(b"\x30\x06\x00\x01t\x00hi")
    assert client.socket.recv(100) == b"\x30\x06\x00\x01t\x00hi"
    client.send(b"\xc0\x00")
    assert client.socket.recv(100) == b"\xd0\x00"


@pytest.mark.parametrize(
    ("packet", "code", "words"),
    [
        (b"\x34\x07\x00\x01t\x00\x01\x00x", 0x9B, "QoS 2"),
        (b"\xf0\x02\x18\x00", 0x82, "AUTH"),
        (b"\x30\x08\x00\x01t\x03\x23\x00\x09x", 0x94, "topic alias 9"),
        (b"\x30\x06\x00\x00\x03\x23\x00\x01", 0x82, "stands for nothing"),
        (b"\x30\x05\x00\x01t\x01\xff", 0x81, "does not exist"),
        (b"\x30\x03\x00\x05t", 0x81, "ends inside its topic"),
        (b"\x10\x02\x00\x00", 0x82, "another version"),
        (b"\x30\x80\x80\x80\x80\x01", 0x81, "four bytes"),
        # 256 MB announced: refused when the length is known, before any of it is kept.
        (b"\x30\xff\xff\xff\x7f", 0x95, "268435460 bytes"),
    ],
)
def test_qos_2_and_auth_end_a_connection_of_mqtt_5(
    raw: Raw, bench: Bench, packet: bytes, code: int, words: str
) -> None:
    client = raw(bench.port)
    client.send(CONNECT)
    assert client.socket.recv(100) == ACCEPTED
    client.send(b"\x30\x05\x00\x01t\x00x" + packet)
    said = b""
    while data := client.socket.recv(100):
        said += data
    assert said == b"\xe0\x01" + bytes((code,))
    assert bench.payloads() == [b"x"], "what came before the fault is taken"
    assert words in bench.refused[0].detail


def test_the_keep_alive_that_counts_is_told(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.send(CONNECT.replace(b"\x00\x3c", b"\x00\x00", 1))
    assert client.socket.recv(100).endswith(b"\x13\x04\xb0")


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_decoded_or_refused_however_they_are_cut(data: bytes, size: int) -> None:
    wanted, fault = Decoder5(300_000).feed(data)
    parts, found, seen = Decoder5(300_000), [], None
    for at in range(0, len(data), size):
        packets, seen = parts.feed(data[at : at + size])
        found += packets
        if seen is not None:
            break
    assert found == wanted
    assert (seen and seen.code) == (fault and fault.code)


@given(
    st.text("ab/", min_size=1, max_size=8).map(str.encode),
    st.binary(max_size=300),
    st.sampled_from([0, 1]),
    st.booleans(),
    st.integers(1, 65535),
    st.lists(st.tuples(st.text("ä0", max_size=70), st.text("b", max_size=9)), max_size=3),
)
def test_a_message_on_its_way_out_is_the_same_on_its_way_in(
    topic: bytes, payload: bytes, qos: int, retain: bool, packet_id: int, pairs: list[tuple[str, str]]
) -> None:
    def field(text: str) -> bytes:
        return len(text.encode()).to_bytes(2, "big") + text.encode()

    properties = b"".join(b"\x26" + field(name) + field(value) for name, value in pairs)
    message = Message(topic, payload, qos, retain, Extra(properties))
    sent = Encoder5(100, 300_000).publish(message, packet_id, False, 0.0)
    wanted = Publish5(topic, payload, qos, retain, False, packet_id if qos else 0, properties)
    assert Decoder5(300_000).feed(sent) == ([wanted], None)
