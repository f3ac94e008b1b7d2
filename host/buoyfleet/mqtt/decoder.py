"""Bytes to packets: a strict, incremental decoder for clients and servers alike.

Section numbers are those of the OASIS standard "MQTT Version 3.1.1".
"""

from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.mqtt.encoder import MAX_REMAINING_LENGTH
from buoyfleet.mqtt.packets import (
    SUBACK_FAILURE,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from buoyfleet.mqtt.reader import ProtocolError, Reader
from buoyfleet.mqtt.topics import TopicError, check_topic


class UnsupportedVersion(ProtocolError):
    """A CONNECT of another MQTT version: answer CONNACK 1 (section 3.1.2.2), then close."""

    def __init__(self, name: bytes, level: int) -> None:
        super().__init__(f"CONNECT speaks {name!r} level {level}, not MQTT 3.1.1 (b'MQTT' level 4)")
        self.level = level


def puback_ids(data: bytes) -> list[int] | None:
    """The packet ids of a run of whole PUBACKs, without making packets; None if `data` is anything else.

    The commonest thing a publishing client receives. A run with packet id 0 is "anything else": the decoder
    says what is wrong with it.
    """
    size = len(data)
    if size == 4:
        if data[0] == 0x40 and data[1] == 2:
            packet_id = data[2] << 8 | data[3]
            return [packet_id] if packet_id else None
        return None
    count = size >> 2
    if not count or size & 3 or data[::4] != b"\x40" * count or data[1::4] != b"\x02" * count:
        return None
    ids = [high << 8 | low for high, low in zip(data[2::4], data[3::4], strict=True)]
    return None if 0 in ids else ids


class Decoder:
    """Turns a byte stream into packets, whatever the split of the stream.

    Strict: anything section 2 or 3 forbids raises. After an error the decoder stays failed.
    """

    __slots__ = ("_failed", "_max_packet_bytes", "_needed", "_rest", "_topic")

    def __init__(self, max_packet_bytes: int = MAX_REMAINING_LENGTH + 5) -> None:
        """`max_packet_bytes` bounds a packet with its header: a longer one is refused by its header."""
        self._max_packet_bytes = max_packet_bytes
        self._rest: bytes | bytearray = b""
        self._needed = 0
        """Size of the packet whose beginning is in `_rest`; 0 while its header is not whole."""
        # A peer mostly publishes to one topic: the last one found valid is not checked again.
        self._topic = b""
        self._failed: str | None = None

    @property
    def buffered_bytes(self) -> int:
        """Bytes of a packet that is not yet whole; less than `max_packet_bytes`."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Packet]:
        """Take bytes as they come; return the packets they complete.

        Raises:
            ProtocolError: malformed input; `error.packets` holds the packets before it.
        """
        if self._failed is not None:
            raise ProtocolError(self._failed)
        if self._rest:
            # A bytearray grows in place: a large packet in small pieces must not cost its size squared.
            if not isinstance(self._rest, bytearray):
                self._rest = bytearray(self._rest)
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
        else:
            ids = puback_ids(data)
            if ids is not None:
                return [Puback(packet_id) for packet_id in ids]
        packets: list[Packet] = []
        try:
            rest = self._parse(data, packets)
        except ProtocolError as error:
            error.packets = packets
            self._failed = error.reason
            self._rest = b""
            raise
        self._rest = data[rest:]
        return packets

    def _parse(self, data: bytes, packets: list[Packet]) -> int:
        """Append the whole packets of `data`; return where the first that is not whole begins."""
        position, end = 0, len(data)
        self._needed = 0
        while end - position >= 2:
            head = data[position]
            length = data[position + 1]
            start = position + 2
            shift = 7
            while length >> shift:
                # The bit above the digits so far is the continuation bit of the last one.
                if shift == 28:
                    raise ProtocolError("remaining length of more than four bytes")
                if start == end:
                    return position
                length = length & (1 << shift) - 1 | data[start] << shift
                start += 1
                shift += 7
            stop = start + length
            if stop - position > self._max_packet_bytes:
                raise ProtocolError(
                    f"packet of {stop - position} bytes; at most {self._max_packet_bytes} are accepted"
                )
            if head >> 4 == 3:
                if head & 6 == 6:
                    raise ProtocolError("PUBLISH with QoS 3")
                if stop > end:
                    self._needed = stop - position
                    return position
                packets.append(self._publish(head, data, start, stop))
            else:
                kind = _kind_of(head, length)
                if stop > end:
                    self._needed = stop - position
                    return position
                packets.append(kind.decode(data[start:stop]))
            position = stop
        return position

    def _publish(self, head: int, data: bytes, start: int, stop: int) -> Publish:
        qos = head >> 1 & 3
        after = start + 2
        if after > stop:
            raise ProtocolError("PUBLISH without a topic")
        topic_end = after + (data[start] << 8 | data[start + 1])
        if topic_end > stop:
            raise ProtocolError("PUBLISH with a topic that is longer than the packet")
        topic = data[after:topic_end]
        if topic != self._topic or not topic:
            try:
                check_topic(topic)
            except TopicError as error:
                raise ProtocolError(f"PUBLISH: {error}") from None
            self._topic = topic
        packet_id = 0
        if qos:
            payload_start = topic_end + 2
            if payload_start > stop:
                raise ProtocolError("PUBLISH without the packet id its QoS needs")
            packet_id = data[topic_end] << 8 | data[topic_end + 1]
            if not packet_id:
                raise ProtocolError("PUBLISH with packet id 0")
        else:
            if head & 8:
                raise ProtocolError("PUBLISH of QoS 0 with DUP set")
            payload_start = topic_end
        return Publish(topic, data[payload_start:stop], qos, head & 1 == 1, head & 8 == 8, packet_id)


def _connect(body: bytes) -> Connect:
    reader = Reader("CONNECT", body)
    name, level = reader.binary("protocol name"), reader.byte("protocol level")
    if name != b"MQTT" or level != 4:
        if name in (b"MQTT", b"MQIsdp"):
            raise UnsupportedVersion(name, level)
        raise ProtocolError(f"CONNECT of a protocol named {name[:20]!r}")
    flags = reader.byte("flags")
    if flags & 1:
        raise ProtocolError("CONNECT with the reserved flag set")
    will_qos = flags >> 3 & 3
    if not flags & 4 and flags & 0x38:
        raise ProtocolError("CONNECT with a will's QoS or retain flag but no will")
    if will_qos == 3:
        raise ProtocolError("CONNECT with a will of QoS 3")
    if flags & 0x40 and not flags & 0x80:
        raise ProtocolError("CONNECT with a password but no user name")
    keep_alive_s = reader.u16("keep-alive")
    client_id = reader.text("client id").decode()
    will = None
    if flags & 4:
        topic = reader.text("will topic")
        try:
            check_topic(topic)
        except TopicError as error:
            raise ProtocolError(f"CONNECT: will {error}") from None
        will = Will(topic, reader.binary("will message"), will_qos, bool(flags & 0x20))
    username = reader.text("user name").decode() if flags & 0x80 else None
    password = reader.binary("password") if flags & 0x40 else None
    reader.done()
    return Connect(client_id, keep_alive_s, bool(flags & 2), will, username, password)


def _connack(body: bytes) -> Connack:
    flags, code = body
    if flags & 0xFE:
        raise ProtocolError("CONNACK with a reserved flag set")
    if code > 5:
        raise ProtocolError(f"CONNACK with the reserved return code {code}")
    if flags and code:
        raise ProtocolError(f"CONNACK that refuses (code {code}) with session present")
    return Connack(flags == 1, code)


def _subscribe(body: bytes) -> Subscribe:
    reader = Reader("SUBSCRIBE", body)
    packet_id = reader.packet_id()
    filters = []
    while reader.more:
        topic_filter, qos = reader.filter(), reader.byte("QoS")
        if qos > 2:
            raise ProtocolError(f"SUBSCRIBE with QoS byte {qos}")
        filters.append((topic_filter, qos))
    if not filters:
        raise ProtocolError("SUBSCRIBE without a topic filter")
    return Subscribe(packet_id, tuple(filters))


def _suback(body: bytes) -> Suback:
    reader = Reader("SUBACK", body)
    packet_id = reader.packet_id()
    codes = body[2:]
    if not codes:
        raise ProtocolError("SUBACK without a return code")
    if any(code > 2 and code != SUBACK_FAILURE for code in codes):
        raise ProtocolError("SUBACK with a reserved return code")
    return Suback(packet_id, codes)


def _unsubscribe(body: bytes) -> Unsubscribe:
    reader = Reader("UNSUBSCRIBE", body)
    packet_id = reader.packet_id()
    filters = []
    while reader.more:
        filters.append(reader.filter())
    if not filters:
        raise ProtocolError("UNSUBSCRIBE without a topic filter")
    return Unsubscribe(packet_id, tuple(filters))


def _ack(name: str, make: Callable[[int], Packet]) -> Callable[[bytes], Packet]:
    def decode(body: bytes) -> Packet:
        packet_id = body[0] << 8 | body[1]
        if not packet_id:
            raise ProtocolError(f"{name} with packet id 0")
        return make(packet_id)

    return decode


@dataclass(frozen=True, slots=True)
class _Kind:
    """What section 2.2 and 3 fix for one packet type other than PUBLISH."""

    name: str
    flags: int
    """The low four bits of the first byte."""
    length: int | None
    """The remaining length, where it is fixed."""
    decode: Callable[[bytes], Packet]


_KINDS: dict[int, _Kind] = {
    1: _Kind("CONNECT", 0, None, _connect),
    2: _Kind("CONNACK", 0, 2, _connack),
    4: _Kind("PUBACK", 0, 2, _ack("PUBACK", Puback)),
    5: _Kind("PUBREC", 0, 2, _ack("PUBREC", Pubrec)),
    6: _Kind("PUBREL", 2, 2, _ack("PUBREL", Pubrel)),
    7: _Kind("PUBCOMP", 0, 2, _ack("PUBCOMP", Pubcomp)),
    8: _Kind("SUBSCRIBE", 2, None, _subscribe),
    9: _Kind("SUBACK", 0, None, _suback),
    10: _Kind("UNSUBSCRIBE", 2, None, _unsubscribe),
    11: _Kind("UNSUBACK", 0, 2, _ack("UNSUBACK", Unsuback)),
    12: _Kind("PINGREQ", 0, 0, lambda _: Pingreq()),
    13: _Kind("PINGRESP", 0, 0, lambda _: Pingresp()),
    14: _Kind("DISCONNECT", 0, 0, lambda _: Disconnect()),
}


def _kind_of(head: int, length: int) -> _Kind:
    """The packet type of a fixed header other than PUBLISH's.

    Raises:
        ProtocolError: a reserved type, reserved flags, or a length that type can't have.
    """
    kind = _KINDS.get(head >> 4)
    if kind is None:
        raise ProtocolError(f"reserved packet type {head >> 4}")
    if head & 15 != kind.flags:
        raise ProtocolError(f"{kind.name} with reserved flags {head & 15:#x}")
    if kind.length is not None and length != kind.length:
        raise ProtocolError(f"{kind.name} of length {length}, not {kind.length}")
    return kind
