"""The `limits` key of a twin: every limit of IoT Core's broker and of a Kinesis shard, by name."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any

from buoyfleet.inventory.fields import Field, Number, Schema, Switch, Whole
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import Quantity, duration_field
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.values import RATE_UNITS, decimal_text, duration_text, parse_rate
from buoyfleet.inventory.yaml_nodes import Node, Scalar
from buoyfleet.model.limits import Limits, ShardLimits
from buoyfleet.model.twin import LimitSetting

LIFTED = "lifted"


class _Rate(Quantity):
    """A rate per second, or the word that lifts it."""

    def __init__(self, highest: str, *, whole: bool) -> None:
        convert: Callable[[Any], float | int] = int if whole else float
        bounds = ("1/s" if whole else "1/min", highest)
        unit = "events per second" if whole else ""
        super().__init__(parse_rate, RATE_UNITS, bounds, "a rate such as `100/s`", convert, unit)
        self.expected = f"`{LIFTED}` or {self.expected}"

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        if isinstance(node, Scalar) and node.value == LIFTED:
            return LIFTED
        return super().read(node, path, report)

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "string", "enum": [LIFTED]}, super().schema()]}


def _rate_text(value: float) -> str:
    return f"{decimal_text(value)}/s"


@dataclass(frozen=True, slots=True)
class _Limit:
    """One key: which limit it sets, what it can be, and how its value is written."""

    key: str
    name: str
    kind: Field
    about: str
    text: Callable[[Any], Any]


def _plain(value: Any) -> Any:
    return value


def _counted(name: str, about: str, low: int = 1, high: int = 268_435_455) -> _Limit:
    return _Limit(name, name, Whole(low, high), about, _plain)


def _timed(key: str, about: str, high: str = "30 d", *, whole: bool = False) -> _Limit:
    low = "1 s"
    return _Limit(key, f"{key}_s", duration_field(low, high, whole_s=whole), about, duration_text)


def _switched(name: str, about: str) -> _Limit:
    return _Limit(name, name, Switch(), about, _plain)


def _rated(key: str, about: str, *, whole: bool = True, highest: str = "1000000000/s") -> _Limit:
    return _Limit(key, f"{key}_per_s", _Rate(highest, whole=whole), about, _rate_text)


# MQTT's own bound of a packet is 256 MB; a topic has at most 65 535 bytes.
LIMITS: tuple[_Limit, ...] = (
    _rated("connects", "CONNECTs of the account."),
    _rated("connects_per_client_id", "CONNECTs of one client id."),
    _rated("account_publishes_in", "Publishes of the account, inbound."),
    _rated("account_publishes_out", "Publishes of the account, outbound; rule matches count."),
    _rated("publishes_in", "Publishes of one connection, inbound; the excess is discarded."),
    _rated("publishes_out", "Publishes of one connection, outbound; the excess is discarded."),
    _rated("bytes_in", "Bytes of one connection, inbound; the excess is delayed."),
    _rated("bytes_out", "Bytes of one connection, outbound; the excess is delayed."),
    _rated("replay", "Stored messages sent to a client that is back."),
    _rated("queued", "Messages stored for absent clients, per account; the excess is dropped."),
    _counted("in_flight_in", "QoS 1 messages received and not yet answered, per client."),
    _counted("in_flight_out", "QoS 1 messages sent and not yet acknowledged, per client.", high=65_535),
    _timed("delivery_retry", "How long an unacknowledged delivery is tried."),
    _counted("payload_bytes", "Largest payload."),
    _counted("topic_bytes", "Longest topic.", high=65_535),
    _counted("topic_slashes", "Most slashes in a topic.", low=0, high=65_535),
    _counted("client_id_bytes", "Longest client id.", high=65_535),
    _counted("subscriptions", "Subscriptions of one connection.", high=1_000_000),
    _counted("filters_per_subscribe", "Topic filters in one SUBSCRIBE.", high=1_000_000),
    _timed("keep_alive_min", "Shorter keep-alives count as this.", "65535 s", whole=True),
    _timed("keep_alive_max", "Longer keep-alives, and 0, count as this.", "65535 s", whole=True),
    _Limit(
        "keep_alive_factor",
        "keep_alive_factor",
        Number(1, 100, "a number from 1 to 100"),
        "A client that is silent for so many keep-alives is dropped.",
        _plain,
    ),
    _timed("session", "Life of a persistent session after its client has gone."),
    _counted("retained_messages", "Retained messages of the account."),
    _switched("qos2_silent", "QoS 2 is neither taken nor answered; `false`: it costs the connection."),
    _switched("reserved_topics", "Topics that begin with `$` are AWS's own; `false`: they are like others."),
    _switched("retained_to_wildcards", "Subscriptions with a wildcard get retained messages."),
    _switched("hash_matches_parent", "`a/#` matches `a`, as MQTT says."),
    _switched("will_delay", "A will waits for MQTT 5's Will Delay Interval."),
    _timed("connect_timeout", "From a TCP connection to a whole CONNECT."),
    _counted("queue_bytes", "Messages waiting in one session."),
    _timed("disconnect_reason", "How long the reason of a disconnection can be asked for."),
    _rated("shard_records", "Records a Kinesis shard takes.", whole=False),
    _rated("shard_bytes", "Bytes a Kinesis shard takes.", whole=False),
)
USUAL = {one.name: one.default for of in (Limits, ShardLimits) for one in fields(of)}


def _key(limit: _Limit) -> tuple[str, Any, Any]:
    usual = limit.text(USUAL[limit.name])
    shown = f"`{str(usual).lower() if isinstance(usual, bool) else usual}`"
    return limit.key, Any, field(**_arguments(entry(limit.kind, limit.about, shown=shown)))


def _arguments(made: Any) -> dict[str, Any]:
    return {"default": made.default, "metadata": made.metadata}


LimitsSection: type[Section] = make_dataclass(
    "LimitsSection",
    [_key(limit) for limit in LIMITS],
    bases=(Section,),
    namespace={"OF": " of `limits`", "__doc__": "Limits of the twin; what is set here holds in every mode."},
)


def limit_settings(section: Section | None) -> tuple[LimitSetting, ...]:
    """What a section sets."""
    if section is None:
        return ()
    settings = []
    for limit in LIMITS:
        value = getattr(section, limit.key)
        if value is not None:
            settings.append(LimitSetting(limit.name, None if value == LIFTED else value))
    return tuple(settings)


def limits_document(settings: tuple[LimitSetting, ...]) -> dict[str, Any]:
    """The mapping that gives these settings when read."""
    by_name = {limit.name: limit for limit in LIMITS}
    document = {}
    for setting in settings:
        limit = by_name[setting.name]
        document[limit.key] = LIFTED if setting.value is None else limit.text(setting.value)
    return document


# Every limit has its key, else a limit could not be set from a fleet file.
assert {limit.name for limit in LIMITS} == set(USUAL)
