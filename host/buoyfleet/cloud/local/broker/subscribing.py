"""SUBSCRIBE and UNSUBSCRIBE, within the limits, and the retained messages that a new subscription brings."""

from buoyfleet.cloud.local.broker.authority import RECEIVE, SUBSCRIBE
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.context import Context
from buoyfleet.cloud.local.broker.message import Message
from buoyfleet.cloud.local.broker.packets5 import Subscribe5
from buoyfleet.cloud.local.broker.records import DisconnectReason, Metric, Reason
from buoyfleet.cloud.local.broker.routing import NO_LOCAL, RETAIN_AS_PUBLISHED, has_wildcard
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.cloud.local.broker.sharing import PREFIX
from buoyfleet.mqtt.codec import Subscribe, Unsubscribe

_RETAINED_ALWAYS, _RETAINED_IF_NEW = 0, 1
"""Retain Handling (MQTT 5, section 3.8.3.1); 2: no retained messages."""


class Subscribing:
    """Handles the two packets for a connected client."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def subscribe(self, connection: Connection, packet: Subscribe, now_s: float) -> None:
        """Grant what the limits and the policy allow, then send retained messages."""
        session = connection.session
        if session is None or not self._allowed(connection, packet):
            return
        router, limits = self._context.router, self._context.limits
        wanted = packet.options if isinstance(packet, Subscribe5) else (0,) * len(packet.filters)
        answers: list[int | Reason] = []
        granted: list[tuple[bytes, int]] = []
        for (topic_filter, qos), option in zip(packet.filters, wanted, strict=True):
            known = topic_filter in session.subscriptions
            if not known and len(session.subscriptions) >= limits.subscriptions:
                answers.append(Reason.TOO_MANY_SUBSCRIPTIONS)
                continue
            router.subscribe(session, topic_filter, qos | option & (NO_LOCAL | RETAIN_AS_PUBLISHED))
            answers.append(qos)
            handling = option >> 4 & 3
            if handling == _RETAINED_ALWAYS or (handling == _RETAINED_IF_NEW and not known):
                granted.append((topic_filter, qos))
        connection.send(connection.wire.suback(packet.packet_id, answers))
        connection.wire.answering = (0, 0)
        for topic_filter, qos in granted:
            self._send_retained(session, topic_filter, qos, now_s)
        for group in router.waiting_groups():
            group.advance(now_s)
        if Reason.TOO_MANY_SUBSCRIPTIONS not in answers:
            self._context.records.count(Metric.SUBSCRIBE_SUCCESS)
            return
        refused = answers.count(Reason.TOO_MANY_SUBSCRIPTIONS)
        connection.refuse(
            Reason.TOO_MANY_SUBSCRIPTIONS,
            Metric.SUBSCRIBE_CLIENT_ERROR,
            f"{len(session.subscriptions) + refused} subscriptions on one connection; "
            f"{limits.subscriptions} are allowed",
            DisconnectReason.CLIENT_ERROR,
            packet.filters[answers.index(Reason.TOO_MANY_SUBSCRIPTIONS)][0].decode(),
        )

    def unsubscribe(self, connection: Connection, packet: Unsubscribe) -> None:
        """Remove subscriptions; those that never were are acknowledged too (MQTT 3.1.1, section 3.10.4)."""
        if connection.session is not None:
            for topic_filter in packet.filters:
                self._context.router.unsubscribe(connection.session, topic_filter)
        self._context.records.count(Metric.UNSUBSCRIBE_SUCCESS)
        connection.send(connection.wire.unsuback(packet.packet_id, len(packet.filters)))

    def _allowed(self, connection: Connection, packet: Subscribe) -> bool:
        """Check the request as a whole. What fails costs the connection, QoS 2 may not."""
        limits = self._context.limits
        if len(packet.filters) > limits.filters_per_subscribe:
            detail = (
                f"{len(packet.filters)} filters in one SUBSCRIBE; {limits.filters_per_subscribe} are allowed"
            )
            self._drop(connection, Reason.TOO_MANY_FILTERS, detail, packet.filters[0][0])
            return False
        for topic_filter, _ in packet.filters:
            reason, detail = self._context.router.filter_problem(topic_filter)
            if reason is not None:
                self._drop(connection, reason, detail, topic_filter)
                return False
        for topic_filter, qos in packet.filters:
            if qos == 2:
                detail = "QoS 2 is not supported: the whole SUBSCRIBE is neither taken nor answered"
                if limits.qos2_silent:
                    self._context.records.refuse(
                        Reason.QOS_2,
                        Metric.SUBSCRIBE_CLIENT_ERROR,
                        detail,
                        connection.client_id,
                        topic_filter.decode(),
                    )
                else:
                    self._drop(connection, Reason.QOS_2, "QoS 2 is not supported", topic_filter)
                return False
        gate = connection.gate
        if gate is not None:
            for topic_filter, _ in packet.filters:
                resource = f"topicfilter/{topic_filter.decode()}"
                if not gate.allows(SUBSCRIBE, resource):
                    connection.refuse(
                        Reason.NOT_AUTHORISED,
                        Metric.SUBSCRIBE_AUTH_ERROR,
                        gate.denial(SUBSCRIBE, resource),
                        DisconnectReason.AUTH_ERROR,
                        topic_filter.decode(),
                    )
                    return False
        return True

    def _send_retained(self, session: Session, topic_filter: bytes, granted: int, now_s: float) -> None:
        context = self._context
        if topic_filter.startswith(PREFIX):
            return  # IoT Core developer guide, "Shared subscriptions"; MQTT 5, section 4.8.2
        if has_wildcard(topic_filter) and not context.limits.retained_to_wildcards:
            return
        gate = session.gate
        for kept in context.retained.matching(topic_filter, now_s):
            resource = f"topic/{kept.topic.decode()}"
            if gate is not None and not gate.allows(RECEIVE, resource):
                context.records.refuse(
                    Reason.DELIVERY_NOT_AUTHORISED,
                    Metric.PUBLISH_OUT_AUTH_ERROR,
                    gate.denial(RECEIVE, resource),
                    session.client_id,
                    kept.topic.decode(),
                )
                continue
            qos = min(kept.qos, granted)
            message = Message(kept.topic, kept.payload, qos, True, kept.extra)
            session.offer(message, None, now_s)

    def _drop(self, connection: Connection, reason: Reason, detail: str, topic_filter: bytes) -> None:
        connection.refuse(
            reason,
            Metric.SUBSCRIBE_CLIENT_ERROR,
            detail,
            DisconnectReason.CLIENT_ERROR,
            topic_filter.decode(),
        )
