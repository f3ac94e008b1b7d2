"""Conditions of `--fail-if`: when a comparison of two runs fails.

    condition = metric operator number "x"       the other run against the base: `ack.p99 > 1.2 x`
              | threshold                        the other run alone: `timestream.missing > 0`

Metrics are those of thresholds and `cpu.message`. A ratio with a band holds only if it holds over all of the
band: what chance alone explains fails nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from buoyfleet.model.comparison import Figure, Judged
from buoyfleet.model.errors import UsageError
from buoyfleet.model.thresholds import METRICS, STORE_METRICS, ThresholdError, parse_threshold
from buoyfleet.report.figures import measured, significant

CPU = "cpu.message"
"""CPU time of the packs for each message that left."""
UNITS = {**METRICS, **STORE_METRICS, CPU: "µs"}
_RELATIVE = re.compile(r"\s*([a-z0-9_]+\.[a-z0-9_]+)\s*(<=|>=|<|>)\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*[x×]\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, parsed."""

    text: str
    metric: str
    operator: str
    factor: float

    def judge(self, figure: Figure | None) -> Judged:
        """Whether it holds. What cannot be decided counts as a failure."""
        ratio = None if figure is None else figure.ratio
        if figure is None or ratio is None:
            return Judged(self.text, True, "cannot be decided: not measured in both runs")
        low, high = figure.band or (ratio, ratio)
        edge = low if self.operator.startswith(">") else high
        words = f"{significant(ratio)} x"
        if figure.band is not None:
            words += f", between {significant(low)} and {significant(high)} x"
        if self._holds(ratio) and not self._holds(edge):
            return Judged(self.text, False, f"{words}: chance can explain it")
        return Judged(self.text, self._holds(ratio), words)

    def _holds(self, ratio: float) -> bool:
        bound = self.factor
        match self.operator:
            case ">":
                return ratio > bound
            case ">=":
                return ratio >= bound
            case "<":
                return ratio < bound
            case _:
                return ratio <= bound


def judged(texts: Sequence[str], figures: Sequence[Figure]) -> list[Judged]:
    """Judge conditions by the figures of a comparison.

    Raises:
        UsageError: some are no conditions; all are named.
    """
    by_metric = {figure.metric: figure for figure in figures}
    found, wrong = [], []
    for text in texts:
        match = _RELATIVE.fullmatch(text)
        if match is not None and match[1] in UNITS:
            condition = Condition(text.strip(), match[1], match[2], float(match[3]))
            found.append(condition.judge(by_metric.get(condition.metric)))
            continue
        try:
            threshold = parse_threshold(text)
        except ThresholdError as error:
            wrong.append(f"{text!r}: {error}")
            continue
        figure = by_metric.get(threshold.metric)
        value = None if figure is None else figure.other
        fails = value is None or threshold.holds(value)
        found.append(Judged(threshold.text, fails, measured(value, threshold.unit)))
    if wrong:
        raise UsageError(
            "not a condition: " + "; ".join(wrong),
            next_step="write e.g. --fail-if 'ack.p99 > 1.2 x' or --fail-if 'timestream.missing > 0'",
        )
    return found
