"""The grammar of thresholds: `timestream.missing == 0`, `ack.p99 < 500 ms`, `boards.failed == 0`.

    threshold = metric operator number [unit]
    metric    = subject "." name          operator = "==" | "!=" | "<" | "<=" | ">" | ">="

Subjects and names are listed in `METRICS` and `STORE_METRICS`; values are compared in the metric's own unit.
Nothing measured is negative, so a condition that always or never holds is refused as a mistake.
"""

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from buoyfleet.model.store_names import SUBSCRIBER

STORE_TIMES = ("p50", "p95", "p99")
"""Latency from the planned send until it is visible in the store."""
_STORE_NAMES = ("expected", "found", "missing", "duplicated", "redelivered", "altered", "late", "unexpected")

# metric name → base unit. Stores are subjects of their own: any store name takes the store names.
METRICS: dict[str, str] = {
    **{f"ack.{name}": "ms" for name in ("mean", "p50", "p90", "p95", "p99", "p999", "max")},
    "ack.count": "messages",
    "send.late": "messages",
    "send.dropped": "messages",
    "send.unacknowledged": "messages",
    "send.rate": "messages/s",
    "boards.failed": "boards",
    "boards.unproven": "boards",
    "sensors.withheld": "measures",
    "sensors.silent": "sensors",
    "witness.shortfall": "messages",
}
BOARD_METRICS = ("boards.failed", "boards.unproven")
"""About boards, not about data."""
STORES: tuple[str, ...] = ("timestream", "s3", "influxdb", SUBSCRIBER)
FAULTS = ("missing", "duplicated", "altered", "unexpected")
"""Names of what is wrong with a store and has a cause of its own; `late` is for thresholds to judge."""
STORE_METRICS: dict[str, str] = {
    **{f"{store}.{name}": "measures" for store in STORES for name in _STORE_NAMES},
    **{f"{store}.{name}": "ms" for store in STORES for name in STORE_TIMES},
}

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
OPERATORS: tuple[str, ...] = tuple(_COMPARISONS)

# unit → (base unit, factor)
UNITS: dict[str, tuple[str, Fraction]] = {
    "us": ("ms", Fraction(1, 1000)),
    "µs": ("ms", Fraction(1, 1000)),
    "ms": ("ms", Fraction(1)),
    "s": ("ms", Fraction(1000)),
    "min": ("ms", Fraction(60_000)),
    "/s": ("messages/s", Fraction(1)),
    "/min": ("messages/s", Fraction(1, 60)),
    "messages/s": ("messages/s", Fraction(1)),
}

# What people write for an operator → the operator.
_NEAR_OPERATORS = {
    "=": "==",
    "=<": "<=",
    "=>": ">=",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "<>": "!=",
    "===": "==",
}

# Fifteen digits are exact in a float.
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_METRIC = r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+"
_PATTERN = re.compile(
    rf"\s*(?P<metric>{_METRIC})\s*(?P<operator>==|!=|<=|>=|<|>)\s*"
    rf"(?P<number>{_NUMBER})\s*(?P<unit>[^\s0-9._,].*?)?\s*"
)
_NEARLY = re.compile(
    rf"\s*(?P<metric>{_METRIC})\s*(?P<operator>[=<>!≤≥≠]+)\s*(?P<number>[+-]?[0-9][0-9_.,]*)(?P<rest>.*)",
    re.DOTALL,
)
_EXAMPLES = "write e.g. `timestream.missing == 0` or `ack.p99 < 500 ms`"


class ThresholdError(ValueError):
    """A text that is no threshold; `hint` is the corrected text where there is one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; did you mean `{hint}`?" if hint else message)
        self.message = message
        self.hint = hint


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

    @property
    def store(self) -> str:
        """The store that must exist for this to be measured; empty for other subjects."""
        return self.metric.split(".")[0] if self.metric in STORE_METRICS else ""

    def holds(self, measured: float) -> bool:
        """Whether the measured value (in the base unit) meets the condition; not a number never does."""
        if measured != measured:
            return False
        return _COMPARISONS[self.operator](measured, self.value)


def parse_threshold(text: str) -> Threshold:
    """Parse one threshold.

    Raises:
        ThresholdError: with one sentence that says what is wrong and what is allowed.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise _not_a_threshold(text)
    metric, unit = match["metric"], match["unit"] or ""
    base = METRICS.get(metric) or STORE_METRICS.get(metric)
    if base is None:
        raise _unknown_metric(metric)
    factor = Fraction(1)
    if unit and unit != base:
        if unit not in UNITS or UNITS[unit][0] != base:
            allowed = [name for name, (family, _) in UNITS.items() if family == base] or [base]
            raise ThresholdError(f"{metric} is in {base}, not in {unit!r}; allowed: {', '.join(allowed)}")
        factor = UNITS[unit][1]
    elif not unit and base == "ms":
        raise ThresholdError(f"{text.strip()!r} has no unit", f"{text.strip()} ms")
    value = float(Fraction(match["number"]) * factor)
    if value == 0 and match["operator"] in (">=", "<"):
        verb = "always holds" if match["operator"] == ">=" else "can never hold"
        raise ThresholdError(f"{text.strip()!r} {verb}: nothing measured is negative")
    return Threshold(text.strip(), metric, match["operator"], value, base)


def threshold_pattern() -> str:
    """The grammar as one regular expression, for a JSON schema; it cannot say what is always true."""
    metrics_of: dict[str, list[str]] = {}
    for metric, base in {**METRICS, **STORE_METRICS}.items():
        metrics_of.setdefault(base, []).append(metric)
    forms = []
    for base, metrics in metrics_of.items():
        units = {base, *(unit for unit, (family, _) in UNITS.items() if family == base)}
        unit = rf"\s*({'|'.join(sorted(units))})" + ("" if base == "ms" else "|")
        names = "|".join(re.escape(metric) for metric in metrics)
        forms.append(rf"({names})\s*({'|'.join(OPERATORS)})\s*{_NUMBER}({unit})")
    return rf"^\s*({'|'.join(forms)})\s*$"


def _not_a_threshold(text: str) -> ThresholdError:
    near = _NEARLY.fullmatch(text)
    if near is None:
        return ThresholdError(f"{text!r} is no threshold; {_EXAMPLES}")
    comparison, number = near["operator"], near["number"]
    if number.startswith("-"):
        return ThresholdError(f"{text.strip()!r} asks for a negative value; nothing measured is negative")
    if comparison not in OPERATORS and comparison not in _NEAR_OPERATORS:
        return ThresholdError(f"{comparison!r} is no operator; one of {' '.join(OPERATORS)}")
    cleaned = re.sub(r"[_,+]", "", number).rstrip(".")
    corrected = (
        f"{near['metric']} {_NEAR_OPERATORS.get(comparison, comparison)} {cleaned}{near['rest']}".rstrip()
    )
    if _PATTERN.fullmatch(corrected) is None:
        return ThresholdError(f"{text!r} is no threshold; {_EXAMPLES}")
    return ThresholdError(f"{text.strip()!r} is no threshold", corrected)


def _unknown_metric(metric: str) -> ThresholdError:
    known = [*METRICS, *STORE_METRICS]
    close = difflib.get_close_matches(metric.lower(), known, n=1)
    subject = metric.split(".")[0]
    allowed = [name for name in known if name.split(".")[0] == subject]
    subjects = dict.fromkeys(name.split(".")[0] for name in known)
    listed = ", ".join(allowed) if allowed else f"metrics begin with {', '.join(subjects)}"
    message = f"unknown metric {metric!r}; {'one of ' if allowed else ''}{listed}"
    return ThresholdError(message, close[0] if close else "")
