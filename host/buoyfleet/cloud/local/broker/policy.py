"""IoT Core policies: from a client certificate to its thing, and from a policy document to yes or no.

Evaluated as AWS does (developer guide, "AWS IoT Core policies"): nothing is allowed unless a statement allows
it, and an explicit Deny wins. `*` stands for any characters and `?` for one; MQTT's `+` and `#` are plain
characters. ARNs are compared from the resource on (`topic/…`): region and account are the twin's own.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from buoyfleet.cloud.local.broker.authority import Principal
from buoyfleet.cloud.local.broker.policy_conditions import (
    CERTIFICATE_ID,
    CLIENT_ID,
    CONNECT_ATTRIBUTES,
    IS_ATTACHED,
    LAST_WILL_TOPIC,
    SOURCE_IP,
    THING_NAME,
    THING_TYPE,
    VARIABLE,
    Condition,
    ConditionError,
    Values,
    expand,
    is_of_certificate,
    is_variable,
    read_conditions,
)
from buoyfleet.model.errors import UsageError

_STATEMENT_KEYS: Final = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})
_PARTITION = re.compile(r"aws(-[a-z]+)*|\*")
"""`aws`, `aws-cn`, `aws-us-gov`, … (botocore, partitions)."""
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
    describe: Callable[[], Values] | None = None
    """Reads its attributes, for policies that speak of them (`iot:Certificate.Subject.CommonName`)."""


@dataclass(frozen=True, slots=True)
class _Statement:
    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()

    def applies(self, action: str, resource: str, values: Values) -> bool:
        """Whether the statement speaks of this action on this resource."""
        return (
            any(_matches(pattern, action, {}) for pattern in self.actions)
            and any(_matches(pattern, resource, values) for pattern in self.resources)
            and all(condition.holds(values) for condition in self.conditions)
        )

    @property
    def reads_certificate(self) -> bool:
        """Whether it needs attributes of the certificate."""
        names = [name for one in self.resources for name in VARIABLE.findall(one)]
        for condition in self.conditions:
            names += [condition.key, *(name for one in condition.patterns for name in VARIABLE.findall(one))]
        return any(map(is_of_certificate, names))


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document."""

    statements: tuple[_Statement, ...]
    reads_certificate: bool = False
    """Whether a statement needs attributes of the certificate."""

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
        read = tuple(_statement(item, f"{name}, statement {n}") for n, item in enumerate(statements, 1))
        return cls(read, any(one.reads_certificate for one in read))


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
        values = _values(certificate, principal)
        allowed = False
        for policy in certificate.policies:
            for statement in policy.statements:
                if statement.applies(action, resource, values):
                    if statement.effect == "Deny":
                        return False
                    allowed = True
        return allowed


def _values(certificate: Certificate, principal: Principal) -> Values:
    """What `${…}` and keys of conditions stand for.

    The thing's variables exist only if the client id is the name of a thing that the certificate is attached
    to (developer guide, "Thing policy variables"), and so over MQTT alone.
    """
    client_id = principal.client_id
    values: dict[str, tuple[str, ...]] = {
        IS_ATTACHED: ("false",),
        CONNECT_ATTRIBUTES: principal.connect_attributes,
    }
    single = {
        CLIENT_ID: client_id,
        CERTIFICATE_ID: principal.certificate_id,
        SOURCE_IP: principal.source_ip,
        LAST_WILL_TOPIC: principal.last_will_topic and f"topic/{principal.last_will_topic}",
    }
    for thing in certificate.things:
        if thing.name == client_id:
            values[IS_ATTACHED] = ("true",)
            single.update(dict.fromkeys(THING_NAME, thing.name))
            single[THING_TYPE] = thing.type_name
            for name, value in thing.attributes.items():
                values[f"iot:Connection.Thing.Attributes[{name}]"] = (value,)
    values.update({name: (text,) for name, text in single.items() if text})
    if certificate.describe is not None and any(policy.reads_certificate for policy in certificate.policies):
        values.update(certificate.describe())
    return values


def _matches(pattern: str, text: str, values: Values) -> bool:
    """Whether a pattern with wildcards and variables covers the text; an unset variable covers nothing."""
    expression = expand(pattern, values, wild=True)
    return expression is not None and re.fullmatch(expression, text, re.DOTALL) is not None


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
    try:
        conditions = read_conditions(item.get("Condition"))
    except ConditionError as error:
        raise PolicyError(str(error), where=where) from None
    return _Statement(effect, actions, resources, conditions)


def _texts(item: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = item.get(key)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(text, str) for text in values):
        raise PolicyError(f'"{key}" must be a text or a list of texts', where=where)
    return tuple(values)


def _resource(text: str, where: str) -> str:
    """The resource part of an ARN pattern, its variables checked."""
    for name in VARIABLE.findall(text):
        if not is_variable(name):
            raise PolicyError(f"the twin does not know the variable ${{{name}}}", where=where)
    if text == "*":
        return text
    parts = text.split(":", 5)  # arn:aws:iot:REGION:ACCOUNT:RESOURCE
    if len(parts) < 6 or parts[0] != "arn" or not _PARTITION.fullmatch(parts[1]) or parts[2] != "iot":
        raise PolicyError(
            f"resource {text!r} is no ARN of IoT Core (arn:aws:iot:REGION:ACCOUNT:…)", where=where
        )
    return parts[5]
