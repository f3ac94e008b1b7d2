"""Rules: SQL compiled to closures that are cheap per message, and the substitution templates of actions.

A rule is bound to a topic once (`Rule.bind`): everything that depends on the topic alone becomes a constant,
so that `SELECT *, topic(3) as buoy_id` costs one dictionary per message.
"""

import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from host.cloud.local.rule_sql import VERSIONS, RuleError, parse_expression, parse_statement
from host.cloud.local.rule_tree import Call, Column, Constant, Expression, Group, Unary
from host.cloud.local.rule_values import BINARY, MAX_INT, UNARY, UNDEFINED, whole_numbers_as_int
from host.model.fleet import PayloadMode
from host.model.twin import ErrorAction, SqlVersion, TimeUnit
from host.mqtt.topics import topic_matches
from sensors.catalog import KEYS

Payload = dict[str, Any]
Evaluate = Callable[[Payload, int], Any]
"""(payload, time of processing in ns) → value or UNDEFINED."""
Select = Callable[[Payload, int], Payload | None]
"""(payload, time of processing in ns) → result, or None where WHERE is not true."""

_NAME = re.compile(r"[a-zA-Z0-9_]+")
_TEMPLATE = re.compile(r"\$\{(.*?)\}", re.DOTALL)
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class TimestreamAction:
    """Write the result's attributes as measures. Templates see the payload, not the result (AWS guide)."""

    dimension: str = "${topic(3)}"
    """Value of the dimension `buoy_id`."""
    timestamp: str = ""
    """Template of the record's time; empty: the time of processing."""
    timestamp_unit: TimeUnit = "ms"


@dataclass(frozen=True, slots=True)
class KinesisAction:
    """Put the result as JSON on the stream."""

    partition_key: str = "${newuuid()}"


@dataclass(frozen=True, slots=True)
class InfluxAction:
    """Write the result as one point of InfluxDB; its time is the result's own `timestamp`."""

    tag: str = "${topic(3)}"
    """Value of the tag `buoy_id`."""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule as it would be created in IoT Core."""

    name: str
    """`[a-zA-Z0-9_]+`, as IoT Core demands."""
    sql: str
    version: SqlVersion
    action: TimestreamAction | KinesisAction | InfluxAction
    error_action: ErrorAction | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as functions of rule SQL see it."""

    name: str
    levels: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, name: str) -> "Topic":
        """Split once."""
        return cls(name, tuple(name.split("/")))


class Uuids:
    """`newuuid()` from a seeded source: a rehearsal spreads its records the same way every time."""

    def __init__(self, seed: int) -> None:
        self._bits = random.Random(seed).getrandbits

    def __call__(self) -> str:
        """A random (version 4) UUID."""
        return str(uuid.UUID(int=self._bits(128), version=4))


class Rule:
    """A compiled rule.

    Raises:
        RuleError: the name, the SQL or its version is not allowed.
    """

    def __init__(self, spec: RuleSpec, uuids: Uuids) -> None:
        if not _NAME.fullmatch(spec.name):
            raise RuleError(f"rule name {spec.name!r} may hold only letters, digits and _", spec.sql)
        if spec.version not in VERSIONS:
            raise RuleError(f"SQL version {spec.version!r} is none of {', '.join(VERSIONS)}", spec.sql)
        self.spec = spec
        self.statement = parse_statement(spec.sql)
        self._filter = self.statement.topic_filter.encode()
        self._uuids = uuids
        names = {item.name for item in self.statement.items}
        self.left_out = frozenset() if self.statement.star else frozenset(KEYS) - names
        """Measures of a buoy that the SELECT does not pass on."""

    def matches(self, topic: str) -> bool:
        """Whether FROM selects the topic, by IoT Core's rules (`a/#` does not match `a`)."""
        return topic_matches(self._filter, topic.encode(), hash_matches_parent=False)

    def bind(self, topic: Topic) -> Select:
        """The rule for one topic."""
        fixed: Payload = {}
        moving: list[tuple[str, Evaluate]] = []
        for item in self.statement.items:
            evaluate, constant = _compile(item.expression, topic, self._uuids)
            if constant:
                value = evaluate({}, 0)
                if value is not UNDEFINED:
                    fixed[item.name] = value
            else:
                moving.append((item.name, evaluate))
        select = _projection(self.statement.star, fixed, moving)
        if self.spec.version == "2016-03-23":
            select = _whole_numbers(select)
        if self.statement.where is not None:
            select = _filtered(_compile(self.statement.where, topic, self._uuids)[0], select)
        return select

    def template(self, text: str, topic: Topic) -> Evaluate:
        """A substitution template of the rule's action, for one topic."""
        return compile_template(text, topic, self._uuids)


def _projection(star: bool, fixed: Payload, moving: list[tuple[str, Evaluate]]) -> Select:
    if star and not moving:
        return lambda payload, _at_ns: {**payload, **fixed}

    def select(payload: Payload, at_ns: int) -> Payload:
        result = {**payload, **fixed} if star else dict(fixed)
        for name, evaluate in moving:
            value = evaluate(payload, at_ns)
            if value is UNDEFINED:
                result.pop(name, None)
            else:
                result[name] = value
        return result

    return select


def _whole_numbers(select: Select) -> Select:
    def converted(payload: Payload, at_ns: int) -> Payload | None:
        result = select(payload, at_ns)
        if result is not None:
            for name, value in result.items():
                kind = type(value)
                if kind is float:
                    if value.is_integer() and -MAX_INT < value < MAX_INT:
                        result[name] = int(value)
                elif kind is dict or kind is list:
                    result[name] = whole_numbers_as_int(value)
        return result

    return converted


def _filtered(condition: Evaluate, select: Select) -> Select:
    return lambda payload, at_ns: select(payload, at_ns) if condition(payload, at_ns) is True else None


def _compile(node: Expression, topic: Topic, uuids: Uuids) -> tuple[Evaluate, bool]:
    """The closure, and whether its value is the same for every message of the topic."""
    if isinstance(node, Constant):
        value = node.value
        return (lambda _payload, _at_ns: value), True
    if isinstance(node, Column):
        return _column(node.path), False
    if isinstance(node, Call):
        return _call(node, topic, uuids)
    if isinstance(node, Group):
        return _compile(node.inner, topic, uuids)
    if isinstance(node, Unary):
        operand, constant = _compile(node.operand, topic, uuids)
        apply_one = UNARY[node.operator]
        return (lambda payload, at_ns: apply_one(operand(payload, at_ns))), constant
    left, left_constant = _compile(node.left, topic, uuids)
    right, right_constant = _compile(node.right, topic, uuids)
    apply_two = BINARY[node.operator]
    return (
        (lambda payload, at_ns: apply_two(left(payload, at_ns), right(payload, at_ns))),
        left_constant and right_constant,
    )


def _column(path: tuple[str, ...]) -> Evaluate:
    if len(path) == 1:
        (name,) = path
        return lambda payload, _at_ns: payload.get(name, UNDEFINED)

    def nested(payload: Payload, _at_ns: int) -> Any:
        value: Any = payload
        for name in path:
            if type(value) is not dict:
                return UNDEFINED
            value = value.get(name, UNDEFINED)
        return value

    return nested


def _call(node: Call, topic: Topic, uuids: Uuids) -> tuple[Evaluate, bool]:
    if node.name == "timestamp":
        return (lambda _payload, at_ns: at_ns // _NS_PER_MS), False
    if node.name == "newuuid":
        return (lambda _payload, _at_ns: uuids()), False
    value: Any = topic.name
    if node.index is not None:
        value = topic.levels[node.index - 1] if node.index <= len(topic.levels) else UNDEFINED
    return (lambda _payload, _at_ns: value), True


def compile_template(text: str, topic: Topic, uuids: Uuids) -> Evaluate:
    """A substitution template: text with `${expression}` inside.

    A template that is one expression keeps its value's type; otherwise the parts become text. Undefined
    inside makes the whole Undefined, and the action fails.

    Raises:
        RuleError: an expression outside the allow-list.
    """
    parts: list[Evaluate] = []
    end = 0
    for match in _TEMPLATE.finditer(text):
        if match.start() > end:
            parts.append(_fixed(text[end : match.start()]))
        parts.append(_compile(parse_expression(match[1]), topic, uuids)[0])
        end = match.end()
    if end < len(text):
        parts.append(_fixed(text[end:]))
    if "${" in _TEMPLATE.sub("", text):
        raise RuleError("a substitution template opens with ${ and does not close", text)
    if len(parts) == 1:
        return parts[0]
    concatenate = BINARY["+"]

    def joined(payload: Payload, at_ns: int) -> Any:
        value: Any = ""
        for part in parts:
            value = concatenate(value, part(payload, at_ns))
        return value

    return joined


def _fixed(text: str) -> Evaluate:
    return lambda _payload, _at_ns: text


SOURCE_PREFIX = "aws/0"
"""Topic prefix of the source system; its rules take any version level: `aws/+/+/data/#`."""


def default_rules(topic_prefix: str, payload: PayloadMode) -> tuple[RuleSpec, RuleSpec]:
    """The two rules of the source system (its rule SQL and versions), for the given topic prefix.

    With `stamped` payloads the Timestream action takes the record's time from the payload, so that two
    messages of one buoy in the same millisecond do not collide.
    """
    level = topic_prefix.count("/") + 2
    topic_filter = "aws/+/+/data/#" if topic_prefix == SOURCE_PREFIX else f"{topic_prefix}/+/data/#"
    quoted = topic_filter.replace("'", "''")
    sql = f"SELECT *, topic({level}) as buoy_id FROM '{quoted}'"
    stamp = "${timestamp}" if payload == "stamped" else ""
    return (
        RuleSpec("buoy_timestream", sql, "2015-10-08", TimestreamAction(f"${{topic({level})}}", stamp)),
        RuleSpec("buoy_kinesis", sql, "2016-03-23", KinesisAction("${newuuid()}")),
    )


def influx_rule(like: RuleSpec, topic_prefix: str) -> RuleSpec:
    """The rule that feeds InfluxDB: as the one of Timestream, with the action of InfluxDB."""
    level = topic_prefix.count("/") + 2
    return replace(like, name="buoy_influxdb", action=InfluxAction(f"${{topic({level})}}"))
