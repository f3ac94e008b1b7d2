"""Conditions of IoT Core policies, and the variables that policies speak of.

AWS IoT Core developer guide, "AWS IoT Core policy variables"; IAM user guide, "Condition operators" and
"Multivalued context keys". An operator or a key that IoT Core does not have is refused when a policy is read.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Values = Mapping[str, tuple[str, ...]]
"""Name of a variable → its values; one that is not there has none."""

THING_NAME: Final = ("iot:Connection.Thing.ThingName", "iot:Thing.ThingName")
THING_TYPE: Final = "iot:Connection.Thing.ThingTypeName"
IS_ATTACHED: Final = "iot:Connection.Thing.IsAttached"
CLIENT_ID: Final = "iot:ClientId"
CERTIFICATE_ID: Final = "iot:CertificateId"
SOURCE_IP: Final = "aws:SourceIp"
CONNECT_ATTRIBUTES: Final = "iot:ConnectAttributes"
LAST_WILL_TOPIC: Final = "iot:LastWillTopic"
_PLAIN: Final = frozenset(
    (
        *THING_NAME,
        THING_TYPE,
        IS_ATTACHED,
        CLIENT_ID,
        CERTIFICATE_ID,
        SOURCE_IP,
        "iot:Certificate.SerialNumber",
    )
)
_SEVERAL: Final = frozenset((CONNECT_ATTRIBUTES, "iot:Certificate.AvailableKeys"))
_ATTRIBUTE = re.compile(r"iot:Connection\.Thing\.Attributes\[[A-Za-z0-9_.,@/:#-]+\]")
NAME_PARTS: Final = (
    *("DistinguishedNameQualifier", "Country", "Organization", "OrganizationalUnit", "State", "CommonName"),
    *("SerialNumber", "Title", "Surname", "GivenName", "Initials", "Pseudonym", "GenerationQualifier"),
)
ALTERNATIVE_NAMES: Final = (
    *("RFC822Name", "DNSName", "DirectoryName", "UniformResourceIdentifier", "IPAddress"),
)
_CERTIFICATE = re.compile(
    rf"iot:Certificate\.(?:Subject|Issuer)\.(?:{'|'.join(NAME_PARTS)}"
    rf"|AlternativeName\.(?:{'|'.join(ALTERNATIVE_NAMES)}))(?:\.(?P<which>\d+|List))?"
)
MOST_VALUES: Final = 5
"""Items of a certificate's attribute; further ones are ignored (guide, limits of certificate variables)."""
VARIABLE = re.compile(r"\$\{([^}]*)\}")
LITERALS: Final = {"*": "*", "?": "?", "$": "$"}
"""`${*}`, `${?}`, `${$}`: the character itself."""


def is_variable(name: str) -> bool:
    """Whether `${name}` can stand in a resource."""
    return (
        name in LITERALS or name in _PLAIN or bool(_ATTRIBUTE.fullmatch(name) or _CERTIFICATE.fullmatch(name))
    )


def is_of_certificate(name: str) -> bool:
    """Whether a variable needs the certificate to be read."""
    return name.startswith("iot:Certificate.")


def values_of(name: str, values: Values) -> tuple[str, ...]:
    """What a variable stands for: all with `.List`, one with an index, else the first."""
    found = _CERTIFICATE.fullmatch(name)
    if found is None:
        return values.get(name, ())
    which = found["which"]
    if which is None:
        return values.get(name, ())[:1]
    all_of_them = values.get(name[: -len(which) - 1], ())[:MOST_VALUES]
    return all_of_them if which == "List" else all_of_them[int(which) : int(which) + 1]


def expand(pattern: str, values: Values, wild: bool) -> str | None:
    """A regular expression for a pattern with variables; None where one has no value.

    `wild`: whether `*` and `?` of the pattern stand for anything. A value never acts as a wildcard.
    """
    expression = []
    position = 0
    for found in VARIABLE.finditer(pattern):
        expression.append(_wildcards(pattern[position : found.start()], wild))
        known = (LITERALS[found[1]],) if found[1] in LITERALS else values_of(found[1], values)
        if not known:
            return None
        expression.append(re.escape(known[0]))
        position = found.end()
    expression.append(_wildcards(pattern[position:], wild))
    return "".join(expression)


def _wildcards(text: str, wild: bool) -> str:
    escaped = re.escape(text)
    return escaped.replace(r"\*", ".*").replace(r"\?", ".") if wild else escaped


# Operators


def _text(wild: bool = False, flags: re.RegexFlag = re.NOFLAG) -> Callable[[str, str, Values], bool]:
    def compare(value: str, pattern: str, values: Values) -> bool:
        expression = expand(pattern, values, wild)
        return expression is not None and re.fullmatch(expression, value, flags | re.DOTALL) is not None

    return compare


def _arn(value: str, pattern: str, values: Values) -> bool:
    """ARNs are compared from the resource on: region and account are the twin's own."""
    tail = pattern.split(":", 5)[-1]
    return _text(wild=True)(value, tail, values)


def _address(value: str, pattern: str, _values: Values) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)


def _flag(value: str, pattern: str, _values: Values) -> bool:
    return value == pattern.lower()


_OPERATORS: Final[Mapping[str, tuple[Callable[[str, str, Values], bool], bool]]] = {
    "StringEquals": (_text(), False),
    "StringNotEquals": (_text(), True),
    "StringEqualsIgnoreCase": (_text(flags=re.IGNORECASE), False),
    "StringNotEqualsIgnoreCase": (_text(flags=re.IGNORECASE), True),
    "StringLike": (_text(wild=True), False),
    "StringNotLike": (_text(wild=True), True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "Bool": (_flag, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
}
"""Name → how a value and a pattern are compared, and whether the answer is turned round."""
_NULL: Final = "Null"
_QUANTIFIERS: Final = ("ForAllValues", "ForAnyValue")


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator."""

    quantifier: str
    operator: str
    if_exists: bool
    key: str
    patterns: tuple[str, ...]

    def holds(self, values: Values) -> bool:
        """Whether a request with these values fulfils it."""
        found = values_of(self.key, values)
        if self.operator == _NULL:
            return any((pattern.lower() == "true") == (not found) for pattern in self.patterns)
        compare, turned = _OPERATORS[self.operator]

        def fits(value: str) -> bool:
            return any(compare(value, pattern, values) for pattern in self.patterns) != turned

        if self.quantifier == "ForAllValues":
            return all(fits(value) for value in found)
        if self.quantifier == "ForAnyValue":
            return any(fits(value) for value in found)
        return fits(found[0]) if found else turned or self.if_exists


class ConditionError(ValueError):
    """A condition that IoT Core does not have."""


def read_conditions(section: Any) -> tuple[Condition, ...]:
    """The conditions of a statement, all of which must hold.

    Raises:
        ConditionError: an operator or a key that does not exist, or a value of the wrong kind.
    """
    if section is None:
        return ()
    if not isinstance(section, Mapping):
        raise ConditionError('"Condition" is an object of operators')
    found = []
    for operator, keys in section.items():
        if not isinstance(keys, Mapping) or not keys:
            raise ConditionError(f'"{operator}" is an object of keys and values')
        found += [_condition(operator, key, value) for key, value in keys.items()]
    return tuple(found)


def _condition(written: str, key: str, value: Any) -> Condition:
    quantifier, colon, operator = written.rpartition(":")
    if colon and quantifier not in _QUANTIFIERS:
        raise ConditionError(f"there is no {quantifier!r}; there are {', '.join(_QUANTIFIERS)}")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if operator not in _OPERATORS and operator != _NULL:
        raise ConditionError(
            f"the twin does not know the operator {written!r}; it has {', '.join(_OPERATORS)}"
        )
    if key not in _SEVERAL and key != LAST_WILL_TOPIC and (key in LITERALS or not is_variable(key)):
        raise ConditionError(f"the twin does not know the condition key {key!r}")
    patterns = value if isinstance(value, list) else [value]
    texts = tuple(str(one).lower() if isinstance(one, bool) else one for one in patterns)
    if not all(isinstance(one, str) for one in texts):
        raise ConditionError(f"{key} is compared with texts, not with {value!r}")
    if operator in ("Bool", _NULL) and not all(one.lower() in ("true", "false") for one in texts):
        raise ConditionError(f"{operator} of {key} must be true or false, not {value!r}")
    if operator in ("IpAddress", "NotIpAddress"):
        try:
            for one in texts:
                ipaddress.ip_network(one, strict=False)
        except ValueError as error:
            raise ConditionError(f"{key}: {error}") from None
    for text in texts:
        for variable in VARIABLE.findall(text):
            if not is_variable(variable):
                raise ConditionError(f"the twin does not know the variable ${{{variable}}}")
    return Condition(quantifier, operator, if_exists, key, texts)
