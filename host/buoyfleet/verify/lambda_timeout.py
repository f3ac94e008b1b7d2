"""The words about a Lambda timeout: how long the batch takes, what is allowed, and what would do."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buoyfleet.verify.cause import Figures

MAX_TIMEOUT_S = 300
"""Longest call that Firehose waits for (Firehose guide, data transformation), though Lambda allows 900 s."""
HEADROOM = 1.2
"""What to add to the time of the longest batch: durations spread, and a batch can be fuller."""

_FIGURES = {
    "timeout_s": re.compile(r"timed out after ([\d.]+) s"),
    "needed_s": re.compile(r"need(?:s|ed)? ([\d.]+) s"),
    "records": re.compile(r"(\d+) records"),
    "attempts": re.compile(r"(\d+) attempts?\b"),
    "cold_start_ms": re.compile(r"cold start of ([\d.]+) ms"),
}


@dataclass(frozen=True, slots=True)
class _Batch:
    """The figures of a sentence like `Task timed out after 60 s: 500 records at 1 ms each (128 MB) and a cold
    start of 250 ms need 72.10 s; 4 attempts`; 0 where it does not say."""

    timeout_s: float = 0.0
    needed_s: float = 0.0
    records: float = 0.0
    attempts: float = 0.0
    cold_start_ms: float = 0.0

    @property
    def fitting_records(self) -> int:
        """How many records would be done in time, with headroom; 0 where the sentence does not tell."""
        left_s = self.timeout_s - self.cold_start_ms / 1000
        work_s = self.needed_s - self.cold_start_ms / 1000
        if left_s <= 0 or work_s <= 0:  # the cold start alone takes too long
            return 0
        return math.floor(left_s / HEADROOM * self.records / work_s)


def _batch(sentence: str) -> _Batch:
    found = {name: pattern.search(sentence) for name, pattern in _FIGURES.items()}
    return _Batch(**{name: float(match[1].rstrip(".")) for name, match in found.items() if match})


def _longest(figures: "Figures") -> _Batch:
    sentences = figures.details or (figures.detail, figures.note)
    return max(map(_batch, sentences), key=lambda batch: (batch.needed_s, batch.timeout_s))


def timeout_why(figures: "Figures") -> str:
    """Duration, timeout, size of the batch, attempts."""
    batch = _longest(figures)
    if not batch.needed_s or not batch.timeout_s:
        said = figures.detail or figures.note
        return f"the Lambda function timed out ({said})" if said else "the Lambda function timed out"
    tries = f", {batch.attempts:g} attempts failed" if batch.attempts > 1 else ""
    size = f"a batch of {batch.records:g} records" if batch.records else "the longest batch"
    return (
        f"the Lambda function timed out ({size} takes {batch.needed_s:g} s, the timeout is "
        f"{batch.timeout_s:g} s{tries}), and the batch went to `processing-failed/`"
    )


def timeout_change(figures: "Figures") -> str:
    """The timeout that would do, or a batch that would fit."""
    batch = _longest(figures)
    if batch.timeout_s and not batch.needed_s:
        twice_s = min(MAX_TIMEOUT_S, math.ceil(2 * batch.timeout_s))
        return (
            f"Set the function's timeout from {batch.timeout_s:g} s to {twice_s} s (what waits in Firehose "
            "arrives later then), give it more memory, or make Firehose's Lambda buffer smaller."
        )
    if not batch.needed_s:
        return "Raise the function's timeout or memory, or make Firehose's Lambda buffer smaller."
    enough_s = math.ceil(batch.needed_s * HEADROOM)
    words = []
    if enough_s <= MAX_TIMEOUT_S:
        words.append(
            f"Set the function's timeout to at least {enough_s} s (what waits in Firehose arrives later then)"
        )
    fitting = batch.fitting_records
    words.append(
        "make Firehose's Lambda buffer smaller" + (f" (up to {fitting} records fit)" if fitting else "")
    )
    words.append("give the function more memory")
    text = ", or ".join(words)
    return f"{text[0].upper()}{text[1:]}."
