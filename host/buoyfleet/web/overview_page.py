"""The first page: where to go, and which folders this server shows."""

from nicegui import html

from buoyfleet.web.site import View
from buoyfleet.web.words import clipped


def overview_page(view: View) -> None:
    """Draw it."""
    site = view.site
    with html.section().props('aria-labelledby="shown"'):
        html.h2("What this server shows").props('id="shown"')
        with html.dl().classes("facts"):
            for name, path in (("Runs", site.runs), ("Fleet file", site.fleet), ("Bench", site.bench)):
                html.dt(name)
                with html.dd():
                    html.code(clipped(str(path.resolve())))
                    if not path.exists():
                        html.span(" – not there yet").classes("dim")
