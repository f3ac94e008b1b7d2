"""The server behind `buoy web`: a socket, the guard, and NiceGUI with the pages."""

import contextlib
import inspect
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from buoyfleet.model.errors import PreflightError, UsageError
from buoyfleet.model.places import WEB_INSTALL
from buoyfleet.web.site import Site

DEFAULT_PORT = 8080
LOOPBACK = "127.0.0.1"
OWN_TOKEN = "BUOY_WEB_TOKEN"
"""Environment variable with a token to use in place of a new one."""
_SHORTEST_TOKEN = 12
_ASSETS = Path(__file__).parent / "assets"
_RECONNECT_S = 15.0
"""A tablet that slept that long finds its page as it left it; later the page is drawn anew."""
_SHUTDOWN_S = 3


@dataclass(frozen=True, slots=True)
class WebOptions:
    """How to serve."""

    site: Site = field(default_factory=Site)
    listen: str = LOOPBACK
    """Address or host name of this computer."""
    port: int = DEFAULT_PORT
    """0: any that is free."""
    token: bool = False
    """Ask for a token on loopback, too."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A server that listens and does not answer yet."""

    socket: socket.socket
    address: str
    """`http://127.0.0.1:8080`"""
    token: str
    """To be typed in the browser; empty: none is asked for."""


def require_installed() -> None:
    """Refuse where NiceGUI is not installed.

    Raises:
        PreflightError: with the command that installs it.
    """
    if find_spec("nicegui") is None:
        raise PreflightError(
            "the browser interface is not installed",
            cause="NiceGUI comes with the extra `web` of buoyfleet",
            next_step=WEB_INSTALL,
        )


def open_server(options: WebOptions) -> Opened:
    """Take the port; from now on a browser can connect, and waits for the answer.

    Raises:
        UsageError: the address is none of this computer, the port is taken, or the given token is too short.
    """
    from buoyfleet.web.origins import is_loopback
    from buoyfleet.web.sessions import make_token

    token = ""
    if options.token or not is_loopback(options.listen):
        token = os.environ.get(OWN_TOKEN, "") or make_token()
        if len(token) < _SHORTEST_TOKEN:
            raise UsageError(
                f"the token in {OWN_TOKEN} is shorter than {_SHORTEST_TOKEN} characters",
                next_step=f"unset {OWN_TOKEN} to have one made",
            )
    listening = _listening(options)
    port = listening.getsockname()[1]
    host = f"[{options.listen}]" if ":" in options.listen else options.listen
    return Opened(listening, f"http://{host}:{port}", token)


def _listening(options: WebOptions) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            options.listen, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {options.listen} port {options.port}: {reason}",
            cause="another program has the port, or the address is none of this computer",
            next_step="buoy web --port 0, which takes a free one",
        ) from None
    return listening


def serve(opened: Opened, options: WebOptions, ready: Callable[[], None] = lambda: None) -> None:
    """Answer until Ctrl-C.

    Args:
        opened: by `open_server`.
        options: the same.
        ready: called when pages can be opened.

    Raises:
        PreflightError: NiceGUI is not installed.
    """
    require_installed()
    import uvicorn

    from buoyfleet.web.guard import Guard
    from buoyfleet.web.origins import origins_for
    from buoyfleet.web.sessions import Sessions

    sessions = Sessions(opened.token)
    port = opened.socket.getsockname()[1]
    guard = Guard(
        _application(options.site, ready, signs_out=bool(opened.token)),
        origins_for(options.listen),
        sessions,
        port,
    )
    config = uvicorn.Config(
        guard,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="wsproto",
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    with contextlib.suppress(KeyboardInterrupt), opened.socket:
        uvicorn.Server(config).run(sockets=[opened.socket])


def _application(site: Site, ready: Callable[[], None], *, signs_out: bool) -> Any:
    """NiceGUI with all pages.

    Any: an application of FastAPI.
    """
    from fastapi import FastAPI
    from nicegui import app, ui

    from buoyfleet.web.nonces import give_nonces
    from buoyfleet.web.pages import PAGES
    from buoyfleet.web.run_page import REPORT, report_answer

    give_nonces()
    app.add_static_files("/assets", _ASSETS, max_cache_age=0)
    app.on_startup(ready)
    ui.add_head_html('<link rel="stylesheet" href="/assets/style.css">', shared=True)
    app.add_route(REPORT, lambda request: report_answer(site, request))
    for page in PAGES:
        _register(page, site, signs_out=signs_out)
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    ui.run_with(
        outer,
        title="buoyfleet",
        favicon=_ASSETS / "favicon.svg",
        dark=None,
        language="en-US",
        reconnect_timeout=_RECONNECT_S,
        tailwind=False,
        show_welcome_message=False,
    )
    return outer


def _register(page: Any, site: Site, *, signs_out: bool) -> None:
    from nicegui import ui
    from starlette.requests import Request

    from buoyfleet.web.shell import draw_shell
    from buoyfleet.web.site import View

    async def build(request: Request) -> None:
        view = View(site, request.state.session, dict(request.path_params), request.query_params)
        with draw_shell(view, page, signs_out=signs_out):
            drawn = page.load()(view)
            if inspect.isawaitable(drawn):
                await drawn

    # FastAPI reads the types of arguments; those of a function in a function are not found by name.
    build.__annotations__ = {"request": Request, "return": None}
    ui.page(page.address, title=f"{page.title} – buoyfleet", response_timeout=30.0)(build)
