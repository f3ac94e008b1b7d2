"""A connection of HTTP/1.0 or 1.1: requests in, answers out, one after the other. The parsing is h11's."""

import asyncio
from typing import Final, cast

import h11

from buoyfleet.cloud.local.broker.authority import NOBODY
from buoyfleet.cloud.local.broker.tls import Peer
from buoyfleet.cloud.local.gateway import signature
from buoyfleet.cloud.local.gateway.authorizer import NAME, Denied, Login
from buoyfleet.cloud.local.gateway.gateway import WEBSOCKET, Gateway
from buoyfleet.cloud.local.gateway.login_door import LoginDoor
from buoyfleet.cloud.local.gateway.request import HttpAnswer, HttpRequest, Refusal, message
from buoyfleet.cloud.local.gateway.websocket import PATH, Upgrade, WebSocketDoor

MAX_BODY_BYTES: Final = 256 * 1024
"""A body up to this length is read, so that the refusal of one that is too long can name its topic."""
IDLE_S: Final = 60.0
"""The twin's own bound for a client that sends nothing; IoT Core publishes none."""


class HttpDoor(asyncio.Protocol):
    """A client of HTTPS, or of WebSocket before its handshake."""

    def __init__(self, gateway: Gateway, peer: Peer) -> None:
        self._gateway = gateway
        self._peer = peer
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A part of a request, or several."""
        self._http.receive_data(data)
        self._advance()

    def eof_received(self) -> bool | None:
        """The client has said all it had to say; an answer under way still goes out."""
        self._http.receive_data(b"")
        self._advance()
        return self._task is not None

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        self._stop_waiting()
        if self._task is not None:
            self._task.cancel()

    # Requests

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _advance(self) -> None:
        """Read on until a request is whole."""
        while self._task is None:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._give_up(HttpAnswer(error.error_status_hint, b""), f"HTTP: {error}")
                return
            if isinstance(event, h11.Request):
                self._head = event
                self._body.clear()
                if self._http.they_are_waiting_for_100_continue:
                    self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    self._give_up(message("The payload is too large", 413), "HTTP: a body that is too long")
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._stop_waiting()
                self._task = asyncio.get_running_loop().create_task(self._respond())
                self._task.add_done_callback(self._responded)
            elif isinstance(event, h11.ConnectionClosed):
                self._close()
                return
            else:  # more bytes are needed, or an answer must go out first
                return

    def _give_up(self, last: HttpAnswer, detail: str) -> None:
        """Answer if that is still possible, and close."""
        self._gateway.refused(Refusal(last.status, detail), "HTTPS")
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(last, close=True)
        self._close()

    async def _respond(self) -> None:
        head = self._head
        if head is None:
            return
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
        target = head.target.decode("latin-1")
        request = HttpRequest.of(head.method.decode("ascii"), target, headers, bytes(self._body))
        what = f"{request.method} {request.path}"
        try:
            if "websocket" in request.header("upgrade").lower():
                await self._upgrade(request)
                return
            said = await self._gateway.answer(request, self._peer)
        except Refusal as refusal:
            self._gateway.refused(refusal, what)
            said = message(refusal.message, refusal.status)
        self._send(said)

    def _responded(self, task: "asyncio.Task[None]") -> None:
        """The answer is out: the next request may come, or an error of ours ends the connection."""
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._gateway.failed(error)
            self._close()
        elif self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._wait()
            self._advance()
        elif self._http.our_state is not h11.SWITCHED_PROTOCOL:
            self._close()

    def _send(self, said: HttpAnswer, *, close: bool = False) -> None:
        headers = [(name, value) for name, value in said.headers if name.lower() != "content-length"]
        headers.append(("content-length", str(len(said.body))))
        if close or said.status >= 400:
            headers.append(("connection", "close"))
        head = h11.Response(status_code=said.status, headers=headers)
        body = b"" if self._head is None else said.body
        out = [
            self._http.send(head),
            self._http.send(h11.Data(data=body)),
            self._http.send(h11.EndOfMessage()),
        ]
        self._write(b"".join(one for one in out if one))

    def _write(self, data: bytes | None) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # WebSocket

    async def _upgrade(self, request: HttpRequest) -> None:
        """Turn the connection into one of WebSocket, if its client may.

        Raises:
            Refusal: it may not.
        """
        gateway, peer, transport = self._gateway, self._peer, self._transport
        if request.path != PATH:
            raise Refusal(404, "Not Found", f"WebSocket on {request.path}; IoT Core has it on {PATH}")
        login = Login(peer.server_name, http=request, protocols=WEBSOCKET)
        authorizer = entrant = None
        if signature.is_signed(request):
            entrant = gateway.signed(request)
        elif login.credential(NAME):
            authorizer = gateway.named(login.credential(NAME))
            try:
                verdict = await authorizer.decide(login)
            except Denied as error:
                raise Refusal(403, "Forbidden", str(error)) from None
            entrant = verdict.entrant
        elif gateway.has_authorizers:
            pass  # CONNECT brings the credentials
        elif gateway.open:
            entrant = NOBODY
        else:
            what = "a certificate" if peer.certificate_id else "neither signature nor authorizer"
            raise Refusal(403, "Forbidden", f"WebSocket with {what}: IoT Core wants Signature Version 4")
        upgrade = Upgrade(request)
        if not upgrade.accepted or transport is None:
            self._send(upgrade.answer())
            return
        if entrant is None:
            self._switch(upgrade, transport, LoginDoor(gateway, login))
            return
        connection = gateway.broker.admit(entrant)
        self._switch(upgrade, transport, connection)
        if authorizer is not None:
            gateway.keep(connection, verdict, authorizer, login)
        gateway.end_websocket(connection)

    def _switch(self, upgrade: Upgrade, transport: asyncio.Transport, inner: asyncio.Protocol) -> None:
        self._http.send(h11.InformationalResponse(status_code=101, headers=[]))
        rest, _ = self._http.trailing_data
        transport.write(upgrade.accept())
        WebSocketDoor(upgrade.framing, transport, inner).begin(rest)
