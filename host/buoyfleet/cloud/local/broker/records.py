"""What the broker tells: counters under CloudWatch's names, refusals with a reason, disconnections."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "AWS/IoT"

OnRefused = Callable[[str, str, str, str, bytes | None], None]
"""`(reason, detail, client_id, topic, payload)`: a `Reason`, a phrase with figures, "" where unknown, and the
payload of a message that was not accepted, None for everything else."""


class Metric(StrEnum):
    """CloudWatch metrics of the message broker (AWS IoT developer guide, "Message broker metrics")."""

    CONNECT_SUCCESS = "Connect.Success"
    CONNECT_AUTH_ERROR = "Connect.AuthError"
    CONNECT_CLIENT_ERROR = "Connect.ClientError"
    CONNECT_THROTTLE = "Connect.Throttle"
    CONNECT_CLIENT_ID_THROTTLE = "Connect.ClientIDThrottle"
    CONNECTION_AUTHN_ERROR = "Connection.AuthNError"
    PUBLISH_IN_SUCCESS = "PublishIn.Success"
    PUBLISH_IN_AUTH_ERROR = "PublishIn.AuthError"
    PUBLISH_IN_CLIENT_ERROR = "PublishIn.ClientError"
    PUBLISH_IN_SERVER_ERROR = "PublishIn.ServerError"
    PUBLISH_IN_THROTTLE = "PublishIn.Throttle"
    PUBLISH_OUT_SUCCESS = "PublishOut.Success"
    PUBLISH_OUT_AUTH_ERROR = "PublishOut.AuthError"
    PUBLISH_OUT_CLIENT_ERROR = "PublishOut.ClientError"
    PUBLISH_OUT_THROTTLE = "PublishOut.Throttle"
    PUBLISH_RETAINED_SUCCESS = "PublishRetained.Success"
    PUBLISH_RETAINED_AUTH_ERROR = "PublishRetained.AuthError"
    SUBSCRIBE_SUCCESS = "Subscribe.Success"
    SUBSCRIBE_AUTH_ERROR = "Subscribe.AuthError"
    SUBSCRIBE_CLIENT_ERROR = "Subscribe.ClientError"
    UNSUBSCRIBE_SUCCESS = "Unsubscribe.Success"
    PING_SUCCESS = "Ping.Success"


class Reason(StrEnum):
    """Why something was refused, discarded, delayed or dropped.

    `delivery-…` is about a message that was accepted, on its way to one subscriber.
    """

    CONNECT_RATE = "connect-rate"
    CLIENT_ID_RATE = "client-id-rate"
    CLIENT_ID_INVALID = "client-id-invalid"
    REQUEST_REFUSED = "request-refused"
    PROTOCOL_VERSION = "protocol-version"
    PROTOCOL_ERROR = "protocol-error"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS_FAILED = "tls-failed"
    NOT_AUTHORISED = "not-authorised"
    NOT_AUTHENTICATED = "not-authenticated"
    PUBLISH_RATE = "publish-rate"
    ACCOUNT_PUBLISH_RATE = "account-publish-rate"
    THROUGHPUT_DELAY = "throughput-delay"
    IN_FLIGHT = "in-flight"
    PAYLOAD_TOO_LARGE = "payload-too-large"
    TOPIC_TOO_LONG = "topic-too-long"
    TOPIC_TOO_DEEP = "topic-too-deep"
    TOPIC_RESERVED = "topic-reserved"
    QOS_2 = "qos-2"
    TOO_MANY_SUBSCRIPTIONS = "too-many-subscriptions"
    TOO_MANY_FILTERS = "too-many-filters"
    KEEP_ALIVE = "keep-alive"
    DUPLICATE_CLIENT_ID = "duplicate-client-id"
    FILTER_INVALID = "filter-invalid"
    RETAINED_QUOTA = "retained-quota"
    SINK_FAILED = "sink-failed"
    DELIVERY_RATE = "delivery-rate"
    DELIVERY_ACCOUNT_RATE = "delivery-account-rate"
    DELIVERY_NOT_AUTHORISED = "delivery-not-authorised"
    DELIVERY_QUEUE_FULL = "delivery-queue-full"
    DELIVERY_EXPIRED = "delivery-expired"
    DELIVERY_SESSION_EXPIRED = "delivery-session-expired"
    DELIVERY_MESSAGE_EXPIRED = "delivery-message-expired"
    DELIVERY_PACKET_TOO_LARGE = "delivery-packet-too-large"
    DELIVERY_QUEUE_RATE = "delivery-queue-rate"


class DisconnectReason(StrEnum):
    """Why a connection ended, in AWS's words (developer guide, "Lifecycle events"; botocore's model)."""

    API_INITIATED_DISCONNECT = "API_INITIATED_DISCONNECT"
    AUTH_ERROR = "AUTH_ERROR"
    CLIENT_INITIATED_DISCONNECT = "CLIENT_INITIATED_DISCONNECT"
    CLIENT_ERROR = "CLIENT_ERROR"
    CONNECTION_LOST = "CONNECTION_LOST"
    CUSTOMAUTH_TTL_EXPIRATION = "CUSTOMAUTH_TTL_EXPIRATION"
    DUPLICATE_CLIENTID = "DUPLICATE_CLIENTID"
    MQTT_KEEP_ALIVE_TIMEOUT = "MQTT_KEEP_ALIVE_TIMEOUT"
    SERVER_INITIATED_DISCONNECT = "SERVER_INITIATED_DISCONNECT"
    WEBSOCKET_TTL_EXPIRATION = "WEBSOCKET_TTL_EXPIRATION"


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What `iot-data get_connection` tells of a client."""

    client_id: str
    connected: bool
    since_s: float
    """Broker time of the connection, or of its end."""
    disconnect_reason: DisconnectReason | None = None


class Records:
    """Counters and refusals. Counters are ints under `Metric`; `metrics()` gives CloudWatch's full names."""

    __slots__ = ("_counts", "_on_refused", "_refusals", "latest", "published_in", "published_out")

    def __init__(self, on_refused: OnRefused | None = None) -> None:
        self._counts: dict[Metric, int] = dict.fromkeys(Metric, 0)
        self.published_in = self.published_out = 0
        """`PublishIn.Success` and `PublishOut.Success`; for each message, an enum is slow to look up."""
        self._refusals: dict[str, int] = {}
        self._on_refused = on_refused
        self.latest: Reason | None = None
        """The last reason that was given."""

    def count(self, metric: Metric, times: int = 1) -> None:
        """Add to a counter."""
        self._counts[metric] += times

    def refuse(
        self,
        reason: Reason,
        metric: Metric | None,
        detail: str,
        client_id: str,
        topic: str = "",
        payload: bytes | None = None,
    ) -> None:
        """Count a refusal and hand it on. `metric` is None where CloudWatch counts nothing."""
        if metric is not None:
            self._counts[metric] += 1
        self.latest = reason
        name = reason.value
        self._refusals[name] = self._refusals.get(name, 0) + 1
        if self._on_refused is not None:
            self._on_refused(name, detail, client_id, topic, payload)

    def metrics(self) -> dict[str, float]:
        """Every counter, e.g. `AWS/IoT PublishIn.Success`; those at zero too, so that zero is a statement."""
        self._settle()
        return {f"{NAMESPACE} {metric.value}": float(count) for metric, count in self._counts.items()}

    def value(self, metric: Metric) -> int:
        """One counter."""
        self._settle()
        return self._counts[metric]

    def _settle(self) -> None:
        self._counts[Metric.PUBLISH_IN_SUCCESS] = self.published_in
        self._counts[Metric.PUBLISH_OUT_SUCCESS] = self.published_out

    def refusals(self) -> dict[str, int]:
        """How often each `Reason` was given, in order of first appearance."""
        return dict(self._refusals)
