"""JSON as the rules engine reads and writes it, with little done per message."""

import json
from collections.abc import Callable
from json import encoder
from typing import Any


def make_decode() -> Callable[[str], Any]:
    """`JSONDecoder.decode`, without looking for white space where there is none. Raises ValueError."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    decode = decoder.decode
    scan = decoder.scan_once  # type: ignore[attr-defined]

    def fast(text: str) -> Any:
        try:
            value, end = scan(text, 0)
        except StopIteration:
            return decode(text)
        return value if end == len(text) else decode(text)

    return fast


def make_encode() -> Callable[[Any], str]:
    """Compact JSON, not escaped; `JSONEncoder` makes a new encoder for each call. Raises ValueError."""
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
    # No markers: what was parsed has no circles.
    chunks = make(None, _no_json, encoder.encode_basestring, None, ":", ",", False, False, False)
    join = "".join
    return lambda value: join(chunks(value, 0))


def _no_json(value: Any) -> Any:
    raise ValueError(f"{type(value).__name__} is no JSON")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
