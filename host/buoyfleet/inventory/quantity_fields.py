"""Numbers with a unit: durations, rates and sizes."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from buoyfleet.inventory import values
from buoyfleet.inventory.fields import Field, Schema
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.values import Mistake
from buoyfleet.inventory.yaml_nodes import Node, Scalar


class Quantity(Field):
    """A number with a unit, read exactly and given as `convert` makes it of the base unit."""

    def __init__(
        self,
        parse: Callable[[str], Fraction],
        units: Iterable[str],
        bounds: tuple[str, str],
        example: str,
        convert: Callable[[Fraction], Any] = float,
        whole: str = "",
        write: Callable[[Any], str] = values.decimal_text,
    ) -> None:
        self._parse = parse
        self._write = write
        self._pattern = values.quantity_pattern(units)
        self._low, self._high = bounds
        self._convert = convert
        self._whole = whole
        self.expected = f"{example} ({self._low} to {self._high})"

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool) or node.secret:
            raise self.refuse(node, path, report)
        try:
            value = self._parse(node.text)
        except Mistake as mistake:
            raise self.refuse(node, path, report, mistake.message, mistake.hint) from None
        low, high = self._parse(self._low), self._parse(self._high)
        if not low <= value <= high:
            message = f"{node.text} is too {'small' if value < low else 'large'}; {self._low} to {self._high}"
            raise self.refuse(node, path, report, f"{message} is allowed")
        if self._whole and value.denominator != 1:
            raise self.refuse(node, path, report, f"{node.text} is not a whole number of {self._whole}")
        return self._convert(value)

    def write(self, value: Any) -> str:
        return self._write(value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": self._pattern}


def duration_field(
    low: str, high: str, *, milliseconds: bool = False, hours: bool = False, whole_s: bool = False
) -> Quantity:
    """A duration, given as seconds (a float, or whole), as milliseconds or as hours."""
    factor = Fraction(1000) if milliseconds else Fraction(1, 3600) if hours else Fraction(1)

    def convert(value: Fraction) -> float | int:
        return int(value) if whole_s else float(value * factor)

    def write(value: float) -> str:
        if milliseconds:
            return f"{values.decimal_text(value)} ms"
        return values.duration_text(value * 3600 if hours else value)

    example, whole = "a duration such as `5 s`", "s" if whole_s else ""
    units = values.DURATION_UNITS
    return Quantity(values.parse_duration, units, (low, high), example, convert, whole, write)


def rate_field(low: str, high: str) -> Quantity:
    """A rate, given as the interval in milliseconds."""

    def convert(value: Fraction) -> float:
        return float(1000 / value)

    return Quantity(values.parse_rate, values.RATE_UNITS, (low, high), "a rate such as `10/s`", convert)


def size_field(low: str, high: str, *, whole: bool = False, kilobytes: bool = False) -> Quantity:
    """A size in megabytes (a float, or whole) or in kilobytes."""

    def convert(value: Fraction) -> float | int:
        return int(value) if whole else float(value * 1000 if kilobytes else value)

    def write(value: float) -> str:
        return f"{values.decimal_text(value)} {'kB' if kilobytes else 'MB'}"

    example, of = "a size such as `1 MB`", "MB" if whole else ""
    return Quantity(values.parse_size, values.SIZE_UNITS, (low, high), example, convert, of, write)
