"""Rules with their actions, bound to topics; and the substitution templates of actions."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from buoyfleet.cloud.local.broker.account import split_ingest
from buoyfleet.cloud.local.rule_compile import (
    Chance,
    Evaluate,
    Message,
    Scope,
    Topic,
    compile_expression,
    compile_select,
)
from buoyfleet.cloud.local.rule_sql import VERSIONS, parse_expression, parse_statement
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rule_tree import Expression
from buoyfleet.cloud.local.rule_values import BINARY, MAX_INT, whole_numbers_as_int
from buoyfleet.model.fleet import PayloadMode
from buoyfleet.model.twin import ErrorAction, SqlVersion, TimeUnit
from buoyfleet.mqtt.topics import topic_matches
from sensors.catalog import KEYS

Payload = dict[str, Any]
Select = Callable[[Payload, int], Any]
"""(payload, time of processing in ns) → result, or None where WHERE is not true."""

_NAME = re.compile(r"[a-zA-Z0-9_]+")
_TEMPLATE = re.compile(r"""\$\{((?:[^'"{}]|'[^']*'|"[^"]*"|\{(?:[^'"{}]|'[^']*'|"[^"]*")*\})*)\}""")
"""`${…}`; braces inside strings, and object literals one level deep, do not end it."""


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
class FirehoseAction:
    """Put the result as JSON on the delivery stream, with no data stream before it."""

    separator: str = ""
    """Behind each record (parameter `separator`)."""


StoreAction = TimestreamAction | KinesisAction | InfluxAction | FirehoseAction
"""An action that feeds a store of the verdict."""


@dataclass(frozen=True, slots=True)
class OwnAction:
    """An action beside the stores."""

    kind: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule as it would be created in IoT Core."""

    name: str
    """`[a-zA-Z0-9_]+`, as IoT Core demands."""
    sql: str
    version: SqlVersion
    actions: tuple[StoreAction | OwnAction, ...]
    error_action: ErrorAction | OwnAction | None = None

    @property
    def store_actions(self) -> tuple[StoreAction, ...]:
        """Those that feed a store of the verdict."""
        return tuple(one for one in self.actions if not isinstance(one, OwnAction))


class Rule:
    """A compiled rule. Whoever runs it fills `message` before each message.

    Raises:
        RuleError: the name, the SQL or its version is not allowed.
    """

    def __init__(self, spec: RuleSpec, chance: Chance, message: Message | None = None) -> None:
        if not _NAME.fullmatch(spec.name):
            raise RuleError(f"rule name {spec.name!r} may hold only letters, digits and _", spec.sql)
        if spec.version not in VERSIONS:
            raise RuleError(f"SQL version {spec.version!r} is none of {', '.join(VERSIONS)}", spec.sql)
        self.spec = spec
        self.statement = parse_statement(spec.sql, spec.version)
        self._message = message or Message()
        self._filter = self.statement.topic_filter.encode()
        self._chance = chance
        self._templates: dict[str, tuple[str | Expression, ...]] = {}
        select = self.statement.select
        names = {item.path[0] for item in select.items}
        passes = select.star or select.value is not None
        self.left_out = frozenset() if passes else frozenset(KEYS) - names
        """Measures of a buoy that the SELECT does not pass on."""

    def matches(self, topic: str) -> bool:
        """Whether FROM selects the topic, by IoT Core's rules (`a/#` does not match `a`).

        Basic Ingest names its rule, whatever its FROM (developer guide, "Using Basic Ingest").
        """
        named, _ = split_ingest(topic)
        if named:
            return named == self.spec.name
        return topic_matches(self._filter, topic.encode(), hash_matches_parent=False)

    def bind(self, topic: Topic) -> Select:
        """The rule for one topic."""
        scope = self._scope(topic)
        select: Select = compile_select(self.statement.select, scope)
        if self.spec.version == "2016-03-23":
            select = _whole_numbers(select)
        if self.statement.where is not None:
            select = _filtered(compile_expression(self.statement.where, scope)[0], select)
        return self._with_variables(select, topic)

    def template(self, text: str, topic: Topic) -> Evaluate:
        """A substitution template of the rule's action, for one topic; it is evaluated after the statement.

        Raises:
            RuleError: an expression is not rule SQL.
        """
        parts = self._templates.get(text)
        if parts is None:
            parts = self._templates[text] = parse_template(text, self.spec.version)
        return bind_template(parts, self._scope(topic))

    def _scope(self, topic: Topic) -> Scope:
        names = frozenset(name for name, _expression in self.statement.variables)
        return Scope(topic, self.spec.version, self._chance, self._message, names)

    def _with_variables(self, select: Select, topic: Topic) -> Select:
        """SET comes first, once per message; a variable knows those before it."""
        if not self.statement.variables:
            return select
        compiled: list[tuple[str, Evaluate]] = []
        for name, expression in self.statement.variables:
            known = frozenset(earlier for earlier, _evaluate in compiled)
            scope = Scope(topic, self.spec.version, self._chance, self._message, known)
            compiled.append((name, compile_expression(expression, scope)[0]))
        values = self._message.variables

        def run(payload: Payload, at_ns: int) -> Any:
            values.clear()
            for name, evaluate in compiled:
                values[name] = evaluate(payload, at_ns)
            return select(payload, at_ns)

        return run


def _whole_numbers(select: Select) -> Select:
    def converted(payload: Payload, at_ns: int) -> Any:
        result = select(payload, at_ns)
        if type(result) is not dict:
            return whole_numbers_as_int(result)
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


def parse_template(text: str, version: SqlVersion) -> tuple[str | Expression, ...]:
    """A substitution template: text with `${expression}` inside.

    Raises:
        RuleError: an expression is not rule SQL, or does not end.
    """
    parts: list[str | Expression] = []
    end = 0
    while (start := text.find("${", end)) >= 0:
        match = _TEMPLATE.match(text, start)
        if match is None:
            raise RuleError("a substitution template opens with ${ and does not close", text)
        if start > end:
            parts.append(text[end:start])
        parts.append(parse_expression(match[1], version))
        end = match.end()
    if end < len(text):
        parts.append(text[end:])
    return tuple(parts)


def bind_template(parts: tuple[str | Expression, ...], scope: Scope) -> Evaluate:
    """A template that is one expression keeps its value's type; otherwise the parts become text.

    Undefined inside makes the whole Undefined, and the action fails.
    """
    compiled = [
        _fixed(part) if isinstance(part, str) else compile_expression(part, scope)[0] for part in parts
    ]
    if len(compiled) == 1:
        return compiled[0]
    concatenate = BINARY["+"]

    def joined(payload: Payload, at_ns: int) -> Any:
        value: Any = ""
        for part in compiled:
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
        RuleSpec("buoy_timestream", sql, "2015-10-08", (TimestreamAction(f"${{topic({level})}}", stamp),)),
        RuleSpec("buoy_kinesis", sql, "2016-03-23", (KinesisAction("${newuuid()}"),)),
    )


def influx_rule(like: RuleSpec, topic_prefix: str) -> RuleSpec:
    """The rule that feeds InfluxDB: as the one of Timestream, with the action of InfluxDB."""
    level = topic_prefix.count("/") + 2
    return replace(like, name="buoy_influxdb", actions=(InfluxAction(f"${{topic({level})}}"),))
