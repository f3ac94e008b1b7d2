"""Blocks of text and two ways to show them: coloured by rich on a terminal, plain elsewhere."""

import os
import shutil
import textwrap
from dataclasses import dataclass, field
from typing import TextIO

_GAP = "  "
_INDENT = 2
_LONGEST_LINE = 110

# Tone of a piece of text → rich style. Red and green always come with a mark or a word.
_STYLES = {"good": "green", "bad": "red", "warn": "yellow", "dim": "dim", "plain": ""}


@dataclass(frozen=True, slots=True)
class Heading:
    """Starts a part of the page; an empty line stands before it."""

    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A line that may be wrapped."""

    text: str
    tone: str
    indent: int = 0
    strong: bool = False


@dataclass(slots=True)
class Columns:
    """Aligned columns: the first `left` to the left, numbers to the right."""

    names: list[str]
    left: int
    rows: list[list[tuple[str, str]]] = field(default_factory=list)
    """Cells as (text, tone)."""
    last_left: bool = False
    headless: bool = False

    def lines(self) -> list[list[tuple[str, str]]]:
        """Rows of padded cells; the row of names, if shown, comes first."""
        head = [] if self.headless else [[(name, "dim") for name in self.names]]
        rows = head + self.rows
        widths = [max(len(row[column][0]) for row in rows) for column in range(len(self.names))]
        return [
            [(self._pad(text, widths[column], column), tone) for column, (text, tone) in enumerate(row)]
            for row in rows
        ]

    def _pad(self, text: str, width: int, column: int) -> str:
        last = column == len(self.names) - 1
        to_left = column < self.left or (last and self.last_left)
        if last and to_left:
            return text
        return text.ljust(width) if to_left else text.rjust(width)


Block = Heading | Sentence | Columns


def print_blocks(blocks: list[Block], stream: TextIO) -> None:
    """Print a page, in colours on a terminal unless NO_COLOR is set."""
    if stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        render_rich(blocks, stream)
    else:
        stream.write(writable(render_plain(blocks), stream))
    stream.flush()


def render_plain(blocks: list[Block]) -> str:
    """The page as text without colours; long sentences are not wrapped, so that they can be searched for."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            lines += ["", block.text]
        elif isinstance(block, Sentence):
            lines.append(" " * block.indent + block.text)
        else:
            lines += [" " * _INDENT + _GAP.join(text for text, _ in row).rstrip() for row in block.lines()]
    return "\n".join(lines) + "\n"


def render_rich(blocks: list[Block], stream: TextIO) -> None:
    """The page on a terminal, sentences wrapped to its width."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
    width = min(shutil.get_terminal_size().columns, _LONGEST_LINE)
    for block in blocks:
        if isinstance(block, Heading):
            console.print(Text(f"\n{block.text}", style="bold"))
        elif isinstance(block, Sentence):
            style = f"{'bold ' if block.strong else ''}{_STYLES[block.tone]}".strip()
            for line in _wrapped(block, width):
                console.print(Text(line, style=style))
        else:
            for row in block.lines():
                pieces = [(text, _STYLES[tone]) for text, tone in row]
                spaced = [piece for one in pieces for piece in (one, (_GAP, ""))][:-1]
                console.print(Text.assemble(" " * _INDENT, *spaced))


def _wrapped(block: Sentence, width: int) -> list[str]:
    indent = " " * block.indent
    room = max(width - block.indent, 30)
    lines = textwrap.wrap(block.text, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [indent + line for line in lines]


_PLAIN_LETTERS = str.maketrans(
    {"✓": "ok", "✗": "FAIL", "→": "->", "·": "-", "–": "-", "µ": "u", "°": "", "�": "?", "…": "..."}
)


def writable(text: str, stream: TextIO) -> str:
    """The text in letters that the stream has."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN_LETTERS).encode(encoding, "replace").decode(encoding)
    except LookupError:
        return text
    return text
