"""The small grammars inside a fleet file: durations, rates, sizes and selections of ids.

Each function takes the text as written and returns an exact value (`Fraction`), or raises `Mistake` with what
is wrong and, where it can be guessed, the corrected text. The command line's options use the same functions.
"""

import os
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

# unit → seconds
DURATION_UNITS: dict[str, Fraction] = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
# unit → per second
RATE_UNITS: dict[str, Fraction] = {"/s": Fraction(1), "/min": Fraction(1, 60), "/h": Fraction(1, 3600)}
# unit → megabytes
SIZE_UNITS: dict[str, Fraction] = {"kB": Fraction(1, 1000), "MB": Fraction(1), "GB": Fraction(1000)}

# What people write for a unit → the unit.
_NEAR_UNITS = {
    **dict.fromkeys(("msec", "millisecond", "milliseconds", "milli"), "ms"),
    **dict.fromkeys(("sec", "secs", "second", "seconds", "S"), "s"),
    **dict.fromkeys(("m", "mins", "minute", "minutes", "Min", "M"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours", "H"), "h"),
    **dict.fromkeys(("day", "days", "D"), "d"),
    **dict.fromkeys(
        ("Hz", "hz", "/sec", "/second", "per s", "per second", "1/s", "msg/s", "messages/s"), "/s"
    ),
    **dict.fromkeys(("/m", "/minute", "per min", "per minute", "messages/min"), "/min"),
    **dict.fromkeys(("/hour", "per h", "per hour", "messages/h"), "/h"),
    **dict.fromkeys(("k", "K", "KB", "kb", "KiB"), "kB"),
    **dict.fromkeys(("mb", "Mb", "MiB", "mib"), "MB"),
    **dict.fromkeys(("gb", "Gb", "GiB", "G"), "GB"),
}

# Bounded, because quantities are exact; decimals enough for what `duration_text` writes.
NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,30})?"
_QUANTITY = re.compile(rf"({NUMBER}) ?(\S+)")
_LOOSE = re.compile(r"([+-]?)([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*(.*)", re.DOTALL)

_ID = r"[0-9]{1,10}"
# What the loader reads and the JSON schema repeats.
IDS = rf"{_ID}(?: ?- ?{_ID})?(?: ?, ?{_ID}(?: ?- ?{_ID})?)*"
_ID_PART = re.compile(rf"({_ID})(?: ?- ?({_ID}))?")
_NEAR_RANGE = re.compile(rf"({_ID})\s*(?:–|—|−|\.\.\.?|…|:|to|bis|\s-\s)\s*({_ID})")

Range = tuple[int, int]


class Mistake(ValueError):
    """A text that does not fit its grammar; `hint` is the corrected text, or empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = f"did you mean `{hint}`?" if hint else ""


def quantity_pattern(units: Iterable[str]) -> str:
    """The regular expression (as JSON schema has them) of a number with one of the units."""
    return f"^{NUMBER} ?({'|'.join(re.escape(unit) for unit in units)})$"


def parse_duration(text: str) -> Fraction:
    """`100 ms`, `5 s`, `2 min` in seconds.

    Raises:
        Mistake: no number with one of the units.
    """
    return _quantity(text, DURATION_UNITS, "a duration", "s")


def parse_rate(text: str) -> Fraction:
    """`10/s`, `1/min` in 1/s.

    Raises:
        Mistake: no number with one of the units.
    """
    return _quantity(text, RATE_UNITS, "a rate", "/s")


def parse_size(text: str) -> Fraction:
    """`1 MB`, `512 kB` in megabytes.

    Raises:
        Mistake: no number with one of the units.
    """
    return _quantity(text, SIZE_UNITS, "a size", "MB")


def _joined(number: str, unit: str) -> str:
    return f"{number}{unit}" if unit.startswith("/") else f"{number} {unit}"


def _quantity(text: str, units: dict[str, Fraction], what: str, usual: str) -> Fraction:
    match = _QUANTITY.fullmatch(text)
    if match is not None and match[2] in units:
        return Fraction(match[1]) * units[match[2]]
    shown = text if len(text) <= 60 else f"{text[:57]}…"
    allowed = f"{what} is a number with a unit ({', '.join(units)})"
    loose = _LOOSE.fullmatch(text.strip()) if len(text) <= 60 else None
    if loose is None:
        return _refuse(f"'{shown}' is no number with a unit; {allowed}")
    sign, number, unit = loose[1], re.sub(r"[_,]", "", loose[2]), " ".join(loose[3].split())
    if sign == "-":
        return _refuse(f"{shown} is negative; {allowed}")
    number = f"0{number}" if number.startswith(".") else number
    if not unit:
        return _refuse(f"{shown} has no unit; {allowed}", _joined(number, usual))
    if unit in units:
        return _refuse(f"'{shown}' is badly written; {allowed}", _joined(number, unit))
    near = (
        _NEAR_UNITS.get(unit)
        or _NEAR_UNITS.get(unit.lower())
        or (unit.lower() if unit.lower() in units else "")
    )
    hint = _joined(number, near) if near in units else ""
    return _refuse(f"'{unit}' is no unit here; {allowed}", hint)


def _refuse(message: str, hint: str = "") -> Fraction:
    raise Mistake(message, hint)


def parse_ids(text: str) -> list[Range]:
    """`100`, `100-127`, `100-109,115` as inclusive ranges, in the order written.

    Raises:
        Mistake: anything else; a reversed range gets its hint.
    """
    ranges: list[Range] = []
    for part in text.split(","):
        stripped = part.strip()
        match = _ID_PART.fullmatch(stripped)
        if match is None:
            raise _no_ids(text, stripped)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise Mistake(f"the range '{stripped}' runs backwards and is empty", f"{last}-{first}")
        ranges.append((first, last))
    return ranges


def _no_ids(text: str, part: str) -> Mistake:
    shown = text if len(text) <= 60 else f"{text[:57]}…"
    if re.fullmatch(rf"-\s*{_ID}", part):
        return Mistake(f"{shown} is negative; ids are whole numbers from 0")
    near = _NEAR_RANGE.fullmatch(part)
    hint = f"{near[1]}-{near[2]}" if near else ""
    if not part:
        return Mistake(f"'{shown}' names no id; ids are written `100`, `100-127` or `100-109,115`")
    return Mistake(
        f"'{shown}' is no id and no range; ids are written `100`, `100-127` or `100-109,115`", hint
    )


def ids_text(ids: Iterable[int], dash: str = "-") -> str:
    """Ids in the shortest form: `100-109,115`."""
    parts: list[str] = []
    run: list[int] = []
    for number in [*sorted(set(ids)), None]:
        if number is not None and run and number == run[-1] + 1:
            run.append(number)
            continue
        if len(run) > 2:
            parts.append(f"{run[0]}{dash}{run[-1]}")
        else:
            parts += [str(one) for one in run]
        run = [] if number is None else [number]
    return ",".join(parts)


def ids_shown(ids: Iterable[int]) -> str:
    """Ids as a message shows them: not without end."""
    text = ids_text(ids)
    return text if len(text) <= 80 else f"{text[:80].rpartition(',')[0]},…"


def duration_text(seconds: float | Fraction) -> str:
    """The shortest exact text: `100 ms`, `2 min`; `parse_duration` gives the same number back."""
    exact = seconds if isinstance(seconds, Fraction) else Fraction(repr(seconds))
    if exact == 0:
        return "0 s"
    for unit in ("d", "h", "min", "s"):
        if (exact / DURATION_UNITS[unit]).denominator == 1:
            return f"{exact / DURATION_UNITS[unit]} {unit}"
    if exact < 1:
        return f"{decimal_text(exact * 1000)} ms"
    return f"{decimal_text(exact)} s"


def decimal_text(number: float | Fraction) -> str:
    """A number without exponent; whole numbers without a decimal point. Fractions are of powers of ten."""
    if isinstance(number, Fraction):
        decimal = Decimal(number.numerator) / Decimal(number.denominator)
    else:
        decimal = Decimal(repr(float(number)))
    text = format(decimal, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def absolute_path(text: str, folder: Path) -> str:
    """A path of a fleet file, which starts at the file's folder; "" stays."""
    return os.path.abspath(folder / os.path.expanduser(text)) if text else ""
