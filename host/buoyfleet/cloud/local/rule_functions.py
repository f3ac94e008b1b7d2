"""The functions of rule SQL that depend on their arguments alone, by the tables of the AWS IoT SQL reference.

Each takes values and gives a value; `UNDEFINED` where an argument has a type that its table does not convert.
Functions that know more than their arguments (topic, clock, client) are compiled in `rules`.
"""

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Callable
from typing import Any

from buoyfleet.cloud.local.md2 import md2
from buoyfleet.cloud.local.rule_time import format_time, parse_time_text
from buoyfleet.cloud.local.rule_values import (
    UNDEFINED,
    finite,
    remainder,
    to_boolean,
    to_int,
    to_number,
    to_text,
)

CONTEXT = frozenset(
    {
        *("accountid", "aws_lambda", "clientid", "get_mqtt_property", "get_thing_shadow"),
        *("get_user_properties", "newuuid", "principal", "rand"),
        *("sql_version", "timestamp", "topic", "traceid"),
    }
)
"""Functions of the message and its way, not of values."""
CONTEXT_ARGUMENTS = {
    "aws_lambda": (2, 2),
    "get_mqtt_property": (1, 1),
    "get_thing_shadow": (2, 3),
    "get_user_properties": (0, 1),
    "topic": (0, 1),
}
"""Fewest and most, where it is not none."""
NEEDS_ACCOUNT = {
    "get_dynamodb": "it reads a table of an account",
    "get_registry_data": "it reads the thing registry of an account",
    "get_secret": "it reads a secret of an account",
    "machinelearning_predict": "it asks a model of an account",
}
"""Functions of the reference that are refused, and why."""
SINCE_2016 = frozenset(
    {
        *("decode", "encode", "get_or_default", "get_thing_shadow", "indexof", "isundefined", "length"),
        *("numbytes", "parse_time", "time_to_epoch", "transform"),
    }
)
CAST_KINDS_2016 = frozenset({"decimal", "bool", "boolean"})
CAST_KINDS = CAST_KINDS_2016 | {"string", "nvarchar", "text", "ntext", "varchar", "int", "integer", "double"}

MAX_PAD = 1000
MAX_PLACES = 34
_WHITE = " \t"
_GROUP = re.compile(r"\\(.)|\$(\d+)|([\\$])", re.DOTALL)


def cast(value: Any, kind: str) -> Any:
    """`CAST(value AS kind)`: the standard conversions, and numbers to and from Boolean."""
    if kind in ("bool", "boolean"):
        return value != 0 if type(value) in (int, float) else to_boolean(value)
    if kind in ("int", "integer"):
        return int(value) if type(value) is bool else _absent_is_undefined(to_int(value))
    if kind in ("decimal", "double"):
        if type(value) is bool:
            return float(value)
        number = to_number(value)
        return UNDEFINED if number is None else float(number) if kind == "double" else number
    return to_text(value)


def _absent_is_undefined(value: Any) -> Any:
    return UNDEFINED if value is None else value


def _of_number(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        number = to_number(value)
        if number is None:
            return UNDEFINED
        try:
            return finite(operation(number))
        except (ValueError, OverflowError):  # an imaginary result, or one beyond double precision
            return UNDEFINED

    return function


def _of_two_numbers(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def function(left: Any, right: Any) -> Any:
        a, b = to_number(left), to_number(right)
        if a is None or b is None:
            return UNDEFINED
        try:
            result = operation(a, b)
        except (ValueError, OverflowError, ZeroDivisionError):
            return UNDEFINED
        return UNDEFINED if isinstance(result, complex) else finite(result)

    return function


def _of_integers(operation: Callable[..., int]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        numbers = [to_int(value) for value in values]
        return UNDEFINED if None in numbers else operation(*numbers)

    return function


def _of_texts(operation: Callable[..., Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        texts = [to_text(value) for value in values]
        return UNDEFINED if UNDEFINED in texts else operation(*texts)

    return function


def _round(value: float) -> int:
    # Halves go away from zero: round(-1.5) is -2 (reference).
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _chr(value: Any) -> Any:
    code = to_int(value)
    return UNDEFINED if code is None or not 0 <= code <= 127 else chr(code)


def _concat(*values: Any) -> Any:
    if len(values) < 2:
        return values[0] if values else UNDEFINED
    if any(type(value) is list for value in values):
        joined: list[Any] = []
        for value in values:
            if type(value) is list:
                joined += value
            elif value is not UNDEFINED:
                joined.append(value)
        return joined
    if not any(type(value) is str for value in values):
        return UNDEFINED
    texts = [to_text(value) for value in values]
    return UNDEFINED if UNDEFINED in texts else "".join(texts)


def _decode(value: Any, scheme: Any) -> Any:
    if scheme != "base64" or type(value) is not str:
        return UNDEFINED
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _encode(value: Any, scheme: Any) -> Any:
    if scheme != "base64":
        return UNDEFINED
    data = value if type(value) is bytes else to_text(value)
    if data is UNDEFINED:
        return UNDEFINED
    return base64.b64encode(data.encode() if type(data) is str else data).decode()


def _get(value: Any, key: Any) -> Any:
    if type(value) is dict:
        return value.get(key, UNDEFINED) if type(key) is str else UNDEFINED
    if type(value) not in (list, str):
        return UNDEFINED
    index = to_int(key)
    return UNDEFINED if index is None or not 0 <= index < len(value) else value[index]


def _get_or_default(value: Any, default: Any = UNDEFINED) -> Any:
    return default if value is UNDEFINED or value is None else value


def _nanvl(value: Any, other: Any) -> Any:
    not_a_number = value is UNDEFINED or value is None or (type(value) is float and math.isnan(value))
    return other if not_a_number else value


def _pad(left: bool) -> Callable[[Any, Any], Any]:
    def function(value: Any, width: Any) -> Any:
        text, count = to_text(value), to_int(width)
        if text is UNDEFINED or count is None:
            return UNDEFINED
        spaces = " " * min(max(count, 0), MAX_PAD)
        return spaces + text if left else text + spaces

    return function


def _regexp(operation: Callable[["re.Pattern[str]", str], Any]) -> Callable[[Any, Any], Any]:
    def function(value: Any, pattern: Any) -> Any:
        text, compiled = to_text(value), _pattern(pattern)
        return UNDEFINED if text is UNDEFINED or compiled is None else operation(compiled, text)

    return function


def _pattern(value: Any) -> "re.Pattern[str] | None":
    text = to_text(value)
    if text is UNDEFINED:
        return None
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return None


def _found(pattern: "re.Pattern[str]", text: str) -> Any:
    match = pattern.search(text)
    return UNDEFINED if match is None else match.group()


def _regexp_replace(value: Any, pattern: Any, replacement: Any) -> Any:
    text, compiled, put = to_text(value), _pattern(pattern), to_text(replacement)
    if text is UNDEFINED or compiled is None or put is UNDEFINED:
        return UNDEFINED
    groups = compiled.groups
    wrong = False

    def part(match: "re.Match[str]", of: "re.Match[str]") -> str:
        nonlocal wrong
        escaped, number, lone = match.groups()
        if lone or (number and int(number) > groups):
            wrong = True
            return ""
        return str(escaped) if escaped is not None else of.group(int(number)) or ""

    result = compiled.sub(lambda of: _GROUP.sub(lambda match: part(match, of), put), text)
    return UNDEFINED if wrong else result


def _sign(value: float) -> int:
    return int(value > 0) - int(value < 0)


def _substring(value: Any, first: Any, *last: Any) -> Any:
    text, start = to_text(value), to_int(first)
    end = to_int(last[0]) if last else math.inf
    if text is UNDEFINED or start is None or end is None:
        return UNDEFINED
    size = len(text)
    start, stop = min(max(start, 0), size), int(min(max(end, 0), size))
    return text[start:stop] if start < stop else ""


def _transform(mode: Any, attributes: Any, values: Any) -> Any:
    if mode != "enrichArray" or type(attributes) is not dict or type(values) is not list:
        return UNDEFINED
    if any(type(value) is not dict for value in values):
        return UNDEFINED
    return [{**value, **attributes} for value in values]


def _trunc(value: Any, places: Any) -> Any:
    number, digits = to_number(value), to_int(places)
    if number is None or digits is None:
        return UNDEFINED
    if type(number) is int:
        return number
    text = f"{number:.{MAX_PLACES}f}" if abs(number) < 1e15 else str(number)
    # Through the shortest text of the double: 2.31 must not become 2.30 by what a double cannot hold.
    text = repr(number) if "e" not in repr(number) else text
    whole, _, rest = text.partition(".")
    rest = rest[: min(max(digits, 0), MAX_PLACES)].rstrip("0")
    return float(f"{whole}.{rest}") if rest else int(whole)


FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "abs": (1, 1, _of_number(abs)),
    "acos": (1, 1, _of_number(math.acos)),
    "asin": (1, 1, _of_number(math.asin)),
    "atan": (1, 1, _of_number(math.atan)),
    "atan2": (2, 2, _of_two_numbers(math.atan2)),
    "bitand": (2, 2, _of_integers(lambda a, b: a & b)),
    "bitnot": (1, 1, _of_integers(lambda a: ~a)),
    "bitor": (2, 2, _of_integers(lambda a, b: a | b)),
    "bitxor": (2, 2, _of_integers(lambda a, b: a ^ b)),
    "ceil": (1, 1, _of_number(math.ceil)),
    "chr": (1, 1, _chr),
    "concat": (0, None, _concat),
    "cos": (1, 1, _of_number(math.cos)),
    "cosh": (1, 1, _of_number(math.cosh)),
    "decode": (2, 2, _decode),
    "encode": (2, 2, _encode),
    "endswith": (2, 2, _of_texts(str.endswith)),
    "exp": (1, 1, _of_number(math.exp)),
    "floor": (1, 1, _of_number(math.floor)),
    "get": (2, 2, _get),
    "get_or_default": (1, 2, _get_or_default),
    "indexof": (2, 2, _of_texts(str.find)),
    "isnull": (1, 1, lambda value: value is None),
    "isundefined": (1, 1, lambda value: value is UNDEFINED),
    "length": (1, 1, _of_texts(len)),
    "ln": (1, 1, _of_number(math.log)),
    "log": (1, 1, _of_number(math.log10)),
    "lower": (1, 1, _of_texts(str.lower)),
    "lpad": (2, 2, _pad(left=True)),
    "ltrim": (1, 1, _of_texts(lambda text: text.lstrip(_WHITE))),
    "md2": (1, 1, _of_texts(lambda text: md2(text.encode()).hex())),
    "mod": (2, 2, remainder),
    "nanvl": (2, 2, _nanvl),
    "numbytes": (1, 1, _of_texts(lambda text: len(text.encode()))),
    "parse_time": (2, 3, format_time),
    "power": (2, 2, _of_two_numbers(lambda a, b: float(a) ** b)),
    "regexp_matches": (2, 2, _regexp(lambda pattern, text: pattern.search(text) is not None)),
    "regexp_replace": (3, 3, _regexp_replace),
    "regexp_substr": (2, 2, _regexp(_found)),
    "remainder": (2, 2, remainder),
    "replace": (3, 3, _of_texts(str.replace)),
    "round": (1, 1, _of_number(_round)),
    "rpad": (2, 2, _pad(left=False)),
    "rtrim": (1, 1, _of_texts(lambda text: text.rstrip(_WHITE))),
    "sign": (1, 1, _of_number(_sign)),
    "sin": (1, 1, _of_number(math.sin)),
    "sinh": (1, 1, _of_number(math.sinh)),
    "sqrt": (1, 1, _of_number(math.sqrt)),
    "startswith": (2, 2, _of_texts(str.startswith)),
    "substring": (2, 3, _substring),
    "tan": (1, 1, _of_number(math.tan)),
    "tanh": (1, 1, _of_number(math.tanh)),
    "time_to_epoch": (2, 2, parse_time_text),
    "transform": (3, 3, _transform),
    "trim": (1, 1, _of_texts(str.strip)),
    "trunc": (2, 2, _trunc),
    "upper": (1, 1, _of_texts(str.upper)),
    **{
        name: (1, 1, _of_texts(lambda text, name=name: hashlib.new(name, text.encode()).hexdigest()))
        for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
    },
    # Compiled in `rules`: they know more than their arguments.
    **{name: (*CONTEXT_ARGUMENTS.get(name, (0, 0)), lambda: UNDEFINED) for name in CONTEXT},
}
"""Name → least and most arguments (None: any number), and what it computes.

Called with another number of them, a function gives Undefined (AWS IoT SQL reference, data types)."""
