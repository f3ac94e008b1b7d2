"""What is around every page: heading, menu, light or dark, signing out, and a place for announcements."""

from nicegui import html, ui

from buoyfleet.web.guard import LOGOUT
from buoyfleet.web.pages import PAGES, Page
from buoyfleet.web.sessions import Theme
from buoyfleet.web.site import View

_NEXT_THEME: dict[Theme, Theme] = {"auto": "dark", "dark": "light", "light": "auto"}
_DARK = {"auto": None, "dark": True, "light": False}


class Announcer:
    """Says to screen readers what changed; the page shows it elsewhere."""

    def __init__(self) -> None:
        self._line = html.div("").classes("only-read").props('role="status" aria-live="polite"')

    def say(self, text: str) -> None:
        """Announce a change, once."""
        self._line._text = text
        self._line.update()


def draw_shell(view: View, page: Page, *, signs_out: bool) -> ui.element:
    """Draw the surroundings of a page; returns the element that its content belongs into."""
    dark = ui.dark_mode(_DARK[view.session.theme])
    with ui.header(fixed=False, bordered=True).classes("top"):
        html.a("Skip to the content", href="#content").classes("skip")
        html.a("buoyfleet", href="/").classes("brand")
        with html.nav().props('aria-label="Pages"'), html.ul():
            for other in PAGES:
                if other.in_menu:
                    with html.li():
                        link = html.a(other.title, href=other.address)
                        if _is_in(page, other):
                            link.props('aria-current="page"')
        _theme_button(view, dark)
        if signs_out:
            with html.form(method="post", action=LOGOUT):
                html.button("Sign out", type="submit")
    content: ui.element = html.div().classes("content").props('id="content" tabindex="-1"')
    with content:
        html.h1(page.title)
    return content


def _is_in(page: Page, other: Page) -> bool:
    """Whether a menu's row stands for the page: `/runs` for `/runs/{name}`, too."""
    return page.address == other.address or (
        other.address != "/" and page.address.startswith(f"{other.address}/")
    )


def _theme_button(view: View, dark: ui.dark_mode) -> None:
    button = html.button(f"Colours: {view.session.theme}", type="button")

    def change() -> None:
        view.session.theme = _NEXT_THEME[view.session.theme]
        dark.value = _DARK[view.session.theme]
        button._text = f"Colours: {view.session.theme}"
        button.update()

    button.on("click", change)
