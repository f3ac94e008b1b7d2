"""The bench: what is plugged in, commissioning of many boards, and the records."""

import asyncio

from nicegui import html, ui

from buoyfleet.bench.bench import Bench
from buoyfleet.bench.bench_options import BenchOptions
from buoyfleet.bench.records import Record
from buoyfleet.model.board_names import mac_text
from buoyfleet.model.errors import BuoyError
from buoyfleet.serial.listing import PortInfo, holder, list_ports
from buoyfleet.web.bench_work import BenchWork, BoardLine
from buoyfleet.web.drawn import draw_error, draw_head, labelled_input, scrolling
from buoyfleet.web.shell import Announcer
from buoyfleet.web.site import Site, View
from buoyfleet.web.words import clipped

_LOOK_S, _PORTS_S = 0.5, 2.0
_MOST_RECORDS = 50
_work = BenchWork()
"""Of this server's bench."""
_STATES = {
    "waiting": ("dim", "… waiting"),
    "working": ("plain", "▶ working"),
    "done": ("good", "✓ done"),
    "failed": ("bad", "✗ failed"),
}


async def bench_page(view: View) -> None:
    """Draw it."""
    announcer = Announcer()
    _draw_holder(view, announcer)
    html.h2("Plugged in")
    await _draw_ports(view.site)
    html.h2("Commission")
    _draw_commission(view, announcer)
    html.h2("Records")
    await _draw_records(view.site)


def _draw_holder(view: View, announcer: Announcer) -> None:
    mine, who = view.session.key, _work.holder
    if who.is_free():
        who.ask(mine, view.session.name)

    @ui.refreshable
    def shown() -> None:
        with html.div().classes("row"):
            if who.key == mine:
                html.p(f"✓ You have the bench ({clipped(view.session.name)}).")
                if who.asked_key:
                    html.p(f"! {clipped(who.asked_name)} asks for it.").classes("warn").props('role="alert"')
                    html.button("Give it", type="button").on("click", lambda: who.give(mine))
                    html.button("Keep it", type="button").on("click", lambda: who.keep(mine))
            elif who.asked_key == mine:
                html.p(f"! You asked {clipped(who.name)} for the bench. Wait for the answer.").classes("warn")
            else:
                html.p(f"! {clipped(who.name)} has the bench. You see what it does.").classes("warn")
                ask = html.button("Ask to take over", type="button")
                ask.on("click", lambda: who.ask(mine, view.session.name))

    shown()
    last = [(who.key, who.asked_key)]

    def look() -> None:
        who.seen(mine)
        now = (who.key, who.asked_key)
        if now != last[0]:
            if now[0] != last[0][0]:
                announcer.say("You have the bench." if now[0] == mine else "Another browser has the bench.")
            last[0] = now
            shown.refresh()

    ui.timer(_LOOK_S, look)


async def _draw_ports(site: Site) -> None:
    place = html.div()
    last: list[list[tuple[PortInfo, str]]] = []

    def ports() -> list[tuple[PortInfo, str]]:
        return [(port, holder(port.port)) for port in list_ports(site.ports)]

    async def look() -> None:
        found = await asyncio.to_thread(ports)
        if [found] == last:
            return
        last[:] = [found]
        place.clear()
        with place:
            if not found:
                html.p("No board is plugged in.").classes("dim")
                return
            with scrolling("Ports"), html.table():
                draw_head(["port", "bridge", "USB place", "used by"], left=4)
                with html.tbody():
                    for port, user in found:
                        with html.tr():
                            for text in (port.port, port.bridge, port.location, user):
                                html.td(clipped(text))

    await look()
    ui.timer(_PORTS_S, look)


def _draw_commission(view: View, announcer: Announcer) -> None:
    typed: dict[str, str] = {}
    with html.div().classes("row"):
        words = labelled_input("which", "Boards: ids, NAME=ID; empty: all of the fleet file", type="text")
        words.on(
            "input",
            lambda event: typed.update(words=str(event.args)),
            js_handler="(e) => emit(e.target.value)",
        )
        go = html.button("Commission", type="button").classes("primary")
        look_only = html.button("Only show what is missing", type="button")
    trouble = html.div()

    def begin(*, dry_run: bool) -> None:
        trouble.clear()
        options = BenchOptions(dry_run=dry_run)
        try:
            _work.commission(view.site, typed.get("words", "").split(), options, view.session.key)
        except BuoyError as error:
            with trouble:
                draw_error(error)

    go.on("click", lambda: begin(dry_run=False))
    look_only.on("click", lambda: begin(dry_run=True))

    @ui.refreshable
    def shown() -> None:
        if _work.fetching:
            html.p(clipped(_work.fetching))
        for warning in _work.warnings:
            html.p(f"! {clipped(warning)}").classes("warn")
        if _work.error is not None:
            draw_error(_work.error)
        if _work.boards:
            _draw_boards(dict(_work.boards))

    shown()
    last = [(-1, False)]

    def look() -> None:
        now = (_work.version, _work.busy)
        if now != last[0]:
            if last[0][1] and not now[1]:
                announcer.say("All boards are done or have failed.")
            last[0] = now
            shown.refresh()

    ui.timer(_LOOK_S, look)


def _draw_boards(boards: dict[str, BoardLine]) -> None:
    failed = sum(line.state == "failed" for line in boards.values())
    done = sum(line.state == "done" for line in boards.values())
    html.p(f"{done} of {len(boards)} done, {failed} failed.").props('role="status"')
    with scrolling("Boards"), html.table():
        draw_head(["board", "state", "step", "what it says"], left=4)
        with html.tbody():
            for name, line in boards.items():
                tone, word = _STATES[line.state]
                with html.tr():
                    html.td(clipped(name))
                    share = f" {line.share:.0%}" if line.state == "working" and line.share else ""
                    html.td(f"{word}{share}").classes(tone)
                    html.td(clipped(line.step))
                    html.td(clipped(line.text))
    for name, line in boards.items():
        if isinstance(line.error, BuoyError):
            html.h3(clipped(name))
            draw_error(line.error)
        elif line.error is not None:
            html.p(f"✗ {clipped(name)}: internal error: {clipped(str(line.error))}").classes("bad")


async def _draw_records(site: Site) -> None:
    def read() -> list[Record]:
        return Bench(site.bench, ports=site.ports, fleet=site.fleet).records()

    try:
        records = await asyncio.to_thread(read)
    except BuoyError as error:
        draw_error(error)
        return
    if not records:
        html.p("No records yet.").classes("dim")
        return
    with scrolling("Records"), html.table():
        draw_head(["time (UTC)", "what", "id", "MAC", "port", "operator", "passed"], left=7)
        with html.tbody():
            for one in records[::-1][:_MOST_RECORDS]:
                with html.tr():
                    buoy = "" if one.buoy is None else str(one.buoy)
                    for text in (one.time, one.kind, buoy, mac_text(one.mac), one.port, one.operator):
                        html.td(clipped(text))
                    html.td("✓ yes" if one.passed else "✗ no").classes("good" if one.passed else "bad")
