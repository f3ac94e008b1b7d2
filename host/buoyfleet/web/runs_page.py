"""The list of runs: search, tags, baseline, choosing some to compare."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from nicegui import html

from buoyfleet.model.errors import UsageError
from buoyfleet.report.figures import plural
from buoyfleet.runs.history import PastRun, matching, past_runs
from buoyfleet.runs.run_state import is_under_way
from buoyfleet.web.drawn import SIGNS, draw_error, draw_head, labelled_input, scrolling
from buoyfleet.web.site import View
from buoyfleet.web.words import clipped

_MOST_SHOWN = 200
TONES = {"passed": "good", "failed": "bad"}


async def runs_page(view: View) -> None:
    """Draw it."""
    asked = view.query.get("q", "")
    with html.form(method="get", action="/runs").props('role="search"').classes("row"):
        labelled_input(
            "q", "Search: part of a name, failed, tag=…, since=2026-11-01, target=…", asked, type="search"
        )
        html.button("Search", type="submit").classes("primary")
        html.a("Trend of these", href=f"/trend?{urlencode({'q': asked})}").classes("button")
    try:
        found = await asyncio.to_thread(_found, view.site.runs, asked)
    except UsageError as error:
        draw_error(error)
        return
    shown = found[::-1][:_MOST_SHOWN]
    html.p(_summary(len(shown), len(found), asked)).props('role="status"')
    if shown:
        _draw_list(shown)


def _found(runs: Path, asked: str) -> list[PastRun]:
    return matching(past_runs(runs), asked.split())


def _summary(shown: int, found: int, asked: str) -> str:
    if not found:
        return "No run fits." if asked else "There are no runs yet."
    more = "" if shown == found else f"; the newest {shown:,} are shown"
    return f"{plural(found, 'run')}, newest first{more}."


def _draw_list(shown: list[PastRun]) -> None:
    with html.form(method="get", action="/compare"):
        with scrolling("Runs"), html.table():
            draw_head(["choose", "run", "verdict", "tags", "started (UTC)", "boards", "messages"], left=5)
            with html.tbody():
                for one in shown:
                    _draw_run(one)
        html.button("Compare those chosen", type="submit").classes("primary")
        html.p(
            "The oldest of those chosen is the base. Choose one: it is compared with its baseline."
        ).classes("dim")


def _draw_run(one: PastRun) -> None:
    name = one.folder.name
    with html.tr():
        with html.td():
            html.input_().props.update(
                {"type": "checkbox", "name": "run", "value": name, "aria-label": f"choose {clipped(name)}"}
            )
        with html.td():
            html.a(clipped(name), href=f"/runs/{quote(name, safe='')}")
        tone, word = verdict_of(one)
        html.td(f"{SIGNS[tone]} {word}").classes(tone)
        html.td(clipped(", ".join(one.tags)))
        boards = [] if one.result is None else one.result.boards
        html.td("" if one.result is None else _when(one.result.run.started_ns))
        html.td(f"{len(boards):,}").classes("number")
        html.td(f"{sum(board.sent for board in boards):,}").classes("number")


def verdict_of(one: PastRun) -> tuple[str, str]:
    """Tone and word."""
    if one.result is None and is_under_way(one.folder):
        return "plain", "under way"
    return TONES.get(one.verdict, "warn"), one.verdict


def _when(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
