"""JSON objects from outside, read strictly and alike on both interpreters.

`json.loads` alone is not enough: MicroPython takes a text that breaks off for a whole one and stumbles over
keys that are no texts; CPython takes NaN and UTF-16; both have a limit of nesting, or of printing it.
"""

import json

from sensors import seldom

MAX_DEPTH = 16  # settings with a calibration come to 6


@seldom
def parse_object(data):
    """The dictionary in a JSON text.

    Args:
        data: bytes or str.

    Raises:
        ValueError: no JSON object, not a whole one, nested too deep, or too large for the free memory.
    """
    try:
        if isinstance(data, str):
            data = data.encode()
        _check(data)
        body = json.loads(data)
    except (ValueError, TypeError, RuntimeError):
        # MicroPython has no RecursionError; a TypeError is a key that cannot be one.
        raise ValueError("no JSON") from None
    except MemoryError:
        raise ValueError("no memory for %d bytes of JSON" % len(data)) from None
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body


def _check(data):
    """Brackets, texts and keys; a byte at a time, so that no nesting can reach a limit."""
    brackets = 1  # then a bit for each open one: 1 for {, 0 for [
    key = quoted = escaped = False  # key: only a key may come
    for byte in data:
        if quoted:
            if byte < 32:
                raise ValueError
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            else:
                quoted = byte != 0x22
        elif byte > 32:
            if byte == 0x22:
                quoted = True
            elif byte in b"{[":
                brackets = brackets << 1 | (byte == 0x7B)
            elif byte in b"}]":
                if brackets & 1 != (byte == 0x7D) or brackets == 1:
                    raise ValueError
                brackets >>= 1
            # NaN, Infinity, or nothing that JSON has outside of texts
            elif byte in b"NI" or byte > 126:
                raise ValueError
            if brackets >> MAX_DEPTH + 1:
                raise ValueError
            if key and byte not in b'"}':
                raise ValueError
            key = byte == 0x7B or (byte == 0x2C and brackets & 1)
        elif not byte:
            raise ValueError
    if quoted or brackets != 1:
        raise ValueError
