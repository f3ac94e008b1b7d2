"""Numbers as people read them. Text only: escaping is the business of whoever puts it into a page."""

from datetime import UTC, datetime

_UNITS_MS = ((60_000.0, 60_000.0, "min"), (1000.0, 1000.0, "s"), (1.0, 1.0, "ms"), (0.0, 0.001, "µs"))


def count(number: float) -> str:
    """A whole number in groups of three, as the sentences of a verdict have them: `27,000`."""
    return f"{round(number):,}"


def plural(number: int, noun: str) -> str:
    """`1 board`, `30 boards`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def significant(number: float) -> str:
    """Three significant digits without exponent; whole numbers stay whole."""
    if number == 0 or abs(number) >= 100:
        return count(number)
    digits = 2 if abs(number) < 10 else 1
    if abs(number) < 0.1:
        return f"{number:.2g}" if abs(number) >= 1e-4 else f"{number:.1e}"
    return f"{number:.{digits}f}".rstrip("0").rstrip(".")


def milliseconds(value_ms: float) -> str:
    """A duration given in milliseconds, in the unit that suits it."""
    if value_ms == 0:
        return "0 ms"
    for least_ms, unit_ms, unit in _UNITS_MS:
        # Rounded first: 999.9 ms reads as 1 s, not as 1,000 ms.
        if abs(value_ms) >= least_ms * 0.9995:
            return f"{significant(value_ms / unit_ms)} {unit}"
    return f"{value_ms} ms"


def seconds(value_s: float) -> str:
    """A duration: `0.41 s`, `12.3 s`, `4 min 10 s`, `2 h 5 min`."""
    if value_s < 60:
        return f"{significant(value_s)} s"
    minutes, rest = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def measured(value: float | None, unit: str) -> str:
    """The value of a threshold in its metric's base unit (buoyfleet.model.thresholds.METRICS)."""
    if value is None:
        return "not measured"
    if unit == "ms":
        return milliseconds(value)
    number = count(value) if value == int(value) else significant(value)
    return f"{number} {unit}".strip()


def share(part: int, whole: int) -> str:
    """A percentage that says 100 only if it is all, and 0 only if it is nothing."""
    if whole == 0:
        return "–"
    if part == whole:
        return "100 %"
    percent = 100 * part / whole
    if part and percent < 0.1:
        return "< 0.1 %"
    if percent < 100 and percent > 99.9:
        return "> 99.9 %"
    return f"{percent:.1f} %"


def utc(time_ns: int) -> str:
    """`2026-11-23 23:17:37 UTC`."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def utc_ms(time_ms: int) -> str:
    """`2026-11-23 23:17:37.123`, for identities of messages; the bare number where it is no date."""
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(time_ms)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03d}"
