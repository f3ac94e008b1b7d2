"""Printing for people: mistakes beside the lines they are on, checks with ✓ and ✗. Plain in a pipe."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from buoyfleet.model.errors import BuoyError, ConfigurationError, Problem

if TYPE_CHECKING:
    from rich.text import Text

    from buoyfleet.cloud.target import Check


def write_line(text: str, stream: TextIO | None = None) -> None:
    """A line, also where the terminal cannot show every character."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")


def print_error(error: BuoyError, stream: TextIO | None = None) -> None:
    """What happened, where, the likely cause and the next step; mistakes of a fleet file with their lines.

    Args:
        error: as raised.
        stream: standard error by default. A terminal gets colours and the offending lines, a pipe one line
            per mistake as compilers print them (`FILE:LINE: KEY: MESSAGE (HINT)`).
    """
    stream = stream or sys.stderr
    if not isinstance(error, ConfigurationError):
        write_line(f"error: {error}", stream)
        return
    if stream.isatty():
        _print_pretty(error.problems, stream)
        return
    for line in str(error).splitlines():
        write_line(line, stream)
    write_line(summary(error.problems), stream)


def summary(problems: Sequence[Problem]) -> str:
    """`3 mistakes in boards.yaml, 1 on the command line; nothing was sent`."""
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.file] = counts.get(problem.file, 0) + 1
    parts: list[str] = []
    for file, count in counts.items():
        where = "on the command line" if file == "command line" else f"in {file}"
        noun = "" if parts else (" mistake" if count == 1 else " mistakes")
        parts.append(f"{count}{noun} {where}")
    return f"{', '.join(parts)}; nothing was sent"


def _print_pretty(problems: Sequence[Problem], stream: TextIO) -> None:
    from rich.console import Console

    console = Console(file=stream, highlight=False, soft_wrap=True)
    for text in pretty_problems(problems):
        console.print(text)


def pretty_problems(problems: Sequence[Problem]) -> Iterable["Text"]:
    """The mistakes, those of a line together under that line."""
    from rich.text import Text

    width = len(str(max((problem.line for problem in problems), default=0)))
    before: tuple[str, int] | None = None
    for problem in problems:
        place = (problem.file, problem.line)
        if place != before or not problem.line:
            if before is not None:
                yield Text()
            yield Text(f"{problem.file}:{problem.line}" if problem.line else problem.file, "bold")
            if problem.source_line:
                yield Text.assemble((f"  {problem.line:>{width}} │ ", "dim"), problem.source_line)
        before = place
        margin = " " * (width + 3) + "╵ " if problem.source_line else "  "
        key = (f"{problem.path}: ", "cyan") if problem.path else ""
        yield Text.assemble((margin, "dim"), key, (problem.message, "red"))
        if problem.hint:
            yield Text.assemble(" " * len(margin), (problem.hint, "green"))
    yield Text()
    yield Text(summary(problems), "bold")


def print_checks(checks: Iterable["Check"], stream: TextIO | None = None) -> None:
    """One line per check, and under one that failed what to type."""
    checks = list(checks)
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        write_line(f"  {mark(check.passed, stream)} {check.name:<{width}}  {check.detail}", stream)
        if not check.passed and check.next_step:
            write_line(f"    {'':<{width}}  next: {check.next_step}", stream)


def mark(passed: bool, stream: TextIO | None = None) -> str:
    """✓ or ✗, or words where the terminal cannot show them."""
    sign = "✓" if passed else "✗"
    try:
        sign.encode((stream or sys.stdout).encoding or "utf-8")
    except UnicodeEncodeError:
        return "ok  " if passed else "FAIL"
    return sign
