"""IoT Core's rules for MQTT as settings, with AWS's values as defaults.

Where not said otherwise a value is from the AWS General Reference, "AWS IoT Core endpoints and quotas", table
"AWS IoT Core message broker and protocol limits and quotas", and behaviour from the AWS IoT Core developer
guide, "MQTT", section "AWS IoT differences from MQTT specifications".
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

from buoyfleet.model.twin import LimitSetting

CONNECTS_PER_S: Final = 500
"""CONNECT requests per second and account; adjustable, and 100 in some regions."""
CONNECTS_PER_CLIENT_ID_PER_S: Final = 1
"""CONNECT requests per second from one client id."""
ACCOUNT_PUBLISHES_IN_PER_S: Final = 20_000
"""Inbound publish requests per second and account; 2 000 in some regions."""
ACCOUNT_PUBLISHES_OUT_PER_S: Final = 20_000
"""Outbound publish requests per second and account; each subscriber and each matching rule counts one."""
PUBLISHES_PER_S: Final = 100
"""Publish requests per second and connection, inbound and outbound each; the excess is discarded."""
BYTES_PER_S: Final = 512 * 1024
"""Throughput per connection, each way; the excess is delayed."""
IN_FLIGHT: Final = 100
"""Unacknowledged QoS 1 publish requests per client, inbound and outbound each."""
DELIVERY_RETRY_S: Final = 3600.0
"""How long an unacknowledged QoS 1 message is tried before it is dropped."""
PAYLOAD_BYTES: Final = 128 * 1024
"""Largest payload of a publish request."""
TOPIC_BYTES: Final = 256
"""Longest topic or filter, in UTF-8 bytes."""
TOPIC_SLASHES: Final = 7
"""Most forward slashes in a topic or filter."""
CLIENT_ID_BYTES: Final = 128
"""Longest client id, in UTF-8 bytes."""
SUBSCRIPTIONS: Final = 50
"""Subscriptions per connection. AWS: the excess may be rejected and the connection closed."""
FILTERS_PER_SUBSCRIBE: Final = 8
"""Topic filters in one SUBSCRIBE."""
KEEP_ALIVE_MIN_S: Final = 30
"""Shorter keep-alives count as this."""
KEEP_ALIVE_MAX_S: Final = 1200
"""Longer keep-alives, and 0, count as this."""
KEEP_ALIVE_FACTOR: Final = 1.5
"""A client silent for this many keep-alives is dropped (MQTT 3.1.1, section 3.1.2.10)."""
SESSION_S: Final = 3600.0
"""Life of a persistent session after its client has gone; adjustable."""
REPLAY_PER_S: Final = 10
"""Stored messages sent per second to a client that is back (developer guide, "MQTT persistent sessions")."""
QUEUED_PER_S: Final = 500
"""Messages stored per second and account for clients that are absent; the excess is dropped."""
RETAINED_MESSAGES: Final = 500_000
"""Retained messages of an account; adjustable. At the limit a new one is throttled (developer guide, "MQTT
retained messages"). The figure is not in the copies at hand."""

# The twin's own bounds: IoT Core publishes none; without them a hostile or dead peer holds memory for good.
CONNECT_TIMEOUT_S: Final = 10.0
"""From an accepted TCP connection to a whole CONNECT, the TLS handshake included."""
QUEUE_BYTES: Final = 16 * 1024 * 1024
"""Messages waiting in one session."""
DISCONNECT_REASON_S: Final = 1800.0
"""How long the reason of a disconnection can be asked for (`iot-data get_connection`: 30 minutes)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the broker allows. A rate of None is lifted. Defaults are IoT Core's."""

    connects_per_s: int | None = CONNECTS_PER_S
    connects_per_client_id_per_s: int | None = CONNECTS_PER_CLIENT_ID_PER_S
    account_publishes_in_per_s: int | None = ACCOUNT_PUBLISHES_IN_PER_S
    account_publishes_out_per_s: int | None = ACCOUNT_PUBLISHES_OUT_PER_S
    publishes_in_per_s: int | None = PUBLISHES_PER_S
    publishes_out_per_s: int | None = PUBLISHES_PER_S
    bytes_in_per_s: int | None = BYTES_PER_S
    bytes_out_per_s: int | None = BYTES_PER_S
    replay_per_s: int | None = REPLAY_PER_S
    queued_per_s: int | None = QUEUED_PER_S
    in_flight_in: int = IN_FLIGHT
    """QoS 1 messages received and not yet answered: those that the throughput limit holds back."""
    in_flight_out: int = IN_FLIGHT
    delivery_retry_s: float = DELIVERY_RETRY_S
    payload_bytes: int = PAYLOAD_BYTES
    topic_bytes: int = TOPIC_BYTES
    topic_slashes: int = TOPIC_SLASHES
    client_id_bytes: int = CLIENT_ID_BYTES
    subscriptions: int = SUBSCRIPTIONS
    filters_per_subscribe: int = FILTERS_PER_SUBSCRIBE
    keep_alive_min_s: int = KEEP_ALIVE_MIN_S
    keep_alive_max_s: int = KEEP_ALIVE_MAX_S
    keep_alive_factor: float = KEEP_ALIVE_FACTOR
    session_s: float = SESSION_S
    retained_messages: int = RETAINED_MESSAGES
    qos2_silent: bool = True
    """QoS 2 is neither taken nor answered; False: it drops the connection, so that the mistake shows."""
    reserved_topics: bool = True
    """Topics and client ids that begin with `$` are AWS's own; others than AWS has drop the connection."""
    retained_to_wildcards: bool = False
    """Whether a subscription with a wildcard gets retained messages."""
    hash_matches_parent: bool = False
    """Whether `a/#` matches `a`, as MQTT says (section 4.7.1.2)."""
    will_delay: bool = False
    """Whether a will waits for its Will Delay Interval. IoT Core does not list this property."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    queue_bytes: int = QUEUE_BYTES
    disconnect_reason_s: float = DISCONNECT_REASON_S

    def __post_init__(self) -> None:
        """Refuse what would stop every message.

        Raises:
            ValueError: a limit below 1, or keep-alive bounds the wrong way round.
        """
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"limit {name} is {value}; at least 1 (rates: None lifts them)")
        if self.keep_alive_min_s > self.keep_alive_max_s:
            raise ValueError(f"keep-alive from {self.keep_alive_min_s} to {self.keep_alive_max_s} s")

    @classmethod
    def aws(cls) -> "Limits":
        """IoT Core's limits, all of them."""
        return cls()

    @classmethod
    def lifted(cls) -> "Limits":
        """IoT Core's limits without the rates: for unpaced runs, whose subject is not the account's quota."""
        return cls().with_settings(LimitSetting(name, None) for name in RATES)

    def with_settings(self, settings: Iterable[LimitSetting]) -> "Limits":
        """These limits with some of them set.

        Raises:
            ValueError: a name that is none of these, a value of the wrong type or below 1, or None for what
                is no rate.
        """
        known = {field.name: field.default for field in fields(self)}
        changes: dict[str, bool | float | None] = {}
        for setting in settings:
            if setting.name not in known:
                raise ValueError(f"there is no limit {setting.name!r}")
            usual, value = known[setting.name], setting.value
            if value is None and setting.name not in RATES:
                raise ValueError(f"limit {setting.name} cannot be lifted, only set")
            if value is not None and isinstance(value, bool) != isinstance(usual, bool):
                raise ValueError(f"limit {setting.name} is {value!r}; it must be like {usual!r}")
            if isinstance(usual, int) and isinstance(value, float) and not isinstance(usual, bool):
                if not value.is_integer():
                    raise ValueError(f"limit {setting.name} is {value!r}, not a whole number")
                value = int(value)
            changes[setting.name] = value
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def changes_in_words(self) -> list[str]:
        """What differs from IoT Core, a phrase a limit: "bytes in per second …: lifted (IoT Core: …)"."""
        phrases = []
        for field in fields(self):
            value, aws_value = getattr(self, field.name), field.default
            if value != aws_value:
                words = _WORDS.get(field.name, field.name.replace("_", " "))
                phrases.append(f"{words}: {_shown(value)} (IoT Core: {_shown(aws_value)})")
        return phrases

    def lifted_in_words(self) -> list[str]:
        """The rates that are lifted, one phrase each."""
        return [phrase for phrase in self.changes_in_words() if ": lifted (" in phrase]


RATES: Final = frozenset(
    {
        "connects_per_s",
        "connects_per_client_id_per_s",
        "account_publishes_in_per_s",
        "account_publishes_out_per_s",
        "publishes_in_per_s",
        "publishes_out_per_s",
        "bytes_in_per_s",
        "bytes_out_per_s",
        "replay_per_s",
        "queued_per_s",
    }
)
"""Limits that can be lifted, because a run may be about something else than the account's quotas."""
_WORDS: Final = {
    "connects_per_s": "connects per second and account",
    "connects_per_client_id_per_s": "connects per second and client id",
    "account_publishes_in_per_s": "publishes in per second and account",
    "account_publishes_out_per_s": "publishes out per second and account",
    "publishes_in_per_s": "publishes in per second and connection",
    "publishes_out_per_s": "publishes out per second and connection",
    "bytes_in_per_s": "bytes in per second and connection",
    "bytes_out_per_s": "bytes out per second and connection",
    "replay_per_s": "stored messages replayed per second",
    "queued_per_s": "messages stored per second and account",
    "in_flight_in": "unanswered messages from a client",
    "in_flight_out": "unacknowledged messages to a client",
    "delivery_retry_s": "seconds that a delivery is tried",
    "payload_bytes": "bytes of a payload",
    "topic_bytes": "bytes of a topic",
    "topic_slashes": "slashes of a topic",
    "client_id_bytes": "bytes of a client id",
    "subscriptions": "subscriptions of a connection",
    "filters_per_subscribe": "filters of a SUBSCRIBE",
    "keep_alive_min_s": "seconds of the shortest keep-alive",
    "keep_alive_max_s": "seconds of the longest keep-alive",
    "keep_alive_factor": "keep-alives until a silent client is dropped",
    "session_s": "seconds that an absent client's session lives",
    "retained_messages": "retained messages",
    "connect_timeout_s": "seconds until a CONNECT must have come",
    "queue_bytes": "bytes that wait in a session",
    "disconnect_reason_s": "seconds that the reason of a disconnection is kept",
}


def _shown(value: object) -> str:
    if value is None:
        return "lifted"
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}"


_NUMBERS: Final = tuple(
    field.name
    for field in fields(Limits)
    if not isinstance(field.default, bool) and field.name != "topic_slashes"
)


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """What one shard of a Kinesis stream takes (Kinesis Data Streams quotas); None: lifted."""

    shard_records_per_s: float | None = 1000.0
    shard_bytes_per_s: float | None = float(1 << 20)

    def with_settings(self, settings: Iterable[LimitSetting]) -> "ShardLimits":
        """These limits with some of them set.

        Raises:
            ValueError: a name that is none of these, or a value that is not above 0.
        """
        changes: dict[str, float | None] = {}
        for setting in settings:
            if setting.name not in SHARD_LIMITS:
                raise ValueError(f"there is no limit {setting.name!r}")
            if setting.value is not None and not setting.value > 0:
                raise ValueError(f"limit {setting.name} is {setting.value!r}; it must be above 0")
            changes[setting.name] = None if setting.value is None else float(setting.value)
        return dataclasses.replace(self, **changes)

    def changes_in_words(self) -> list[str]:
        """As `Limits.changes_in_words`, of the shard."""
        words = {
            "shard_records_per_s": "records per second and shard",
            "shard_bytes_per_s": "bytes per second and shard",
        }
        phrases = []
        for one in fields(self):
            value, usual = getattr(self, one.name), one.default
            if value != usual:
                shown = "lifted" if value is None else f"{value:g}"
                phrases.append(f"{words[one.name]}: {shown} (Kinesis: {usual:.0f})")
        return phrases


SHARD_LIMITS: Final = frozenset(one.name for one in fields(ShardLimits))


@dataclass(frozen=True, slots=True)
class TwinLimits:
    """Every limit that a twin holds a run to."""

    broker: Limits
    shard: ShardLimits

    @classmethod
    def of(cls, lifted: bool, settings: Iterable[LimitSetting]) -> "TwinLimits":
        """AWS's limits, their rates lifted if asked for, and then what is set one by one.

        Raises:
            ValueError: as `Limits.with_settings`.
        """
        chosen = tuple(settings)
        broker = Limits.lifted() if lifted else Limits.aws()
        shard = ShardLimits(None, None) if lifted else ShardLimits()
        return cls(
            broker.with_settings(one for one in chosen if one.name not in SHARD_LIMITS),
            shard.with_settings(one for one in chosen if one.name in SHARD_LIMITS),
        )

    def changes_in_words(self) -> tuple[str, ...]:
        """What differs from AWS, a phrase each: "…: lifted (IoT Core: 100)"."""
        return (*self.broker.changes_in_words(), *self.shard.changes_in_words())
