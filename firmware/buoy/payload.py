"""JSON text of a buoy's messages, the same bytes on every interpreter.

Published floats have fixed decimals and never go through `repr`: single precision on an ESP32 and double
precision on a host must print the same value alike.

Modes:
    stamped   {"do":7.00,...,"timestamp":1700000000000}: the store takes its time from the payload
    original  {"do": 7.0, ...}: byte for byte what `json.dumps` of the original test wrote (values of at most
              two decimals, shortest form, ", " and ": ")
"""

from sensors import once, seldom
from sensors.catalog import BOOLEAN_KEYS, DECIMALS

# Kinds of error messages.
SENSOR_ERROR = "sensor-error"
CONNECTIVITY_ERROR = "connectivity-error"
FATAL_ERROR = "fatal-error"

# Codes of error messages, in one place for everyone who reads the error topic.
CODE_CONNECTION_LOST = 1
CODE_BAD_CONFIG = 2  # told by buoy.config
CODE_OUTBOX_DROPPED = 3  # told by buoy.board
CODE_BAD_SETTINGS = 4  # told by buoy.starting
CODE_WRONG_CLOCK = 5  # told by buoy.restamp

_FLOAT = "%%.%df" % DECIMALS


def boolean_text(value):
    """JSON text of a truth value."""
    return "true" if value else "false"


def shortest(value):
    """A float with at most `DECIMALS` decimals and at least one, as `json.dumps` prints such a value."""
    text = _FLOAT % value
    while text[-1] == "0" and text[-2] != ".":
        text = text[:-1]
    return text


class Payload:
    """Renders data messages; keeps one template per set of keys, since a buoy has few of them."""

    __slots__ = ("_original", "_templates")

    @once
    def __init__(self, mode):
        if mode not in ("stamped", "original"):
            raise ValueError("payload mode must be stamped or original, not %r" % (mode,))
        self._original = mode == "original"
        self._templates = {}

    def render(self, keys, values, timestamp_ms):
        """JSON bytes of one message.

        Args:
            keys: tuple of measure keys, in the order to publish.
            values: list of the same length; floats, and texts from `boolean_text` for booleans.
            timestamp_ms: integer ms since 1970 UTC; unused in `original` mode.
        """
        if self._original:
            values = [value if isinstance(value, str) else shortest(value) for value in values]
        else:
            values.append(timestamp_ms)
        template = self._templates.get(keys)
        if template is None:
            template = self._templates[keys] = self._template(keys)
        return (template % tuple(values)).encode()

    @seldom
    def _template(self, keys):
        if self._original:
            return "{" + ", ".join('"%s": %%s' % key for key in keys) + "}"
        parts = ['"%s":%s' % (key, "%s" if key in BOOLEAN_KEYS else _FLOAT) for key in keys]
        parts.append('"timestamp":%d')
        return "{" + ",".join(parts) + "}"


@seldom
def error_payload(timestamp_ms, kind, code, message, sensor=""):
    """JSON bytes for the error topic: kind is `sensor-error`, `connectivity-error` or `fatal-error`.

    `sensor` is the measure that it is about, where it is about one.
    """
    import json

    error = {"code": code, "message": message}
    if sensor:
        error["sensor"] = sensor
    body = {"timestamp": timestamp_ms, kind: error}
    return json.dumps(body).encode()
