"""IoT Core policies: from a client certificate to its thing, and from a policy document to yes or no.

Evaluated as AWS does (developer guide, "AWS IoT Core policies"): nothing is allowed unless a statement allows
it, and an explicit Deny wins. `*` stands for any characters and `?` for one; MQTT's `+` and `#` are plain
characters. ARNs are compared from the resource on (`topic/…`): region and account are the twin's own.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from buoyfleet.cloud.local.broker.authority import Principal
from buoyfleet.model.errors import UsageError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ATTRIBUTE = re.compile(r"iot:Connection\.Thing\.Attributes\[([A-Za-z0-9_.,@/:#-]+)\]")
_THING_NAME: Final = ("iot:Connection.Thing.ThingName", "iot:Thing.ThingName")
_THING_TYPE: Final = "iot:Connection.Thing.ThingTypeName"
_CLIENT_ID: Final = "iot:ClientId"
_IS_ATTACHED: Final = "iot:Connection.Thing.IsAttached"
_LITERALS: Final = {"*": "*", "?": "?", "$": "$"}
"""`${*}`, `${?}`, `${$}`: the character itself."""
_STATEMENT_KEYS: Final = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})
_ACTION = re.compile(r"iot:[A-Za-z*]+|\*")


class PolicyError(UsageError):
    """A policy document that IoT Core would refuse, or that uses what the twin does not know."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing of the registry."""

    name: str
    type_name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A registered client certificate with what is attached to it."""

    things: tuple[Thing, ...] = ()
    policies: tuple["Policy", ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class _Statement:
    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    is_attached: bool | None
    """What the condition on `IsAttached` asks for; None: no condition."""

    def applies(self, action: str, resource: str, variables: Mapping[str, str]) -> bool:
        """Whether the statement speaks of this action on this resource."""
        if self.is_attached is not None and self.is_attached != (_THING_NAME[0] in variables):
            return False
        return any(_matches(pattern, action, {}) for pattern in self.actions) and any(
            _matches(pattern, resource, variables) for pattern in self.resources
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document."""

    statements: tuple[_Statement, ...]

    @classmethod
    def parse(cls, document: str | Mapping[str, Any], name: str = "policy") -> "Policy":
        """Read a document (JSON text or its object).

        Raises:
            PolicyError: says which statement, what is wrong and what is allowed.
        """
        if isinstance(document, str):
            try:
                document = json.loads(document)
            except ValueError as error:
                raise PolicyError(f"not JSON: {error}", where=name) from None
        if not isinstance(document, Mapping) or document.get("Version") != "2012-10-17":
            raise PolicyError('a policy is an object with "Version": "2012-10-17"', where=name)
        statements = document.get("Statement")
        if isinstance(statements, Mapping):
            statements = [statements]
        if not isinstance(statements, list) or not statements:
            raise PolicyError('"Statement" must be a list with at least one statement', where=name)
        return cls(tuple(_statement(item, f"{name}, statement {n}") for n, item in enumerate(statements, 1)))


class PolicyAuthoriser:
    """Answers the broker from the policies attached to the client's certificate."""

    def __init__(self, certificates: Mapping[str, Certificate]) -> None:
        """`certificates`: by certificate id (SHA-256 of the DER, hex). Unknown ones may nothing."""
        self._certificates = certificates

    def __call__(self, action: str, resource: str, principal: Principal) -> bool:
        """Whether the policies allow the action (`iot:Publish`) on the resource (`topic/…`)."""
        certificate = self._certificates.get(principal.certificate_id)
        if certificate is None or not certificate.active:
            return False
        variables = _variables(certificate, principal.client_id)
        allowed = False
        for policy in certificate.policies:
            for statement in policy.statements:
                if statement.applies(action, resource, variables):
                    if statement.effect == "Deny":
                        return False
                    allowed = True
        return allowed


def _variables(certificate: Certificate, client_id: str) -> dict[str, str]:
    """What `${…}` stands for.

    The thing's variables exist only if the client id is the name of a thing that the certificate is attached
    to (developer guide, "Thing policy variables").
    """
    variables = {_CLIENT_ID: client_id}
    for thing in certificate.things:
        if thing.name == client_id:
            variables.update(dict.fromkeys(_THING_NAME, thing.name))
            if thing.type_name:
                variables[_THING_TYPE] = thing.type_name
            for name, value in thing.attributes.items():
                variables[f"iot:Connection.Thing.Attributes[{name}]"] = value
    return variables


def _matches(pattern: str, text: str, variables: Mapping[str, str]) -> bool:
    """Whether a pattern with wildcards and variables covers the text; an unset variable covers nothing."""
    expression = []
    position = 0
    for found in _VARIABLE.finditer(pattern):
        expression.append(_wildcards(pattern[position : found.start()]))
        name = found[1]
        value = _LITERALS.get(name, variables.get(name))
        if value is None:
            return False
        expression.append(re.escape(value))  # a value never acts as a wildcard
        position = found.end()
    expression.append(_wildcards(pattern[position:]))
    return re.fullmatch("".join(expression), text, re.DOTALL) is not None


def _wildcards(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


def _statement(item: Any, where: str) -> _Statement:
    if not isinstance(item, Mapping):
        raise PolicyError("a statement is an object", where=where)
    unknown = sorted(set(item) - _STATEMENT_KEYS)
    if unknown:
        raise PolicyError(
            f"unknown key {unknown[0]!r}; allowed: {', '.join(sorted(_STATEMENT_KEYS))}", where=where
        )
    effect = item.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f'"Effect" is {effect!r}; allowed: Allow, Deny', where=where)
    actions = _texts(item, "Action", where)
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise PolicyError(f"action {action!r} is none of IoT Core's, e.g. iot:Publish", where=where)
    resources = tuple(_resource(text, where) for text in _texts(item, "Resource", where))
    return _Statement(effect, actions, resources, _condition(item.get("Condition"), where))


def _texts(item: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = item.get(key)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(text, str) for text in values):
        raise PolicyError(f'"{key}" must be a text or a list of texts', where=where)
    return tuple(values)


def _resource(text: str, where: str) -> str:
    """The resource part of an ARN pattern, its variables checked."""
    for found in _VARIABLE.finditer(text):
        name = found[1]
        known = name in _LITERALS or name in (*_THING_NAME, _THING_TYPE, _CLIENT_ID)
        if not known and not _ATTRIBUTE.fullmatch(name):
            raise PolicyError(f"the twin does not know the variable ${{{name}}}", where=where)
    if text == "*":
        return text
    parts = text.split(":", 5)  # arn:aws:iot:REGION:ACCOUNT:RESOURCE
    if len(parts) < 6 or parts[0] != "arn" or parts[2] != "iot":
        raise PolicyError(
            f"resource {text!r} is no ARN of IoT Core (arn:aws:iot:REGION:ACCOUNT:…)", where=where
        )
    return parts[5]


def _condition(condition: Any, where: str) -> bool | None:
    """The one condition that the twin evaluates; any other is refused rather than passed over."""
    if condition is None:
        return None
    if isinstance(condition, Mapping) and set(condition) == {"Bool"}:
        asked = condition["Bool"]
        if isinstance(asked, Mapping) and set(asked) == {_IS_ATTACHED}:
            value = asked[_IS_ATTACHED]
            word = str(value[0] if isinstance(value, list) and len(value) == 1 else value).lower()
            if word in ("true", "false"):
                return word == "true"
    raise PolicyError(f"the twin evaluates no condition but Bool on {_IS_ATTACHED}", where=where)
