"""Where the broker listens: with TLS or without, and what becomes of those who connect."""

import asyncio
import ssl
from collections.abc import Callable

from buoyfleet.cloud.local.broker.records import Records
from buoyfleet.cloud.local.broker.tls import Accept, TlsListener

_BACKLOG = 4096
"""Connections waiting to be accepted: a fleet connects all at once."""


class Listeners:
    """The listening sockets of one broker. Each way to listen raises OSError where an address is taken."""

    def __init__(self, handshake_s: float, records: Records) -> None:
        """`handshake_s` bounds TLS."""
        self._handshake_s = handshake_s
        self._records = records
        self._servers: list[asyncio.AbstractServer] = []
        self._tls_listeners: list[TlsListener] = []

    async def add_plain(self, host: str, port: int, make: Callable[[], asyncio.Protocol]) -> int:
        """Listen without TLS; return the port. `make` gives the protocol of a new connection."""
        server = await asyncio.get_running_loop().create_server(make, host, port, backlog=_BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def add_tls(self, host: str, port: int, tls: ssl.SSLContext, accept: Accept) -> int:
        """Listen with TLS; return the port. `accept` gives the protocol of a client that shook hands."""
        listener = TlsListener(tls, self._handshake_s, self._records, accept)
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
