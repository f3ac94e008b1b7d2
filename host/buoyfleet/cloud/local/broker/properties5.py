"""Properties of MQTT 5 (OASIS standard "MQTT Version 5.0", section 2.2.2), read strictly."""

from enum import IntEnum
from typing import Final

from buoyfleet.mqtt.reader import ProtocolError
from buoyfleet.mqtt.topics import TopicError, check_text

MALFORMED, PROTOCOL = 0x81, 0x82


class Fault(ProtocolError):
    """The client sent what version 5, or IoT Core, does not allow; `code` goes into DISCONNECT or CONNACK."""

    def __init__(self, reason: str, code: int = MALFORMED) -> None:
        super().__init__(reason)
        self.code = code


class Property(IntEnum):
    """Identifiers (table 2-4)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTH_METHOD = 0x15
    AUTH_DATA = 0x16
    REQUEST_PROBLEM = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARDS_AVAILABLE = 0x28
    SUBSCRIPTION_IDS_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


_SIZES: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_TEXTS: Final = frozenset((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F))
_BINARIES: Final = frozenset((0x09, 0x16))
_FLAGS: Final = frozenset((0x01, 0x17, 0x19))
"""Bytes that may be 0 or 1 only."""
_NEVER_ZERO: Final = frozenset((0x21, 0x27))
FORWARDED: Final = frozenset((0x01, 0x03, 0x08, 0x09, 0x26))
"""What goes on to the receiver of a message as it came (section 3.3.2.3; IoT Core: "MQTT 5 properties")."""

# What a client may put into each packet.
IN_CONNECT: Final = frozenset((0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27))
IN_WILL: Final = frozenset((0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26))
IN_PUBLISH: Final = frozenset((0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26))
IN_ACK: Final = frozenset((0x1F, 0x26))
IN_SUBSCRIBE: Final = frozenset((0x0B, 0x26))
IN_UNSUBSCRIBE: Final = frozenset((0x26,))
IN_DISCONNECT: Final = frozenset((0x11, 0x1F, 0x26))


class Properties:
    """The properties of one packet."""

    __slots__ = ("_numbers", "_raw", "forwarded")

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._raw: dict[int, bytes] = {}
        self.forwarded = b""
        """What goes on to receivers, encoded, in the order it came."""

    def __contains__(self, name: Property) -> bool:
        return name in self._numbers or name in self._raw

    def number(self, name: Property, otherwise: int = 0) -> int:
        """A number, or what counts without it."""
        return self._numbers.get(name, otherwise)

    @classmethod
    def read(cls, body: bytes, at: int, packet: str, allowed: frozenset[int]) -> "tuple[Properties, int]":
        """The properties that begin at `at`, and where they end.

        Raises:
            Fault: a property that does not exist, does not belong here, comes twice, or has a wrong value.
            IndexError: the packet ends before they do.
        """
        length, at = _variable(body, at)
        end = at + length
        if end > len(body):
            raise IndexError
        found = cls()
        forwarded = []
        while at < end:
            start = at
            name, at = body[at], at + 1
            if name not in allowed:
                _refuse(name, packet)
            if name in found._numbers or (name in found._raw and name != Property.USER):
                raise Fault(f"{packet} with property {name:#04x} twice", PROTOCOL)
            at = found._value(name, body, at, end, packet)
            if name in FORWARDED:
                forwarded.append(body[start:at])
        if at != end:
            raise IndexError
        found.forwarded = b"".join(forwarded)
        return found, end

    def _value(self, name: int, body: bytes, at: int, end: int, packet: str) -> int:
        """Take the value at `at`; returns where it ends."""
        size = _SIZES.get(name)
        if size is not None:
            number = int.from_bytes(body[at : at + size], "big")
            if (name in _FLAGS and number > 1) or (name in _NEVER_ZERO and not number):
                raise Fault(f"{packet} with property {name:#04x} of value {number}", PROTOCOL)
            self._numbers[name] = number
            return at + size
        if name == Property.SUBSCRIPTION_ID:
            self._numbers[name], at = _variable(body, at)
            return at
        stop = _field_end(body, at, end)
        if name not in _BINARIES:
            _check(body[at + 2 : stop], packet)
        if name == Property.RESPONSE_TOPIC and (b"+" in body[at + 2 : stop] or b"#" in body[at + 2 : stop]):
            raise Fault(f"{packet} with a response topic that holds a wildcard", PROTOCOL)
        self._raw[name] = body[at + 2 : stop]
        if name == Property.USER:
            at, stop = stop, _field_end(body, stop, end)
            _check(body[at + 2 : stop], packet)
        return stop


def _refuse(name: int, packet: str) -> None:
    known = name in _SIZES or name in _TEXTS or name in _BINARIES or name in (0x0B, 0x26)
    if known:
        raise Fault(f"property {name:#04x} does not belong into {packet}", PROTOCOL)
    raise Fault(f"property {name:#04x} does not exist")


def _check(text: bytes, packet: str) -> None:
    try:
        check_text(text, "a property")
    except TopicError as error:
        raise Fault(f"{packet}: {error}") from None


def _field_end(body: bytes, at: int, end: int) -> int:
    """Where a field with two bytes of length ends."""
    stop = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if stop > end:
        raise IndexError
    return stop


def _variable(body: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and where it ends (section 1.5.5)."""
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 21:
            raise Fault("a variable byte integer of more than four bytes")
