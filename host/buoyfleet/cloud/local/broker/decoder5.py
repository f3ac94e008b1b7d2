"""Bytes to packets of MQTT 5, as strict as the decoder of 3.1.1, with what IoT Core does not support refused.

Section numbers are those of the OASIS standard "MQTT Version 5.0".
"""

from collections.abc import Callable
from typing import Final

from buoyfleet.cloud.local.broker.packets5 import (
    RECEIVE_MAXIMUM,
    Connect5,
    Disconnect5,
    Publish5,
    Subscribe5,
    Will5,
)
from buoyfleet.cloud.local.broker.properties5 import (
    IN_ACK,
    IN_CONNECT,
    IN_DISCONNECT,
    IN_PUBLISH,
    IN_SUBSCRIBE,
    IN_UNSUBSCRIBE,
    IN_WILL,
    MALFORMED,
    PROTOCOL,
    Fault,
    Properties,
    Property,
)
from buoyfleet.mqtt.packets import Packet, Pingreq, Puback, Unsubscribe
from buoyfleet.mqtt.reader import ProtocolError, Reader
from buoyfleet.mqtt.topics import TopicError, check_topic

TOPIC_ALIASES: Final = 8
"""Per connection (AWS IoT Core developer guide, "Topic aliases")."""
_AUTH_METHOD, _ALIAS, _TOO_LARGE, _NO_QOS_2, _NO_IDENTIFIERS = 0x8C, 0x94, 0x95, 0x9B, 0xA1


class Decoder5:
    """The packets of one connection, whatever the split of its bytes."""

    def __init__(self, max_packet_bytes: int) -> None:
        """`max_packet_bytes`: a longer packet is refused as soon as its length is known."""
        self._max_packet_bytes = max_packet_bytes
        self._rest: bytes | bytearray = b""
        self._needed = 0
        self._aliases: dict[int, bytes] = {}

    def feed(self, data: bytes) -> tuple[list[Packet], Fault | None]:
        """The packets that `data` completes, and what is wrong with the next one."""
        if self._rest:
            if not isinstance(self._rest, bytearray):
                self._rest = bytearray(self._rest)
            self._rest += data
            if len(self._rest) < self._needed:
                return [], None
            data = bytes(self._rest)
        packets: list[Packet] = []
        at = 0
        fault = None
        try:
            while (found := self._packet_end(data, at)) is not None:
                start, end = found
                packets.append(self._packet(data[at], data[start:end]))
                at = end
        except Fault as error:
            fault = error
        except ProtocolError as error:
            fault = Fault(error.reason)
        except IndexError:
            fault = Fault("a packet of MQTT 5 ends before its fields do")
        self._rest = data[at:]
        return packets, fault

    def _packet_end(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Where the body of the packet at `at` begins and ends; None while it is not whole."""
        self._needed = length = shift = 0
        for place in range(at + 1, min(at + 5, len(data))):
            length |= (data[place] & 127) << shift
            shift += 7
            if data[place] < 128:
                end = place + 1 + length
                if end - at > self._max_packet_bytes:
                    words = f"packet of {end - at} bytes; at most {self._max_packet_bytes} are accepted"
                    raise Fault(words, _TOO_LARGE)
                self._needed = end - at
                return (place + 1, end) if end <= len(data) else None
        if len(data) >= at + 5:
            raise Fault("a remaining length of more than four bytes")
        return None

    def _packet(self, head: int, body: bytes) -> Packet:
        kind = head >> 4
        if kind == 3:
            return self._publish(head, body)
        known = _KINDS.get(kind)
        if known is None:
            raise Fault(_REFUSED.get(kind, f"packet type {kind} is not for a client to send"), PROTOCOL)
        flags, decode = known
        if head & 15 != flags:
            raise Fault(f"packet type {kind} with reserved flags {head & 15:#x}")
        return decode(body)

    def _publish(self, head: int, body: bytes) -> Publish5:
        qos = head >> 1 & 3
        if qos == 3 or (not qos and head & 8):
            raise Fault("PUBLISH with QoS 3, or with DUP and QoS 0")
        if qos == 2:
            raise Fault("QoS 2 is not supported", _NO_QOS_2)
        reader = Reader("PUBLISH", body)
        topic = reader.binary("topic")
        packet_id = reader.packet_id() if qos else 0
        properties, at = Properties.read(body, reader.position, "PUBLISH", IN_PUBLISH)
        if Property.SUBSCRIPTION_ID in properties:
            raise Fault("PUBLISH of a client with a subscription identifier", PROTOCOL)
        if Property.TOPIC_ALIAS in properties:
            topic = self._aliased(topic, properties.number(Property.TOPIC_ALIAS))
        try:
            check_topic(topic)
        except TopicError as error:
            raise Fault(f"PUBLISH: {error}", PROTOCOL if not topic else MALFORMED) from None
        return Publish5(
            topic,
            body[at:],
            qos,
            head & 1 == 1,
            head & 8 == 8,
            packet_id,
            properties.forwarded,
            _expiry(properties),
        )

    def _aliased(self, topic: bytes, alias: int) -> bytes:
        if not 0 < alias <= TOPIC_ALIASES:
            raise Fault(f"topic alias {alias}; {TOPIC_ALIASES} are allowed", _ALIAS)
        if topic:
            self._aliases[alias] = topic
        elif alias not in self._aliases:
            raise Fault(f"topic alias {alias} stands for nothing yet", PROTOCOL)
        return self._aliases[alias]


_MAX_EXPIRY_S: Final = 604_800


def _expiry(properties: Properties) -> int | None:
    """Message Expiry Interval as IoT Core takes it, 1 s to 7 days (guide, "Message expiry")."""
    if Property.MESSAGE_EXPIRY not in properties:
        return None
    return min(max(properties.number(Property.MESSAGE_EXPIRY), 1), _MAX_EXPIRY_S)


def _connect(body: bytes) -> Connect5:
    reader = Reader("CONNECT", body)
    if reader.binary("protocol name") != b"MQTT" or reader.byte("protocol level") != 5:
        raise Fault("a second CONNECT of another version", PROTOCOL)
    flags, keep_alive_s = reader.byte("flags"), reader.u16("keep-alive")
    will_qos = flags >> 3 & 3
    if flags & 1 or will_qos == 3 or (not flags & 4 and flags & 0x38):
        raise Fault(f"CONNECT with the flags {flags:#04x}")
    properties, reader.position = Properties.read(body, reader.position, "CONNECT", IN_CONNECT)
    if Property.AUTH_METHOD in properties:
        raise Fault("enhanced authentication is not supported", _AUTH_METHOD)
    if Property.AUTH_DATA in properties:
        raise Fault("CONNECT with authentication data and no method", PROTOCOL)
    client_id = reader.text("client id").decode()
    will = None
    if flags & 4:
        will = _will(reader, will_qos, bool(flags & 0x20))
    username = reader.text("user name").decode() if flags & 0x80 else None
    password = reader.binary("password") if flags & 0x40 else None
    reader.done()
    if will_qos == 2:
        raise Fault("QoS 2 is not supported, nor for a will", _NO_QOS_2)
    size = properties.number(Property.MAXIMUM_PACKET_SIZE)
    return Connect5(
        client_id,
        keep_alive_s,
        bool(flags & 2),
        will,
        username,
        password,
        properties.number(Property.SESSION_EXPIRY),
        properties.number(Property.RECEIVE_MAXIMUM, RECEIVE_MAXIMUM),
        size or None,
        properties.number(Property.TOPIC_ALIAS_MAXIMUM),
    )


def _will(reader: Reader, qos: int, retain: bool) -> Will5:
    properties, reader.position = Properties.read(reader.body, reader.position, "the will", IN_WILL)
    topic = reader.text("will topic")
    try:
        check_topic(topic)
    except TopicError as error:
        raise Fault(f"CONNECT: will {error}") from None
    payload = reader.binary("will message")
    delay_s = properties.number(Property.WILL_DELAY)
    return Will5(topic, payload, qos, retain, properties.forwarded, _expiry(properties), delay_s)


def _puback(body: bytes) -> Puback:
    reader = Reader("PUBACK", body)
    packet_id = reader.packet_id()
    if reader.more:
        reader.byte("reason")
    if reader.more:
        _, reader.position = Properties.read(body, reader.position, "PUBACK", IN_ACK)
    reader.done()
    return Puback(packet_id)


def _subscribe(body: bytes) -> Subscribe5:
    reader = Reader("SUBSCRIBE", body)
    packet_id = reader.packet_id()
    properties, reader.position = Properties.read(body, reader.position, "SUBSCRIBE", IN_SUBSCRIBE)
    if Property.SUBSCRIPTION_ID in properties:
        raise Fault("subscription identifiers are not supported", _NO_IDENTIFIERS)
    filters, options = [], []
    while reader.more:
        topic_filter, option = reader.filter(), reader.byte("subscription options")
        if option & 0xC0 or option & 3 == 3 or option & 0x30 == 0x30:
            raise Fault(f"SUBSCRIBE with the options {option:#04x}", PROTOCOL)
        if option & 4 and topic_filter.startswith(b"$share/"):
            raise Fault("SUBSCRIBE with No Local for a shared subscription", PROTOCOL)
        # CONNACK has said that QoS 1 is the most: more is granted as 1.
        filters.append((topic_filter, min(option & 3, 1)))
        options.append(option)
    if not filters:
        raise Fault("SUBSCRIBE without a topic filter", PROTOCOL)
    return Subscribe5(packet_id, tuple(filters), tuple(options))


def _unsubscribe(body: bytes) -> Unsubscribe:
    reader = Reader("UNSUBSCRIBE", body)
    packet_id = reader.packet_id()
    _, reader.position = Properties.read(body, reader.position, "UNSUBSCRIBE", IN_UNSUBSCRIBE)
    filters = []
    while reader.more:
        filters.append(reader.filter())
    if not filters:
        raise Fault("UNSUBSCRIBE without a topic filter", PROTOCOL)
    return Unsubscribe(packet_id, tuple(filters))


def _pingreq(body: bytes) -> Pingreq:
    if body:
        raise Fault("PINGREQ with a body")
    return Pingreq()


def _disconnect(body: bytes) -> Disconnect5:
    reader = Reader("DISCONNECT", body)
    reason = reader.byte("reason") if reader.more else 0
    expiry_s = None
    if reader.more:
        properties, reader.position = Properties.read(body, reader.position, "DISCONNECT", IN_DISCONNECT)
        if Property.SESSION_EXPIRY in properties:
            expiry_s = properties.number(Property.SESSION_EXPIRY)
    reader.done()
    return Disconnect5(reason, expiry_s)


_KINDS: Final[dict[int, tuple[int, Callable[[bytes], Packet]]]] = {
    1: (0, _connect),
    4: (0, _puback),
    8: (2, _subscribe),
    10: (2, _unsubscribe),
    12: (0, _pingreq),
    14: (0, _disconnect),
}
"""Packet type → its flags and its decoder."""
_REFUSED: Final = {
    5: "PUBREC is of QoS 2, which is not supported",
    6: "PUBREL is of QoS 2, which is not supported",
    7: "PUBCOMP is of QoS 2, which is not supported",
    15: "AUTH is not supported",
}
