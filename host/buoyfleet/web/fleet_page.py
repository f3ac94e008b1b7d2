"""Runs under way, and starting one."""

import asyncio
from urllib.parse import quote

from nicegui import html, ui

from buoyfleet.model.errors import BuoyError
from buoyfleet.runs.live import runs_under_way
from buoyfleet.web.drawn import draw_error, labelled_input
from buoyfleet.web.site import Site, View
from buoyfleet.web.started import Started, start_run
from buoyfleet.web.words import clipped

_LOOK_S = 1.0
_FIELDS = {
    "count": "Messages per board",
    "rate": "Messages of a board, e.g. 10/s",
    "duration": "Length, e.g. 2 min",
    "boards": "Only these ids, e.g. 100-109",
}
"""Options of `buoy run`; an empty field leaves what the fleet file says."""
_started: list[Started] = []
"""By this server; the list of runs under way is read from their folders."""


async def fleet_page(view: View) -> None:
    """Draw it."""
    html.h2("Under way")
    under_way = html.div()
    shown: list[str] = []

    async def look() -> None:
        names = [folder.name for folder in await asyncio.to_thread(runs_under_way, view.site.runs)]
        if names == shown and under_way.default_slot.children:
            return
        shown[:] = names
        under_way.clear()
        with under_way:
            if not names:
                html.p("No run is under way.").classes("dim")
            with html.ul():
                for name in names:
                    with html.li():
                        html.a(clipped(name), href=f"/fleet/{quote(name, safe='')}")

    await look()
    ui.timer(_LOOK_S, look)
    html.h2("Start a run")
    _draw_start(view.site)


def _draw_start(site: Site) -> None:
    html.p(f"Fleet file: {clipped(str(site.fleet))}. An empty field leaves what it says.")
    typed: dict[str, str] = {}
    with html.div().classes("row"):
        for name, label in _FIELDS.items():
            field = labelled_input(name, label, type="text", autocomplete="off")
            field.on(
                "input",
                lambda event, name=name: typed.__setitem__(name, str(event.args)),
                js_handler="(e) => emit(e.target.value)",
            )
        with html.div().classes("field"):
            html.label("No pacing (flat out)").props.update({"for": "flat"})
            flat = html.input_()
            flat.props.update({"id": "flat", "type": "checkbox"})
            flat.on(
                "change",
                lambda event: typed.__setitem__("flat", "yes" if event.args else ""),
                js_handler="(e) => emit(e.target.checked)",
            )
        button = html.button("Start", type="button").classes("primary")
    result = html.div().props('role="status"')

    def start() -> None:
        result.clear()
        with result:
            try:
                one = start_run(
                    site, {name: typed.get(name, "") for name in _FIELDS}, flat_out=bool(typed.get("flat"))
                )
            except BuoyError as error:
                draw_error(error)
                return
            _started[:] = [other for other in _started if not other.over] + [one]
            html.p("Starting …")
            _follow(site, one, result)

    button.on("click", start)


def _follow(site: Site, one: Started, result: ui.element) -> None:
    """Open the run's page as soon as there is one, or show why there is none."""

    async def look() -> None:
        over = one.over
        folder = await asyncio.to_thread(one.folder, site.runs)
        if folder is not None:
            timer.cancel()
            ui.navigate.to(f"/fleet/{quote(folder.name, safe='')}")
        elif over:
            timer.cancel()
            result.clear()
            with result:
                html.p(
                    "The run did not begin, or it is over already:"
                    if one.process.returncode
                    else "The run is over:"
                )
                html.pre(one.said()).classes("log")

    timer = ui.timer(0.5, look)
