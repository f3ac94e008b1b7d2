"""Connects many boards of one process to one broker.

Shared by all fleet clients of a pack: it resolves the name once, keeps few connects under way at a time so
that a broker's accept queue (100 and less) does not overflow into one-second SYN retries, and spreads the
boards over loopback source addresses where one address has too few ports.
"""

import asyncio
import ipaddress
import socket
import ssl
import sys
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any

from buoyfleet.mqtt.open_connections import LINGER_S, OpenConnections
from buoyfleet.mqtt.turns import TurnQueue, Turns

_Address = tuple[socket.AddressFamily, Any]

BOARDS_PER_SOURCE = 20_000
"""Linux has 28 232 ephemeral ports per source address and destination (ip_local_port_range); some linger."""

_RESOLVE_TTL_S = 60.0
"""Endpoints in a cloud change addresses; a fleet that reconnects must not ask for each board."""

_IP_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h: choose the port at connect, when the destination is known. Not in the socket module of 3.11."""


class Wire(asyncio.Protocol):
    """One connection as the dialler sees it.

    `number` is the board's in its pack, from 0; `tls` its own context, or None for the dialler's.
    """

    __slots__ = ("number", "tls")

    number: int
    tls: ssl.SSLContext | None

    @property
    @abstractmethod
    def wanted(self) -> bool:
        """Whether the owner still waits for it; turns false when it is closed."""

    @abstractmethod
    def begin(self) -> None:
        """Its turn to connect has come; called from the loop, never from inside `Dialler.dial`."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """The connection could not be made."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection at once."""


class Dialler:
    """Makes the connections of a pack. All methods belong to the event loop's thread."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        sources: Iterable[str] = (),
        first_number: int = 0,
        max_connecting: int = 64,
        turns: Turns | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            host: name or address of the broker.
            port: its port.
            tls: context for all boards that bring none of their own; None: plain TCP.
            server_name: for SNI and the check of the certificate; empty: `host`.
            sources: local addresses to connect from, used in turn; empty: the system chooses, but towards
                loopback on Linux board n of the run leaves from 127.0.0.(1 + n // 20 000).
            first_number: number in the run of this pack's first board.
            max_connecting: connections between `open()` and CONNACK at a time; the others wait in order.
            turns: when the next may begin; None: as soon as there is room.
        """
        self.host = host
        self.port = port
        self.peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._tls = tls
        self._server_name = server_name or host
        self._sources = tuple(sources)
        self._first_number = first_number
        self._max_connecting = max_connecting
        self._clients = 0
        self._waiting: TurnQueue[Wire] = TurnQueue(turns, self._pump)
        self._connecting: dict[Wire, asyncio.Task[None]] = {}
        self._wires: OpenConnections[Wire] = OpenConnections(lambda wire: wire.abort())
        self._parting: deque[tuple[float, Wire]] = deque()
        self._parting_timer: asyncio.TimerHandle | None = None
        self._addresses: list[_Address] = []
        self._addresses_until_s = 0.0
        self._resolving: asyncio.Future[list[_Address]] | None = None

    # What clients call

    def register(self) -> int:
        """Number of a new client, from 0."""
        self._clients += 1
        return self._clients - 1

    def dial(self, wire: Wire) -> None:
        """Connect when it is this wire's turn; ends in `wire.connection_made` or `wire.fail`."""
        self._waiting.add(wire)
        self._pump()

    def settled(self, wire: Wire) -> None:
        """The wire got its CONNACK, was refused or is not wanted any more: the next may connect."""
        task = self._connecting.pop(wire, None)
        if task is not None:
            # A dial that has failed reports it from inside its own task.
            if not wire.wanted and task is not asyncio.current_task():
                task.cancel()
            self._pump()

    def made(self, wire: Wire) -> None:
        """The wire has a socket."""
        self._wires.add(wire)

    def parting(self, wire: Wire) -> None:
        """The wire closes politely: drop it if it is still there after `LINGER_S`."""
        self._parting.append((time.monotonic() + LINGER_S, wire))
        if self._parting_timer is None:
            self._parting_timer = asyncio.get_running_loop().call_later(LINGER_S, self._drop_parting)

    def gone(self, wire: Wire) -> None:
        """The wire's socket is closed."""
        self._wires.discard(wire)

    @property
    def open_count(self) -> int:
        """Sockets that are open, those closing politely included."""
        return len(self._wires)

    @property
    def connecting_count(self) -> int:
        """Connections between their turn to connect and CONNACK."""
        return len(self._connecting)

    async def close(self, timeout_s: float = LINGER_S) -> None:
        """Wait until the connections of disconnected clients are closed; after `timeout_s` drop the rest."""
        self._waiting.clear()
        for task in list(self._connecting.values()):
            task.cancel()
        await self._wires.close(timeout_s)
        if self._parting_timer is not None:
            self._parting_timer.cancel()
            self._parting_timer = None
        self._parting.clear()

    # Inside

    def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._connecting) < self._max_connecting and (wire := self._waiting.next()):
            self._connecting[wire] = loop.create_task(self._dial(wire))

    async def _dial(self, wire: Wire) -> None:
        wire.begin()
        try:
            await self._connect(wire)
        except (OSError, ValueError) as error:  # ValueError: a host name that IDNA refuses
            wire.fail(error)

    async def _connect(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for family, address in await self._resolve():
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                # Small packets must not wait for acknowledgements of earlier ones.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._bind(sock, address[0], wire.number)
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
                continue
            except BaseException:
                sock.close()
                raise
            tls = wire.tls or self._tls
            try:
                await loop.create_connection(
                    lambda: wire,
                    sock=sock,
                    ssl=tls,
                    server_hostname=self._server_name if tls else None,
                    ssl_shutdown_timeout=LINGER_S if tls else None,
                )
            except BaseException:
                sock.close()
                # uvloop says nothing of the end of a connection that was cancelled just after it was made.
                self.gone(wire)
                raise
            return
        raise failure or OSError(f"{self.host} has no address")

    def _bind(self, sock: socket.socket, destination: str, number: int) -> None:
        """Choose where the connection comes from; the system does if there is no reason to."""
        if self._sources:
            source = self._sources[number % len(self._sources)]
        else:
            group = (self._first_number + number) // BOARDS_PER_SOURCE
            if not group or sys.platform != "linux" or sock.family != socket.AF_INET:
                return
            if not ipaddress.ip_address(destination).is_loopback:
                return
            source = str(ipaddress.IPv4Address("127.0.0.1") + group)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))

    async def _resolve(self) -> list[_Address]:
        """Addresses of the broker, asked for once for all boards that wait."""
        if self._addresses and time.monotonic() < self._addresses_until_s:
            return self._addresses
        if self._resolving is None:
            # Not tied to the board that asks first: it may give up while others wait.
            self._resolving = asyncio.ensure_future(self._look_up())
            # If all of them gave up, nobody else fetches its error.
            self._resolving.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._resolving)

    async def _look_up(self) -> list[_Address]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM
            )
            self._addresses = [(family, address) for family, _, _, _, address in found]
            self._addresses_until_s = time.monotonic() + _RESOLVE_TTL_S
            return self._addresses
        finally:
            self._resolving = None

    def _drop_parting(self) -> None:
        self._parting_timer = None
        now_s = time.monotonic()
        while self._parting and self._parting[0][0] <= now_s:
            wire = self._parting.popleft()[1]
            if wire in self._wires:
                wire.abort()
        if self._parting:
            self._parting_timer = asyncio.get_running_loop().call_later(
                self._parting[0][0] - now_s, self._drop_parting
            )
