"""Trees of rule SQL to closures that are cheap per message.

Everything that depends on the topic alone becomes a constant, so that `SELECT *, topic(3) as buoy_id` costs
one dictionary per message. A statement is parsed once per rule; binding it to a topic only makes closures.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from buoyfleet.cloud.local.functions import LocalFunctions, called
from buoyfleet.cloud.local.rule_functions import CONTEXT, FUNCTIONS, cast
from buoyfleet.cloud.local.rule_properties import mqtt_property, user_properties
from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.rule_tree import (
    ArrayLiteral,
    Call,
    Case,
    Cast,
    Constant,
    Everything,
    Exists,
    Expression,
    Member,
    Name,
    ObjectLiteral,
    Query,
    Select,
    Unary,
    Variable,
)
from buoyfleet.cloud.local.rule_values import BINARY, UNARY, UNDEFINED, equal, to_int
from buoyfleet.model.twin import SqlVersion

Payload = Any
"""What names refer to: the message's object, or an element of a query."""
Evaluate = Callable[[Payload, int], Any]
"""(payload, time of processing in ns) → value or UNDEFINED."""

ACCOUNT_ID = "123456789012"
"""Of the twin, as in its ARNs; AWS's documents use the same."""
_NS_PER_MS = 1_000_000
_UUID_FIXED_BITS = 0xF000 << 64 | 0xC000 << 48
_UUID_VERSION_4 = 0x4000 << 64 | 0x8000 << 48


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as functions of rule SQL see it."""

    name: str
    levels: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, name: str) -> "Topic":
        """Split once."""
        return cls(name, tuple(name.split("/")))


class Chance:
    """`newuuid()` and `rand()` from a seeded source: a rehearsal repeats."""

    def __init__(self, seed: int) -> None:
        source = random.Random(seed)
        self._bits = source.getrandbits
        self.rand = source.random

    def __call__(self) -> str:
        """A random (version 4) UUID; by hand, as one is needed for each message (RFC 4122, section 4.4)."""
        number = self._bits(128) & ~_UUID_FIXED_BITS | _UUID_VERSION_4
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(slots=True)
class Message:
    """What functions know of the message under way besides its payload; the engine sets it."""

    client_id: str = "n/a"
    raw: bytes = b""
    trace_id: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    """Values of SET, by name."""
    shadow: Callable[..., Any] | None = None
    """`(thing, name)` → document as GetThingShadow gives it; None: there is none."""
    functions: LocalFunctions | None = None
    """What `aws_lambda()` can call."""
    principal: Callable[[str], str] | None = None
    """Client id → what `principal()` says of it; empty: there is none."""
    properties: bytes | None = None
    """Of MQTT 5, encoded."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression is compiled."""

    topic: Topic
    version: SqlVersion
    chance: Chance
    message: Message
    variables: frozenset[str] = frozenset()
    alias: str = ""
    """Name of the element in a query."""


def compile_expression(node: Expression, scope: Scope) -> tuple[Evaluate, bool]:
    """The closure, and whether its value is the same for every message of the topic.

    Raises:
        RuleError: it names a variable that is not set.
    """
    if isinstance(node, Constant):
        return _fixed(node.value), True
    if isinstance(node, Name):
        return _name(node.name, scope), False
    if isinstance(node, Variable):
        return _variable(node.name, scope), False
    if isinstance(node, Everything):
        return (lambda payload, _at_ns: payload), False
    if isinstance(node, Query):
        return _query(node, scope), False
    if isinstance(node, Exists):
        query = _query(node.query, scope)
        return (lambda payload, at_ns: _is_there(query(payload, at_ns))), False
    if isinstance(node, Call) and node.name in CONTEXT:
        return _context(node, scope)
    if isinstance(node, Call) and node.name == "encode" and node.arguments[:1] == (Everything(),):
        # The bytes as they came, JSON or not.
        return _encoded(node, scope), False
    evaluate, parts = _of_parts(node, scope)
    if all(constant for _part, constant in parts) and parts:
        return _fixed(evaluate({}, 0)), True
    return evaluate, False


def compile_select(select: Select, scope: Scope) -> Evaluate:
    """What SELECT makes of a payload."""
    if select.value is not None:
        return compile_expression(select.value, scope)[0]
    fixed: dict[str, Any] = {}
    moving: list[tuple[tuple[str, ...], Evaluate]] = []
    for item in select.items:
        evaluate, constant = compile_expression(item.expression, scope)
        if constant and len(item.path) == 1:
            value = evaluate({}, 0)
            if value is not UNDEFINED:
                fixed[item.path[0]] = value
        else:
            moving.append((item.path, evaluate))
    star = select.star
    if star and not moving:
        if not fixed:
            return lambda payload, _at_ns: dict(payload) if type(payload) is dict else payload
        return lambda payload, _at_ns: {**payload, **fixed} if type(payload) is dict else dict(fixed)

    def project(payload: Payload, at_ns: int) -> Any:
        result = {**payload, **fixed} if star and type(payload) is dict else dict(fixed)
        for path, evaluate in moving:
            value = evaluate(payload, at_ns)
            if len(path) > 1:
                _put_nested(result, path, value)
            elif value is UNDEFINED:
                result.pop(path[0], None)
            else:
                result[path[0]] = value
        return result

    return project


def _put_nested(result: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if value is UNDEFINED:
        return
    for name in path[:-1]:
        inner = result.get(name)
        # A copy: what the payload holds is not the rule's to change.
        inner = dict(inner) if type(inner) is dict else {}
        result[name] = inner
        result = inner
    result[path[-1]] = value


def _fixed(value: Any) -> Evaluate:
    return lambda _payload, _at_ns: value


def _is_there(value: Any) -> bool:
    return value is not UNDEFINED and value != []


def _name(name: str, scope: Scope) -> Evaluate:
    if name == scope.alias:
        return lambda payload, _at_ns: payload
    return lambda payload, _at_ns: payload.get(name, UNDEFINED) if type(payload) is dict else UNDEFINED


def _variable(name: str, scope: Scope) -> Evaluate:
    if name not in scope.variables:
        raise RuleError(f"@{name} is not set before it is used", f"@{name}")
    values = scope.message.variables
    return lambda _payload, _at_ns: values.get(name, UNDEFINED)


def _of_parts(node: Expression, scope: Scope) -> tuple[Evaluate, list[tuple[Evaluate, bool]]]:
    """A closure over the closures of the node's parts, and these."""
    parts = [compile_expression(part, scope) for part in _parts(node)]
    inner = [part for part, _constant in parts]
    return _closure(node, inner), parts


def _parts(node: Expression) -> tuple[Expression, ...]:
    if isinstance(node, Member):
        return (node.of,)
    if isinstance(node, Call):
        return node.arguments
    if isinstance(node, Cast):
        return (node.value,)
    if isinstance(node, ArrayLiteral):
        return node.items
    if isinstance(node, ObjectLiteral):
        return tuple(value for _key, value in node.entries)
    if isinstance(node, Case):
        pairs = tuple(side for branch in node.branches for side in branch)
        return (node.subject, *pairs, *(() if node.otherwise is None else (node.otherwise,)))
    if isinstance(node, Unary):
        return (node.operand,)
    return (node.left, node.right)  # type: ignore[union-attr]


def _closure(node: Expression, inner: list[Evaluate]) -> Evaluate:
    if isinstance(node, Member):
        return _member(node.name, *inner)
    if isinstance(node, Call):
        return _call(node.name, inner)
    if isinstance(node, Cast):
        (of,), kind = inner, node.kind
        return lambda payload, at_ns: cast(of(payload, at_ns), kind)
    if isinstance(node, ArrayLiteral):
        return lambda payload, at_ns: [
            value for part in inner if (value := part(payload, at_ns)) is not UNDEFINED
        ]
    if isinstance(node, ObjectLiteral):
        keys = [key for key, _value in node.entries]
        return lambda payload, at_ns: {
            key: value
            for key, part in zip(keys, inner, strict=True)
            if (value := part(payload, at_ns)) is not UNDEFINED
        }
    if isinstance(node, Case):
        return _case(inner, len(node.branches))
    if isinstance(node, Unary):
        (operand,), apply_one = inner, UNARY[node.operator]
        return lambda payload, at_ns: apply_one(operand(payload, at_ns))
    (left, right), apply_two = inner, BINARY[node.operator]  # type: ignore[union-attr]
    return lambda payload, at_ns: apply_two(left(payload, at_ns), right(payload, at_ns))


def _member(name: str, of: Evaluate) -> Evaluate:
    def member(payload: Payload, at_ns: int) -> Any:
        value = of(payload, at_ns)
        return value.get(name, UNDEFINED) if type(value) is dict else UNDEFINED

    return member


def _call(name: str, arguments: list[Evaluate]) -> Evaluate:
    least, most, function = FUNCTIONS[name]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        return _fixed(UNDEFINED)
    if len(arguments) == 1:
        (only,) = arguments
        return lambda payload, at_ns: function(only(payload, at_ns))
    return lambda payload, at_ns: function(*[argument(payload, at_ns) for argument in arguments])


def _encoded(node: Call, scope: Scope) -> Evaluate:
    message = scope.message
    others = [compile_expression(argument, scope)[0] for argument in node.arguments[1:]]
    return _call("encode", [lambda _payload, _at_ns: message.raw, *others])


def _case(inner: list[Evaluate], count: int) -> Evaluate:
    subject = inner[0]
    branches = [(inner[1 + 2 * at], inner[2 + 2 * at]) for at in range(count)]
    otherwise = inner[-1] if len(inner) > 1 + 2 * count else _fixed(UNDEFINED)

    def choose(payload: Payload, at_ns: int) -> Any:
        value = subject(payload, at_ns)
        if value is UNDEFINED:
            return UNDEFINED
        for wanted, result in branches:
            if equal(value, wanted(payload, at_ns)) is True:
                return result(payload, at_ns)
        return otherwise(payload, at_ns)

    return choose


def _query(node: Query, scope: Scope) -> Evaluate:
    source, _constant = compile_expression(node.source, scope)
    inside = Scope(scope.topic, scope.version, scope.chance, scope.message, scope.variables, node.alias)
    select = compile_select(node.select, inside)
    where = None if node.where is None else compile_expression(node.where, inside)[0]

    def run(payload: Payload, at_ns: int) -> Any:
        found = source(payload, at_ns)
        if type(found) is not list:
            if found is UNDEFINED or (where is not None and where(found, at_ns) is not True):
                return UNDEFINED
            return select(found, at_ns)
        results = [
            select(element, at_ns) for element in found if where is None or where(element, at_ns) is True
        ]
        return [result for result in results if result is not UNDEFINED]

    return run


def _context(node: Call, scope: Scope) -> tuple[Evaluate, bool]:
    """Functions of the message and its way."""
    _least, most, _function = FUNCTIONS[node.name]
    if len(node.arguments) > (most or 0):
        return _fixed(UNDEFINED), True
    message, chance = scope.message, scope.chance
    match node.name:
        case "timestamp":
            return (lambda _payload, at_ns: at_ns // _NS_PER_MS), False
        case "newuuid":
            return (lambda _payload, _at_ns: chance()), False
        case "rand":
            return (lambda _payload, _at_ns: chance.rand()), False
        case "clientid":
            return (lambda _payload, _at_ns: message.client_id or "n/a"), False
        case "traceid":
            return (lambda _payload, _at_ns: message.trace_id or UNDEFINED), False
        case "get_thing_shadow":
            return _shadow(node, scope), False
        case "aws_lambda":
            (arn, constant), (value, _) = (compile_expression(one, scope) for one in node.arguments)
            return called(message.functions, arn, constant, value), False
        case "get_mqtt_property":
            return mqtt_property(message, compile_expression(node.arguments[0], scope)[0]), False
        case "get_user_properties":
            named = [compile_expression(one, scope)[0] for one in node.arguments]
            return user_properties(message, named[0] if named else None), False
        case "principal":
            said = message.principal or (lambda _client_id: "")
            return (lambda _payload, _at_ns: said(message.client_id) or UNDEFINED), False
        case "accountid":
            return _fixed(ACCOUNT_ID), True
        case "sql_version":
            return _fixed(scope.version), True
    return _topic(node, scope)


def _shadow(node: Call, scope: Scope) -> Evaluate:
    """`get_thing_shadow(thing, [name,] role)`. A shadow that is not there is Undefined (AWS does not say)."""
    message = scope.message
    named = [compile_expression(one, scope)[0] for one in node.arguments[:-1]]

    def read(payload: Payload, at_ns: int) -> Any:
        names = [evaluate(payload, at_ns) for evaluate in named]
        if message.shadow is None or not all(type(name) is str for name in names):
            return UNDEFINED
        found = message.shadow(*names)
        return UNDEFINED if found is None else found

    return read


def _topic(node: Call, scope: Scope) -> tuple[Evaluate, bool]:
    if not node.arguments:
        return _fixed(scope.topic.name), True
    levels = scope.topic.levels
    index, constant = compile_expression(node.arguments[0], scope)

    def level(payload: Payload, at_ns: int) -> Any:
        number = to_int(index(payload, at_ns))
        return UNDEFINED if number is None or not 0 < number <= len(levels) else levels[number - 1]

    return (_fixed(level({}, 0)), True) if constant else (level, False)
