"""A client of MQTT that shows its credentials in CONNECT: an authorizer decides before the broker sees it."""

import asyncio
from typing import cast

from buoyfleet.cloud.local.broker.authority import NOBODY, Entrant
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.wire import Wire
from buoyfleet.cloud.local.gateway.authorizer import Authorizer, Denied, Login, Verdict
from buoyfleet.cloud.local.gateway.gateway import Gateway
from buoyfleet.cloud.local.gateway.request import Refusal
from buoyfleet.mqtt.codec import Connect


class LoginDoor(asyncio.Protocol):
    """Holds a connection's bytes until its CONNECT is whole and judged; then the broker gets all of them."""

    def __init__(self, gateway: Gateway, login: Login) -> None:
        """`login`: what is known before CONNECT."""
        self._gateway = gateway
        self._login = login
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there: its CONNECT is due."""
        self._transport = cast(asyncio.Transport, transport)
        limit_s = self._gateway.broker.limits.connect_timeout_s
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._transport.close)

    def data_received(self, data: bytes) -> None:
        """A part of the CONNECT, or what comes behind it."""
        self._held += data
        if self._task is not None:
            return
        packets, fault = Wire(self._gateway.broker.limits).decode(bytes(self._held), False)
        if packets and isinstance(packets[0], Connect):
            self._task = asyncio.get_running_loop().create_task(self._decide(packets[0]))
            if self._transport is not None:
                self._transport.pause_reading()
        elif packets or fault is not None:
            self._hand_over(NOBODY)  # the broker says what is wrong with it

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _decide(self, connect: Connect) -> None:
        before = self._login
        login = Login(before.server_name, before.http, connect, before.protocols)
        verdict: Verdict | None = None
        authorizer: Authorizer | None = None
        try:
            authorizer = self._gateway.authorizer(login)
            if authorizer is not None:
                verdict = await authorizer.decide(login)
                entrant = verdict.entrant
            elif self._gateway.open:
                entrant = NOBODY
            else:
                raise Denied("the client names no authorizer, and none is the default")
        except (Denied, Refusal) as error:
            entrant = Entrant(denied=str(error))
        self._task = None
        if self._transport is not None:
            self._transport.resume_reading()
        connection = self._hand_over(entrant)
        if verdict is not None and authorizer is not None and connection is not None:
            self._gateway.keep(connection, verdict, authorizer, login)

    def _hand_over(self, entrant: Entrant) -> Connection | None:
        """Let the broker have the connection, under this name."""
        if self._timer is not None:
            self._timer.cancel()
        transport = self._transport
        if transport is None or transport.is_closing():
            return None
        connection = self._gateway.broker.admit(entrant)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.data_received(bytes(self._held))
        return connection
