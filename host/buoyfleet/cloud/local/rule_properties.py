"""Properties of MQTT 5 in rule SQL: `get_mqtt_property()` and `get_user_properties()`.

The broker hands them over encoded, as they go on to receivers (`broker.properties5` has checked them). They
are read where a statement asks for them. A message of MQTT 3.1.1 has none: Undefined.
"""

import base64
from collections.abc import Callable
from typing import Any, Protocol

from buoyfleet.cloud.local.rule_values import UNDEFINED

Evaluate = Callable[[Any, int], Any]

_FORMAT, _CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION, _USER = 0x01, 0x03, 0x08, 0x09, 0x26
_NAMES = {
    "content_type": _CONTENT_TYPE,
    "correlation_data": _CORRELATION,
    "format_indicator": _FORMAT,
    "response_topic": _RESPONSE_TOPIC,
}
_FORMATS = ("UNSPECIFIED_BYTES", "UTF8_DATA")


class HasProperties(Protocol):
    """A message under way."""

    properties: bytes | None
    """Encoded; None: it is none of MQTT 5."""


def mqtt_property(message: HasProperties, name_of: Evaluate) -> Evaluate:
    """`get_mqtt_property(name)`; correlation data are in Base64."""

    def read(payload: Any, at_ns: int) -> Any:
        name = name_of(payload, at_ns)
        wanted = _NAMES.get(name) if type(name) is str else None
        if wanted is None or message.properties is None:
            return UNDEFINED
        found = dict(one for one in decoded(message.properties) if one[0] != _USER)
        if wanted == _FORMAT:
            return found.get(wanted, _FORMATS[0])
        return found.get(wanted, UNDEFINED)

    return read


def user_properties(message: HasProperties, name_of: Evaluate | None) -> Evaluate:
    """`get_user_properties(name)`: all values of a name; without one an object for each property."""

    def read(payload: Any, at_ns: int) -> Any:
        if message.properties is None:
            return UNDEFINED
        pairs = [value for kind, value in decoded(message.properties) if kind == _USER]
        if name_of is None:
            return [dict([pair]) for pair in pairs]
        wanted = name_of(payload, at_ns)
        return [value for name, value in pairs if name == wanted] or UNDEFINED

    return read


def decoded(properties: bytes) -> list[tuple[int, Any]]:
    """(identifier, value) of each; a user property has the pair of name and value."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(properties):
        kind, at = properties[at], at + 1
        if kind == _FORMAT:
            found.append((kind, _FORMATS[properties[at]]))
            at += 1
            continue
        first, at = _field(properties, at)
        if kind == _USER:
            second, at = _field(properties, at)
            found.append((kind, (first.decode(), second.decode())))
        elif kind == _CORRELATION:
            found.append((kind, base64.b64encode(first).decode()))
        else:
            found.append((kind, first.decode()))
    return found


def _field(properties: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(properties[at : at + 2], "big")
    return properties[at + 2 : end], end
