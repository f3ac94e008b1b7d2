"""The rules engine: accepted messages in, results out to Timestream and Kinesis.

Each topic is bound once to the rules that match it; then a message costs one JSON parse and a few closures.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.broker.account import split_ingest
from buoyfleet.cloud.local.error_actions import ErrorActions, Failed
from buoyfleet.cloud.local.faults import StageFaults
from buoyfleet.cloud.local.kinesis import Stream
from buoyfleet.cloud.local.rule_compile import Chance, Message, Topic
from buoyfleet.cloud.local.rule_json import make_decode, make_encode
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rules import OwnAction, Payload, Rule, RuleSpec
from buoyfleet.cloud.local.store_actions import BEHIND, NAMES, PutRecord, StoreActions
from buoyfleet.cloud.local.timestream import Timestream
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.stage_count import StageCount
from buoyfleet.model.twin import ErrorAction

if TYPE_CHECKING:
    from buoyfleet.cloud.local.influx_stage import InfluxStage
    from buoyfleet.cloud.local.own_rules import Beside

STAGE = "rules"
MAX_PROBLEMS = 20
MAX_TOPICS = 100_000
"""Topics kept bound: topics come from outside and must not fill the memory."""
_Carry = Callable[[int, int | None, Payload, int], None]
"""(message, buoy, payload, time in ns): one rule's share of a message."""


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
        put_delivery: PutRecord | None = None,
        principal: Callable[[str], str] | None = None,
    ) -> None:
        chance = Chance(seed)
        self._message = Message(
            shadow=shadow,
            functions=None if errors is None else errors.functions,
            principal=principal,
        )
        self._rules = [Rule(spec, chance, self._message) for spec in specs]
        self._counts = [RuleCount() for _ in specs]
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._faults = faults
        self._charge = charge
        self._errors = errors
        self._throttled = 0
        self._bound: dict[str, list[_Carry]] = {}
        self._decode = make_decode()
        self._encode = make_encode()
        self._stores = StoreActions(timestream, stream, influxdb, put_delivery, self._reject, self._encode)
        self.count = StageCount(STAGE, "messages")
        self._parse_errors = 0
        self._not_found = 0
        self._board_errors = 0
        self._problems: dict[str, None] = {}
        """Why actions of the user's own rules failed, each once."""

    def run(
        self,
        message: int,
        buoy: int | None,
        topic: str,
        payload: bytes,
        at_ns: int,
        client_id: str = "",
        properties: bytes | None = None,
    ) -> None:
        """One message that the broker accepted; rehearsed faults act first."""
        self._message.client_id = client_id
        self._message.properties = properties
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
        stores = any(rule.spec.store_actions for rule, _count in chosen)
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

    def _carry(self, rule: Rule, count: RuleCount, topic: Topic) -> _Carry:
        select = rule.bind(topic)
        name, now, errors = rule.spec.name, self._message, self._errors
        stores = [(NAMES[type(one)], self._stores.bind(rule, one, topic)) for one in rule.spec.store_actions]
        behind = [BEHIND[type(one)] for one in rule.spec.store_actions]
        beside = [self._beside(rule, one, topic) for one in rule.spec.actions if isinstance(one, OwnAction)]
        left_out = rule.left_out
        on_error = self._on_error(rule, topic)

        def carry(message: int, buoy: int | None, payload: Payload, at_ns: int) -> None:
            count.matched += 1
            result = select(payload, at_ns)
            if result is None:
                if behind:
                    count.filtered += 1
                    self._trace.rejected(
                        STAGE, message, None, "where", f"rule {name}: WHERE is not true", at_ns
                    )
                return
            if left_out:
                # Noted where it is missed first: a message's other measures go on from here.
                for key in left_out.intersection(payload):
                    words = f"rule {name}: its SELECT leaves {key} out"
                    for stage in behind:
                        self._trace.rejected(stage, message, key, "not-selected", words, at_ns)
            failures: list[tuple[str, str, str]] = []
            for what, store in stores:
                problem = store(message, buoy, payload, result, at_ns)
                if problem:
                    failures.append((*what, problem))
            # One that fails does not keep the others from running.
            for kind, what, act in beside:
                problem = act(payload, result, at_ns)
                if problem:
                    failures.append((*what, problem))
                    self._note(f"rule {name}: {kind}: {problem}")
            if not failures:
                count.succeeded += 1
                return
            count.failed += 1
            if on_error is None or errors is None:
                return
            problem = on_error(Failed(name, topic.name, now.client_id, now.raw, tuple(failures)), at_ns)
            count.error_succeeded += not problem
            count.error_failed += bool(problem)
            if problem:
                self._note(f"rule {name}: error action: {problem}")

        return carry

    def _beside(self, rule: Rule, action: OwnAction, topic: Topic) -> "tuple[str, tuple[str, str], Beside]":
        """(kind, what it is called in an error document, what does it) of an action beside the stores."""
        from buoyfleet.cloud.local.own_rules import bind_action, resource_of

        if self._errors is None:
            raise RuleError("the rule has nowhere to keep its records", rule.spec.sql)
        name = f"{action.kind[0].upper()}{action.kind[1:]}Action"
        act = bind_action(rule, action, topic, self._errors, self._encode)
        return action.kind, (name, resource_of(action)), act

    def _on_error(self, rule: Rule, topic: Topic) -> Callable[[Failed, int], str] | None:
        """The rule's error action; it gives why it failed itself, empty where it did not."""
        action, errors = rule.spec.error_action, self._errors
        if action is None or errors is None:
            return None
        if isinstance(action, ErrorAction):
            return lambda failed, _at_ns: "" if errors.run(action, failed) else "not taken"
        _kind, _what, act = self._beside(rule, action, topic)

        def run(failed: Failed, at_ns: int) -> str:
            # The templates of an error action see the document of the error (guide, "Error handling").
            document = json.loads(failed.document())
            return act(document, document, at_ns)

        return run

    def _note(self, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems[problem] = None

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
        if self._errors is not None:
            notes += self._errors.functions.problems
        return StageCount(
            STAGE,
            "messages",
            self.count.entered,
            self.count.left,
            rejected,
            metrics=metrics,
            notes=notes,
        )
