"""Before every request, sockets included: where it comes from, who asks, and the headers of the answer."""

import asyncio
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from buoyfleet.web.login import LOGIN, login_page
from buoyfleet.web.origins import Origins
from buoyfleet.web.sessions import Session, Sessions

ASSETS = "/assets/"
LOGOUT = "/logout"
ALIVE = "/alive"
"""Says whether the session goes on: 204, or 401."""
_LONGEST_FORM = 4096
_EXPIRED = 4401
"""Closes the socket of an ended session: HTTP's 401 in the range for applications (RFC 6455, 7.4.2)."""
_HIDDEN_HEADERS = ("x-forwarded-prefix", "x-forwarded-for", "x-forwarded-proto")
"""Nobody stands between browser and server, and NiceGUI would believe them."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    # Not `no-referrer`: with it, browsers send `Origin: null` with a form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), usb=(), serial=(), payment=()",
}


def content_policy(nonce: str) -> str:
    """What a page may load and run: files of this server, and the scripts that its template was given.

    `unsafe-eval`: NiceGUI's components are templates, which Vue compiles in the browser. Inline styles are
    Quasar's. Neither lets text become a script.
    """
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; "
        "frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    )


class Guard:
    """The outermost application."""

    def __init__(self, app: ASGIApp, origins: Origins, sessions: Sessions, port: int) -> None:
        """`port` names the cookie: browsers share cookies between the ports of a host."""
        self.app = app
        self._origins = origins
        self._sessions = sessions
        self._cookie = f"buoy_session_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        nonce = secrets.token_urlsafe(18)
        scope["headers"] = [
            (name, value) for name, value in scope["headers"] if name.decode("latin-1") not in _HIDDEN_HEADERS
        ]
        scope.setdefault("state", {})["nonce"] = nonce
        if scope["type"] == "websocket":
            await self._socket(scope, headers, receive, send)
            return
        send = _with_headers(send, nonce)
        refused = self._origins.host_refused(headers) or self._origins.origin_refused(
            headers, opens_page=scope["method"] in ("GET", "HEAD")
        )
        if refused:
            await answer(send, 403, f"{refused}\n")
            return
        await self._request(scope, headers, receive, send)

    async def _request(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        session = self._session(headers)
        if path.startswith(ASSETS):
            await self.app(scope, receive, send)
        elif path == LOGIN and self._sessions.token:
            await self._login(scope, receive, send)
        elif path == LOGOUT and method == "POST":
            if session is not None:
                self._sessions.end(session.key)
            await answer(send, 303, "", {"Location": LOGIN, "Set-Cookie": self._set_cookie("", 0)})
        elif path == ALIVE:
            await answer(send, 204 if session is not None else 401, "")
        elif session is not None:
            scope["state"]["session"] = session
            await self.app(scope, receive, send)
        elif method != "GET" or headers.get("sec-fetch-mode", "navigate") != "navigate":
            await answer(send, 401, "no session, or it has expired: open the page again\n")
        elif self._sessions.token:
            query = scope["query_string"].decode("latin-1")
            wanted = quote(path + (f"?{query}" if query else ""), safe="")
            await answer(send, 303, "", {"Location": f"{LOGIN}?next={wanted}"})
        else:
            session = self._sessions.begin()
            scope["state"]["session"] = session
            cookie = self._set_cookie(session.key, int(self._sessions.length_s))
            await self.app(scope, receive, _with_cookie(send, cookie))

    async def _socket(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """A socket lives as long as its session."""
        session = self._session(headers)
        refused = self._origins.host_refused(headers) or self._origins.origin_refused(
            headers, opens_page=False
        )
        if refused or session is None:
            await receive()
            await send({"type": "websocket.close", "code": _EXPIRED})
            return
        scope["state"]["session"] = session

        async def receive_in_time() -> Message:
            try:
                return await asyncio.wait_for(receive(), self._sessions.left_s(session))
            except TimeoutError:
                await send({"type": "websocket.close", "code": _EXPIRED})
                return {"type": "websocket.disconnect", "code": _EXPIRED}

        await self.app(scope, receive_in_time, send)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = _own_path(parse_qs(scope["query_string"].decode("latin-1")).get("next", [""])[-1])
        if scope["method"] != "POST":
            await answer(send, 200, login_page(wanted), {"Content-Type": "text/html; charset=utf-8"})
            return
        address = (scope.get("client") or ("", 0))[0]
        html = {"Content-Type": "text/html; charset=utf-8"}
        if self._sessions.must_wait(address):
            await answer(
                send,
                429,
                login_page(wanted, "Too many wrong tokens. Wait a minute."),
                {**html, "Retry-After": "60"},
            )
            return
        form = parse_qs((await _body(receive)).decode("utf-8", "replace"))
        if not self._sessions.fits(form.get("token", [""])[-1], address):
            await answer(
                send, 401, login_page(wanted, "This is not the token that `buoy web` printed."), html
            )
            return
        session = self._sessions.begin()
        cookie = self._set_cookie(session.key, int(self._sessions.length_s))
        await answer(send, 303, "", {"Location": wanted or "/", "Set-Cookie": cookie})

    def _session(self, headers: Headers) -> Session | None:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return None
        found = cookies.get(self._cookie)
        return self._sessions.find(found.value) if found is not None else None

    def _set_cookie(self, key: str, seconds: int) -> str:
        return f"{self._cookie}={key}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"


async def answer(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    """Send a short answer."""
    body = text.encode()
    given = {"Content-Type": "text/plain; charset=utf-8", **(headers or {}), "Cache-Control": "no-store"}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()]
    if status != 204:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, nonce: str) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", content_policy(nonce))
        await send(message)

    return send_with


def _with_cookie(send: Send, cookie: str) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("Set-Cookie", cookie)
        await send(message)

    return send_with


def _own_path(wanted: str) -> str:
    """Where to go after signing in: a path of this server, or nothing."""
    # `//host` and `/\\host` are addresses of other hosts to a browser.
    own = (
        wanted.startswith("/")
        and wanted[1:2] not in ("/", "\\")
        and wanted.isprintable()
        and wanted.isascii()
    )
    return wanted if own else ""


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= _LONGEST_FORM:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body[:_LONGEST_FORM]
