"""A twin's settings back to the form of a fleet file."""

from typing import Any

from buoyfleet.inventory.authorizer_format import AuthorizerSection
from buoyfleet.inventory.functions_format import FunctionSection
from buoyfleet.inventory.influx_format import InfluxSection
from buoyfleet.inventory.limits_format import limits_document
from buoyfleet.inventory.own_rules_format import OwnRuleSection
from buoyfleet.inventory.provisioning_format import ProvisioningSection
from buoyfleet.inventory.sections import Section
from buoyfleet.inventory.settings import settings_document
from buoyfleet.inventory.twin_format import TwinSection, TwinTlsSection
from buoyfleet.inventory.values import duration_text, ids_text
from buoyfleet.model.twin import FaultSpec, RuleSettings, TwinSpec

Document = dict[str, Any]


# Attribute of a twin, which is a key of `target.twin` → the section of each of its items.
_LISTS: dict[str, type[Section]] = {
    "authorizers": AuthorizerSection,
    "rules": OwnRuleSection,
    "functions": FunctionSection,
    "provisioning": ProvisioningSection,
}


def twin_document(twin: TwinSpec) -> Document:
    """The mapping that gives this twin when read."""
    document = settings_document(TwinSection, twin)
    if twin.limits:
        document["limits"] = limits_document(twin.limits)
    if twin.tls is not None:
        document["tls"] = settings_document(TwinTlsSection, twin.tls)
    for name, section in _LISTS.items():
        if getattr(twin, name):
            document[name] = [settings_document(section, one) for one in getattr(twin, name)]
    for name in ("timestream_rule", "kinesis_rule"):
        rule = _rule(getattr(twin, name))
        if rule:
            document[name] = rule
    if twin.influxdb is not None:
        document["influxdb"] = settings_document(InfluxSection, twin.influxdb)
    if twin.faults:
        document["faults"] = [_fault(fault) for fault in twin.faults]
    return document


def _fault(fault: FaultSpec) -> Document:
    document: Document = {"stage": fault.stage, "kind": fault.kind}
    if fault.buoys:
        document["buoys"] = ids_text(fault.buoys)
    if fault.messages:
        document["messages"] = ids_text(fault.messages)
    if fault.measures:
        document["measures"] = list(fault.measures)
    if fault.value is not None:
        document["value"] = fault.value
    if fault.seconds:
        document["delay"] = duration_text(fault.seconds)
    return document


def _rule(rule: RuleSettings) -> Document:
    document: Document = {}
    if rule.sql:
        document["sql"] = rule.sql
    if rule.sql_version is not None:
        document["sql_version"] = rule.sql_version
    if rule.timestamp:
        document["timestamp"] = rule.timestamp
        document["timestamp_unit"] = rule.timestamp_unit
    action = rule.error_action
    if action is not None:
        document["error_action"] = {"s3": action.s3} if action.s3 else {"republish": action.republish}
    return document
