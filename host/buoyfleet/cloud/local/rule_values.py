"""Values and operators of rule SQL, as the operator tables of the AWS IoT SQL reference define them.

JSON values as Python has them, and `UNDEFINED` for what is not there. AWS counts with 34 decimal digits; here
an Int is a Python integer and a Decimal a double, which tells all values of a buoy apart (two decimals).
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

MAX_INT = 10**34
"""Int has at most 34 digits (AWS IoT SQL reference, data types)."""

_DECIMAL_TEXT = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")


class _Undefined:
    """The value of an attribute that is not there; left out when a result becomes JSON."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = _Undefined()


def to_number(value: Any) -> int | float | None:
    """As a number where the reference converts: numbers, and strings that read as a Decimal; else None."""
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]
    if kind is str and _DECIMAL_TEXT.fullmatch(value):
        return float(value)
    return None


def to_int(value: Any) -> int | None:
    """As a whole number, rounded down where it is not; None where the reference does not convert."""
    number = to_number(value)
    if number is None or (type(number) is float and not math.isfinite(number)):
        return None
    return math.floor(number)


def to_boolean(value: Any) -> Any:
    """Booleans, and the strings true and false in any case; else UNDEFINED."""
    if type(value) is bool:
        return value
    if type(value) is str and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return UNDEFINED


def to_text(value: Any) -> Any:
    """As a string; arrays and objects as JSON. Null and Undefined are UNDEFINED."""
    if type(value) is str:
        return value
    if value is None or value is UNDEFINED:
        return UNDEFINED
    if type(value) is bytes:
        return value.decode("utf-8", "replace")
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def finite(value: Any) -> Any:
    """The value, or UNDEFINED for what JSON has no number for (overflow)."""
    if type(value) is float and not math.isfinite(value):
        return UNDEFINED
    return value


def add(left: Any, right: Any) -> Any:
    """`+`: concatenates where one side is a string, else adds numbers."""
    if type(left) is str or type(right) is str:
        a, b = to_text(left), to_text(right)
        return UNDEFINED if a is UNDEFINED or b is UNDEFINED else a + b
    a, b = to_number(left), to_number(right)
    return UNDEFINED if a is None or b is None else _calculate(lambda: a + b)


def subtract(left: Any, right: Any) -> Any:
    """`-` of numbers and of strings that read as a Decimal."""
    a, b = to_number(left), to_number(right)
    return UNDEFINED if a is None or b is None else _calculate(lambda: a - b)


def multiply(left: Any, right: Any) -> Any:
    """`*` of numbers and of strings that read as a Decimal."""
    a, b = to_number(left), to_number(right)
    return UNDEFINED if a is None or b is None else _calculate(lambda: a * b)


def divide(left: Any, right: Any) -> Any:
    """`/`: an Int of two Ints (towards zero), else a Decimal; by zero is Undefined."""
    a, b = to_number(left), to_number(right)
    if a is None or b is None or b == 0:
        return UNDEFINED
    if type(a) is int and type(b) is int:
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    return _calculate(lambda: a / b)


def remainder(left: Any, right: Any) -> Any:
    """`%`, with the sign of the left operand; by zero is Undefined."""
    a, b = to_number(left), to_number(right)
    if a is None or b is None or b == 0:
        return UNDEFINED
    if type(a) is int and type(b) is int:
        rest = abs(a) % abs(b)
        return -rest if a < 0 else rest
    return _calculate(lambda: math.fmod(a, b))


def _calculate(operation: Callable[[], int | float]) -> Any:
    try:
        value = operation()
    except OverflowError:
        return UNDEFINED
    if type(value) is int and abs(value) >= MAX_INT:
        return UNDEFINED
    return finite(value)


def negate(value: Any) -> Any:
    """Unary `-`."""
    number = to_number(value)
    return UNDEFINED if number is None else -number


def equal(left: Any, right: Any) -> Any:
    """`=`: False for values of different types; Int and Decimal compare as numbers."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    return _same(left, right)


def not_equal(left: Any, right: Any) -> Any:
    """`<>`."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    return not _same(left, right)


def _same(left: Any, right: Any) -> bool:
    # Python says True == 1; rule SQL says Boolean and Int are mismatched types, inside lists and objects too.
    if type(left) is bool or type(right) is bool:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def operator(left: Any, right: Any) -> Any:
        a, b = to_number(left), to_number(right)
        return UNDEFINED if a is None or b is None else compare(a, b)

    return operator


def both(left: Any, right: Any) -> Any:
    """`AND` of booleans and of the strings true and false; anything else is Undefined."""
    a, b = to_boolean(left), to_boolean(right)
    return UNDEFINED if a is UNDEFINED or b is UNDEFINED else a and b


def either(left: Any, right: Any) -> Any:
    """`OR`, as `both`."""
    a, b = to_boolean(left), to_boolean(right)
    return UNDEFINED if a is UNDEFINED or b is UNDEFINED else a or b


def negation(value: Any) -> Any:
    """`NOT`."""
    flag = to_boolean(value)
    return UNDEFINED if flag is UNDEFINED else not flag


def contains(left: Any, right: Any) -> Any:
    """`IN`: whether the array on the right has the element."""
    if left is UNDEFINED or type(right) is not list:
        return UNDEFINED
    return any(_same(left, element) for element in right)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "=": equal,
    "<>": not_equal,
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
    "AND": both,
    "OR": either,
    "IN": contains,
}
UNARY: dict[str, Callable[[Any], Any]] = {"-": negate, "NOT": negation}


def whole_numbers_as_int(value: Any) -> Any:
    """What SQL version 2016-03-23 does to a result: `7.0` becomes `7`, in nested values too.

    AWS IoT developer guide, Timestream rule action: whole numbers are converted to their integer form, and
    `cast()` does not help.
    """
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < MAX_INT else value
    if kind is dict:
        return {key: whole_numbers_as_int(inner) for key, inner in value.items()}
    if kind is list:
        return [whole_numbers_as_int(inner) for inner in value]
    return value
