"""Parts that several pages draw: reports' blocks, errors, tables, labelled inputs."""

from collections.abc import Sequence

from nicegui import html, ui

from buoyfleet.model.errors import BuoyError
from buoyfleet.report.page import Block, Columns, Heading, Sentence
from buoyfleet.web.words import clipped, error_lines

SIGNS = {"good": "✓", "bad": "✗", "warn": "!", "plain": "", "dim": ""}
"""Tone → sign: what a colour says, a sign says, too."""
_MOST_ROWS = 500
"""Of a table; the terminal, --json and the files have all of them."""


def draw_blocks(blocks: Sequence[Block]) -> None:
    """Draw what the terminal prints."""
    title = ""
    for block in blocks:
        if isinstance(block, Heading):
            title = block.text
            html.h2(clipped(block.text))
        elif isinstance(block, Sentence):
            html.p(clipped(block.text, 2000)).classes(block.tone)
        else:
            _draw_columns(block, title)


def _draw_columns(columns: Columns, title: str) -> None:
    with scrolling(title or "Table"), html.table():
        draw_head(columns.names, left=columns.left)
        with html.tbody():
            for row in columns.rows[:_MOST_ROWS]:
                with html.tr():
                    for place, (text, tone) in enumerate(row):
                        html.td(clipped(text)).classes(f"{tone} {'' if place < columns.left else 'number'}")
    if len(columns.rows) > _MOST_ROWS:
        html.p(f"and {len(columns.rows) - _MOST_ROWS:,} more rows; the command prints all").classes("dim")


def draw_head(names: Sequence[str], *, left: int) -> None:
    """A table's head; columns from the `left`-th on are numbers."""
    with html.thead(), html.tr():
        for place, name in enumerate(names):
            html.th(name, scope="col").classes("" if place < left else "number")


def scrolling(name: str) -> ui.element:
    """Around a table that may be wider than a phone; the keyboard can scroll it."""
    around: ui.element = html.div().classes("scroll")
    around.props.update({"tabindex": "0", "role": "region", "aria-label": clipped(name)})
    return around


def draw_error(error: BuoyError) -> None:
    """What happened, where, the likely cause, and what to do next."""
    with html.div().classes("box bad").props('role="alert"'), html.dl().classes("facts"):
        for name, text in error_lines(error):
            html.dt(name)
            html.dd(f"✗ {text}" if name == "What happened" else text)


def draw_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Names and values, in two columns where there is room."""
    with html.dl().classes("facts"):
        for name, text in facts:
            html.dt(name)
            html.dd(clipped(text, 2000))


def labelled_input(name: str, label: str, value: str = "", **attributes: str) -> ui.element:
    """A native input of a form with its label; returns the input."""
    with html.div().classes("field"):
        mark = html.label(label)
        mark.props.update({"for": f"field-{name}"})
        entered: ui.element = html.input_()
        entered.props.update({"id": f"field-{name}", "name": name, "value": value, **attributes})
    return entered
