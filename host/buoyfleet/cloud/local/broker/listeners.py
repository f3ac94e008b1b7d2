"""Where the broker listens: plain MQTT, or TLS on one or two ports."""

import asyncio
import ssl
from collections.abc import Callable

from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.records import Records
from buoyfleet.cloud.local.broker.tls import TlsListener

_BACKLOG = 4096
"""Connections waiting to be accepted: a fleet connects all at once."""


class Listeners:
    """The listening sockets of one broker."""

    def __init__(self, make: Callable[[], Connection], handshake_s: float, records: Records) -> None:
        """`make` gives the protocol of a new connection; `handshake_s` bounds TLS."""
        self._make = make
        self._handshake_s = handshake_s
        self._records = records
        self._servers: list[asyncio.AbstractServer] = []
        self._tls_listeners: list[TlsListener] = []

    async def add(self, host: str, port: int, tls: ssl.SSLContext | None, *, needs_alpn: bool) -> int:
        """Listen; return the port."""
        if tls is None:
            server = await asyncio.get_running_loop().create_server(self._make, host, port, backlog=_BACKLOG)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])
        listener = TlsListener(tls, needs_alpn, self._handshake_s, self._records, self._make)
        listening = listener.start(host, port, _BACKLOG)
        self._tls_listeners.append(listener)
        return listening

    async def close(self) -> None:
        """Stop listening. Safe to call twice."""
        listeners, self._tls_listeners = self._tls_listeners, []
        for listener in listeners:
            await listener.stop()
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
