"""MQTT 5 towards a client, as IoT Core speaks it: reason codes, CONNACK's properties, messages.

Codes are those of the AWS IoT Core developer guide, "MQTT reason codes"; section numbers are of the OASIS
standard "MQTT Version 5.0". What is seen in a CONNACK of IoT Core, and in no page of AWS: Receive Maximum
100, Maximum Packet Size 149,504, Server Keep Alive in every one.
"""

from dataclasses import dataclass
from typing import Final

from buoyfleet.cloud.local.broker.decoder5 import TOPIC_ALIASES
from buoyfleet.cloud.local.broker.message import Message
from buoyfleet.cloud.local.broker.packets5 import Connect5
from buoyfleet.cloud.local.broker.properties5 import PROTOCOL, Property
from buoyfleet.cloud.local.broker.records import Reason
from buoyfleet.mqtt.encoder import encode_length

LEVEL: Final = 5
PACKET_OVERHEAD_BYTES: Final = 18 * 1024
"""Beside the largest payload: 128 KiB and this are the 149,504 bytes of IoT Core's CONNACK."""

NOT_AUTHORISED, QUOTA, UNSPECIFIED, TOPIC_NAME, TOPIC_FILTER = 0x87, 0x97, 0x80, 0x90, 0x8F
_SHUTTING_DOWN: Final = 0x8B

CONNACK_CODES: Final = {0: 0x00, 1: 0x84, 2: 0x85, 3: QUOTA, 4: 0x86, 5: NOT_AUTHORISED}
"""Return code of 3.1.1 → reason code. 3 (server unavailable) is what the broker says of a rate."""
PUBACK_CODES: Final[dict[Reason | None, int]] = {
    Reason.PUBLISH_RATE: QUOTA,
    Reason.ACCOUNT_PUBLISH_RATE: QUOTA,
    Reason.RETAINED_QUOTA: QUOTA,
    Reason.IN_FLIGHT: QUOTA,
    Reason.NOT_AUTHORISED: NOT_AUTHORISED,
    Reason.TOPIC_TOO_LONG: TOPIC_NAME,
    Reason.TOPIC_TOO_DEEP: TOPIC_NAME,
    Reason.TOPIC_RESERVED: TOPIC_NAME,
    Reason.SINK_FAILED: UNSPECIFIED,
}
SUBACK_CODES: Final[dict[Reason | None, int]] = {
    Reason.NOT_AUTHORISED: NOT_AUTHORISED,
    Reason.TOPIC_TOO_LONG: TOPIC_FILTER,
    Reason.TOPIC_TOO_DEEP: TOPIC_FILTER,
    Reason.TOPIC_RESERVED: TOPIC_FILTER,
    Reason.FILTER_INVALID: TOPIC_FILTER,
    Reason.TOO_MANY_SUBSCRIPTIONS: QUOTA,
    Reason.TOO_MANY_FILTERS: QUOTA,
}
DISCONNECT_CODES: Final = {
    Reason.NOT_AUTHORISED: NOT_AUTHORISED,
    Reason.DUPLICATE_CLIENT_ID: 0x8E,
    Reason.KEEP_ALIVE: 0x8D,
    Reason.PAYLOAD_TOO_LARGE: 0x95,
    Reason.TOPIC_TOO_LONG: TOPIC_NAME,
    Reason.TOPIC_TOO_DEEP: TOPIC_NAME,
    Reason.TOPIC_RESERVED: TOPIC_NAME,
    Reason.FILTER_INVALID: TOPIC_FILTER,
    Reason.TOO_MANY_SUBSCRIPTIONS: QUOTA,
    Reason.TOO_MANY_FILTERS: QUOTA,
    Reason.CONNECT_RATE: QUOTA,
    Reason.CLIENT_ID_RATE: QUOTA,
    Reason.CLIENT_ID_INVALID: 0x85,
    Reason.IN_FLIGHT: 0x93,
    Reason.QOS_2: 0x9B,
    Reason.PROTOCOL_ERROR: PROTOCOL,
}
SHUTTING_DOWN: Final = bytes((0xE0, 1, _SHUTTING_DOWN))
"""DISCONNECT of a server that stops."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an accepted client is told."""

    present: bool
    """Whether a session is resumed."""
    keep_alive_s: int
    expiry_s: int | None = None
    """The session's life, where it is another than the client asked for."""
    client_id: str = ""
    """The id that the broker gave; "" if the client had one."""


class Encoder5:
    """Writes the broker's packets for one client of MQTT 5."""

    def __init__(self, receive_maximum: int, max_packet_bytes: int) -> None:
        """Nothing is known of the client yet.

        Args:
            receive_maximum: unanswered QoS 1 messages that the broker takes.
            max_packet_bytes: longest packet that the broker takes.
        """
        self._receive_maximum = receive_maximum
        self._max_packet_bytes = max_packet_bytes
        self._client_max_bytes: int | None = None
        self._alias_maximum = 0
        self._aliases: dict[bytes, int] = {}

    def greet(self, connect: Connect5) -> None:
        """Take over what the client can take."""
        self._client_max_bytes = connect.max_packet_bytes
        self._alias_maximum = min(connect.topic_aliases, TOPIC_ALIASES)

    def accept(self, said: Accepted) -> bytes:
        """CONNACK of an accepted client."""
        properties = b"".join(
            (
                b"" if said.expiry_s is None else b"\x11" + said.expiry_s.to_bytes(4, "big"),
                b"\x21" + self._receive_maximum.to_bytes(2, "big"),
                b"\x24\x01\x25\x01\x27" + self._max_packet_bytes.to_bytes(4, "big"),
                _text(Property.ASSIGNED_CLIENT_ID, said.client_id) if said.client_id else b"",
                b"\x22" + TOPIC_ALIASES.to_bytes(2, "big"),
                b"\x28\x01\x29\x00\x2a\x01\x13" + said.keep_alive_s.to_bytes(2, "big"),
            )
        )
        return _framed(0x20, bytes((said.present, 0)) + encode_length(len(properties)) + properties)

    def fits(self, message: Message) -> bool:
        """Whether the client takes a packet as long as this message's."""
        most = self._client_max_bytes
        return most is None or self._size(message) <= most

    def publish(self, message: Message, packet_id: int, dup: bool, now_s: float) -> bytes:
        """PUBLISH; a topic's alias is set with its first message and used from then on."""
        properties, topic, expires_s = message.extra.properties, message.topic, message.extra.expires_s
        if expires_s is not None:
            left_s = max(0, int(expires_s - now_s))
            properties = b"\x02" + left_s.to_bytes(4, "big") + properties
        if self._alias_maximum:
            alias = self._aliases.get(topic)
            if alias is not None:
                topic = b""
            elif len(self._aliases) < self._alias_maximum and self._has_room(message):
                alias = self._aliases[topic] = len(self._aliases) + 1
            if alias is not None:
                properties = b"\x23" + alias.to_bytes(2, "big") + properties
        head = 0x30 | message.qos << 1 | message.retain | (8 if dup else 0)
        number = packet_id.to_bytes(2, "big") if message.qos else b""
        body = len(topic).to_bytes(2, "big") + topic + number + encode_length(len(properties)) + properties
        return _framed(head, body + message.payload)

    def _has_room(self, message: Message) -> bool:
        most = self._client_max_bytes
        return most is None or self._size(message) + 4 <= most  # the alias, and perhaps one byte of length

    def _size(self, message: Message) -> int:
        properties = len(message.extra.properties) + (0 if message.extra.expires_s is None else 5)
        length = 2 + len(message.topic) + (2 if message.qos else 0) + len(message.payload)
        length += properties + len(encode_length(properties))
        return 1 + len(encode_length(length)) + length


def connack(code: int) -> bytes:
    """CONNACK of a refused client."""
    return bytes((0x20, 3, 0, code, 0))


def puback(packet_id: int, code: int) -> bytes:
    """PUBACK with a reason."""
    return b"\x40\x03" + packet_id.to_bytes(2, "big") + bytes((code,))


def suback(packet_id: int, codes: bytes) -> bytes:
    """SUBACK."""
    return _framed(0x90, packet_id.to_bytes(2, "big") + b"\x00" + codes)


def unsuback(packet_id: int, filters: int) -> bytes:
    """UNSUBACK; IoT Core does not say whether there was a subscription (its table has no 0x11)."""
    return _framed(0xB0, packet_id.to_bytes(2, "big") + b"\x00" + bytes(filters))


def disconnect(code: int) -> bytes:
    """DISCONNECT with a reason."""
    return b"\xe0\x01" + bytes((code,))


def _framed(head: int, body: bytes) -> bytes:
    return bytes((head,)) + encode_length(len(body)) + body


def _text(name: Property, text: str) -> bytes:
    data = text.encode()
    return bytes((name,)) + len(data).to_bytes(2, "big") + data
