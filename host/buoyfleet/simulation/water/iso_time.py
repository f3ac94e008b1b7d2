"""Dates and times of ISO 8601-1:2019, in all forms that files of readings have.

Calendar, week and ordinal dates, basic and extended; hours, minutes or seconds with a decimal fraction of
the last of them, after a point or a comma; `24:00` as the end of a day; the leap second `:60`; offsets `Z`,
`±hh`, `±hhmm`, `±hh:mm`, also with a true minus (U+2212) or after a blank, as databases write them.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction

_ORDINAL = re.compile(r"(?P<year>(19|20)\d\d)-?(?P<day>[0-3]\d\d)")
_MONTH = re.compile(r"(19|20)\d\d-\d\d")
_BASIC = re.compile(r"(19|20)\d{6}")
_CLOCK = re.compile(
    r"(?P<hour>\d\d)(:?(?P<minute>\d\d)(:?(?P<second>\d\d))?)?([.,](?P<fraction>\d+))?"
    r" ?(?P<offset>Z|[+-]\d\d(:?\d\d)?)?",
    re.ASCII,
)
_HOUR_US, _MINUTE_US, _SECOND_US = 3_600_000_000, 60_000_000, 1_000_000
_DAY_US = 24 * _HOUR_US


def read_iso_time(text: str) -> datetime | None:
    """The moment in UTC, to the microsecond; without an offset it is taken as UTC. None: it is no time."""
    day, mark, clock = text.upper().replace("\N{MINUS SIGN}", "-").partition("T")
    if not mark:
        day, mark, clock = day.partition(" ")
    try:
        made = _day(day)
        if made is None:
            return None
        midnight = datetime(made.year, made.month, made.day, tzinfo=UTC)
        if not mark:
            return midnight
        of_day = _of_day(clock)
        return None if of_day is None else midnight + of_day
    except (ValueError, OverflowError):
        return None


def _day(text: str) -> date | None:
    """Raises ValueError: no day."""
    ordinal = _ORDINAL.fullmatch(text)
    if ordinal is not None:
        made = date(int(ordinal["year"]), 1, 1) + timedelta(days=int(ordinal["day"]) - 1)
        return made if made.year == int(ordinal["year"]) else None
    if _MONTH.fullmatch(text):
        return date.fromisoformat(f"{text}-01")
    if text.isdigit() and not _BASIC.fullmatch(text):
        return None
    return date.fromisoformat(text)


def _of_day(text: str) -> timedelta | None:
    """From midnight UTC of the day that is named; an offset can make it less than nothing."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    # A leap second comes at the end of a minute: 23:59:60 UTC, whatever the offset makes of it.
    if minute > 59 or second > (60 if minute == 59 else 59):
        return None
    unit_us = _SECOND_US if match["second"] else _MINUTE_US if match["minute"] else _HOUR_US
    fraction = Fraction(int(match["fraction"] or 0), 10 ** len(match["fraction"] or ""))
    us = hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US + round(fraction * unit_us)
    if us > _DAY_US or (hour == 24 and us != _DAY_US):
        return None
    offset = match["offset"] or "Z"
    if offset == "Z":
        return timedelta(microseconds=us)
    digits = offset[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59:
        return None
    timezone(ahead)  # raises ValueError from 24 h on
    return timedelta(microseconds=us) + (ahead if offset[0] == "-" else -ahead)
