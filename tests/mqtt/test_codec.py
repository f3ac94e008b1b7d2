"""The packet codec: round trips, any split of the stream, and what it refuses."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buoyfleet.mqtt import codec
from buoyfleet.mqtt.codec import (
    Connack,
    Connect,
    Decoder,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    ProtocolError,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    UnsupportedVersion,
    Will,
)

ids = st.integers(1, 65_535)
qos = st.integers(0, 2)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
topics = texts.map(lambda text: text.replace("+", "-").replace("#", "-").encode()).filter(bool)
filters = st.lists(st.one_of(st.just(b"+"), topics), min_size=1, max_size=4).map(b"/".join)
filters = st.one_of(filters, st.just(b"#"), filters.map(lambda head: head + b"/#"))
payloads = st.one_of(
    st.binary(max_size=40), st.binary(min_size=120, max_size=140), st.binary(min_size=16_300, max_size=16_500)
)

wills = st.builds(Will, topics, st.binary(max_size=40), qos, st.booleans())
connects = st.one_of(
    st.builds(Connect, texts, st.integers(0, 65_535), st.booleans(), st.none() | wills),
    st.builds(
        Connect,
        texts,
        st.integers(0, 65_535),
        st.booleans(),
        st.none() | wills,
        texts,
        st.none() | st.binary(max_size=40),
    ),
)
publishes = st.one_of(
    st.builds(Publish, topics, payloads, st.just(0), st.booleans()),
    st.builds(Publish, topics, payloads, st.integers(1, 2), st.booleans(), st.booleans(), ids),
)
packets = st.one_of(
    connects,
    st.builds(Connack, st.booleans(), st.just(0)),
    st.builds(Connack, st.just(False), st.integers(1, 5)),
    publishes,
    st.builds(Puback, ids),
    st.builds(Pubrec, ids),
    st.builds(Pubrel, ids),
    st.builds(Pubcomp, ids),
    st.builds(Subscribe, ids, st.lists(st.tuples(filters, qos), min_size=1, max_size=5).map(tuple)),
    st.builds(Suback, ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=5).map(bytes)),
    st.builds(Unsubscribe, ids, st.lists(filters, min_size=1, max_size=5).map(tuple)),
    st.builds(Unsuback, ids),
    st.builds(Pingreq),
    st.builds(Pingresp),
    st.builds(Disconnect),
)


def encode(packet: Packet) -> bytes:
    match packet:
        case Connect():
            return codec.encode_connect(packet)
        case Connack(session_present, code):
            return codec.encode_connack(session_present, code)
        case Publish():
            return codec.encode_publish(
                packet.topic, packet.payload, packet.qos, packet.retain, packet.dup, packet.packet_id
            )
        case Subscribe(packet_id, wanted):
            return codec.encode_subscribe(packet_id, wanted)
        case Suback(packet_id, codes):
            return codec.encode_suback(packet_id, codes)
        case Unsubscribe(packet_id, unwanted):
            return codec.encode_unsubscribe(packet_id, unwanted)
        case Pingreq():
            return codec.PINGREQ
        case Pingresp():
            return codec.PINGRESP
        case Disconnect():
            return codec.DISCONNECT
        case _:
            return getattr(codec, f"encode_{type(packet).__name__.lower()}")(packet.packet_id)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


@given(packets)
def test_every_packet_survives_the_round_trip(packet: Packet) -> None:
    decoder = Decoder()
    assert decoder.feed(encode(packet)) == [packet]
    assert decoder.buffered_bytes == 0


@pytest.mark.parametrize("length", [0x7F, 0x3FFF, 0x1FFFFF])
@pytest.mark.parametrize("beyond", [0, 1])
def test_remaining_lengths_are_right_where_they_gain_a_byte(length: int, beyond: int) -> None:
    payload = bytes(length + beyond - 3)
    packet = codec.encode_publish(b"t", payload)
    assert len(packet) == 1 + len(codec.encode_length(length + beyond)) + length + beyond
    assert len(codec.encode_length(length + beyond)) == (length.bit_length() // 7) + beyond
    assert Decoder().feed(packet) == [Publish(b"t", payload)]


@given(st.lists(packets, max_size=6), st.lists(st.integers(0, 1 << 16), max_size=12))
def test_packets_come_out_the_same_however_the_stream_is_split(sent: list[Packet], cuts: list[int]) -> None:
    decoder = Decoder()
    received: list[Packet] = []
    for piece in pieces(b"".join(map(encode, sent)), cuts):
        received += decoder.feed(piece)
    assert received == sent


def damaged(data: bytes, place: int, value: int) -> bytes:
    """One byte replaced."""
    place %= len(data)
    return data[:place] + bytes([value]) + data[place + 1 :]


wreckage = st.one_of(
    st.binary(max_size=30),
    packets.map(encode),
    st.builds(damaged, packets.map(encode), st.integers(0, 60), st.integers(0, 255)),
)


@given(st.lists(wreckage, max_size=8), st.lists(st.integers(0, 1 << 16), max_size=5))
@example([b"\x10\x80\x80\x80\x80\x01"], [])
@example([b"\x40\x02\x00\x00"], [])
def test_hostile_bytes_raise_nothing_but_protocol_errors(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole: list[Packet] = []
    error = ""
    try:
        whole = Decoder(10_000).feed(data)
    except ProtocolError as caught:
        whole, error = caught.packets, caught.reason
        assert error
    # And the split changes neither the packets nor the verdict.
    decoder = Decoder(10_000)
    received: list[Packet] = []
    reason = ""
    for piece in pieces(data, cuts):
        try:
            received += decoder.feed(piece)
        except ProtocolError as caught:
            received += caught.packets
            reason = caught.reason
            break
        assert decoder.buffered_bytes <= 10_000
    assert received == whole
    assert reason == error


@given(st.lists(ids, min_size=1, max_size=50))
def test_a_run_of_pubacks_is_read_as_its_ids(packet_ids: list[int]) -> None:
    run = b"".join(map(codec.encode_puback, packet_ids))
    assert codec.puback_ids(run) == packet_ids
    assert Decoder().feed(run) == [Puback(packet_id) for packet_id in packet_ids]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x40\x02\x00",
        b"\x40\x02\x00\x00",
        b"\x40\x02\x00\x01\x40\x02\x00",
        b"\x40\x02\x00\x01\x40\x02\x00\x00",
        b"\x40\x02\x00\x01\x50\x02\x00\x01",
        b"\x40\x03\x00\x01\x40\x02\x00\x01",
        b"\x40\x02\x00\x01" + codec.PINGRESP + codec.PINGRESP,
        b"\x20\x02\x00\x00",
    ],
)
def test_anything_but_a_run_of_whole_pubacks_is_left_to_the_decoder(data: bytes) -> None:
    assert codec.puback_ids(data) is None


def test_a_failed_decoder_stays_failed() -> None:
    decoder = Decoder()
    with pytest.raises(ProtocolError, match="reserved packet type 15"):
        decoder.feed(b"\xf0\x00")
    with pytest.raises(ProtocolError, match="reserved packet type 15"):
        decoder.feed(codec.PINGREQ)


def test_packets_before_the_fault_are_handed_over_with_the_error() -> None:
    with pytest.raises(ProtocolError) as caught:
        Decoder().feed(codec.encode_puback(7) + codec.PINGRESP + b"\x00\x00")
    assert caught.value.packets == [Puback(7), Pingresp()]


def test_a_huge_packet_is_refused_by_its_header() -> None:
    decoder = Decoder(1000)
    with pytest.raises(ProtocolError, match="packet of 268435460 bytes; at most 1000"):
        decoder.feed(b"\x30\xff\xff\xff\x7f")
    assert decoder.buffered_bytes == 0
    assert Decoder(1000).feed(codec.encode_publish(b"t", b"x" * 994)) != []
    with pytest.raises(ProtocolError, match="1001 bytes"):
        Decoder(1000).feed(codec.encode_publish(b"t", b"x" * 995))


@pytest.mark.timeout(20)
def test_a_large_packet_in_small_pieces_costs_its_size_not_its_square() -> None:
    packet = codec.encode_publish(b"t", b"x" * 16_000_000)
    decoder = Decoder()
    received: list[Packet] = []
    # 125 000 pieces: copying what is there for each would move a terabyte.
    for start in range(0, len(packet), 128):
        received += decoder.feed(packet[start : start + 128])
    assert received == [Publish(b"t", b"x" * 16_000_000)]


CONNECT = b"\x00\x04MQTT\x04"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x00", "reserved packet type 0"),
        (b"\x11\x00", "CONNECT with reserved flags"),
        (b"\x80\x00", "SUBSCRIBE with reserved flags"),
        (b"\x60\x02\x00\x01", "PUBREL with reserved flags"),
        (b"\x42\x02\x00\x01", "PUBACK with reserved flags"),
        (b"\x40\x03\x00\x01\x00", "PUBACK of length 3"),
        (b"\x40\x02\x00\x00", "PUBACK with packet id 0"),
        (b"\xc0\x01\x00", "PINGREQ of length 1"),
        (b"\xc0\x80\x80\x80\x80\x00", "more than four bytes"),
        (b"\x36\x00", "QoS 3"),
        (b"\x30\x01t", "without a topic"),
        (b"\x30\x02\x00\x00", "topic is empty"),
        (b"\x30\x04\x00\x05to", "longer than the packet"),
        (b"\x30\x03\x00\x01+", "wildcard"),
        (b"\x30\x03\x00\x01#", "wildcard"),
        (b"\x30\x03\x00\x01\x00", "U+0000"),
        (b"\x30\x03\x00\x01\xff", "not UTF-8"),
        (b"\x30\x05\x00\x03\xed\xa0\x80", "not UTF-8"),
        (b"\x38\x03\x00\x01t", "QoS 0 with DUP"),
        (b"\x32\x04\x00\x01t\x00", "without the packet id"),
        (b"\x32\x05\x00\x01t\x00\x00", "PUBLISH with packet id 0"),
        (b"\x82\x02\x00\x01", "without a topic filter"),
        (b"\x82\x06\x00\x01\x00\x01t\x03", "QoS byte 3"),
        (b"\x82\x05\x00\x01\x00\x01t", "ends before its QoS"),
        (b"\x82\x06\x00\x00\x00\x01t\x00", "packet id 0"),
        (b"\x82\x07\x00\x01\x00\x02a#\x00", "# must be the last level"),
        (b"\xa2\x02\x00\x01", "without a topic filter"),
        (b"\xa2\x04\x00\x01\x00\x09", "ends inside"),
        (b"\x90\x02\x00\x01", "without a return code"),
        (b"\x90\x03\x00\x01\x03", "reserved return code"),
        (b"\x20\x02\x02\x00", "reserved flag"),
        (b"\x20\x02\x00\x06", "reserved return code 6"),
        (b"\x20\x02\x01\x05", "session present"),
        (b"\x10\x02\x00\x04", "ends inside its protocol name"),
        (b"\x10\x07\x00\x04HTTP\x04", "protocol named b'HTTP'"),
        (b"\x10\x0c" + CONNECT + b"\x03\x00\x3c\x00\x00", "reserved flag"),
        (b"\x10\x0c" + CONNECT + b"\x0a\x00\x3c\x00\x00", "no will"),
        (b"\x10\x0c" + CONNECT + b"\x1e\x00\x3c\x00\x00", "will of QoS 3"),
        (b"\x10\x0c" + CONNECT + b"\x42\x00\x3c\x00\x00", "password but no user name"),
        (b"\x10\x0d" + CONNECT + b"\x02\x00\x3c\x00\x00x", "1 bytes too many"),
        (b"\x10\x0a" + CONNECT + b"\x02\x00\x3c", "ends before its length of client id"),
        (b"\x10\x11" + CONNECT + b"\x06\x00\x3c\x00\x00\x00\x01+\x00\x00", "will topic holds a wildcard"),
    ],
)
def test_what_the_standard_forbids_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Decoder().feed(data)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("body", "level"), [(b"\x00\x04MQTT\x05", 5), (b"\x00\x06MQIsdp\x03", 3), (b"\x00\x04MQTT\x84", 132)]
)
def test_another_mqtt_version_is_told_apart_so_that_it_can_be_answered(body: bytes, level: int) -> None:
    data = body + b"\x02\x00\x3c\x00\x00\x00"
    with pytest.raises(UnsupportedVersion) as caught:
        Decoder().feed(b"\x10" + bytes([len(data)]) + data)
    assert caught.value.level == level


def test_what_cannot_be_encoded_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="topic of 65536 bytes"):
        codec.encode_publish(b"t" * 65_536, b"")
    with pytest.raises(ValueError, match="packet id 65536"):
        codec.encode_publish(b"t", b"", 1, packet_id=65_536)
    with pytest.raises(ValueError, match="268435455"):
        codec.encode_length(268_435_456)
    with pytest.raises(ValueError, match="password without a user name"):
        codec.encode_connect(Connect("c", password=b"x"))
    with pytest.raises(ValueError, match="keep-alive of 70000 s"):
        codec.encode_connect(Connect("c", 70_000))
    with pytest.raises(ValueError, match="field of 65536 bytes"):
        codec.encode_subscribe(1, ((b"t" * 65_536, 0),))


def test_a_password_never_shows_in_the_packets_text() -> None:
    assert "hunter2" not in repr(Connect("c", username="u", password=b"hunter2"))
