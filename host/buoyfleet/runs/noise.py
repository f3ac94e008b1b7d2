"""How far percentiles of two runs can differ by chance: bootstrap over boards, from their ledgers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from buoyfleet.model.ledger import COMPACTED, SCHEMA, Event
from buoyfleet.verify.database import Database

if TYPE_CHECKING:
    import numpy as np

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LEAST_MS, _STEP, _BINS = 0.01, 1.01, 2100
"""Bins of 1 % each, from 10 µs to three hours."""
_REPETITIONS = 400
_BOARDS = 20
"""With fewer, each board's messages are cut into slices in time, which take the place of boards."""
_MOST_GROUPS = 1000
"""Of boards; a thousand show how far boards differ as well as ten thousand."""
_LEAST_MESSAGES = 100
_SEED = 1


@dataclass(frozen=True, slots=True)
class Latencies:
    """Acknowledgement latencies of a run."""

    counts: "np.ndarray"
    """Groups x bins, in messages."""


def latencies_of(run_folder: Path, *, paced: bool = True) -> Latencies | None:
    """From the compacted ledger; None where there is none, or too few messages were acknowledged.

    As `buoyfleet.verify.latency`: from the planned time, of an unpaced run from the first sending.

    Raises:
        VerificationError: the ledger is damaged.
    """
    import numpy as np

    path = run_folder / COMPACTED
    if not path.is_file():
        return None
    with Database() as db:
        db.files("ledger", [path], SCHEMA)
        boards, slices, acknowledged = db.row(f"""
            SELECT count(DISTINCT buoy), max(seq) + 1, count(*) FILTER (event = {Event.ACKNOWLEDGED})
            FROM ledger
        """)
        if acknowledged < _LEAST_MESSAGES:
            return None
        parts = 1 if boards >= _BOARDS else -(-_BOARDS // boards)
        begun = "planned_ns"
        if not paced:
            db.rows(f"""
                CREATE TEMP TABLE begun AS SELECT buoy, seq, min(at_ns + offset_ns) AS sent_ns
                FROM ledger WHERE event = {Event.SENT} GROUP BY ALL
            """)
            begun = "coalesce(sent_ns, planned_ns)"
        waited_ms = f"greatest((at_ns + offset_ns - {begun}) / 1e6, {_LEAST_MS})"
        number = f"floor(ln({waited_ms} / {_LEAST_MS}) / ln({_STEP}))"
        rows = db.rows(f"""
            SELECT ((place - 1) * {parts} + seq * {parts} // {slices}) % {_MOST_GROUPS} AS part,
                least({_BINS - 1}, CAST({number} AS INTEGER)) AS bin, count(*)
            FROM ledger
            JOIN (SELECT buoy, row_number() OVER (ORDER BY buoy) AS place FROM ledger GROUP BY buoy)
                USING (buoy)
                {"" if paced else "LEFT JOIN begun USING (buoy, seq)"}
            WHERE event = {Event.ACKNOWLEDGED}
            GROUP BY ALL
        """)
    counts = np.zeros((min(boards * parts, _MOST_GROUPS), _BINS))
    for group, number, messages in rows:
        counts[group, number] = messages
    return Latencies(counts)


def ratio_bands(base: Latencies, other: Latencies) -> dict[str, tuple[float, float]]:
    """Percentile → 95 % interval of its ratio, other to base.

    The groups of each run are drawn again with replacement, and the percentiles taken of what was drawn
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13: percentile intervals).
    """
    import numpy as np

    random = np.random.default_rng(_SEED)
    ours, theirs = _drawn(base, random), _drawn(other, random)
    bands = {}
    for column, name in enumerate(QUANTILES):
        low, high = np.percentile(theirs[:, column] / ours[:, column], (2.5, 97.5))
        bands[name] = (float(low) / _STEP, float(high) * _STEP)  # as exact as the bins are
    return bands


def _drawn(latencies: Latencies, random: "np.random.Generator") -> "np.ndarray":
    """Repetitions x percentiles, in ms."""
    import numpy as np

    groups = len(latencies.counts)
    times = random.multinomial(groups, [1 / groups] * groups, size=_REPETITIONS)
    drawn = np.cumsum(times @ latencies.counts, axis=1)
    found = np.empty((_REPETITIONS, len(QUANTILES)))
    for column, share in enumerate(QUANTILES.values()):
        bins = (drawn < share * drawn[:, -1:]).sum(axis=1)
        found[:, column] = _LEAST_MS * _STEP ** (bins + 0.5)
    return found
