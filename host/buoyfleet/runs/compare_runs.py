"""Holds a run against another: verdicts, losses by cause, metrics with what chance explains, settings."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from buoyfleet.inventory.document import FILE_NAME
from buoyfleet.model.comparison import CauseChange, Comparison, Figure, SettingChange, Side
from buoyfleet.model.errors import VerificationError
from buoyfleet.model.result import Result
from buoyfleet.report.load import read_result
from buoyfleet.report.verdict import headline
from buoyfleet.runs.conditions import CPU, UNITS, judged
from buoyfleet.runs.noise import latencies_of, ratio_bands
from buoyfleet.runs.run_state import read_record
from buoyfleet.verify.thresholds import threshold_facts

_MOST_ERRORS = 5


def compare_runs(base: Path, other: Path, fail_if: Sequence[str] = ()) -> Comparison:
    """Compare two finished runs by their folders.

    Args:
        base: the run that is held to be right.
        other: the run in question.
        fail_if: conditions (buoyfleet.runs.conditions) under which the comparison has not passed.

    Raises:
        UsageError: a folder without a result, or a condition that is none.
    """
    ours, theirs = read_result(base), read_result(other)
    notes: list[str] = []
    bands = _bands(base, ours, other, theirs, notes)
    before, after = metrics_of(ours, base), metrics_of(theirs, other)
    figures = [
        Figure(metric, UNITS[metric], before.get(metric), after.get(metric), bands.get(metric))
        for metric in UNITS
        if before.get(metric) is not None or after.get(metric) is not None
    ]
    if ours.run.machine != theirs.run.machine:
        notes.append(f"the runs are of different machines ({ours.run.machine}; {theirs.run.machine})")
    return Comparison(
        _side(ours, base),
        _side(theirs, other),
        figures,
        _causes(ours, theirs),
        _settings(base, other, notes),
        judged(fail_if, figures),
        notes,
    )


def metrics_of(result: Result, folder: Path) -> dict[str, float | None]:
    """Every metric of thresholds and `cpu.message`, in its base unit; None: nothing to measure."""
    rates = [point for point in result.rate if point.sent]
    sent = sum(point.sent for point in rates)
    rate = None
    if len(rates) > 1:
        rate = sent / (rates[-1].t_s - rates[0].t_s + result.rate_interval_s)
    facts = threshold_facts(result.boards, result.stores, result.ack_latency, rate, result.witness)
    record = read_record(folder)
    cpu_s = sum(seconds for seconds, _ in record.usage.values()) if record is not None else 0.0
    facts[CPU] = cpu_s / sent * 1e6 if cpu_s and sent else None
    return facts


def _side(result: Result, folder: Path) -> Side:
    errors = Counter(error for board in result.boards for error in board.errors)
    return Side(
        run_id=result.run.run_id,
        folder=str(folder),
        verdict=headline(result).word,
        sentence=result.outcome.sentence,
        messages=sum(board.sent for board in result.boards),
        errors=tuple(error for error, _ in errors.most_common(_MOST_ERRORS)),
    )


def _bands(
    base: Path, before: Result, other: Path, after: Result, notes: list[str]
) -> dict[str, tuple[float, float]]:
    try:
        ours = latencies_of(base, paced=before.run.paced)
        theirs = latencies_of(other, paced=after.run.paced)
    except VerificationError as error:
        notes.append(f"no bands: {error.what}")
        return {}
    if ours is None or theirs is None:
        notes.append("no bands: a run with fewer than 100 acknowledged messages, or without a ledger")
        return {}
    return {f"ack.{name}": band for name, band in ratio_bands(ours, theirs).items()}


def _causes(base: Result, other: Result) -> list[CauseChange]:
    """Most measures in the other run first; those of the base alone last."""
    before, after = _by_cause(base), _by_cause(other)
    keys = sorted(before.keys() | after.keys(), key=lambda key: (-after[key], -before[key], key))
    return [CauseChange(*key, before[key], after[key]) for key in keys]


def _by_cause(result: Result) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for diagnosis in result.diagnoses:
        found[diagnosis.store, diagnosis.kind, diagnosis.cause] += diagnosis.measures
    return found


def _settings(base: Path, other: Path, notes: list[str]) -> list[SettingChange]:
    """What differs in the fleet files as the runs took them, every default filled in."""
    import yaml

    sides = []
    for folder in (base, other):
        try:
            document = yaml.safe_load((folder / FILE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            notes.append(f"settings are not compared: {folder / FILE_NAME} cannot be read")
            return []
        sides.append(dict(_flat(document)))
    before, after = sides
    places = [*before, *(place for place in after if place not in before)]
    return [
        SettingChange(place, before.get(place, ""), after.get(place, ""))
        for place in places
        if before.get(place) != after.get(place)
    ]


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{place}[{index}]")
    else:
        yield place, json.dumps(value, ensure_ascii=False, default=str)
