"""The grammar of thresholds: `timestream.missing == 0`, `ack.p99 < 500 ms`, `boards.failed == 0`.

    threshold = metric operator number [unit]
    metric    = subject "." name          operator = "==" | "!=" | "<" | "<=" | ">" | ">="

Subjects and names are listed in `METRICS`; values are compared in the metric's own unit.
"""

import re
from dataclasses import dataclass

_STORE_NAMES = ("expected", "found", "missing", "duplicated", "redelivered", "altered", "late", "unexpected")

# metric name → base unit. Stores are subjects of their own: any store name takes the store names.
METRICS: dict[str, str] = {
    **{f"ack.{name}": "ms" for name in ("mean", "p50", "p90", "p99", "p999", "max")},
    "ack.count": "messages",
    "send.late": "messages",
    "send.dropped": "messages",
    "send.unacknowledged": "messages",
    "send.rate": "messages/s",
    "boards.failed": "boards",
    "boards.unproven": "boards",
    "witness.shortfall": "messages",
}
STORES: tuple[str, ...] = ("timestream", "s3")
STORE_METRICS: dict[str, str] = {f"{store}.{name}": "measures" for store in STORES for name in _STORE_NAMES}

OPERATORS: tuple[str, ...] = ("==", "!=", "<=", ">=", "<", ">")

# unit → (base unit, factor)
UNITS: dict[str, tuple[str, float]] = {
    "us": ("ms", 1e-3),
    "µs": ("ms", 1e-3),
    "ms": ("ms", 1.0),
    "s": ("ms", 1e3),
    "min": ("ms", 6e4),
    "/s": ("messages/s", 1.0),
    "messages/s": ("messages/s", 1.0),
}

_PATTERN = re.compile(
    r"^\s*(?P<metric>[a-z0-9_]+\.[a-z0-9_]+)\s*(?P<operator>==|!=|<=|>=|<|>)\s*"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>\S.*?)?\s*$"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition a run must meet."""

    text: str
    metric: str
    operator: str
    value: float
    """In the metric's base unit."""
    unit: str
    """The metric's base unit."""

    def holds(self, measured: float) -> bool:
        """Whether the measured value (in the base unit) meets the condition."""
        return {
            "==": measured == self.value,
            "!=": measured != self.value,
            "<": measured < self.value,
            "<=": measured <= self.value,
            ">": measured > self.value,
            ">=": measured >= self.value,
        }[self.operator]


def parse_threshold(text: str) -> Threshold:
    """Parse one threshold.

    Raises:
        ValueError: with one sentence that says what is wrong and what is allowed.
    """
    match = _PATTERN.match(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no threshold; write e.g. 'timestream.missing == 0' or 'ack.p99 < 500 ms'"
        )
    metric, unit = match["metric"], match["unit"] or ""
    known = {**METRICS, **STORE_METRICS}
    if metric not in known:
        raise ValueError(f"unknown metric {metric!r}; one of {', '.join(known)}")
    base, factor = known[metric], 1.0
    if unit and unit != base:
        if unit not in UNITS or UNITS[unit][0] != base:
            allowed = [name for name, (family, _) in UNITS.items() if family == base] or [base]
            raise ValueError(f"{metric} is in {base}, not {unit!r}; allowed: {', '.join(allowed)}")
        factor = UNITS[unit][1]
    elif not unit and base == "ms":
        raise ValueError(f"{text!r} has no unit; did you mean '{text.strip()} ms'?")
    return Threshold(text.strip(), metric, match["operator"], float(match["number"]) * factor, base)
