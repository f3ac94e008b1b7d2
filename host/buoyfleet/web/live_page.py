"""One run, live: counts, boards, stores, the log of a board, stop and drain; at its end the stages."""

import asyncio
from pathlib import Path
from urllib.parse import quote

from nicegui import html, ui

from buoyfleet.model.board_states import BAD
from buoyfleet.model.errors import BuoyError
from buoyfleet.model.result import FILE_NAME, Result
from buoyfleet.report import figures
from buoyfleet.report.load import read_result
from buoyfleet.report.verdict import headline
from buoyfleet.runs.live import Live, read_live, stop_run
from buoyfleet.runs.run_state import is_under_way
from buoyfleet.web.board_grid import BoardGrid, said
from buoyfleet.web.board_logs import board_log
from buoyfleet.web.drawn import SIGNS, draw_error, draw_head, labelled_input, scrolling
from buoyfleet.web.folders import run_folder
from buoyfleet.web.runs_page import TONES
from buoyfleet.web.shell import Announcer
from buoyfleet.web.site import View
from buoyfleet.web.words import clipped

_LOOK_S = 1.0
_MOST_NAMED = 50
_PHASES = {
    "start": "starting the target",
    "connect": "connecting",
    "send": "sending",
    "drain": "waiting for the stores",
    "collect": "collecting evidence and verifying",
}


def live_page(view: View) -> None:
    """Draw it."""
    try:
        folder = run_folder(view.site.runs, view.parameters["name"])
    except BuoyError as error:
        draw_error(error)
        return
    html.h2(clipped(folder.name))
    _LivePage(folder)


class _LivePage:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._announcer = Announcer()
        self._phase = ""
        self._grid: BoardGrid | None = None
        self._buoy: int | None = None
        self._log_shown: list[str] = []
        self._top = html.p("No figures yet.").classes("box").props('id="phase"')
        with html.div().classes("cards"):
            names = (
                "Rate",
                "Time to acknowledgement",
                "Sent",
                "Acknowledged",
                "Dropped",
                "Boards in trouble",
                "Left",
            )
            self._cards = {name: self._card(name) for name in names}
        with html.div().classes("row"):
            self._stop = html.button("Stop and drain", type="button").classes("danger")
            self._stop.on("click", self._stop_run)
        self._trouble = html.div()
        html.h2("Stores")
        self._stores = html.div()
        html.h2("Boards")
        self._boards = html.p("")
        self._grid_place = html.div()
        self._named = html.p("").classes("bad")
        self._draw_log_field()
        self._after = html.div()
        self._timer = ui.timer(_LOOK_S, self._look)

    @staticmethod
    def _card(name: str) -> ui.element:
        with html.div().classes("card"):
            html.div(name).classes("dim")
            figure: ui.element = html.div("–").classes("figure")
        return figure

    def _draw_log_field(self) -> None:
        html.h2("Log of one board")
        with html.div().classes("row"):
            self._field = labelled_input(
                "board", "Id of a board (or click one above)", type="text", inputmode="numeric"
            )
            self._field.on(
                "change", lambda event: self._pick(str(event.args)), js_handler="(e) => emit(e.target.value)"
            )
        self._log = (
            html.pre("").classes("log").props('tabindex="0" role="region" aria-label="Log of the board"')
        )

    def _pick(self, word: str) -> None:
        self._buoy = int(word) if word.isdecimal() and len(word) < 10 else None
        self._field.props["value"] = word[:10]
        self._log_shown = ["?"]

    def _stop_run(self) -> None:
        self._trouble.clear()
        try:
            stop_run(self._folder)
        except BuoyError as error:
            with self._trouble:
                draw_error(error)
            return
        self._announcer.say("The run was asked to stop. It waits for what is out and verifies it.")

    async def _look(self) -> None:
        live, under_way = await asyncio.to_thread(
            lambda: (read_live(self._folder), is_under_way(self._folder))
        )
        if live is not None:
            self._show(live, under_way)
        await self._show_log()
        if not under_way:
            self._timer.cancel()
            self._stop.set_visibility(False)
            await self._conclude()

    def _show(self, live: Live, under_way: bool) -> None:
        phase = _PHASES.get(live.phase, live.phase) + (", stopping" if live.stopping else "")
        if under_way:
            _text(
                self._top,
                f"{phase}{f': {clipped(live.doing)}' if live.doing else ''}, {live.elapsed_s:,.0f} s",
            )
        if phase != self._phase:
            self._phase = phase
            self._announcer.say(phase)
        rate, latency = live.rate, live.ack_latency_s
        planned = "" if live.planned is None else f" of {live.planned:,}"
        sending = live.phase == "send"
        texts = {
            "Rate": "–" if rate is None or not sending else f"{rate:,.0f}/s",
            "Time to acknowledgement": "–"
            if latency is None or not sending
            else f"≈ {figures.milliseconds(latency * 1000)}",
            "Sent": f"{live.sent:,}{planned}",
            "Acknowledged": "–" if live.acknowledged is None else f"{live.acknowledged:,}",
            "Dropped": f"{live.dropped:,}",
            "Boards in trouble": f"{SIGNS['bad'] if live.trouble else SIGNS['good']} {live.trouble:,}",
            "Left": "–" if live.left_s is None else figures.seconds(live.left_s),
        }
        for name, text in texts.items():
            _text(self._cards[name], text)
        if live.stopping:
            self._stop.props("disabled")
        self._show_stores(live)
        self._show_boards(live)

    def _show_stores(self, live: Live) -> None:
        lines = ", ".join(f"{clipped(name)}: {count:,} measures" for name, count in live.stored.items())
        self._stores.clear()
        with self._stores:
            html.p(lines or "No measures in any store yet.")

    def _show_boards(self, live: Live) -> None:
        if self._grid is None:
            with self._grid_place:
                self._grid = BoardGrid(live.ids, lambda buoy: self._pick(str(buoy)))
        self._grid.show(live.states)
        _text(self._boards, f"{live.boards:,} boards: {said(live.states)}.")
        bad = [
            str(buoy) for buoy, letter in zip(live.board_ids(), live.states, strict=False) if letter in BAD
        ]
        more = f" and {len(bad) - _MOST_NAMED:,} more" if len(bad) > _MOST_NAMED else ""
        _text(self._named, f"✗ In trouble: {', '.join(bad[:_MOST_NAMED])}{more}" if bad else "")

    async def _show_log(self) -> None:
        if self._buoy is None:
            return
        lines = await asyncio.to_thread(board_log, self._folder, self._buoy)
        if lines != self._log_shown:
            self._log_shown = lines
            text = "\n".join(clipped(line) for line in lines)
            _text(self._log, text or f"Board {self._buoy} has no lines in the log.")

    async def _conclude(self) -> None:
        """The run is over: what it ended with, and what each stage did."""
        if not (self._folder / FILE_NAME).is_file():
            _text(self._top, "! The run ended without a verdict. Next: buoy verify")
            self._top.classes("warn")
            return
        try:
            result = await asyncio.to_thread(read_result, self._folder)
        except BuoyError as error:
            with self._after:
                draw_error(error)
            return
        first = headline(result)
        tone = TONES.get(first.word, "warn")
        _text(self._top, f"{SIGNS[tone]} {first.word}: {clipped(first.sentence, 2000)}")
        self._top.classes(tone)
        self._announcer.say(f"The run is over: {first.word}")
        with self._after:
            _draw_stages(result)
            html.a("Its report", href=f"/runs/{quote(self._folder.name, safe='')}").classes("button")


def _draw_stages(result: Result) -> None:
    html.h2("Stages, with what they lost")
    with scrolling("Stages"), html.table():
        draw_head(["stage", "rejected because", "in", "out", "rejected", "waiting"], left=2)
        with html.tbody():
            for stage in result.stages:
                lost = sum(stage.rejected.values())
                with html.tr():
                    html.td(f"{clipped(stage.name)} ({clipped(stage.unit)})")
                    html.td(", ".join(f"{clipped(why)}: {count:,}" for why, count in stage.rejected.items()))
                    html.td(f"{stage.entered:,}").classes("number")
                    html.td(f"{stage.left:,}").classes("number")
                    html.td(f"✗ {lost:,}" if lost else "0").classes(f"number {'bad' if lost else ''}")
                    html.td(f"{stage.waiting:,}").classes("number")


def _text(element: ui.element, text: str) -> None:
    """Change an element's text; the browser hears only of a change."""
    if element._text != text:
        element._text = text
        element.update()
