"""MQTT 5 as IoT Core has it, by translation: packets of a client that speaks version 5 become those of 3.1.1
on their way in, and the broker's answers become those of version 5 on their way out.

IoT Core (developer guide, "MQTT 5 supported features") knows QoS 1 at most, no subscription identifiers and
no AUTH, and answers a PUBLISH that it does not take with a reason in PUBACK. Properties of a message are not
handed on, which IoT Core does. Section numbers are those of the OASIS standard "MQTT Version 5.0".
"""

from typing import Final

from host.cloud.local.broker.records import Reason
from host.mqtt.decoder import ProtocolError
from host.mqtt.encoder import MAX_REMAINING_LENGTH, encode_length

LEVEL: Final = 5
TOPIC_ALIASES: Final = 8
"""Per connection (IoT Core quotas, MQTT 5 topic aliases)."""
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 1, 2, 3, 4, 8, 9
_UNSUBSCRIBE, _UNSUBACK, _DISCONNECT, _AUTH = 10, 11, 14, 15
_WITH_WILL = 0x04

MALFORMED, PROTOCOL, AUTH_METHOD, ALIAS = 0x81, 0x82, 0x8C, 0x94
_NO_QOS_2, _NO_IDENTIFIERS = 0x9B, 0xA1
TOO_LARGE = 0x95
NOT_AUTHORISED, QUOTA, UNSPECIFIED = 0x87, 0x97, 0x80

# Section 2.2.2.2: property → how its value is written.
_SIZES: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_TEXTS: Final = frozenset((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F))
_PAIR, _VARIABLE = 0x26, 0x0B
_EXPIRY, _ALIAS, _METHOD = 0x11, 0x23, 0x15

CONNACK_CODES: Final = {0: 0x00, 1: 0x84, 2: 0x85, 3: QUOTA, 4: 0x86, 5: NOT_AUTHORISED}
"""Return code of 3.1.1 → reason code. 3 (server unavailable) is what the broker says of a rate."""
PUBACK_CODES: Final[dict[Reason | None, int]] = {
    Reason.PUBLISH_RATE: QUOTA,
    Reason.ACCOUNT_PUBLISH_RATE: QUOTA,
    Reason.IN_FLIGHT: QUOTA,
    Reason.NOT_AUTHORISED: NOT_AUTHORISED,
    Reason.SINK_FAILED: UNSPECIFIED,
}
DISCONNECT_CODES: Final = {
    Reason.NOT_AUTHORISED: NOT_AUTHORISED,
    Reason.DUPLICATE_CLIENT_ID: 0x8E,
    Reason.KEEP_ALIVE: 0x8D,
    Reason.PAYLOAD_TOO_LARGE: TOO_LARGE,
    Reason.TOPIC_TOO_LONG: 0x90,
    Reason.TOPIC_TOO_DEEP: 0x90,
    Reason.TOPIC_RESERVED: 0x90,
    Reason.TOO_MANY_SUBSCRIPTIONS: QUOTA,
    Reason.TOO_MANY_FILTERS: QUOTA,
    Reason.CONNECT_RATE: QUOTA,
    Reason.CLIENT_ID_RATE: QUOTA,
    Reason.CLIENT_ID_INVALID: 0x85,
    Reason.QOS_2: _NO_QOS_2,
    Reason.PROTOCOL_ERROR: PROTOCOL,
}


class Fault(ProtocolError):
    """The client sent what version 5, or IoT Core, does not allow; `code` goes into DISCONNECT or CONNACK."""

    def __init__(self, reason: str, code: int = MALFORMED) -> None:
        super().__init__(reason)
        self.code = code


class Mqtt5:
    """The translator of one connection."""

    def __init__(self, keep_alive_s: float, max_packet_bytes: int) -> None:
        """Nothing has come yet.

        Args:
            keep_alive_s: the longest that the broker grants.
            max_packet_bytes: a longer packet is refused as soon as its length is known.
        """
        self._longest_s = int(keep_alive_s)
        self._max_packet_bytes = max_packet_bytes
        self._rest = b""
        self._aliases: dict[int, bytes] = {}
        self._unsubscribed: dict[int, int] = {}
        """Packet id of an UNSUBSCRIBE → how many filters it had."""
        self._asked_s = 0
        self.starts_clean = False
        """Whether a session that is there must not be resumed, though the new one is kept."""

    # In

    def incoming(self, data: bytes) -> tuple[bytes, Fault | None]:
        """Packets of 3.1.1 for what has come whole; and what is wrong with the next one."""
        buffer = self._rest + data
        out = []
        at = 0
        fault = None
        try:
            while (found := _packet_end(buffer, at, self._max_packet_bytes)) is not None:
                start, end = found
                out.append(self._packet(buffer[at], buffer[start:end]))
                at = end
        except Fault as error:
            fault = error
        except (IndexError, UnicodeDecodeError):
            fault = Fault("a packet of MQTT 5 ends before its fields do")
        self._rest = buffer[at:]
        return b"".join(out), fault

    def _packet(self, head: int, body: bytes) -> bytes:
        kind = head >> 4
        if kind == _CONNECT:
            return self._connect(body)
        if kind == _PUBLISH:
            return self._publish(head, body)
        if kind == _PUBACK:
            return _framed(head, body[:2])
        if kind in (_SUBSCRIBE, _UNSUBSCRIBE):
            return self._subscription(kind, head, body)
        if kind == _DISCONNECT:
            # With its will: the connection simply ends, and the will goes out.
            return b"" if body[:1] == bytes((_WITH_WILL,)) else b"\xe0\x00"
        if kind == _AUTH:
            raise Fault("AUTH is not supported", PROTOCOL)
        return _framed(head, body)

    def _connect(self, body: bytes) -> bytes:
        flags = body[7]
        self._asked_s = int.from_bytes(body[8:10], "big")
        properties, at = _properties(body, 10)
        if _METHOD in properties:
            raise Fault("enhanced authentication is not supported", AUTH_METHOD)
        expires_s = int.from_bytes(properties.get(_EXPIRY, b""), "big")
        clean = bool(flags & 2)
        self.starts_clean = clean and expires_s > 0
        fields, at = _field(body, at)
        if flags & 4:
            _, at = _properties(body, at)
            topic, at = _field(body, at)
            payload, at = _field(body, at)
            fields += topic + payload
        if flags & 64 and not flags & 128:
            flags &= ~64  # version 5 knows a password without a name, and the twin looks at neither
            at = len(body)
        fields += body[at:]
        flags = flags & ~2 | (2 if clean and not expires_s else 0)
        return _framed(0x10, b"\x00\x04MQTT\x04" + bytes((flags,)) + body[8:10] + fields)

    def _publish(self, head: int, body: bytes) -> bytes:
        qos = head >> 1 & 3
        if qos == 2:
            raise Fault("QoS 2 is not supported", _NO_QOS_2)
        topic, at = _field(body, 0)
        packet_id = body[at : at + 2] if qos else b""
        properties, at = _properties(body, at + len(packet_id))
        alias = int.from_bytes(properties.get(_ALIAS, b""), "big")
        if _ALIAS in properties:
            if not 0 < alias <= TOPIC_ALIASES:
                raise Fault(f"topic alias {alias}; {TOPIC_ALIASES} are allowed", ALIAS)
            if topic != b"\x00\x00":
                self._aliases[alias] = topic
            elif alias not in self._aliases:
                raise Fault(f"topic alias {alias} stands for nothing yet", PROTOCOL)
            topic = self._aliases[alias]
        return _framed(head, topic + packet_id + body[at:])

    def _subscription(self, kind: int, head: int, body: bytes) -> bytes:
        packet_id = body[:2]
        properties, at = _properties(body, 2)
        if _VARIABLE in properties:
            raise Fault("subscription identifiers are not supported", _NO_IDENTIFIERS)
        fields, filters = b"", 0
        while at < len(body):
            topic_filter, at = _field(body, at)
            fields += topic_filter
            filters += 1
            if kind == _SUBSCRIBE:
                # CONNACK has said that QoS 1 is the most: more is granted as 1.
                fields += bytes((min(body[at] & 3, 1),))
                at += 1
        if kind == _UNSUBSCRIBE:
            self._unsubscribed[int.from_bytes(packet_id, "big")] = filters
        return _framed(head, packet_id + fields)

    # Out

    def outgoing(self, data: bytes) -> bytes:
        """One packet of the broker in version 5; what is of version 5 already passes."""
        found = _packet_end(data, 0, MAX_REMAINING_LENGTH + 5)
        if found is None:
            return data
        head, body = data[0], data[found[0] : found[1]]
        kind = head >> 4
        if kind == _CONNACK and len(body) == 2:
            return self.connack(bool(body[0]), CONNACK_CODES.get(body[1], UNSPECIFIED))
        if kind == _PUBLISH:
            at = 2 + int.from_bytes(body[:2], "big") + (2 if head >> 1 & 3 else 0)
            return _framed(head, body[:at] + b"\x00" + body[at:])
        if kind == _SUBACK:
            return _framed(head, body[:2] + b"\x00" + body[2:])
        if kind == _UNSUBACK:
            filters = self._unsubscribed.pop(int.from_bytes(body, "big"), 1)
            return _framed(head, body + b"\x00" + bytes(filters))
        return data

    def connack(self, present: bool, code: int) -> bytes:
        """CONNACK, with what IoT Core offers where it accepts."""
        properties = b""
        if not code:
            properties = b"\x24\x01\x29\x00\x2a\x00\x22\x00" + bytes((TOPIC_ALIASES,))
            if not 0 < self._asked_s <= self._longest_s:
                properties += b"\x13" + self._longest_s.to_bytes(2, "big")
        flag = bytes((present and not code, code))
        return _framed(0x20, flag + encode_length(len(properties)) + properties)


def puback(packet_id: int, code: int) -> bytes:
    """PUBACK of version 5 with a reason."""
    return b"\x40\x03" + packet_id.to_bytes(2, "big") + bytes((code,))


def disconnect(code: int) -> bytes:
    """DISCONNECT of version 5 with a reason."""
    return b"\xe0\x01" + bytes((code,))


def _framed(head: int, body: bytes) -> bytes:
    return bytes((head,)) + encode_length(len(body)) + body


def _packet_end(buffer: bytes, at: int, most: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None while it is not whole."""
    length = shift = 0
    for place in range(at + 1, min(at + 5, len(buffer))):
        length |= (buffer[place] & 127) << shift
        shift += 7
        if buffer[place] < 128:
            end = place + 1 + length
            if end - at > most:
                raise Fault(f"packet of {end - at} bytes; at most {most} are accepted", TOO_LARGE)
            return (place + 1, end) if end <= len(buffer) else None
    if len(buffer) >= at + 5:
        raise Fault("a remaining length of more than four bytes")
    return None


def _field(body: bytes, at: int) -> tuple[bytes, int]:
    """A field with its two bytes of length, and where it ends."""
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if at + 2 > len(body) or end > len(body):
        raise IndexError
    return body[at:end], end


def _properties(body: bytes, at: int) -> tuple[dict[int, bytes], int]:
    """The properties that begin at `at`, and where they end (section 2.2.2)."""
    length = shift = 0
    while True:
        byte = body[at]
        at += 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    end = at + length
    if end > len(body):
        raise IndexError
    found = {}
    while at < end:
        name = body[at]
        at += 1
        start = at
        if name in _SIZES:
            at += _SIZES[name]
        elif name in _TEXTS:
            _, at = _field(body, at)
        elif name == _PAIR:
            _, at = _field(body, at)
            _, at = _field(body, at)
        elif name == _VARIABLE:
            while body[at] > 127:
                at += 1
            at += 1
        else:
            raise Fault(f"property {name:#04x} does not exist")
        found[name] = body[start:at]
    if at != end:
        raise IndexError
    return found, end
