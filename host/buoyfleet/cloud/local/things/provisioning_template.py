"""Provisioning templates: what a device's parameters make of a template's resources.

AWS IoT Core developer guide, "Provisioning templates", the part on fleet provisioning.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from buoyfleet.model.errors import UsageError

CERTIFICATE_ID: Final = "AWS::IoT::Certificate::Id"
"""Pseudo parameter: the certificate that is being provisioned."""
_SECTIONS: Final = frozenset({"Parameters", "Mappings", "Resources", "DeviceConfiguration"})
_TYPES: Final = {
    "AWS::IoT::Thing": frozenset(
        {"ThingName", "AttributePayload", "ThingTypeName", "ThingGroups", "BillingGroup"}
    ),
    "AWS::IoT::Certificate": frozenset({"CertificateId", "Status"}),
    "AWS::IoT::Policy": frozenset({"PolicyName", "PolicyDocument"}),
}
_OVERRIDES: Final = frozenset({"DO_NOTHING", "REPLACE", "FAIL", "MERGE"})
_THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_SUB = re.compile(r"\$\{([^}]+)\}")


class TemplateError(Exception):
    """The parameters make nothing of the template that IoT Core would take."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a template makes of the parameters."""

    thing: str
    """"": the template makes no thing."""
    attributes: Mapping[str, str]
    type_name: str
    overrides: Mapping[str, str]
    """Property → what becomes of it where the thing is there already."""
    active: bool
    policy_names: tuple[str, ...]
    policy_documents: tuple[str, ...]
    device_configuration: Mapping[str, Any]


class Template:
    """A template of a file."""

    def __init__(self, name: str, path: str) -> None:
        """Read it.

        Raises:
            UsageError: it cannot be read, or IoT Core would refuse it.
        """
        self.name = name
        try:
            body = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"the template cannot be read: {error.strerror}", where=path) from None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"not JSON: {error}", where=path) from None
        problem = _problem(body)
        if problem:
            raise UsageError(problem, where=path, cause="IoT Core would refuse this template")
        self._body: dict[str, Any] = body

    def apply(self, parameters: Mapping[str, str], certificate_id: str) -> Provisioned:
        """The resources for these parameters.

        Raises:
            TemplateError: a parameter is missing, or a value is none that IoT Core takes.
        """
        values = {
            name: declared["Default"]
            for name, declared in self._body.get("Parameters", {}).items()
            if isinstance(declared, Mapping) and "Default" in declared
        }
        scope = _Scope(
            {**values, **parameters, CERTIFICATE_ID: certificate_id}, self._body.get("Mappings", {})
        )
        thing, overrides, active = {}, {}, True
        names, documents = [], []
        for resource in self._body["Resources"].values():
            properties = scope.resolve(resource.get("Properties", {}))
            match resource["Type"]:
                case "AWS::IoT::Thing":
                    thing, overrides = properties, resource.get("OverrideSettings", {})
                case "AWS::IoT::Certificate":
                    if properties.get("CertificateId") != certificate_id:
                        raise TemplateError(f"CertificateId must be {{'Ref': '{CERTIFICATE_ID}'}}")
                    active = str(properties.get("Status", "ACTIVE")).upper() == "ACTIVE"
                case _ if "PolicyDocument" in properties:
                    one = properties["PolicyDocument"]
                    documents.append(one if isinstance(one, str) else json.dumps(one))
                case _:
                    names.append(str(properties["PolicyName"]))
        name = str(thing.get("ThingName", ""))
        if thing and not _THING_NAME.fullmatch(name):
            raise TemplateError(f"ThingName {name!r} is no name of a thing")
        attributes = {key: str(value) for key, value in thing.get("AttributePayload", {}).items()}
        return Provisioned(
            name,
            attributes,
            str(thing.get("ThingTypeName", "")),
            overrides,
            active,
            tuple(names),
            tuple(documents),
            scope.resolve(self._body.get("DeviceConfiguration", {})),
        )


class _Scope:
    """Parameters and mappings, to intrinsic functions."""

    def __init__(self, values: Mapping[str, Any], mappings: Mapping[str, Any]) -> None:
        self._values = values
        self._mappings = mappings

    def resolve(self, node: Any) -> Any:
        """A value with its references and functions replaced."""
        if isinstance(node, list):
            return [self.resolve(one) for one in node]
        if not isinstance(node, Mapping):
            return node
        if len(node) == 1:
            (name, argument), *_ = node.items()
            if name == "Ref":
                return self._reference(argument)
            if name.startswith(("Fn::", "Fn:")):
                return self._function(name.rpartition(":")[2], argument)
        return {key: self.resolve(value) for key, value in node.items()}

    def _reference(self, name: Any) -> Any:
        if name not in self._values:
            raise TemplateError(f"Cannot resolve reference value: {name}")
        return self._values[name]

    def _function(self, name: str, argument: Any) -> Any:
        try:
            match name:
                case "Join":
                    separator, parts = self.resolve(argument)
                    return str(separator).join(map(str, parts))
                case "Select":
                    index, parts = self.resolve(argument)
                    return parts[int(index)]
                case "Split":
                    separator, text = self.resolve(argument)
                    return str(text).split(str(separator))
                case "FindInMap":
                    mapping, first, second = self.resolve(argument)
                    return self._mappings[mapping][first][second]
                case "Sub":
                    text, own = argument if isinstance(argument, list) else (argument, {})
                    known = {**self._values, **self.resolve(own)}
                    return _SUB.sub(lambda found: str(known[found[1]]), text)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise TemplateError(f"Fn::{name} cannot be resolved: {error}") from None
        raise TemplateError(f"there is no function Fn::{name}")


def _problem(body: Any) -> str:
    """What is wrong with a template before any device comes; "": it can be used."""
    if not isinstance(body, Mapping):
        return "a template is a JSON object"
    unknown = sorted(set(body) - _SECTIONS)
    if unknown:
        return f"unknown section {unknown[0]!r}; there are {', '.join(sorted(_SECTIONS))}"
    resources = body.get("Resources")
    if not isinstance(resources, Mapping) or not resources:
        return "`Resources` is missing"
    kinds = []
    for name, resource in resources.items():
        kind = resource.get("Type") if isinstance(resource, Mapping) else None
        if kind not in _TYPES:
            return f"resource {name}: `Type` is {kind!r}; there are {', '.join(_TYPES)}"
        properties = resource.get("Properties", {})
        strange = (
            sorted(set(properties) - _TYPES[kind]) if isinstance(properties, Mapping) else ["Properties"]
        )
        if strange:
            return f"resource {name}: {strange[0]!r} is no property of {kind} in fleet provisioning"
        if kind == "AWS::IoT::Policy" and len(properties) != 1:
            return f"resource {name}: `PolicyName` or `PolicyDocument`, and not both"
        bad = sorted(set(map(str, resource.get("OverrideSettings", {}).values())) - _OVERRIDES)
        if bad:
            return f"resource {name}: {bad[0]!r} in `OverrideSettings`"
        kinds.append(kind)
    if kinds.count("AWS::IoT::Certificate") != 1 or kinds.count("AWS::IoT::Thing") > 1:
        return "one certificate and at most one thing are provisioned"
    return ""
