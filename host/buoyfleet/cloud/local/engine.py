"""The rules engine: accepted messages in, results out to Timestream and Kinesis.

Each topic is bound once to the rules that match it; then a message costs one JSON parse and a few closures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.broker.account import split_ingest
from buoyfleet.cloud.local.error_actions import ErrorActions, Failed
from buoyfleet.cloud.local.faults import StageFaults
from buoyfleet.cloud.local.kinesis import Record, Stream
from buoyfleet.cloud.local.rule_compile import Chance, Message, Topic
from buoyfleet.cloud.local.rule_json import make_decode, make_encode
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rule_values import UNDEFINED
from buoyfleet.cloud.local.rules import (
    InfluxAction,
    KinesisAction,
    OwnActions,
    Payload,
    Rule,
    RuleSpec,
    TimestreamAction,
)
from buoyfleet.cloud.local.timestream import Timestream
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.stage_count import StageCount
from buoyfleet.model.twin import TimeUnit
from sensors.catalog import KEYS

if TYPE_CHECKING:
    from buoyfleet.cloud.local.influx_stage import InfluxStage

STAGE = "rules"
MAX_PROBLEMS = 20
MAX_TOPICS = 100_000
"""Topics kept bound: topics come from outside and must not fill the memory."""
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

_Carry = Callable[[int, int | None, Payload, int], None]
"""(message, buoy, payload, time in ns): one rule's share of a message."""


_Act = Callable[[int, int | None, Payload, Any, int], str]
"""(message, buoy, payload, result, time in ns) → why the action failed; empty: it did not."""


@dataclass(slots=True)
class RuleCount:
    """What one rule did."""

    matched: int = 0
    filtered: int = 0
    """WHERE was not true."""
    succeeded: int = 0
    failed: int = 0
    error_succeeded: int = 0
    error_failed: int = 0


ERROR_TOPIC = "/error/"
"""End of the topic on which a board reports errors."""


class RulesEngine:
    """Runs all rules on every message.

    Raises:
        RuleError: a rule is not allowed.
    """

    def __init__(
        self,
        specs: tuple[RuleSpec, ...],
        trace: Trace,
        timestream: Timestream,
        stream: Stream,
        faults: StageFaults | None = None,
        seed: int = 1,
        charge: Callable[[int], bool] | None = None,
        errors: ErrorActions | None = None,
        influxdb: "InfluxStage | None" = None,
        shadow: Callable[..., Any] | None = None,
    ) -> None:
        chance = Chance(seed)
        self._message = Message(shadow=shadow)
        self._rules = [Rule(spec, chance, self._message) for spec in specs]
        self._counts = [RuleCount() for _ in specs]
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._timestream = timestream
        self._stream = stream
        self._faults = faults
        self._charge = charge
        self._errors = errors
        self._influxdb = influxdb
        self._throttled = 0
        self._bound: dict[str, list[_Carry]] = {}
        self._decode = make_decode()
        self._encode = make_encode()
        self.count = StageCount(STAGE, "messages")
        self._parse_errors = 0
        self._not_found = 0
        self._board_errors = 0
        self._problems: dict[str, None] = {}
        """Why actions of the user's own rules failed, each once."""

    def run(
        self, message: int, buoy: int | None, topic: str, payload: bytes, at_ns: int, client_id: str = ""
    ) -> None:
        """One message that the broker accepted; rehearsed faults act first."""
        self._message.client_id = client_id
        self._message.raw = payload
        if self._faults is not None:
            parts = self._faults.data(buoy, payload)
            if parts is not None:
                for data, delay_ns in parts:
                    self._run(message, buoy, topic, data, at_ns + delay_ns)
                return
        self._run(message, buoy, topic, payload, at_ns)

    def _run(self, message: int, buoy: int | None, topic: str, payload: bytes, at_ns: int) -> None:
        self._entries.numbers.append(message)
        self._entries.times.append(at_ns)
        self.count.entered += 1
        carries = self._bound.get(topic)
        if carries is None:
            carries = self._bind(topic)
        if not carries and split_ingest(topic)[0]:
            self._not_found += 1
            words = f"Basic Ingest names the rule {split_ingest(topic)[0]}, and there is none ({topic})"
            self._reject(message, "rule-not-found", words, at_ns)
            return
        if not carries and topic.endswith(ERROR_TOPIC):
            # What boards say of their own trouble; the pipeline's rules do not take it.
            self._board_errors += 1
            return
        if not carries:
            filters = ", ".join(sorted({rule.statement.topic_filter for rule in self._rules}))
            self._reject(
                message, "no-rule-matched", f"topic {topic} matches no rule's FROM ({filters})", at_ns
            )
            return
        if self._charge is not None and not self._charge(len(carries)):
            self._throttled += 1
            detail = f"{len(carries)} rule matches count as publishes of the account, and its rate is used up"
            self._reject(message, "rule-throttled", detail, at_ns)
            return
        try:
            values = self._decode(payload.decode())
            if b"\\ud" in payload or b"\\uD" in payload:
                # Half of a surrogate pair is JSON but no Unicode: no store could keep it.
                self._encode(values).encode()
        except (ValueError, RecursionError) as error:
            self._parse_errors += 1
            reason = f"payload of {len(payload)} bytes is no JSON: {str(error)[:120]}"
            self._reject(message, "malformed-payload", reason, at_ns)
            return
        if type(values) is not dict:
            self._parse_errors += 1
            kind = type(values).__name__
            self._reject(message, "malformed-payload", f"payload is a JSON {kind}, not an object", at_ns)
            return
        self.count.left += 1
        for carry in carries:
            carry(message, buoy, values, at_ns)

    def wants(self, topic: str) -> bool:
        """Whether a rule selects from the topic."""
        return any(rule.matches(topic) for rule in self._rules)

    def _bind(self, topic: str) -> list[_Carry]:
        if len(self._bound) >= MAX_TOPICS:
            self._bound.clear()
        parsed = Topic.of(split_ingest(topic)[1])
        chosen = [one for one in zip(self._rules, self._counts, strict=True) if one[0].matches(topic)]
        carries = [self._carry(rule, count, parsed) for rule, count in chosen]
        stores = any(type(rule.spec.action) in _BEHIND for rule, _count in chosen)
        if carries and not stores and not topic.endswith(ERROR_TOPIC):
            carries.insert(0, self._unmatched(topic))
        self._bound[topic] = carries
        return carries

    def _unmatched(self, topic: str) -> _Carry:
        """A buoy's message that no rule of a store takes is lost, whatever else takes it."""

        def carry(message: int, buoy: int | None, _payload: Payload, at_ns: int) -> None:
            if buoy is not None:
                words = f"topic {topic} matches no FROM of a rule that feeds a store"
                self._reject(message, "no-rule-matched", words, at_ns)

        return carry

    def _own(self, rule: Rule, spec: OwnActions, count: RuleCount, topic: Topic) -> _Carry:
        """A rule beside the stores: no measure is lost by it."""
        from buoyfleet.cloud.local.own_rules import bind_actions

        if self._errors is None:
            raise RuleError("the rule has nowhere to keep its records", rule.spec.sql)
        select = rule.bind(topic)
        act = bind_actions(rule, spec, topic, self._errors, self._encode)
        name, now = rule.spec.name, self._message

        def carry(_message: int, _buoy: int | None, payload: Payload, at_ns: int) -> None:
            count.matched += 1
            result = select(payload, at_ns)
            if result is None:
                return
            problem = act(
                payload, result, at_ns, Failed(name, topic.name, now.client_id, now.raw, "", "", "")
            )
            count.failed += bool(problem)
            count.succeeded += not problem
            if problem and len(self._problems) < MAX_PROBLEMS:
                self._problems[f"rule {name}: {problem}"] = None

        return carry

    def _carry(self, rule: Rule, count: RuleCount, topic: Topic) -> _Carry:
        if isinstance(rule.spec.action, OwnActions):
            return self._own(rule, rule.spec.action, count, topic)
        select = rule.bind(topic)
        name = rule.spec.name
        action = self._action(rule, topic)
        left_out = rule.left_out
        behind = _BEHIND[type(rule.spec.action)]
        error_action = rule.spec.error_action
        what = _NAMES[type(rule.spec.action)]

        def carry(message: int, buoy: int | None, payload: Payload, at_ns: int) -> None:
            count.matched += 1
            result = select(payload, at_ns)
            if result is None:
                count.filtered += 1
                self._trace.rejected(STAGE, message, None, "where", f"rule {name}: WHERE is not true", at_ns)
                return
            if left_out:
                # Noted where it is missed first: a message's other measures go on from here.
                for key in left_out.intersection(payload):
                    words = f"rule {name}: its SELECT leaves {key} out"
                    self._trace.rejected(behind, message, key, "not-selected", words, at_ns)
            problem = action(message, buoy, payload, result, at_ns)
            if not problem:
                count.succeeded += 1
                return
            count.failed += 1
            if error_action is not None and self._errors is not None:
                now = self._message
                failed = Failed(name, topic.name, now.client_id, now.raw, *what, problem)
                if self._errors.run(error_action, failed):
                    count.error_succeeded += 1
                else:
                    count.error_failed += 1

        return carry

    def _action(self, rule: Rule, topic: Topic) -> _Act:
        spec = rule.spec.action
        if isinstance(spec, TimestreamAction):
            return self._timestream_action(rule, spec, topic)
        if isinstance(spec, InfluxAction):
            return self._influx_action(rule, spec, topic)
        if isinstance(spec, KinesisAction):
            return self._kinesis_action(rule, spec, topic)
        raise RuleError("the rule feeds no store", rule.spec.sql)

    def _timestream_action(self, rule: Rule, spec: TimestreamAction, topic: Topic) -> _Act:
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

    def _influx_action(self, rule: Rule, spec: InfluxAction, topic: Topic) -> _Act:
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

    def _kinesis_action(self, rule: Rule, spec: KinesisAction, topic: Topic) -> _Act:
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
                self._reject(message, "not-json", f"rule {rule.spec.name}: {str(error)[:120]}", at_ns)
                return f"the result is no JSON: {str(error)[:120]}"
            before = stream.refused
            measures = len(_KNOWN.intersection(result)) if type(result) is dict else 0
            stream.put(Record(message, buoy, data, at_ns, measures, str(key)), at_ns)
            return "" if stream.refused == before else _THROTTLED

        return act

    def _no_object(self, message: int, rule: Rule, at_ns: int) -> str:
        self._reject(message, "not-an-object", f"rule {rule.spec.name}: its result is no JSON object", at_ns)
        return "the result is no JSON object"

    def _reject(self, message: int, reason: str, detail: str, at_ns: int) -> None:
        self.count.rejected[reason] = self.count.rejected.get(reason, 0) + 1
        self._trace.rejected(STAGE, message, None, reason, detail, at_ns)

    def stage_count(self) -> StageCount:
        """Counters so far, a copy."""
        metrics: dict[str, float] = {
            "AWS/IoT TopicMatch": sum(count.matched for count in self._counts),
            "AWS/IoT ParseError": self._parse_errors,
            "AWS/IoT RuleMessageThrottled": self._throttled,
            "AWS/IoT RuleNotFound": self._not_found,
        }
        rejected = dict(self.count.rejected)
        for rule, count in zip(self._rules, self._counts, strict=True):
            label = f"{{RuleName={rule.spec.name}}}"
            metrics[f"AWS/IoT TopicMatch {label}"] = count.matched
            metrics[f"AWS/IoT Success {label}"] = count.succeeded
            metrics[f"AWS/IoT Failure {label}"] = count.failed
            if rule.spec.error_action is not None:
                metrics[f"AWS/IoT ErrorActionSuccess {label}"] = count.error_succeeded
                metrics[f"AWS/IoT ErrorActionFailure {label}"] = count.error_failed
            if count.filtered:
                rejected[f"where {rule.spec.name}"] = count.filtered
        notes = [f"{self._board_errors} messages on error topics, which no rule takes"]
        notes = [*(notes if self._board_errors else []), *self._problems]
        return StageCount(
            STAGE,
            "messages",
            self.count.entered,
            self.count.left,
            rejected,
            metrics=metrics,
            notes=notes,
        )


_BEHIND: dict[type[Any], str] = {
    TimestreamAction: "timestream",
    InfluxAction: "influxdb",
    KinesisAction: "kinesis",
}
"""Action → the stage that it feeds."""
_NAMES: dict[type[Any], tuple[str, str]] = {
    TimestreamAction: ("TimestreamAction", "buoys"),
    InfluxAction: ("InfluxDBAction", "buoys"),
    KinesisAction: ("KinesisAction", "buoys"),
}
"""What failed, as an error action is told: the kind of action, and on what."""
