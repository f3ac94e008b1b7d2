"""What the API `iot-data` asks of a broker: publish without a connection, retained messages, clients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from buoyfleet.cloud.local.broker.account import Reply
from buoyfleet.cloud.local.broker.authority import PUBLISH, RETAIN_PUBLISH, Entrant, Gate
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.context import Context
from buoyfleet.cloud.local.broker.publishing import Publishing
from buoyfleet.cloud.local.broker.records import ConnectionInfo, DisconnectReason, Metric, Reason
from buoyfleet.cloud.local.broker.retained import Retained
from buoyfleet.cloud.local.broker.routing import QOS
from buoyfleet.cloud.local.broker.sessions import Sessions
from buoyfleet.mqtt.codec import Publish


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a message."""

    taken: bool
    reason: Reason | None = None
    """Why it was not taken; None and not taken: it got lost on its way, as a rehearsed fault has it."""


class DataPlane:
    """One broker, seen without MQTT."""

    def __init__(
        self,
        context: Context,
        publishing: Publishing,
        clients: Mapping[str, Connection],
        sessions: Sessions,
        flush_soon: Callable[[], None],
    ) -> None:
        self._context = context
        self._publishing = publishing
        self._clients = clients
        self._sessions = sessions
        self._flush_soon = flush_soon
        self._ended: dict[str, ConnectionInfo] = {}
        """The last disconnection of each client, oldest first."""

    def gate(self, who: Entrant) -> Gate | None:
        """What somebody without a connection may; None: everything."""
        return self._context.gate(who, "")

    # Messages

    def announce(self, reply: Reply, client_id: str = "") -> None:
        """Publish what a service says; `client_id`: who asked."""
        self._publishing.announce(reply, self._context.clock(), client_id)
        self._flush_soon()

    def publish(self, packet: Publish, gate: Gate | None) -> Submitted:
        """Take a message of a client that has no connection; policies and limits hold as for any other."""
        context, records = self._context, self._context.records
        now_s = context.clock()
        route = context.router.routes.get(packet.topic) or context.router.route(packet.topic)
        reason, detail, metric = route.reason, route.detail, Metric.PUBLISH_IN_CLIENT_ERROR
        size, limit = len(packet.payload), context.limits.payload_bytes
        if reason is None and route.service and packet.retain:
            reason, detail = Reason.TOPIC_RESERVED, "no retained message can be kept on a topic with $"
        elif reason is None and size > limit:
            reason, detail = Reason.PAYLOAD_TOO_LARGE, f"a payload of {size} bytes; {limit} are allowed"
        elif reason is None and gate is not None:
            for action in (PUBLISH, RETAIN_PUBLISH) if packet.retain else (PUBLISH,):
                if reason is None and not gate.allows(action, f"topic/{route.text}"):
                    reason, metric = Reason.NOT_AUTHORISED, Metric.PUBLISH_IN_AUTH_ERROR
                    detail = gate.denial(action, f"topic/{route.text}")
        if reason is not None:
            records.refuse(reason, metric, detail, "", route.text, packet.payload)
            return Submitted(False, reason)
        records.latest = None
        taken = self._publishing.submit(packet, route, now_s)
        self._flush_soon()
        return Submitted(taken, records.latest)

    def retained(self, topic: str) -> Retained | None:
        """The retained message of a topic."""
        found = self._context.retained.matching(topic.encode(), self._context.clock())
        return found[0] if found else None

    def all_retained(self) -> list[Retained]:
        """Every retained message, by topic."""
        return self._context.retained.all(self._context.clock())

    # Clients

    def connection_info(self, client_id: str) -> ConnectionInfo | None:
        """Connected since, or why not any more for half an hour."""
        connection = self._clients.get(client_id)
        if connection is not None:
            return ConnectionInfo(client_id, True, connection.connected_s)
        self.forget(self._context.clock())
        return self._ended.get(client_id)

    def age_s(self, info: ConnectionInfo) -> float:
        """How long ago it was."""
        return self._context.clock() - info.since_s

    def client(self, client_id: str) -> Connection | None:
        """A client that is connected."""
        return self._clients.get(client_id)

    def principal_id(self, client_id: str) -> str:
        """Who a client is: its certificate's id, or a name; empty where it has none, or is gone."""
        connection = self._clients.get(client_id)
        return "" if connection is None else connection.admit_as.principal("").id

    def subscriptions(self, client_id: str) -> list[tuple[str, int]] | None:
        """(filter, QoS) of a client's session; None: it has none."""
        session = self._sessions.find(client_id)
        if session is None:
            return None
        return sorted((one.decode(), options & QOS) for one, options in session.subscriptions.items())

    def note_end(self, client_id: str, now_s: float, reason: DisconnectReason) -> None:
        """A client has gone."""
        self._ended.pop(client_id, None)
        self._ended[client_id] = ConnectionInfo(client_id, False, now_s, reason)

    def forget(self, now_s: float) -> None:
        """Forget reasons that AWS would not tell any more."""
        while self._ended:
            client_id, info = next(iter(self._ended.items()))
            if now_s - info.since_s <= self._context.limits.disconnect_reason_s:
                return
            del self._ended[client_id]
