"""The way of a message: from a client's PUBLISH to the sink, the retained store and the subscribers."""

import time
from collections.abc import Callable

from buoyfleet.cloud.local.broker.account import BASIC_INGEST, Reply
from buoyfleet.cloud.local.broker.authority import PUBLISH, RECEIVE, RETAIN_PUBLISH, Gate, Principal
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.context import Context
from buoyfleet.cloud.local.broker.message import NO_EXTRA, Extra, Message
from buoyfleet.cloud.local.broker.packets5 import Publish5, Will5
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import DisconnectReason, Metric, Reason
from buoyfleet.cloud.local.broker.retained import Retained
from buoyfleet.cloud.local.broker.routing import NO_LOCAL, QOS, RETAIN_AS_PUBLISHED, Route
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.mqtt.codec import Publish, Will, encode_publish


class Publishing:
    """Takes messages in and hands them out, within the limits."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = context.records
        self._routes = context.router.routes
        self._sink = context.sink
        self.find: Callable[[str], Session | None] = lambda _client_id: None
        """The session of a client."""
        limits = context.limits
        self._payload_bytes = limits.payload_bytes
        rate_in, rate_out = limits.account_publishes_in_per_s, limits.account_publishes_out_per_s
        self._account_in = None if rate_in is None else SecondWindow(rate_in)
        self._account_out = None if rate_out is None else SecondWindow(rate_out)

    def receive(self, connection: Connection, packet: Publish, now_s: float) -> bool:
        """One PUBLISH of a connected client; whether a PUBACK is due.

        The order of the checks is that of their price for the client: what costs the connection comes first.
        """
        topic, payload, qos = packet.topic, packet.payload, packet.qos
        route = self._routes.get(topic)
        if route is None:
            route = self._context.router.route(topic)
        gate = connection.gate
        if (
            route.rare or qos == 2 or len(payload) > self._payload_bytes or gate is not None
        ) and not self._allowed(connection, gate, packet, route):
            return False
        rate = connection.rate_in
        if rate is not None and not rate.take(now_s):
            self._discard(
                connection.client_id,
                Reason.PUBLISH_RATE,
                f"message {rate.count} of this second on one connection: {rate.limit} are taken",
                route,
                payload,
            )
            return False
        return self._accept(connection.client_id, packet, route, now_s) and qos == 1

    def publish_will(self, connection: Connection, will: Will, now_s: float) -> None:
        """Publish the will of a client that vanished, if its policy lets it."""
        route = self._routes.get(will.topic) or self._context.router.route(will.topic)
        gate = connection.gate
        resource = f"topic/{route.text}"
        if gate is not None and not gate.allows(PUBLISH, resource):
            self._records.refuse(
                Reason.NOT_AUTHORISED,
                Metric.PUBLISH_IN_AUTH_ERROR,
                f"will: {gate.denial(PUBLISH, resource)}",
                connection.client_id,
                route.text,
                will.payload,
            )
            return
        packet = Publish(will.topic, will.payload, min(will.qos, 1), will.retain)
        if isinstance(will, Will5):
            packet = Publish5(
                packet.topic,
                packet.payload,
                packet.qos,
                packet.retain,
                properties=will.properties,
                expiry_s=will.expiry_s,
            )
        self._accept(connection.client_id, packet, route, now_s)

    def charge_rule_match(self, matches: int, now_s: float) -> bool:
        """Count rule matches as outbound publishes of the account; False if the account's rate is used up."""
        account = self._account_out
        return account is None or account.take_many(now_s, matches)

    def republish(self, topic: bytes, payload: bytes, now_s: float) -> bool:
        """Publish in the name of a rule: to subscribers and rules alike."""
        route = self._routes.get(topic) or self._context.router.route(topic)
        return route.reason is None and self._accept("", Publish(topic, payload, 0), route, now_s)

    def submit(self, packet: Publish, route: Route, now_s: float) -> bool:
        """Publish in the name of a client without a connection, which may."""
        return self._accept("", packet, route, now_s)

    def _accept(self, client_id: str, packet: Publish, route: Route, now_s: float) -> bool:
        """Take a message that its client may send: the account's rate, the sink, then everybody else."""
        account = self._account_in
        if account is not None and not account.take(now_s):
            self._discard(
                client_id,
                Reason.ACCOUNT_PUBLISH_RATE,
                f"message {account.count} of this second in the account: {account.limit} are taken",
                route,
                packet.payload,
            )
            return False
        if packet.retain and not self._context.retained.has_room(packet.topic, packet.payload):
            most = self._context.limits.retained_messages
            detail = f"the account keeps {most} retained messages and has no room for one more"
            self._discard(client_id, Reason.RETAINED_QUOTA, detail, route, packet.payload)
            return False
        if route.service:
            return self._serve(client_id, packet, route, now_s)
        try:
            taken = self._hand_over(client_id, packet, route)
        except Exception as error:
            return self._sink_failed(error, client_id, packet, route)
        if taken is False:
            return False
        self._records.published_in += 1
        if packet.retain:
            self._keep(packet, now_s)
        if route.targets or route.groups:
            self._fan_out(client_id, packet, route, now_s)
        return True

    def _hand_over(self, client_id: str, packet: Publish, route: Route) -> bool | None:
        """To the sink; what few messages have is given where there is any."""
        sink, text = self._sink, route.text
        if isinstance(packet, Publish5):
            flags = packet.qos, packet.retain, packet.dup
            return sink(text, packet.payload, *flags, client_id, packet.properties)
        return sink(text, packet.payload, packet.qos, packet.retain, packet.dup, client_id)

    def _sink_failed(self, error: Exception, client_id: str, packet: Publish, route: Route) -> bool:
        """Whatever failed behind the broker: others must get through, and this one stays unacknowledged."""
        self._records.refuse(
            Reason.SINK_FAILED,
            Metric.PUBLISH_IN_SERVER_ERROR,
            f"the pipeline behind the broker failed: {type(error).__name__}: {error}",
            client_id,
            route.text,
            packet.payload,
        )
        return False

    def _taken(self, client_id: str, packet: Publish, route: Route) -> bool:
        """Hand a message of a service's topic to the pipeline; whether it took it."""
        try:
            taken = self._hand_over(client_id, packet, route)
        except Exception as error:
            return self._sink_failed(error, client_id, packet, route)
        return taken is not False

    def _serve(self, client_id: str, packet: Publish, route: Route, now_s: float) -> bool:
        """A message to the account's services. Basic Ingest goes to its rule and to no subscriber."""
        account, ingested = self._context.account, route.text.startswith(BASIC_INGEST)
        if account is None:
            return False
        if (ingested or account.wants(route.text)) and not self._taken(client_id, packet, route):
            return False
        self._records.published_in += 1
        if ingested:
            return True
        if route.targets or route.groups:
            self._fan_out(client_id, packet, route, now_s)
        session = self.find(client_id)
        gate = None if session is None else session.gate
        who = Principal(client_id) if gate is None else gate.principal
        for reply in account.request(route.text, packet.payload, who):
            self.announce(reply, now_s, client_id)
        return True

    def announce(self, reply: Reply, now_s: float, client_id: str = "") -> None:
        """Publish in the name of a service; `client_id`: who asked."""
        packet = Publish(reply.topic.encode(), reply.payload, 1)
        route = self._routes.get(packet.topic) or self._context.router.route(packet.topic)
        if reply.direct:
            session = self.find(client_id)
            if session is not None:
                qos = max((options & QOS for one, options in route.targets if one is session), default=0)
                session.offer(Message(packet.topic, packet.payload, qos, False), None, now_s)
            return
        if self._context.account is not None and self._context.account.wants(reply.topic):
            self._taken("", packet, route)
        if route.targets or route.groups:
            self._fan_out("", packet, route, now_s)

    def _keep(self, packet: Publish, now_s: float) -> None:
        self._records.count(Metric.PUBLISH_RETAINED_SUCCESS)
        kept = Retained(packet.topic, packet.payload, packet.qos, _extra(packet, now_s), time.time())
        self._context.retained.keep(kept)

    def _fan_out(self, client_id: str, packet: Publish, route: Route, now_s: float) -> None:
        """Offer the message to its subscribers, RETAIN not set unless they ask for it (MQTT 5, 3.3.1.3)."""
        encoded: bytes | None = None
        account, qos = self._account_out, packet.qos
        topic, payload = packet.topic, packet.payload
        extra = NO_EXTRA if type(packet) is Publish else _extra(packet, now_s)
        for group in route.groups:
            if account is None or account.take(now_s):
                group.offer(Message(topic, payload, packet.qos, False, extra), now_s)
            else:
                self._out_of_rate(account, "", route)
        for session, options in route.targets:
            if options > QOS and options & NO_LOCAL and session.client_id == client_id:
                continue
            gate = session.gate
            if gate is not None and not gate.allows(RECEIVE, f"topic/{route.text}"):
                self._records.refuse(
                    Reason.DELIVERY_NOT_AUTHORISED,
                    Metric.PUBLISH_OUT_AUTH_ERROR,
                    gate.denial(RECEIVE, f"topic/{route.text}"),
                    session.client_id,
                    route.text,
                )
                continue
            if account is not None and not account.take(now_s):
                self._out_of_rate(account, session.client_id, route)
                continue
            retain = options > QOS and packet.retain and options & RETAIN_AS_PUBLISHED != 0
            if qos and options & QOS:
                session.offer(Message(topic, payload, 1, retain, extra), None, now_s)
            else:
                if encoded is None:
                    encoded = encode_publish(topic, payload)
                session.offer(Message(topic, payload, 0, retain, extra), encoded, now_s)

    def _out_of_rate(self, account: SecondWindow, client_id: str, route: Route) -> None:
        self._records.refuse(
            Reason.DELIVERY_ACCOUNT_RATE,
            Metric.PUBLISH_OUT_THROTTLE,
            f"message {account.count} of this second out of the account: {account.limit} are sent",
            client_id,
            route.text,
        )

    def _allowed(self, connection: Connection, gate: Gate | None, packet: Publish, route: Route) -> bool:
        """The rare checks: topic, size, QoS, policy. What fails costs the connection, QoS 2 may not."""
        if route.reason is not None:
            self._drop(connection, route.reason, route.detail, route, packet)
            return False
        if route.service and packet.retain:
            detail = "no retained message can be kept on a topic that begins with $"
            self._drop(connection, Reason.TOPIC_RESERVED, detail, route, packet)
            return False
        if len(packet.payload) > self._payload_bytes:
            detail = f"a payload of {len(packet.payload)} bytes; {self._payload_bytes} are allowed"
            self._drop(connection, Reason.PAYLOAD_TOO_LARGE, detail, route, packet)
            return False
        if packet.qos == 2:
            if not self._context.limits.qos2_silent:
                self._drop(connection, Reason.QOS_2, "QoS 2 is not supported", route, packet)
                return False
            self._records.refuse(
                Reason.QOS_2,
                Metric.PUBLISH_IN_CLIENT_ERROR,
                "QoS 2 is not supported: the message is neither taken nor answered",
                connection.client_id,
                route.text,
                packet.payload,
            )
            return False
        return gate is None or self._may_publish(connection, gate, packet, route)

    def _may_publish(self, connection: Connection, gate: Gate, packet: Publish, route: Route) -> bool:
        resource = f"topic/{route.text}"
        for action, needed in ((PUBLISH, True), (RETAIN_PUBLISH, packet.retain)):
            if needed and not gate.allows(action, resource):
                if packet.retain:
                    self._records.count(Metric.PUBLISH_RETAINED_AUTH_ERROR)
                connection.refuse(
                    Reason.NOT_AUTHORISED,
                    Metric.PUBLISH_IN_AUTH_ERROR,
                    gate.denial(action, resource),
                    DisconnectReason.AUTH_ERROR,
                    route.text,
                    packet.payload,
                )
                return False
        return True

    def _drop(
        self, connection: Connection, reason: Reason, detail: str, route: Route, packet: Publish
    ) -> None:
        connection.refuse(
            reason,
            Metric.PUBLISH_IN_CLIENT_ERROR,
            detail,
            DisconnectReason.CLIENT_ERROR,
            route.text,
            packet.payload,
        )

    def _discard(self, client_id: str, reason: Reason, detail: str, route: Route, payload: bytes) -> None:
        self._records.refuse(reason, Metric.PUBLISH_IN_THROTTLE, detail, client_id, route.text, payload)


def _extra(packet: Publish, now_s: float) -> Extra:
    """What MQTT 5 forwards, and the broker time at which the message expires."""
    if not isinstance(packet, Publish5):
        return NO_EXTRA
    return Extra(packet.properties, None if packet.expiry_s is None else now_s + packet.expiry_s)
