"""Numbers and lists in words, for sentences."""

from collections.abc import Sequence
from itertools import pairwise

_MAX_RANGES = 5


def count_text(number: int, singular: str, plural: str = "") -> str:
    """`1 measure`, `27,000 measures`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def seconds_text(seconds: float) -> str:
    """`250 ms`, `95.5 s`, `60 s`."""
    if 0 < abs(seconds) < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def boards_text(boards: Sequence[int]) -> str:
    """`board 104`, `boards 100–129`, `boards 100, 104–106 and 20 more`; sorted input."""
    if not boards:
        return "no board"
    if len(boards) == 1:
        return f"board {boards[0]}"
    ranges = [[boards[0], boards[0]]]
    for before, board in pairwise(boards):
        if board == before + 1:
            ranges[-1][1] = board
        else:
            ranges.append([board, board])
    shown = ranges[:_MAX_RANGES]
    words = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in shown)
    rest = sum(last - first + 1 for first, last in ranges[_MAX_RANGES:])
    return f"boards {words}" + (f" and {rest} more" if rest else "")


def keys_text(keys: Sequence[str]) -> str:
    """`temp`, `ph, temp`, and at most ten."""
    return ", ".join(keys[:10]) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
