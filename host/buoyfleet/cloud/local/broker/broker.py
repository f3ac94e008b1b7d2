"""The broker: listens, keeps clients and sessions, and lets time pass for all of them with one timer."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from buoyfleet.cloud.local.broker.account import Account
from buoyfleet.cloud.local.broker.admission import Admission
from buoyfleet.cloud.local.broker.authority import Authorise, Entrant
from buoyfleet.cloud.local.broker.client_events import ClientEvents
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.context import Context, Sink
from buoyfleet.cloud.local.broker.data_plane import DataPlane
from buoyfleet.cloud.local.broker.listeners import Listeners
from buoyfleet.cloud.local.broker.mqtt5 import Accepted
from buoyfleet.cloud.local.broker.packets5 import Connect5, Will5
from buoyfleet.cloud.local.broker.publishing import Publishing
from buoyfleet.cloud.local.broker.rare_packets import handle_rare
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import (
    DisconnectReason,
    Metric,
    OnRefused,
    Reason,
    Records,
)
from buoyfleet.cloud.local.broker.retained import RetainedMessages
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.cloud.local.broker.sessions import Sessions, WaitingWill
from buoyfleet.cloud.local.broker.shares import DELIVERY_PAUSE_S, TurnQueue
from buoyfleet.cloud.local.broker.subscribing import Subscribing
from buoyfleet.cloud.local.broker.tls import ALPN_MQTT, Peer
from buoyfleet.cloud.local.broker.wheel import DeadlineWheel
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.codec import Connect, Publish, Subscribe, Unsubscribe

TICK_S = 0.1
"""How often throttled and timed things are looked at: a tenth of the second that rates are about."""
_STOP_S = 0.5
"""For clients to take their last bytes, and answer the end of TLS, when the broker stops."""


class Broker:
    """A broker of MQTT 3.1.1 and 5 (QoS 0 and 1) with IoT Core's rules, on the loop that called `start`."""

    def __init__(
        self,
        sink: Sink,
        *,
        limits: Limits | None = None,
        on_refused: OnRefused | None = None,
        authorise: Authorise | None = None,
        account: Account | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a broker that is not listening yet.

        Args:
            sink: called once per accepted PUBLISH, before its PUBACK is sent; wills too. If it raises, the
                message stays unacknowledged and counts as `PublishIn.ServerError`.
            limits: IoT Core's by default (`Limits.aws()`).
            on_refused: told of all that is refused, discarded, delayed or dropped, and why. Must not raise.
            authorise: asked per action and resource; None lets everybody do everything.
            account: the services behind `$aws/…`; None: such topics cost the connection.
            clock: seconds, monotonic; every rate and expiry goes by it.
        """
        self.limits = limits if limits is not None else Limits.aws()
        self.clock = clock
        self.records = Records(on_refused)
        self.turns = TurnQueue()
        stored = self.limits.queued_per_s
        queueing = None if stored is None else SecondWindow(stored)
        router = Router(self.limits, self.records, queueing, account)
        context = Context(
            self.limits,
            self.records,
            clock,
            sink,
            authorise,
            router,
            RetainedMessages(self.limits.hash_matches_parent, self.limits.retained_messages),
            account,
        )
        self._router = router
        self._retained = context.retained
        self._admission = Admission(context)
        self._publishing = Publishing(context)
        self._subscribing = Subscribing(context)
        self._events = ClientEvents(account, router, self._publishing.announce)
        self.publish = self._publishing.receive
        self._clients: dict[str, Connection] = {}
        self._sessions = Sessions(self.limits, self.records, router, queueing)
        self._publishing.find = self._sessions.find
        self.data = DataPlane(context, self._publishing, self._clients, self._sessions, self.flush_soon)
        self._connections: set[Connection] = set()
        self._wheel: DeadlineWheel[Connection | Session | WaitingWill] = DeadlineWheel()
        self._dirty: list[Connection] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._waiting: set[Connection] = set()
        self.rare = partial(handle_rare, self)
        self.listeners = Listeners(self.limits.connect_timeout_s, self.records)
        self._timer: asyncio.TimerHandle | None = None
        self._all_lost: asyncio.Event | None = None
        self._stopping = False
        self.alpn_port: int | None = None
        """Where clients connect with ALPN, if `start` was asked for it."""

    # Life

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        alpn_port: int | None = None,
    ) -> int:
        """Listen; return the port.

        Args:
            host: address to listen on.
            port: 0 takes a free one.
            tls: mutual TLS with this context (`tls.server_context`); None: plain MQTT.
            alpn_port: also listen here for clients that name MQTT by ALPN, as IoT Core does on 443; 0 takes
                a free one. Which one it was is in `alpn_port`.

        Raises:
            OSError: the address is taken or not ours.
            ValueError: `alpn_port` without `tls`.
        """
        if alpn_port is not None and tls is None:
            raise ValueError("a port with ALPN needs TLS")
        self._stopping = False
        self._all_lost = asyncio.Event()
        try:
            if tls is None:
                listening = await self.listeners.add_plain(host, port, partial(Connection, self))
            else:
                listening = self.listeners.add_tls(host, port, tls, self.accept)
                if alpn_port is not None:
                    self.alpn_port = self.listeners.add_tls(host, alpn_port, tls, self.accept_named)
        except OSError:
            await self.listeners.close()
            raise
        self._on_timer()
        return listening

    def accept(self, peer: Peer) -> Connection:
        """A client of MQTT, by its certificate."""
        return self.admit(Entrant(peer.certificate_id))

    def accept_named(self, peer: Peer) -> Connection | str:
        """The same, on a port where clients have to name MQTT by ALPN."""
        named = peer.alpn == ALPN_MQTT
        return self.accept(peer) if named else f"this port needs ALPN {ALPN_MQTT}; it was not offered"

    def admit(self, who: Entrant) -> Connection:
        """A client of MQTT that has shown its credentials."""
        return Connection(self, who)

    async def stop(self) -> None:
        """Stop listening, close every connection, forget all sessions. Safe to call twice.

        Wills are not published: nobody is left to read them.
        """
        self._stopping = True
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.listeners.close()
        for connection in list(self._connections):
            farewell = connection.wire.shutting_down()
            if farewell and not connection.ending:
                connection.send(farewell)
            connection.end(DisconnectReason.SERVER_INITIATED_DISCONNECT)
        if self._connections and self._all_lost is not None:
            self._all_lost.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._all_lost.wait(), _STOP_S)
            for connection in list(self._connections):
                connection.abort()
        self._sessions.clear()
        self._wheel = DeadlineWheel()

    def tick(self) -> None:
        """Let time pass: release what was throttled, drop who was silent. A timer calls it every `TICK_S`."""
        now_s = self.clock()
        if self._waiting:
            waiting, self._waiting = self._waiting, set()
            for connection in waiting:
                connection.on_tick(now_s)
        for item in self._wheel.expired(now_s):
            if isinstance(item, Connection):
                due_s = item.on_deadline(now_s)
                if due_s is not None:
                    self._wheel.set(item, due_s)
            elif isinstance(item, WaitingWill):
                self._send_will(item, now_s)
            else:
                self._sessions.expire(item)
        for group in self._router.waiting_groups():
            group.advance(now_s)
        self._admission.forget(now_s)
        self.data.forget(now_s)
        self.flush()

    # What can be asked

    @property
    def connections(self) -> int:
        """Clients that are connected (CONNECT accepted)."""
        return len(self._clients)

    @property
    def sessions(self) -> int:
        """Sessions, those of absent clients included."""
        return len(self._sessions)

    @property
    def retained(self) -> int:
        """Topics with a retained message."""
        return len(self._retained)

    @property
    def waiting(self) -> int:
        """Messages in sessions that wait to be sent or acknowledged."""
        return self._sessions.waiting + sum(group.waiting for group in self._router.waiting_groups())

    def metrics(self) -> dict[str, float]:
        """Counters under their CloudWatch names, e.g. `AWS/IoT PublishIn.Success`."""
        return self.records.metrics()

    def refusals(self) -> dict[str, int]:
        """How often each reason of `on_refused` was given."""
        return self.records.refusals()

    def charge_rule_matches(self, matches: int) -> bool:
        """Count rule matches as outbound publishes of the account, as AWS does; False: rate used up."""
        return self._publishing.charge_rule_match(matches, self.clock())

    def republish(self, topic: str, payload: bytes) -> bool:
        """Publish what a rule sends (the action Republish); whether it was taken."""
        taken = self._publishing.republish(topic.encode(), payload, self.clock())
        self.flush_soon()
        return taken

    # What a connection asks (`connection.Service`)

    def opened(self, connection: Connection) -> None:
        """A connection was accepted: its CONNECT is due."""
        if self._stopping:
            connection.abort()
            return
        self._connections.add(connection)
        self._wheel.set(connection, self.clock() + self.limits.connect_timeout_s)

    def connect(self, connection: Connection, packet: Connect, now_s: float) -> None:
        """Admit a client: the one that holds its id loses it, a stored session is resumed."""
        client_id = self._admission.admit(connection, packet, now_s)
        if client_id is None:
            return
        other = self._clients.get(client_id)
        if other is not None:
            other.refuse(
                Reason.DUPLICATE_CLIENT_ID,
                None,
                "another connection took this client id",
                DisconnectReason.DUPLICATE_CLIENTID,
            )
        limits = self.limits
        asked_s: float = 0.0 if packet.clean_session else limits.session_s
        if isinstance(packet, Connect5):
            asked_s = packet.expiry_s
        expiry_s = min(asked_s, limits.session_s)
        self._drop_deadline(client_id)
        session, present = self._sessions.open(client_id, packet.clean_session, expiry_s)
        self._wake_will(client_id, present, now_s)
        session.gate = connection.gate
        connection.session = session
        connection.will = packet.will
        connection.connected_s = now_s
        alive_s = packet.keep_alive_s or limits.keep_alive_max_s
        connection.keep_alive_s = min(max(alive_s, limits.keep_alive_min_s), limits.keep_alive_max_s)
        self._wheel.set(connection, now_s + connection.keep_alive_s * limits.keep_alive_factor)
        self._clients[client_id] = connection
        self.records.count(Metric.CONNECT_SUCCESS)
        adjusted = None if expiry_s == asked_s else int(expiry_s)
        given = "" if packet.client_id else client_id
        connection.accept(packet, Accepted(present, int(connection.keep_alive_s), adjusted, given))
        session.resume(connection, now_s)
        self._events.connected(connection, now_s)
        for group in self._router.waiting_groups():
            group.advance(now_s)

    publish: Callable[[Connection, Publish, float], bool]
    """Bound to `Publishing.receive` once, as it is the hot path."""

    def subscribe(self, connection: Connection, packet: Subscribe, now_s: float) -> None:
        """SUBSCRIBE."""
        self._subscribing.subscribe(connection, packet, now_s)
        self._events.subscribed(connection, packet, now_s)

    def unsubscribe(self, connection: Connection, packet: Unsubscribe, now_s: float) -> None:
        """UNSUBSCRIBE."""
        self._subscribing.unsubscribe(connection, packet)
        self._events.unsubscribed(connection, packet, now_s)

    def ended(self, connection: Connection, reason: DisconnectReason, now_s: float) -> None:
        """A connection is over: keep or drop its session, publish its will."""
        self._waiting.discard(connection)
        session = connection.session
        if session is None:
            return
        client_id = connection.client_id
        if self._clients.get(client_id) is connection:
            del self._clients[client_id]
        self.data.note_end(client_id, now_s, reason)
        session.outlet = None
        if self._sessions.close(session, now_s):
            self._wheel.set(session, now_s + session.expiry_s)
        if self._stopping:
            return
        self._events.disconnected(connection, reason, now_s)
        will, connection.will = connection.will, None
        if will is None:
            return
        waiting = WaitingWill(connection, will)
        delay_s = min(will.delay_s, session.expiry_s) if isinstance(will, Will5) else 0
        if delay_s and self.limits.will_delay:
            self._sessions.wills[client_id] = waiting
            self._wheel.set(waiting, now_s + delay_s)
        else:
            self._publishing.publish_will(connection, will, now_s)

    def lost(self, connection: Connection) -> None:
        """A transport is gone."""
        self._wheel.remove(connection)
        self._connections.discard(connection)
        if not self._connections and self._all_lost is not None:
            self._all_lost.set()

    def unflushed(self, connection: Connection) -> None:
        """A connection has something to write at the next `flush`."""
        self._dirty.append(connection)

    def flush_soon(self) -> None:
        """`flush` in a moment: what many boards send to one subscriber shares a write."""
        if self._dirty and self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(DELIVERY_PAUSE_S, self.flush)

    def flush(self) -> None:
        """Write what the connections have queued."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                connection.write()

    def waits(self, connection: Connection) -> None:
        """A connection wants the next tick."""
        self._waiting.add(connection)

    def linger(self, connection: Connection, until_s: float) -> None:
        """A closing connection has unread bytes: abort it if they are still there by then."""
        self._wheel.set(connection, until_s)

    # Inside

    def _on_timer(self) -> None:
        self.tick()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._on_timer)

    def _drop_deadline(self, client_id: str) -> None:
        """A client is back: its session does not expire."""
        known = self._sessions.find(client_id)
        if known is not None:
            self._wheel.remove(known)

    def _wake_will(self, client_id: str, resumed: bool, now_s: float) -> None:
        """A client is back: its will is not sent, unless its session has ended (MQTT 5, 3.1.3.2.2)."""
        waiting = self._sessions.wills.get(client_id)
        if waiting is None:
            return
        self._wheel.remove(waiting)
        if resumed:
            del self._sessions.wills[client_id]
        else:
            self._send_will(waiting, now_s)

    def _send_will(self, waiting: WaitingWill, now_s: float) -> None:
        self._sessions.wills.pop(waiting.connection.client_id, None)
        self._publishing.publish_will(waiting.connection, waiting.will, now_s)
