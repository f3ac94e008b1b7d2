"""SUBSCRIBE and UNSUBSCRIBE, within the limits, and the retained messages that a new subscription brings."""

from host.cloud.local.broker.authority import RECEIVE, SUBSCRIBE
from host.cloud.local.broker.connection import Connection
from host.cloud.local.broker.context import Context
from host.cloud.local.broker.records import DisconnectReason, Metric, Reason
from host.cloud.local.broker.routing import has_wildcard
from host.cloud.local.broker.session import Message, Session
from host.mqtt.codec import (
    SUBACK_FAILURE,
    Subscribe,
    Unsubscribe,
    encode_publish,
    encode_suback,
    encode_unsuback,
)


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
        codes = bytearray()
        granted: list[tuple[bytes, int]] = []
        for topic_filter, qos in packet.filters:
            known = topic_filter in session.subscriptions
            if not known and len(session.subscriptions) >= limits.subscriptions:
                codes.append(SUBACK_FAILURE)
                continue
            router.subscribe(session, topic_filter, qos)
            codes.append(qos)
            granted.append((topic_filter, qos))
        connection.send(encode_suback(packet.packet_id, bytes(codes)))
        for topic_filter, qos in granted:
            self._send_retained(session, topic_filter, qos, now_s)
        if len(granted) == len(codes):
            self._context.records.count(Metric.SUBSCRIBE_SUCCESS)
            return
        connection.refuse(
            Reason.TOO_MANY_SUBSCRIPTIONS,
            Metric.SUBSCRIBE_CLIENT_ERROR,
            f"{len(session.subscriptions) + len(codes) - len(granted)} subscriptions on one connection; "
            f"{limits.subscriptions} are allowed",
            DisconnectReason.CLIENT_ERROR,
            packet.filters[codes.index(SUBACK_FAILURE)][0].decode(),
        )

    def unsubscribe(self, connection: Connection, packet: Unsubscribe) -> None:
        """Remove subscriptions; those that never were are acknowledged too (MQTT 3.1.1, section 3.10.4)."""
        if connection.session is not None:
            for topic_filter in packet.filters:
                self._context.router.unsubscribe(connection.session, topic_filter)
        self._context.records.count(Metric.UNSUBSCRIBE_SUCCESS)
        connection.send(encode_unsuback(packet.packet_id))

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
            reason, detail = self._context.router.problem(topic_filter)
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
        if has_wildcard(topic_filter) and not context.limits.retained_to_wildcards:
            return
        gate = session.gate
        for kept in context.retained.matching(topic_filter):
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
            encoded = None if qos else encode_publish(kept.topic, kept.payload, 0, True)
            session.offer(Message(kept.topic, kept.payload, qos, True), encoded, now_s)

    def _drop(self, connection: Connection, reason: Reason, detail: str, topic_filter: bytes) -> None:
        connection.refuse(
            reason,
            Metric.SUBSCRIBE_CLIENT_ERROR,
            detail,
            DisconnectReason.CLIENT_ERROR,
            topic_filter.decode(),
        )
