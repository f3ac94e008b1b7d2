"""Packets to bytes. Hot ones take plain arguments, so that nothing is made only to be encoded.

Section numbers are those of the OASIS standard "MQTT Version 3.1.1".
"""

from struct import Struct
from struct import error as StructError

from buoyfleet.mqtt.packets import Connect

MAX_REMAINING_LENGTH = 268_435_455
"""Four bytes of seven bits (section 2.2.3)."""

PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"
DISCONNECT = b"\xe0\x00"

_pack_u16 = Struct(">H").pack
_pack_ack = Struct(">BBH").pack
_pack_publish_short = Struct(">BBH").pack
_pack_publish_long = Struct(">BBBH").pack


def encode_length(length: int) -> bytes:
    """The remaining length, 1–4 bytes (section 2.2.3).

    Raises:
        ValueError: more than `MAX_REMAINING_LENGTH`.
    """
    if length < 128:
        return bytes((length,))
    if length < 16_384:
        return bytes((length & 127 | 128, length >> 7))
    if length > MAX_REMAINING_LENGTH:
        raise ValueError(f"a packet of {length} bytes; MQTT allows {MAX_REMAINING_LENGTH}")
    if length < 2_097_152:
        return bytes((length & 127 | 128, length >> 7 & 127 | 128, length >> 14))
    return bytes((length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127 | 128, length >> 21))


def encode_publish(
    topic: bytes,
    payload: bytes,
    qos: int = 0,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 0,
) -> bytes:
    """PUBLISH. `topic` is not checked here (see `check_topic`); `packet_id` (1–65 535) is left out for QoS 0.

    Raises:
        ValueError: topic or packet too long for MQTT, or a packet id out of range.
    """
    head = 0x30 | qos << 1
    if retain:
        head |= 1
    if dup:
        head |= 8
    size = len(topic)
    length = 2 + size + len(payload)
    try:
        if qos:
            length += 2
            topic_and_id = topic + _pack_u16(packet_id)
        else:
            topic_and_id = topic
        if length < 128:
            return _pack_publish_short(head, length, size) + topic_and_id + payload
        if length < 16_384:
            return _pack_publish_long(head, length & 127 | 128, length >> 7, size) + topic_and_id + payload
        return bytes((head,)) + encode_length(length) + _pack_u16(size) + topic_and_id + payload
    except StructError:
        raise ValueError(f"PUBLISH with a topic of {size} bytes and packet id {packet_id}") from None


def encode_puback(packet_id: int) -> bytes:
    """PUBACK."""
    return _pack_ack(0x40, 2, packet_id)


def encode_pubrec(packet_id: int) -> bytes:
    """PUBREC."""
    return _pack_ack(0x50, 2, packet_id)


def encode_pubrel(packet_id: int) -> bytes:
    """PUBREL."""
    return _pack_ack(0x62, 2, packet_id)


def encode_pubcomp(packet_id: int) -> bytes:
    """PUBCOMP."""
    return _pack_ack(0x70, 2, packet_id)


def encode_unsuback(packet_id: int) -> bytes:
    """UNSUBACK."""
    return _pack_ack(0xB0, 2, packet_id)


def encode_connack(session_present: bool, code: int) -> bytes:
    """CONNACK; `session_present` only with code 0 (section 3.2.2.2)."""
    return bytes((0x20, 2, 1 if session_present and code == 0 else 0, code))


def encode_suback(packet_id: int, codes: bytes) -> bytes:
    """SUBACK, one code per filter of the SUBSCRIBE, in its order."""
    return b"\x90" + encode_length(2 + len(codes)) + _pack_u16(packet_id) + codes


def encode_subscribe(packet_id: int, filters: tuple[tuple[bytes, int], ...]) -> bytes:
    """SUBSCRIBE to (filter, QoS) pairs; filters are not checked here (see `check_filter`)."""
    body = b"".join([_text(topic_filter) + bytes((qos,)) for topic_filter, qos in filters])
    return b"\x82" + encode_length(2 + len(body)) + _pack_u16(packet_id) + body


def encode_unsubscribe(packet_id: int, filters: tuple[bytes, ...]) -> bytes:
    """UNSUBSCRIBE."""
    body = b"".join([_text(topic_filter) for topic_filter in filters])
    return b"\xa2" + encode_length(2 + len(body)) + _pack_u16(packet_id) + body


def encode_connect(connect: Connect) -> bytes:
    """CONNECT.

    Raises:
        ValueError: a field too long for MQTT, or a password without a user name (section 3.1.2.9).
    """
    flags = 2 if connect.clean_session else 0
    fields = [_text(connect.client_id.encode())]
    will = connect.will
    if will is not None:
        flags |= 4 | will.qos << 3 | (32 if will.retain else 0)
        fields += (_text(will.topic), _text(will.payload))
    if connect.username is not None:
        flags |= 128
        fields.append(_text(connect.username.encode()))
    if connect.password is not None:
        if connect.username is None:
            raise ValueError("MQTT 3.1.1 has no password without a user name")
        flags |= 64
        fields.append(_text(connect.password))
    if not 0 <= connect.keep_alive_s <= 65_535:
        raise ValueError(f"keep-alive of {connect.keep_alive_s} s; MQTT allows 0 to 65535")
    body = b"\x00\x04MQTT\x04" + bytes((flags,)) + _pack_u16(connect.keep_alive_s) + b"".join(fields)
    return b"\x10" + encode_length(len(body)) + body


def _text(text: bytes) -> bytes:
    """A string or binary field with its two bytes of length."""
    try:
        return _pack_u16(len(text)) + text
    except StructError:
        raise ValueError(f"a field of {len(text)} bytes; MQTT allows 65535") from None
