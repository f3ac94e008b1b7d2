"""JSON objects from outside, read strictly: MicroPython takes a text that breaks off for a whole one."""

import json


def parse_object(data):
    """The dictionary in a JSON text.

    Args:
        data: bytes or str.

    Raises:
        ValueError: no JSON object, or not a whole one.
    """
    if isinstance(data, str):
        data = data.encode()
    try:
        body = json.loads(data)
    except (ValueError, UnicodeError):
        raise ValueError("no JSON") from None
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    if data.strip()[-1:] != b"}" or data.count(b"{") > data.count(b"}"):
        raise ValueError("no whole JSON object")
    return body
