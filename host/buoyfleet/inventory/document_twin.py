"""A twin's settings back to the form of a fleet file."""

from typing import Any

from buoyfleet.inventory.authorizer_format import authorizer_document
from buoyfleet.inventory.functions_format import function_document
from buoyfleet.inventory.influx_format import influx_document
from buoyfleet.inventory.limits_format import limits_document
from buoyfleet.inventory.own_rules_format import own_rule_document
from buoyfleet.inventory.provisioning_format import provisioning_document
from buoyfleet.inventory.values import decimal_text, duration_text, ids_text
from buoyfleet.model.twin import FaultSpec, RuleSettings, TwinSpec

Document = dict[str, Any]


def _milliseconds(value: float) -> str:
    return f"{decimal_text(value)} ms"


def twin_document(twin: TwinSpec) -> Document:
    """The mapping that gives this twin when read."""
    document: Document = {
        "kinesis_shards": twin.kinesis_shards,
        "firehose_lambda_buffer_size": f"{decimal_text(twin.firehose_lambda_buffer_mb)} MB",
        "firehose_lambda_buffer_time": duration_text(twin.firehose_lambda_buffer_s),
        "firehose_s3_buffer_size": f"{decimal_text(twin.firehose_s3_buffer_mb)} MB",
        "firehose_s3_buffer_time": duration_text(twin.firehose_s3_buffer_s),
        "lambda_timeout": duration_text(twin.lambda_timeout_s),
        "lambda_memory": f"{twin.lambda_memory_mb} MB",
        "lambda_cold_start": _milliseconds(twin.lambda_cold_start_ms),
        "lambda_per_record": _milliseconds(twin.lambda_per_record_ms),
    }
    document.update(_others(twin))
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


def _others(twin: TwinSpec) -> Document:
    document: Document = {
        "timestream_memory_store": duration_text(twin.timestream_memory_store_h * 3600),
        "timestream_visible_after": duration_text(twin.timestream_visible_after_s),
        "hurry": twin.hurry,
        "lambda_base_memory": f"{decimal_text(twin.lambda_base_memory_mb)} MB",
        "lambda_record_memory": f"{decimal_text(twin.lambda_record_memory_kb)} kB",
        "lambda_concurrency": twin.lambda_concurrency,
        "s3_delimiter": "newline" if twin.s3_delimiter else "none",
        "s3_gzip": twin.s3_gzip,
    }
    texts = {
        name: getattr(twin, name)
        for name in ("access_policy", "lambda_handler", "lambda_environment", "s3_prefix", "s3_error_prefix")
    }
    document.update({name: text for name, text in texts.items() if text})
    if twin.limits:
        document["limits"] = limits_document(twin.limits)
    if twin.tls is not None:
        document["tls"] = {"alpn": twin.tls.alpn}
        if twin.tls.policy:
            document["tls"]["policy"] = twin.tls.policy
        if twin.tls.authority:
            document["tls"]["authority"] = twin.tls.authority
    if twin.authorizers:
        document["authorizers"] = [authorizer_document(one) for one in twin.authorizers]
    if twin.rules:
        document["rules"] = [own_rule_document(one) for one in twin.rules]
    if twin.functions:
        document["functions"] = [function_document(one) for one in twin.functions]
    if twin.provisioning:
        document["provisioning"] = [provisioning_document(one) for one in twin.provisioning]
    for name in ("timestream_rule", "kinesis_rule"):
        rule = _rule(getattr(twin, name))
        if rule:
            document[name] = rule
    if twin.influxdb is not None:
        document["influxdb"] = influx_document(twin.influxdb)
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
