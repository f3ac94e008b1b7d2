"""Actions of rules that feed the stores of the verdict: Timestream, InfluxDB, Kinesis, Firehose."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.kinesis import Record, Stream
from buoyfleet.cloud.local.rule_compile import Topic
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rule_values import UNDEFINED
from buoyfleet.cloud.local.rules import (
    FirehoseAction,
    InfluxAction,
    KinesisAction,
    Payload,
    Rule,
    StoreAction,
    TimestreamAction,
)
from buoyfleet.cloud.local.timestream import Timestream
from buoyfleet.model.twin import TimeUnit
from sensors.catalog import KEYS

if TYPE_CHECKING:
    from buoyfleet.cloud.local.influx_stage import InfluxStage

Act = Callable[[int, int | None, Payload, Any, int], str]
"""(message, buoy, payload, result, time in ns) → why the action failed; empty: it did not."""
Reject = Callable[[int, str, str, int], None]
"""(message, reason, sentence, time in ns): the message goes no further on this way."""
PutRecord = Callable[[Record, int], None]

_KNOWN = frozenset(KEYS)
_TO_MS: dict[TimeUnit, tuple[int, int]] = {
    "s": (1000, 1),
    "ms": (1, 1),
    "us": (1, 1000),
    "ns": (1, 1_000_000),
}
"""Unit → factor and divisor to milliseconds."""
_REJECTED = "One or more records have been rejected. See RejectedRecords for details."
_THROTTLED = "Rate exceeded for shard: ProvisionedThroughputExceededException"

BEHIND: dict[type[Any], str] = {
    TimestreamAction: "timestream",
    InfluxAction: "influxdb",
    KinesisAction: "kinesis",
    FirehoseAction: "firehose",
}
"""Action → the stage that it feeds."""
NAMES: dict[type[Any], tuple[str, str]] = {
    TimestreamAction: ("TimestreamAction", "buoys"),
    InfluxAction: ("InfluxDBAction", "buoys"),
    KinesisAction: ("KinesisAction", "buoys"),
    FirehoseAction: ("FirehoseAction", "buoys"),
}
"""What failed, as an error action is told: the kind of action, and on what."""


class StoreActions:
    """Binds actions to what they feed."""

    def __init__(
        self,
        timestream: Timestream,
        stream: Stream,
        influxdb: "InfluxStage | None",
        put_delivery: PutRecord | None,
        reject: Reject,
        encode: Callable[[Any], str],
    ) -> None:
        self._timestream = timestream
        self._stream = stream
        self._influxdb = influxdb
        self._put_delivery = put_delivery
        self._reject = reject
        self._encode = encode
        self._sequence = 0

    def bind(self, rule: Rule, spec: StoreAction, topic: Topic) -> Act:
        """An action of a rule, for one topic.

        Raises:
            RuleError: a template is not rule SQL, or the twin does not have the store.
        """
        if isinstance(spec, TimestreamAction):
            return self._bind_timestream(rule, spec, topic)
        if isinstance(spec, InfluxAction):
            return self._bind_influx(rule, spec, topic)
        if isinstance(spec, KinesisAction):
            return self._bind_kinesis(rule, spec, topic)
        return self._bind_firehose(rule, spec)

    def _bind_timestream(self, rule: Rule, spec: TimestreamAction, topic: Topic) -> Act:
        dimension_of = rule.template(spec.dimension, topic)
        stamp_of = rule.template(spec.timestamp, topic) if spec.timestamp else None
        table = self._timestream
        write = table.write
        factor, divisor = _TO_MS[spec.timestamp_unit]

        def act(message: int, _buoy: int | None, payload: Payload, result: Any, at_ns: int) -> str:
            if type(result) is not dict:
                return self._no_object(message, rule, at_ns)
            dimension = dimension_of(payload, at_ns)
            if dimension is UNDEFINED:
                self._reject(message, "no-dimension", f"rule {rule.spec.name}: dimension is Undefined", at_ns)
                return "the dimension is Undefined"
            time_ms: Any = at_ns // 1_000_000 if stamp_of is None else stamp_of(payload, at_ns)
            if factor != divisor and type(time_ms) is int:
                time_ms = time_ms * factor // divisor
            before = table.refused_writes
            write(message, str(dimension), time_ms, result, at_ns)
            return "" if table.refused_writes == before else _REJECTED

        return act

    def _bind_influx(self, rule: Rule, spec: InfluxAction, topic: Topic) -> Act:
        tag_of = rule.template(spec.tag, topic)
        stage = self._influxdb
        if stage is None:
            raise RuleError("the rule feeds an InfluxDB, and there is none", rule.spec.sql)

        def act(message: int, buoy: int | None, payload: Payload, result: Any, at_ns: int) -> str:
            if type(result) is not dict:
                return self._no_object(message, rule, at_ns)
            tag = tag_of(payload, at_ns)
            if tag is UNDEFINED:
                self._reject(message, "no-dimension", f"rule {rule.spec.name}: the tag is Undefined", at_ns)
                return "the tag is Undefined"
            return stage.write(message, buoy, str(tag), result, at_ns)

        return act

    def _bind_kinesis(self, rule: Rule, spec: KinesisAction, topic: Topic) -> Act:
        key_of = rule.template(spec.partition_key, topic)
        stream, encode = self._stream, self._encode
        needs_key = stream.needs_key

        def act(message: int, buoy: int | None, payload: Payload, result: Any, at_ns: int) -> str:
            key: Any = key_of(payload, at_ns) if needs_key else ""
            if key is UNDEFINED:
                self._reject(message, "no-partition-key", f"rule {rule.spec.name}: key is Undefined", at_ns)
                return "the partition key is Undefined"
            try:
                # Undefined alone is an empty text (AWS IoT SQL reference, data types).
                data = b"" if result is UNDEFINED else encode(result).encode()
            except (ValueError, RecursionError) as error:  # a lone surrogate, or a number beyond JSON
                return self._no_json(message, rule, error, at_ns)
            before = stream.refused
            measures = len(_KNOWN.intersection(result)) if type(result) is dict else 0
            stream.put(Record(message, buoy, data, at_ns, measures, str(key)), at_ns)
            return "" if stream.refused == before else _THROTTLED

        return act

    def _bind_firehose(self, rule: Rule, spec: FirehoseAction) -> Act:
        put, encode = self._put_delivery, self._encode
        if put is None:
            raise RuleError("the rule feeds a delivery stream, and there is none", rule.spec.sql)
        separator = spec.separator.encode()

        def act(message: int, buoy: int | None, _payload: Payload, result: Any, at_ns: int) -> str:
            try:
                data = b"" if result is UNDEFINED else encode(result).encode()
            except (ValueError, RecursionError) as error:
                return self._no_json(message, rule, error, at_ns)
            measures = len(_KNOWN.intersection(result)) if type(result) is dict else 0
            self._sequence += 1
            put(Record(message, buoy, data + separator, at_ns, measures, sequence=self._sequence), at_ns)
            return ""

        return act

    def _no_object(self, message: int, rule: Rule, at_ns: int) -> str:
        self._reject(message, "not-an-object", f"rule {rule.spec.name}: its result is no JSON object", at_ns)
        return "the result is no JSON object"

    def _no_json(self, message: int, rule: Rule, error: Exception, at_ns: int) -> str:
        self._reject(message, "not-json", f"rule {rule.spec.name}: {str(error)[:120]}", at_ns)
        return f"the result is no JSON: {str(error)[:120]}"
