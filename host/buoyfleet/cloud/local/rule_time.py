"""`parse_time` and `time_to_epoch` of rule SQL: times as text, by patterns of letters.

Patterns are those of Joda-Time's DateTimeFormat and of Java's DateTimeFormatter, which the AWS IoT SQL
reference names: a run of one letter is a field, text in single quotes stands for itself, two single quotes
are one.
"""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from buoyfleet.cloud.local.rule_values import UNDEFINED, to_int, to_text

_PART = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'")
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])(\d{1,2}):?(\d{2})?(?::?(\d{2}))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT_ZONES = {
    "Z": "UTC", "UT": "UTC", "UTC": "UTC", "GMT": "UTC",
    "EST": "America/New_York", "EDT": "America/New_York",
    "CST": "America/Chicago", "CDT": "America/Chicago",
    "MST": "America/Denver", "MDT": "America/Denver",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
}  # fmt: skip
"""Names of zones that Java's formatter reads in its default locale, as far as they name one zone."""


def format_time(pattern: Any, at_ms: Any, zone: Any = "UTC") -> Any:
    """`parse_time(pattern, ms since 1970, zone)`: the time as text; Undefined for an unknown field."""
    text, number, name = to_text(pattern), to_int(at_ms), to_text(zone)
    if text is UNDEFINED or number is None or name is UNDEFINED:
        return UNDEFINED
    place = _zone(name)
    if place is None:
        return UNDEFINED
    try:
        at = (_EPOCH + timedelta(milliseconds=number)).astimezone(place)
        return "".join(
            part if isinstance(part, str) else _field(part[0], part[1], at) for part in _parts(text)
        )
    except (ValueError, OverflowError):
        return UNDEFINED


def parse_time_text(text: Any, pattern: Any) -> Any:
    """`time_to_epoch(text, pattern)`: ms since 1970; UTC where the text names no zone."""
    given, letters = to_text(text), to_text(pattern)
    if given is UNDEFINED or letters is UNDEFINED:
        return UNDEFINED
    try:
        expression, fields = _reader(letters)
        match = re.fullmatch(expression, given, re.IGNORECASE)
        return UNDEFINED if match is None else _moment(dict(zip(fields, match.groups(), strict=True)))
    except (ValueError, OverflowError):
        return UNDEFINED


def _parts(pattern: str) -> Iterator[str | tuple[str, int]]:
    """Literal texts, and fields as (letter, count)."""
    for match in _PART.finditer(pattern):
        part = match.group()
        if match[2]:
            yield match[2], len(part)
        elif part == "'":
            raise ValueError("a quote that does not end")
        elif part[0] == "'":
            yield match[1].replace("''", "'") or "'"
        else:
            yield part


def _zone(name: str) -> tzinfo | None:
    if name in _SHORT_ZONES:
        name = _SHORT_ZONES[name]
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        hours, minutes, seconds = (int(offset[index] or 0) for index in (2, 3, 4))
        size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(size if offset[1] == "+" else -size) if size < timedelta(days=1) else None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError on some, an OSError on other systems
        return None
    except KeyError:
        return None


def _field(letter: str, count: int, at: datetime) -> str:
    """One field as Joda-Time prints it."""
    year_of_week, week, weekday = at.isocalendar()
    numbers = {
        "C": at.year // 100, "Y": at.year, "y": at.year, "x": year_of_week, "w": week, "e": weekday,
        "D": at.timetuple().tm_yday, "d": at.day, "K": at.hour % 12, "h": at.hour % 12 or 12,
        "H": at.hour, "k": at.hour or 24, "m": at.minute, "s": at.second, "M": at.month,
    }  # fmt: skip
    if letter == "G":
        return "AD"
    if letter == "a":
        return "AM" if at.hour < 12 else "PM"
    if letter == "E":
        return (calendar.day_name if count >= 4 else calendar.day_abbr)[at.weekday()]
    if letter == "M" and count >= 3:
        return (calendar.month_name if count >= 4 else calendar.month_abbr)[at.month]
    if letter == "S":
        return f"{at.microsecond // 1000:03d}".ljust(count, "0")[:count]
    if letter == "z":
        return at.tzname() or "" if count < 4 or at.tzinfo is not UTC else "Coordinated Universal Time"
    if letter == "Z":
        return str(at.tzinfo) if count >= 3 else _offset_text(at, ":" if count == 2 else "")
    if letter not in numbers:
        raise ValueError(f"no field {letter!r}")
    value = numbers[letter]
    if letter in "Yyx" and count == 2:
        value %= 100
    return f"{value:0{count}d}"


def _offset_text(at: datetime, between: str) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{between}{abs(minutes) % 60:02d}"


def _reader(pattern: str) -> tuple[str, list[str]]:
    """A regular expression for the text, and the fields of its groups."""
    expression, fields = "", []
    for part in _parts(pattern):
        if isinstance(part, str):
            expression += re.escape(part)
            continue
        letter, count = part
        fields.append({"u": "y", "L": "M", "V": "zone", "z": "zone", "O": "zone", "X": "zone", "x": "zone",
                       "Z": "zone"}.get(letter, letter))  # fmt: skip
        if fields.count(fields[-1]) > 1:
            raise ValueError("a field stands twice")
        expression += f"({_shape(letter, count)})"
    return expression, fields


def _shape(letter: str, count: int) -> str:
    if letter in "VzOXxZ":
        return r"[A-Za-z][\w/+:-]*|[+-]\d{1,2}(?::?\d{2}){0,2}"
    if letter in "EGa" or (letter in "ML" and count >= 3):
        return "[A-Za-z]+"
    if letter == "S":
        return rf"\d{{{count}}}"
    if letter in "yu":
        return r"\d{2}" if count == 2 else rf"\d{{{count},9}}" if count < 4 else rf"\d{{{count}}}"
    if letter in "MLdDhHkKmsn":
        return rf"\d{{{count}}}" if count > 1 else r"\d{1,9}"
    raise ValueError(f"no field {letter!r}")


def _moment(fields: dict[str, str]) -> int:
    """Milliseconds since 1970 of what the fields say."""
    year = int(fields["y"])
    if len(fields["y"]) == 2:
        year += 2000
    month = fields.get("M", "1")
    day = int(fields.get("d", "1"))
    hour = int(fields.get("H", "0"))
    if "k" in fields:
        hour = int(fields["k"]) % 24
    if "a" in fields:
        hour = int(fields.get("h", fields.get("K", "0"))) % 12 + 12 * (fields["a"].upper() == "PM")
    at = datetime(
        year,
        int(month) if month.isdecimal() else _month(month),
        day,
        hour,
        int(fields.get("m", "0")),
        int(fields.get("s", "0")),
        int(fields.get("S", "0").ljust(6, "0")[:6]),
    )
    if "D" in fields:
        at = at.replace(month=1, day=1) + timedelta(days=int(fields["D"]) - 1)
    place = _zone(fields.get("zone", "UTC"))
    if place is None:
        raise ValueError("no such zone")
    return (at.replace(tzinfo=place) - _EPOCH) // timedelta(milliseconds=1)


def _month(name: str) -> int:
    for names in (calendar.month_name, calendar.month_abbr):
        for number, known in enumerate(names):
            if number and known.lower() == name.lower():
                return number
    raise ValueError(f"no month {name!r}")
