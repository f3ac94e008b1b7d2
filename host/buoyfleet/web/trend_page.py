"""One metric over many runs: a line, and the numbers in a table."""

import asyncio
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup
from nicegui import html, ui

from buoyfleet.model.errors import BuoyError
from buoyfleet.report.figures import measured
from buoyfleet.report.svg import WIDE, element, path, picture, round_steps, text
from buoyfleet.runs.compare_runs import metrics_of
from buoyfleet.runs.conditions import UNITS
from buoyfleet.runs.history import PastRun, matching, past_runs
from buoyfleet.web.drawn import SIGNS, draw_error, draw_head, labelled_input, scrolling
from buoyfleet.web.runs_page import verdict_of
from buoyfleet.web.site import View
from buoyfleet.web.words import clipped

_FIRST = "ack.p99"
_MOST_RUNS = 200
_HEIGHT, _LEFT, _TOP, _BOTTOM = 240.0, 90.0, 12.0, 24.0
Point = tuple[PastRun, float | None]


async def trend_page(view: View) -> None:
    """Draw it."""
    asked, metric = view.query.get("q", ""), view.query.get("metric", _FIRST)
    metric = metric if metric in UNITS else _FIRST
    with html.form(method="get", action="/trend").classes("row"):
        labelled_input("q", "Runs: part of a name, failed, tag=…, since=…", asked, type="search")
        with html.div().classes("field"):
            html.label("Metric").props.update({"for": "metric"})
            with html.select(id="metric", name="metric"):
                for name in UNITS:
                    option = html.option(name, value=name)
                    if name == metric:
                        option.props("selected")
        html.button("Show", type="submit").classes("primary")
    try:
        points = await asyncio.to_thread(_points, view.site.runs, asked, metric)
    except BuoyError as error:
        draw_error(error)
        return
    known = [(one, value) for one, value in points if value is not None]
    html.p(f"{len(known):,} of {len(points):,} runs have {metric}.").props('role="status"')
    if len(known) > 1:
        # Made of numbers and our own words; what a run is called stands in the table alone.
        ui.html(str(_line([value for _, value in known], metric)), sanitize=False).classes("chart")
    if points:
        _draw_table(points, metric)


def _points(runs: Path, asked: str, metric: str) -> list[Point]:
    found = matching(past_runs(runs), asked.split())[-_MOST_RUNS:]
    return [
        (one, None if one.result is None else metrics_of(one.result, one.folder).get(metric)) for one in found
    ]


def _line(values: list[float], metric: str) -> Markup:
    steps = round_steps(max(values), 4)
    low, high = _HEIGHT - _BOTTOM, _TOP
    width = WIDE - _LEFT - 12.0

    def x(index: int) -> float:
        return _LEFT + width * index / (len(values) - 1)

    def y(value: float) -> float:
        return low + (high - low) * value / steps[-1]

    parts = []
    for step in steps:
        parts.append(element("path", d=path([(_LEFT, y(step)), (WIDE - 12.0, y(step))]), class_="grid"))
        parts.append(text(_LEFT - 8, y(step) + 4, measured(step, UNITS[metric]), anchor="end"))
    parts.append(
        element("path", d=path([(x(index), y(value)) for index, value in enumerate(values)]), class_="line")
    )
    parts += [
        element("circle", cx=x(index), cy=y(value), r=4.0, class_="dot") for index, value in enumerate(values)
    ]
    parts.append(text(_LEFT, _HEIGHT - 6, "oldest"))
    parts.append(text(WIDE - 12.0, _HEIGHT - 6, "newest", anchor="end"))
    first, last = (measured(value, UNITS[metric]) for value in (values[0], values[-1]))
    said = f"{metric} of {len(values)} runs, from {first} to {last}"
    return picture(WIDE, _HEIGHT, said, parts)


def _draw_table(points: list[Point], metric: str) -> None:
    with scrolling("Values"), html.table():
        draw_head(["run", "verdict", metric], left=2)
        with html.tbody():
            for one, value in reversed(points):
                with html.tr():
                    with html.td():
                        html.a(clipped(one.folder.name), href=f"/runs/{quote(one.folder.name, safe='')}")
                    tone, word = verdict_of(one)
                    html.td(f"{SIGNS[tone]} {word}").classes(tone)
                    html.td(measured(value, UNITS[metric])).classes("number")
