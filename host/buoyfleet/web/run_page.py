"""One run: verdict, tags, and its report in a frame that can do nothing but be read."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urlencode

from nicegui import html, ui
from starlette.requests import Request
from starlette.responses import Response

from buoyfleet.model.errors import BuoyError
from buoyfleet.report.load import read_result
from buoyfleet.report.terminal import HTML_NAME
from buoyfleet.report.verdict import headline
from buoyfleet.runs.history import BASELINE, change_tags, read_tags
from buoyfleet.web.drawn import SIGNS, draw_error, draw_facts, labelled_input
from buoyfleet.web.folders import run_folder
from buoyfleet.web.runs_page import TONES
from buoyfleet.web.site import Site, View
from buoyfleet.web.words import clipped

REPORT = "/report/{name}"
_REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A report is a file that may come from anywhere: in a sandbox it is of no site, and this one refuses it."""


async def run_page(view: View) -> None:
    """Draw it."""
    name = view.parameters["name"]
    try:
        folder = run_folder(view.site.runs, name)
        result = await asyncio.to_thread(read_result, folder)
    except BuoyError as error:
        draw_error(error)
        return
    first = headline(result)
    tone = TONES.get(first.word, "warn")
    html.h2(clipped(name))
    html.p(f"{SIGNS[tone]} {first.word}: {clipped(first.sentence, 2000)}").classes(f"box {tone}")
    draw_facts([("What ran", ", ".join(first.facts))])
    html.h2("Tags")
    _draw_tags(folder)
    with html.div().classes("row"):
        html.a("Compare with its baseline", href=f"/compare?{urlencode({'run': name})}").classes("button")
        html.a("Boards and stages", href=f"/fleet/{quote(name, safe='')}").classes("button")
        html.a("Report alone", href=_report_address(name), target="_blank", rel="noopener").classes("button")
    html.h2("Report")
    frame = html.iframe(
        src=_report_address(name), title=f"Report of {clipped(name)}", sandbox="allow-scripts allow-popups"
    )
    frame.classes("report")


def _report_address(name: str) -> str:
    return REPORT.format(name=quote(name, safe=""))


def _draw_tags(folder: Path) -> None:
    @ui.refreshable
    def tags() -> None:
        with html.div().classes("row"):
            found = read_tags(folder)
            if not found:
                html.p("No tags.").classes("dim")
            for tag in found:
                button = html.button(f"{clipped(tag)} ✕", type="button")
                button.props.update({"aria-label": f"remove tag {clipped(tag)}"})
                button.on("click", lambda tag=tag: change((), (tag,)))
            if BASELINE not in found:
                html.button("Make it the baseline", type="button").on(
                    "click", lambda: change((BASELINE,), ())
                )

    def change(add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        trouble.clear()
        try:
            change_tags(folder, add, remove)
        except BuoyError as error:
            with trouble:
                draw_error(error)
        tags.refresh()

    tags()
    trouble = html.div()
    with html.div().classes("row"):
        entered = labelled_input("tag", "New tag", type="text", maxlength="40")
        typed: dict[str, str] = {}
        entered.on(
            "input",
            lambda event: typed.update(word=str(event.args)),
            js_handler="(e) => emit(e.target.value)",
        )
        html.button("Add", type="button").on("click", lambda: change((typed.get("word", ""),), ()))


def report_answer(site: Site, request: Request) -> Response:
    """The report of a run, as its folder has it or made anew."""
    from buoyfleet.report.html import html as made

    headers = {"Content-Security-Policy": _REPORT_POLICY, "Cache-Control": "no-store"}
    try:
        folder = run_folder(site.runs, request.path_params["name"])
        file = folder / HTML_NAME
        text = file.read_bytes() if file.is_file() else made(read_result(folder)).encode()
    except (BuoyError, OSError) as error:
        return Response(str(error), 404, {**headers, "Content-Type": "text/plain; charset=utf-8"})
    return Response(text, 200, {**headers, "Content-Type": "text/html; charset=utf-8"})
