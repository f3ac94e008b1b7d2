"""Runs held against one another, as `buoy compare` prints it."""

import asyncio
from pathlib import Path

from nicegui import html

from buoyfleet.model.comparison import Comparison
from buoyfleet.model.errors import BuoyError, UsageError
from buoyfleet.report.comparison import comparison_blocks
from buoyfleet.report.load import read_result
from buoyfleet.runs.compare_runs import compare_runs
from buoyfleet.runs.history import baseline_of
from buoyfleet.web.drawn import draw_blocks, draw_error, labelled_input
from buoyfleet.web.folders import run_folder
from buoyfleet.web.site import View
from buoyfleet.web.words import clipped

_MOST = 10
"""Runs at once."""


async def compare_page(view: View) -> None:
    """Draw it."""
    names, condition = view.query.getlist("run"), view.query.get("fail", "").strip()
    with html.form(method="get", action="/compare").classes("row"):
        for name in names[:_MOST]:
            html.input_().props.update({"type": "hidden", "name": "run", "value": name})
        labelled_input("fail", "Fails if, e.g. ack.p99 > 1.2 x", condition, type="text")
        html.button("Compare", type="submit").classes("primary")
    if not names:
        html.p("Choose runs in the list of runs first.")
        html.a("To the runs", href="/runs").classes("button")
        return
    try:
        found = await asyncio.to_thread(_compared, view.site.runs, names, [condition] if condition else [])
    except BuoyError as error:
        draw_error(error)
        return
    for comparison in found:
        with html.section().classes("card"):
            html.h2(f"{clipped(comparison.other.run_id)} against {clipped(comparison.base.run_id)}")
            draw_blocks(comparison_blocks(comparison))


def _compared(runs: Path, names: list[str], fail_if: list[str]) -> list[Comparison]:
    if len(names) > _MOST:
        raise UsageError(f"{len(names)} runs were chosen", next_step=f"choose up to {_MOST}")
    folders = [run_folder(runs, name) for name in names]
    folders.sort(key=lambda folder: read_result(folder).run.started_ns)
    if len(folders) == 1:
        folders.insert(0, baseline_of(read_result(folders[0]), runs).folder)
    base, *others = folders
    return [compare_runs(base, other, fail_if) for other in others]
