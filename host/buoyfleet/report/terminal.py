"""The verdict where people type: coloured on a terminal, the same text without colour in a pipe."""

import sys
from pathlib import Path
from typing import TextIO

from buoyfleet.model.result import BoardResult, Latency, Result, StageResult
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.report import figures
from buoyfleet.report.files import printable
from buoyfleet.report.page import Block, Columns, Heading, Sentence, print_blocks, writable
from buoyfleet.report.verdict import boards_in_trouble, headline, store_faults

HTML_NAME = "report.html"
_MOST_BOARDS = 10
_MARKS = {True: "✓", False: "✗"}
_TONES = {True: "good", False: "bad"}


def print_verdict(result: Result, folder: Path, *, quiet: bool = False, stream: TextIO | None = None) -> None:
    """Print the verdict; `quiet` prints one line. Colours only on a terminal, unless NO_COLOR is set."""
    out = sys.stdout if stream is None else stream
    if quiet:
        out.write(writable(one_line(result, folder) + "\n", out))
        return
    print_blocks(verdict_blocks(result, folder), out)


def one_line(result: Result, folder: Path) -> str:
    """The verdict in one line: `passed: 27,000 of 27,000 measures in s3 …; 30 of 30 boards; runs/…`."""
    line = headline(result)
    stores = [
        f"{figures.count(store.found)} of {figures.count(store.expected)} measures in {printable(store.name)}"
        for store in result.stores
    ]
    passed = sum(board.state == "passed" for board in result.boards)
    boards = f"{figures.count(passed)} of {figures.plural(len(result.boards), 'board')} passed"
    missed = [threshold.text for threshold in result.thresholds if not threshold.passed]
    affected = sum(board.state == "affected" for board in result.boards)
    boards += f", {figures.count(affected)} affected" if affected else ""
    parts = [", ".join(stores), boards] if stores else [boards]
    if not line.passed:
        cause = result.diagnoses[0].sentence if result.diagnoses else result.outcome.sentence
        parts.insert(0, printable(cause.rstrip(".")))
    if missed:
        parts.append(f"missed: {printable(', '.join(missed))}")
    return f"{line.word}: {'; '.join(parts)}; {folder}"


def verdict_blocks(result: Result, folder: Path) -> list[Block]:
    """Everything that the terminal says, in order."""
    top = headline(result)
    tone = "good" if top.passed else "warn" if result.run.interrupted else "bad"
    blocks: list[Block] = [
        Sentence(f"{_MARKS[top.passed]} {top.word}: {printable(top.sentence)}", tone, strong=True),
        Sentence(printable(" · ".join(top.facts)), "dim", indent=2),
    ]
    blocks += _stores(result)
    blocks += _stages(result.stages)
    blocks += _sending(result)
    blocks += _troubled(result)
    blocks += _thresholds(result)
    blocks += _diagnoses(result)
    blocks += [Sentence(f"! {printable(warning)}", "warn") for warning in result.warnings]
    blocks.append(Sentence("", "plain"))
    blocks.append(Sentence(f"run's folder  {folder}", "plain"))
    blocks.append(Sentence(f"report        {folder / HTML_NAME}", "plain"))
    return blocks


def _stores(result: Result) -> list[Block]:
    if not result.stores:
        return []
    names = ["expected", "found", "missing", "duplicated", "redelivered", "altered", "late"]
    if any(store.unproven for store in result.stores):
        names.insert(3, "unproven")
    if any(store.withheld for store in result.stores):
        names.insert(1, "withheld")
    if any(store.unexpected for store in result.stores):
        names.append("unexpected")
    table = Columns(["store", *names], left=1)
    for store in result.stores:
        faults = store_faults(store)
        cells = [(printable(store.name), "plain")]
        for name in names:
            number = getattr(store, name)
            worth_a_look = number and name in ("late", "unproven", "withheld")
            tone = "bad" if name in faults else "warn" if worth_a_look else "plain"
            cells.append((figures.count(number), "dim" if tone == "plain" and number == 0 else tone))
        table.rows.append(cells)
    blocks: list[Block] = [Heading("Stores, in measures"), table]
    notes = {store.decidable for store in result.stores if store.decidable}
    blocks += [Sentence(f"decidable: {printable(note)}", "dim", indent=2) for note in sorted(notes)]
    return blocks


def _stages(stages: list[StageResult]) -> list[Block]:
    if not stages:
        return []
    names = ["stage", "counts", "in", "out", "rejected"]
    waiting = any(stage.waiting for stage in stages)
    reasons = any(stage.rejected for stage in stages)
    names += ["waiting"] if waiting else []
    names += ["why"] if reasons else []
    table = Columns(names, left=2, last_left=reasons)
    for stage in stages:
        rejected = sum(stage.rejected.values())
        cells = [
            (printable(stage.name), "plain"),
            (printable(stage.unit), "dim"),
            (figures.count(stage.entered), "plain"),
            (figures.count(stage.left), "plain"),
            (figures.count(rejected), "bad" if rejected else "dim"),
        ]
        if waiting:
            cells.append((figures.count(stage.waiting), "warn" if stage.waiting else "dim"))
        if reasons:
            why = ", ".join(f"{printable(reason)} {figures.count(n)}" for reason, n in stage.rejected.items())
            cells.append((why, "bad"))
        table.rows.append(cells)
    return [Heading("Stages"), table]


def _sending(result: Result) -> list[Block]:
    boards = result.boards
    passed = sum(board.state == "passed" for board in boards)
    affected = sum(board.state == "affected" for board in boards)
    facts = [
        f"{figures.count(passed)} of {figures.plural(len(boards), 'board')} passed"
        + (f", {figures.count(affected)} affected" if affected else ""),
        sending_words(boards),
    ]
    if (latency := result.ack_latency) is not None:
        facts.append(f"acknowledged {_latency_words(latency)}")
    for noun, number in (
        ("sent late", sum(board.late_sends for board in boards)),
        ("dropped", sum(board.dropped for board in boards)),
        ("redelivered", sum(board.redelivered for board in boards)),
    ):
        if number:
            facts.append(f"{figures.count(number)} {noun}")
    blocks: list[Block] = [Heading("Sending"), Sentence("; ".join(facts), "plain", indent=2)]
    blocks += [
        Sentence(f"visible in {printable(store.name)} {_latency_words(store.latency)}", "plain", indent=2)
        for store in result.stores
        if store.latency is not None
    ]
    # One explanation each: several stores of a target have their time from the same clock.
    timed = dict.fromkeys(store.latency_words for store in result.stores if store.latency is not None)
    blocks += [Sentence(f"visible means: {printable(words)}", "plain", indent=2) for words in timed if words]
    if (witness := result.witness) is not None and all(store.name != SUBSCRIBER for store in result.stores):
        expected = figures.plural(witness.expected, "message")
        text = f"subscriber saw {figures.count(witness.seen)} of {expected}"
        if witness.note:
            text += f" ({printable(witness.note)})"
        blocks.append(Sentence(text, "warn" if witness.shortfall else "plain", indent=2))
    return blocks


def _latency_words(latency: Latency) -> str:
    named = (
        ("p50", latency.p50_ms),
        ("p95", latency.p95_ms),
        ("p99", latency.p99_ms),
        ("max", latency.max_ms),
    )
    return ", ".join(f"{name} {figures.milliseconds(value)}" for name, value in named if value is not None)


def sending_words(boards: list[BoardResult]) -> str:
    """`78 of 80 messages acknowledged`; of QoS 0 `80 messages sent`."""
    sent = figures.plural(sum(board.sent for board in boards), "message")
    answers = [board.acknowledged for board in boards if board.acknowledged is not None]
    return f"{figures.count(sum(answers))} of {sent} acknowledged" if answers else f"{sent} sent (QoS 0)"


def _troubled(result: Result) -> list[Block]:
    troubled = boards_in_trouble(result)
    if not troubled:
        return []
    table = Columns(["board", "kind", "state", "sent", "why"], left=3, last_left=True)
    table.rows += [_board_row(board) for board in troubled[:_MOST_BOARDS]]
    title = f"Boards in trouble: {figures.count(len(troubled))} of {figures.count(len(result.boards))}"
    blocks: list[Block] = [Heading(title), table]
    if len(troubled) > _MOST_BOARDS:
        rest = figures.count(len(troubled) - _MOST_BOARDS)
        blocks.append(Sentence(f"and {rest} more, in {HTML_NAME}", "dim", indent=2))
    return blocks


def _board_row(board: BoardResult) -> list[tuple[str, str]]:
    why = printable(board.errors[0]) if board.errors else "not everything planned was sent"
    if len(board.errors) > 1:
        why += f" (and {len(board.errors) - 1} more)"
    return [
        (str(board.buoy_id), "plain"),
        (printable(board.kind), "dim"),
        (board.state, "bad" if board.state == "failed" else "warn"),
        (f"{figures.count(board.sent)} of {figures.count(board.planned)}", "plain"),
        (why, "plain"),
    ]


def _thresholds(result: Result) -> list[Block]:
    if not result.thresholds:
        return []
    table = Columns(["", "threshold", "measured"], left=3, headless=True)
    for threshold in result.thresholds:
        tone = _TONES[threshold.passed]
        value = figures.measured(threshold.value, threshold.unit)
        table.rows.append(
            [(_MARKS[threshold.passed], tone), (printable(threshold.text), "plain"), (value, tone)]
        )
    return [Heading("Thresholds"), table]


def _diagnoses(result: Result) -> list[Block]:
    if not result.diagnoses:
        return []
    blocks: list[Block] = [Heading("What happened, and what to change")]
    for diagnosis in result.diagnoses:
        blocks.append(Sentence(printable(diagnosis.sentence), "plain", indent=2))
        if diagnosis.change:
            blocks.append(Sentence(f"→ {printable(diagnosis.change)}", "good", indent=4))
    return blocks


# For terminals and pipes that have no UTF-8.
