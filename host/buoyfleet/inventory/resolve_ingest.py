"""What `topics: basic-ingest` means for the target.

A message of Basic Ingest names one rule. So one rule has the actions for all stores (IoT Core allows ten).
With two rules boards would have to send each message twice.
"""

from collections.abc import Callable
from dataclasses import replace

from buoyfleet.inventory.format import FleetSection
from buoyfleet.inventory.problems import Reporter
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.fleet import TargetSpec
from buoyfleet.model.twin import INGEST_RULE, RuleSettings, TwinSpec

Refuse = Callable[[str, str], tuple[TargetSpec, str]]


def with_basic_ingest(document: FleetSection, target: TargetSpec, report: Reporter) -> tuple[TargetSpec, str]:
    """The target with its rule for Basic Ingest, and the name of the rule; unchanged and empty without."""
    if document.topics != "basic-ingest":
        return target, ""

    def refuse(message: str, hint: str) -> tuple[TargetSpec, str]:
        report.add(document.line("topics"), document.under("topics"), message, hint)
        return target, ""

    if target.kind == "broker":
        return refuse("a broker has no rules that Basic Ingest could name", "write `topics: prefix`")
    if target.aws is not None:
        return _in_account(target, target.aws, refuse)
    twin = target.twin or TwinSpec()
    feeding = [rule for rule in twin.rules if rule.stores]
    if len(feeding) > 1:
        return refuse(
            f"a message of Basic Ingest names one rule, and {len(feeding)} have `stores`",
            "write `topics: prefix`",
        )
    if twin.kinesis_rule != RuleSettings():
        return refuse(
            "with Basic Ingest one rule feeds all stores, and `timestream_rule` changes it",
            "take `kinesis_rule` away",
        )
    rule = feeding[0].name if feeding else INGEST_RULE
    # A twin that runs already has its rules: it was started for a fleet file with the same key.
    return (target if target.attach else replace(target, twin=replace(twin, ingest_rule=rule))), rule


def _in_account(target: TargetSpec, spec: AwsSpec, refuse: Refuse) -> tuple[TargetSpec, str]:
    if spec.influxdb is not None:
        return refuse(
            "one rule cannot feed both: InfluxDB has `buoy_id` as a tag, S3 needs it in the record",
            "write `topics: prefix`",
        )
    usual = spec.name.replace("-", "_")
    named = {spec.timestream_rule, spec.kinesis_rule} - {f"{usual}_timestream", f"{usual}_kinesis"}
    if len(named) > 1:
        return refuse(
            "with Basic Ingest one rule feeds all stores",
            "write one name for `timestream_rule` and `kinesis_rule`",
        )
    rule = named.pop() if named else f"{usual}_ingest"
    return replace(target, aws=replace(spec, timestream_rule=rule, kinesis_rule=rule)), rule
