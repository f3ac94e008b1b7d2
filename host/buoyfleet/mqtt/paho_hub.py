"""What all paho clients of a process share: one timer, and a few threads that make connections."""

import asyncio
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from buoyfleet.mqtt.open_connections import LINGER_S, OpenConnections
from buoyfleet.mqtt.turns import TurnQueue, Turns

_TICK_S = 1.0
_CONNECTING_THREADS = 16


class Session(Protocol):
    """One connection as the hub sees it."""

    @property
    def wanted(self) -> bool:
        """Whether its owner still waits for it."""
        ...

    def begin(self) -> None:
        """Its turn to connect has come; from the loop, never from inside `PahoHub.dial`."""
        ...

    def connect(self) -> None:
        """TCP and TLS, blocking, in a thread."""
        ...

    def connected(self, done: "asyncio.Future[None]") -> None:
        """The thread is through; in the loop."""
        ...

    def tick(self, now_s: float) -> None:
        """About once a second, while it has a socket; `now_s` is monotonic."""
        ...

    def drop(self) -> None:
        """Close the socket without a word."""
        ...


class PahoHub:
    """What the paho clients of a process share; use it from one event loop."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        connect_timeout_s: float = 10.0,
        turns: Turns | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            host: name or address of the broker.
            port: its port.
            tls: context for clients that bring none of their own; None: plain TCP.
            server_name: for SNI and the check of the certificate; empty: `host`.
            connect_timeout_s: bounds TCP connect and TLS handshake, each, in their thread.
            turns: when the next connection may begin; None: at once.
        """
        self.host = host
        self.port = port
        self.peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.tls = tls
        self.server_name = server_name or host
        self.connect_timeout_s = connect_timeout_s
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: TurnQueue[Session] = TurnQueue(turns, self._on_turn)
        self._sessions: OpenConnections[Session] = OpenConnections(lambda session: session.drop())
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open_count(self) -> int:
        """Sockets that are open, those closing politely included."""
        return len(self._sessions)

    def dial(self, session: Session) -> None:
        """Connect in a thread when it is the session's turn, then go on in the loop."""
        self._waiting.add(session)
        self._waiting.wake()

    def _on_turn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_CONNECTING_THREADS, thread_name_prefix="paho-connect")
        while session := self._waiting.next():
            session.begin()
            loop.run_in_executor(self._pool, session.connect).add_done_callback(session.connected)

    def made(self, session: Session) -> None:
        """The session has a socket."""
        self._sessions.add(session)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def gone(self, session: Session) -> None:
        """The session's socket is closed."""
        self._sessions.discard(session)

    async def close(self, timeout_s: float = LINGER_S) -> None:
        """Wait until disconnected clients are closed, drop the rest after `timeout_s`; end the threads."""
        self._waiting.clear()
        await self._sessions.close(timeout_s)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pool is not None:
            # Connects under way end by their own timeout; nobody waits for them.
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _tick(self) -> None:
        self._timer = None
        now_s = time.monotonic()
        for session in self._sessions.all():
            session.tick(now_s)
        if self._sessions:
            self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)
