"""What MQTT 5 adds, as IoT Core has it: properties, expiry, sessions, subscription options, limits, codes."""

from collections.abc import Callable

import pytest
from broker_bench import Bench
from broker_clients import RawClient
from broker_clients5 import Paho5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.cloud.local.broker.authority import SUBSCRIBE, Principal
from buoyfleet.mqtt.codec import Will, encode_publish

Start = Callable[..., Bench]
Raw = Callable[..., RawClient]
New5 = Callable[..., Paho5]


def pair(paho5: New5, bench: Bench, **reader: object) -> tuple[Paho5, Paho5]:
    """A publisher and a reader."""
    owner, board = paho5(bench.port, "owner"), paho5(bench.port)
    owner.connect()
    board.connect(**reader)
    return owner, board


def gone(bench: Bench, client: Paho5, connections: int = 0) -> None:
    """Let the client leave politely, and the second pass that its id must wait."""
    client.client.disconnect()
    client.next("closed")
    client.client.loop_stop()
    bench.eventually(lambda: bench.broker.connections == connections, "gone")
    bench.advance(1.0)


# Properties of a message


def test_what_describes_a_message_reaches_its_reader_as_it_was_sent(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench)
    board.subscribe("ask")
    owner.publish(
        "ask",
        b"?",
        UserProperty=[("b", "2"), ("a", "1"), ("b", "3")],
        ContentType="text/plain",
        PayloadFormatIndicator=1,
        ResponseTopic="answer",
        CorrelationData=b"\x00\x01",
    )
    found = board.message().properties
    assert found.UserProperty == [("b", "2"), ("a", "1"), ("b", "3")]
    assert (found.ContentType, found.PayloadFormatIndicator) == ("text/plain", 1)
    assert (found.ResponseTopic, found.CorrelationData) == ("answer", b"\x00\x01")


def test_versions_read_each_others_messages(paho5: New5, raw: Raw, bench: Bench) -> None:
    owner = paho5(bench.port, "owner")
    owner.connect()
    old = raw(bench.port)
    old.connect("old")
    old.subscribe(("t", 1))
    owner.subscribe("t")
    owner.publish("t", b"of 5", UserProperty=[("a", "1")])
    owner.fence()
    old.publish("t", b"of 3.1.1")
    assert old.fence()
    owner.fence()
    assert [message.payload for message in old.messages] == [b"of 5", b"of 3.1.1"]
    assert [message.payload for message in owner.received] == [b"of 5", b"of 3.1.1"]


def test_a_retained_message_and_a_will_keep_their_properties(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench)
    dying = paho5(bench.port, "dying")
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.ContentType = "will"
    dying.client.will_set("t", b"bye", 1, True, properties)
    dying.connect()
    dying.vanish()
    bench.eventually(lambda: len(bench.received) == 1, "the will")
    assert board.subscribe("t") == [1]
    assert board.message().properties.ContentType == "will"
    assert board.received[0].retain
    assert owner.received == []


# Message expiry


def test_a_stored_message_comes_with_the_time_it_has_left_or_not_at_all(paho5: New5, bench: Bench) -> None:
    owner = paho5(bench.port, "owner")
    owner.connect(SessionExpiryInterval=0)
    board = paho5(bench.port)
    board.connect(SessionExpiryInterval=3600)
    board.subscribe("t")
    gone(bench, board, 1)
    for payload, expiry_s in ((b"short", 10), (b"long", 100), (b"none", None)):
        owner.publish("t", payload, 1, **({} if expiry_s is None else {"MessageExpiryInterval": expiry_s}))
        owner.next("puback")
    bench.advance(19.0)
    board = paho5(bench.port)
    board.connect(clean_start=False, SessionExpiryInterval=3600)
    board.fence()
    assert [message.payload for message in board.received] == [b"long", b"none"]
    assert board.received[0].properties.MessageExpiryInterval == 81
    assert not hasattr(board.received[1].properties, "MessageExpiryInterval")
    assert bench.reasons() == ["delivery-message-expired"]


def test_an_interval_of_0_counts_as_1_and_more_than_a_week_as_a_week(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench)
    board.subscribe("t")
    for asked in (0, 604_801):
        owner.publish("t", MessageExpiryInterval=asked)
        board.message()
    assert [message.properties.MessageExpiryInterval for message in board.received] == [1, 604_800]


def test_an_expired_retained_message_is_gone(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench)
    owner.publish("t", b"kept", retain=True, MessageExpiryInterval=30)
    owner.fence()
    bench.advance(29.0)
    board.subscribe("t")
    assert board.message().properties.MessageExpiryInterval == 1
    bench.advance(1.0)
    board.subscribe("t")
    board.fence()
    assert len(board.received) == 1
    assert bench.call(lambda: bench.broker.retained) == 0


def test_a_message_that_a_board_does_not_acknowledge_expires_too(paho5: New5, bench: Bench) -> None:
    owner, board = paho5(bench.port, "owner"), paho5(bench.port, "board", acknowledge=False)
    owner.connect()
    board.connect()
    board.subscribe("t")
    owner.publish("t", b"x", 1, MessageExpiryInterval=5)
    board.next("message")
    bench.advance(44.0)
    board.fence()
    owner.fence()
    bench.advance(5.0)
    assert bench.reasons() == ["delivery-message-expired"]
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_a_message_that_waits_behind_others_expires_while_it_waits(paho5: New5, bench: Bench) -> None:
    owner, board = paho5(bench.port, "owner"), paho5(bench.port, "board", acknowledge=False)
    owner.connect()
    board.connect(ReceiveMaximum=1)
    board.subscribe("t")
    owner.publish("t", b"first", 1)
    owner.publish("t", b"second", 1, MessageExpiryInterval=5)
    owner.publish("t", b"third", 1)
    owner.fence()
    board.next("message")
    bench.advance(5.0)
    board.client.ack(board.received[0].mid, 1)
    assert board.message().payload == b"third"
    assert bench.reasons() == ["delivery-message-expired"]


# Sessions


def test_a_session_never_lives_longer_than_the_account_allows_and_connack_says_so(
    paho5: New5, bench: Bench
) -> None:
    board = paho5(bench.port)
    properties = board.connect(SessionExpiryInterval=0xFFFF_FFFF)[2]
    assert properties.SessionExpiryInterval == 3600
    gone(bench, board)
    board = paho5(bench.port)
    present, _, properties = board.connect(clean_start=False, SessionExpiryInterval=50)
    assert present
    assert not hasattr(properties, "SessionExpiryInterval"), "as asked for"
    gone(bench, board)
    bench.advance(50.0)
    assert bench.call(lambda: bench.broker.sessions) == 0


def test_disconnect_can_change_the_life_of_a_session(paho5: New5, bench: Bench) -> None:
    board = paho5(bench.port)
    board.connect(SessionExpiryInterval=50)
    properties = Properties(PacketTypes.DISCONNECT)
    properties.SessionExpiryInterval = 500
    board.client.disconnect(properties=properties)
    board.next("closed")
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(400.0)
    assert bench.call(lambda: bench.broker.sessions) == 1
    bench.advance(101.0)
    assert bench.call(lambda: bench.broker.sessions) == 0


def test_a_client_without_an_id_is_given_one(paho5: New5, bench: Bench) -> None:
    first, second = paho5(bench.port, ""), paho5(bench.port, "")
    given = [
        client.connect(clean_start=clean)[2].AssignedClientIdentifier
        for client, clean in ((first, True), (second, False))
    ]
    assert len(set(given)) == 2
    first.publish("t")
    first.fence()
    assert bench.received[0].client_id == given[0]


# Wills


def vanish_with_a_will(bench: Bench, board: Paho5) -> None:
    """Connect with a will that is due after 10 s, and be gone."""
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = 10
    board.client.will_set("gone", b"bye", properties=properties)
    board.connect(SessionExpiryInterval=100)
    board.vanish()
    bench.eventually(lambda: bench.broker.connections == 0)


@pytest.mark.parametrize(("delays", "first"), [(False, [b"bye"]), (True, [])])
def test_a_will_waits_for_its_delay_only_where_that_is_set(
    paho5: New5, start: Start, delays: bool, first: list[bytes]
) -> None:
    bench = start(Limits(will_delay=delays))
    vanish_with_a_will(bench, paho5(bench.port))
    bench.advance(9.0)
    assert bench.payloads() == first
    bench.advance(1.0)
    assert bench.payloads() == [b"bye"]


def test_a_client_that_is_back_in_time_has_no_will(paho5: New5, start: Start) -> None:
    bench = start(Limits(will_delay=True))
    for clean_start, expected in ((False, []), (True, [b"bye"])):
        vanish_with_a_will(bench, paho5(bench.port))
        bench.advance(5.0)
        again = paho5(bench.port)
        again.connect(clean_start=clean_start, SessionExpiryInterval=100)
        gone(bench, again)
        bench.advance(20.0)
        assert bench.payloads() == expected


def test_a_disconnect_can_ask_for_the_will(raw: Raw, bench: Bench) -> None:
    connect = bytes.fromhex("101c 0004 4d515454 05 06 003c 00 0003 616263 00 0004 676f6e65 0003 627965")
    client = raw(bench.port)
    client.send(connect)
    client.socket.recv(100)
    client.send(b"\xe0\x01\x04")
    assert client.socket.recv(100) == b""
    assert bench.payloads() == [b"bye"]


# Subscription options


def test_no_local_keeps_a_client_from_its_own_messages(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench)
    board.subscribe("t", noLocal=True)
    board.publish("t", b"own")
    owner.publish("t", b"other")
    owner.fence()
    board.fence()
    assert [message.payload for message in board.received] == [b"other"]


def test_another_filter_of_the_same_client_undoes_no_local(paho5: New5, bench: Bench) -> None:
    board = paho5(bench.port)
    board.connect()
    for topic_filter in ("a/+", "a/#"):
        board.subscribe(topic_filter, noLocal=True)
    board.subscribe("+/b")
    board.client.publish("a/b", b"own")
    board.client.publish("a/c", b"own, by filters with No Local alone")
    board.fence()
    assert [message.payload for message in board.received] == [b"own"]


def test_the_retain_flag_is_kept_for_those_who_ask(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench)
    plain = paho5(bench.port, "plain")
    plain.connect()
    plain.subscribe("t")
    board.subscribe("t", retainAsPublished=True)
    for qos in (0, 1):
        owner.publish("t", b"x", qos, retain=True)
    owner.fence()
    for client, kept in ((plain, False), (board, True)):
        client.fence()
        assert [message.retain for message in client.received] == [kept, kept]


@pytest.mark.parametrize(("handling", "counts"), [(0, [1, 2]), (1, [1, 1]), (2, [0, 0])])
def test_retained_messages_come_as_retain_handling_says(
    paho5: New5, bench: Bench, handling: int, counts: list[int]
) -> None:
    owner, board = pair(paho5, bench)
    owner.publish("t", b"kept", retain=True)
    owner.fence()
    for count in counts:
        board.subscribe("t", retainHandling=handling)
        board.fence()
        assert len(board.received) == count


# Limits both ways


def test_no_more_than_the_clients_receive_maximum_is_on_its_way(paho5: New5, bench: Bench) -> None:
    board = paho5(bench.port, acknowledge=False)
    board.connect(ReceiveMaximum=2)
    board.subscribe("t")
    owner = paho5(bench.port, "owner")
    owner.connect()
    for number in range(4):
        owner.publish("t", b"%d" % number, 1)
    owner.fence()
    board.fence()
    assert [message.payload for message in board.received] == [b"0", b"1"]
    board.client.ack(board.received[0].mid, 1)
    assert board.message().payload == b"2"


def test_more_than_the_brokers_receive_maximum_ends_the_connection(raw: Raw, start: Start) -> None:
    bench = start(Limits(in_flight_in=3, bytes_in_per_s=1000))
    client = raw(bench.port)
    client.send(bytes.fromhex("1010 0004 4d515454 05 02 003c 00 0003 616263"))
    client.socket.recv(100)
    # At once: the first is answered, three may wait. None comes behind the fifth: closing a socket with bytes
    # unread resets the connection.
    packets = b""
    for number in range(1, 6):
        head = b"\x00\x01t" + bytes((0, number)) + b"\x00"
        body = head + bytes(1000 - len(head))
        packets += b"\x32" + bytes((len(body) & 127 | 128, len(body) >> 7)) + body
    client.send(packets)
    said = b""
    while data := client.socket.recv(100):
        said += data
    assert said.endswith(b"\xe0\x01\x93")
    assert "in-flight" in bench.reasons()


def test_what_is_longer_than_the_client_takes_is_not_sent_and_counted(paho5: New5, bench: Bench) -> None:
    owner, board = pair(paho5, bench, MaximumPacketSize=100)
    board.subscribe("t")
    for size in (93, 92, 91):  # 2 of header, 1 of topic and its 2, 2 of id, 1 of properties
        owner.publish("t", bytes(size), 1)
    owner.fence()
    board.fence()
    assert [len(message.payload) for message in board.received] == [92, 91]
    assert bench.reasons() == ["delivery-packet-too-large"]


def test_a_topic_travels_once_to_a_client_that_takes_aliases(raw: Raw, bench: Bench) -> None:
    client, owner = raw(bench.port), raw(bench.port)
    client.send(bytes.fromhex("1013 0004 4d515454 05 02 003c 03 220001 0003 616263"))
    client.socket.recv(100)
    client.send(b"\x82\x07\x00\x01\x00\x00\x01#\x00")
    assert client.socket.recv(100) == b"\x90\x04\x00\x01\x00\x00"
    owner.connect("owner")
    said = []
    for topic in ("long", "long", "other"):
        owner.publish(topic, b"x", qos=0)
        assert owner.fence()
        said.append(client.socket.recv(100))
    assert said == [
        b"\x30\x0b\x00\x04long\x03\x23\x00\x01x",
        b"\x30\x07\x00\x00\x03\x23\x00\x01x",
        b"\x30\x09\x00\x05other\x00x",
    ]


# Reason codes


def test_suback_says_why_a_filter_is_refused(paho5: New5, start: Start) -> None:
    def authorise(action: str, resource: str, _: Principal) -> bool:
        return action != SUBSCRIBE or resource == "topicfilter/mine"

    bench = start(authorise=authorise)
    for topic_filter, suback, closed in (
        ("yours", 0x87, 0x87),
        ("a/b/c/d/e/f/g/h/i", 0x8F, 0x8F),
        ("$share/x", 0x8F, 0x8F),
    ):
        client = paho5(bench.port)
        client.connect()
        assert client.subscribe("mine") == [1]
        assert client.subscribe(topic_filter) == [suback]
        assert client.next("closed") == closed
        bench.advance(1.0)


def test_a_fifty_first_subscription_is_refused_as_a_quota(paho5: New5, start: Start) -> None:
    bench = start(Limits(subscriptions=1))
    client = paho5(bench.port)
    client.connect()
    assert client.subscribe("a") == [1]
    assert client.subscribe("b") == [0x97]
    assert client.next("closed") == 0x97


def test_a_broker_that_stops_says_so(paho5: New5, bench: Bench) -> None:
    client = paho5(bench.port)
    client.connect()
    bench.run(bench.broker.stop())
    assert client.next("closed") == 0x8B


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        ("8209 0001 00 0003 612b62 00", 0x81),  # a+b
        ("8207 0001 00 0001 74 31", 0x82),  # retain handling 3
        ("8203 0001 00", 0x82),  # no filter
        ("a203 0001 00", 0x82),
        ("820e 0001 00 0008 2473 6861 7265 2f78 05", 0x82),  # No Local and shared
        ("3009 0001 74 04 0801 2b 0078", 0x81),
        ("300a 0001 74 05 01 00 01 01 7878", 0x82),  # a property twice
        ("3007 0001 74 02 0102 78", 0x82),  # payload format 2
        ("3006 0001 74 0109 78", 0x81),
        ("3007 0001 74 02 1f00 78", 0x82),  # a reason string in a PUBLISH
        ("5002 0001", 0x82),  # PUBREC
        ("2003 0000 00", 0x82),  # CONNACK
        ("8303 0001 00", 0x81),  # reserved flags
        ("e007 00 05 11 00000001", 0x82),  # a session that CONNECT did not want
    ],
)
def test_what_the_standard_forbids_ends_the_connection_with_its_code(
    raw: Raw, bench: Bench, packet: str, code: int
) -> None:
    client = raw(bench.port)
    client.send(bytes.fromhex("1010 0004 4d515454 05 02 003c 00 0003 616263"))
    client.socket.recv(100)
    client.send(bytes.fromhex(packet))
    said = b""
    while data := client.socket.recv(100):
        said += data
    assert said == bytes((0xE0, 1, code))
    assert bench.reasons() == ["protocol-error"]


# Retained messages, and messages for clients that are absent, have bounds


def test_the_account_keeps_so_many_retained_messages_and_throttles_the_next(
    paho5: New5, start: Start
) -> None:
    bench = start(Limits(retained_messages=1))
    owner = paho5(bench.port)
    owner.connect()
    codes = []
    for topic, payload in (("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b""), ("b", b"2")):
        owner.publish(topic, payload, 1, retain=True)
        codes.append(owner.next("puback"))
    assert codes == [0, 0x97, 0, 0, 0]
    assert bench.reasons() == ["retained-quota"]
    assert bench.metric("PublishIn.Throttle") == 1


def test_the_account_stores_so_many_messages_a_second_for_absent_clients(raw: Raw, start: Start) -> None:
    bench = start(Limits(queued_per_s=2, replay_per_s=None))
    board, owner = raw(bench.port), raw(bench.port)
    board.connect("board", clean=False)
    board.subscribe(("t", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner.connect("owner", will=Will(b"w", b"x"))
    owner.send(b"".join(encode_publish(b"t", b"%d" % n, 1, packet_id=1 + n) for n in range(4)))
    assert owner.fence()
    bench.advance(1.0)
    owner.publish("t", b"later")
    assert owner.fence()
    board = raw(bench.port)
    board.connect("board", clean=False)
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"0", b"1", b"later"]
    assert bench.reasons() == ["delivery-queue-rate"] * 2
