"""Quality flags of a reading, and what each does to the published value: the one table that says so.

Flags are bits of a small integer; 0 is `ok`. A flag never changes a number: the value is published as it was
measured or not at all, and whoever reads the error topic is told why.
"""

from sensors.quality import (
    CONTRADICTORY,
    CRC,
    MISSING,
    OK,
    PARSE,
    RANGE,
    SATURATED,
    SATURATED_LOW,
    STALE,
    UNCAL,
    UNCOMP,
    WARMING,
    WITHHOLDING,
    publishable,
)

__all__ = (
    "CONTRADICTORY",
    "CRC",
    "MISSING",
    "OK",
    "PARSE",
    "PUBLISHED",
    "RANGE",
    "REPORTED",
    "SATURATED",
    "SATURATED_LOW",
    "STALE",
    "TABLE",
    "UNCAL",
    "UNCOMP",
    "WARMING",
    "WITHHELD",
    "WITHHOLDING",
    "effect",
    "errors",
    "names",
    "publishable",
)

# What becomes of the value in the data message.
PUBLISHED = "published"
REPORTED = "published with error message"
WITHHELD = "withheld with error message"

# (flag, name, code on the error topic, text on the error topic)
TABLE = (
    (OK, "ok", 0, ""),
    (MISSING, "missing", 101, "no answer: part not fitted, unpowered, or a wire open or shorted"),
    (RANGE, "range", 102, "reading outside what this part and this water can be"),
    (SATURATED, "saturated", 103, "signal at the upper end of the part, the ADC or the formula"),
    (SATURATED_LOW, "saturated-low", 104, "signal under what the part or the ADC can see"),
    (CRC, "crc", 105, "checksum wrong in every try"),
    (STALE, "stale", 106, "signal has not moved for longer than water stands still"),
    (UNCAL, "uncal", 107, "not calibrated: default constants in use"),
    (UNCOMP, "uncomp", 108, "no water temperature: 25 °C assumed"),
    (WARMING, "warming", 109, "part powered or restarted too short a time ago"),
    (PARSE, "parse", 110, "answer not understood"),
    (CONTRADICTORY, "contradictory", 111, "contradicted by the other sensors of the buoy"),
)


def effect(flag: int) -> str:
    """What becomes of the value."""
    if not flag:
        return PUBLISHED
    return REPORTED if publishable(flag) else WITHHELD


def names(flags: int) -> "tuple[str, ...]":
    """Names of the flags that are set; ("ok",) if none is."""
    if not flags:
        return ("ok",)
    return tuple([row[1] for row in TABLE if flags & row[0]])


def errors(key: str, flags: int, note: str) -> "list[tuple[int, int, str]]":
    """What the error topic has to say: (flag, code, text) for each flag set.

    Args:
        key: the measure, which begins the text.
        flags: of the reading.
        note: what the driver knows more exactly, or "".
    """
    detail = "; " + note if note else ""
    return [
        (row[0], row[2], "%s %s: %s%s" % (key, row[1], row[3], detail)) for row in TABLE if flags & row[0]
    ]
