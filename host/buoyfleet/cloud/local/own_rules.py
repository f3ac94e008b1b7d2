"""Rules that a user brings along, as `aws iot get-topic-rule` prints them.

With `stores` the actions for Timestream, Kinesis and Firehose feed the twin's stores, and the rule takes the
place of the twin's own. What any other action would hand to its service is kept as lines of JSON:

    actions/sqs/RULE.jsonl  actions/dynamoDBv2/RULE.jsonl  …

The parameters are those of CreateTopicRule (botocore, service model of `iot`).
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from buoyfleet.cloud.local.error_actions import ErrorActions
from buoyfleet.cloud.local.functions import name_in
from buoyfleet.cloud.local.rule_compile import Evaluate, Topic
from buoyfleet.cloud.local.rule_values import UNDEFINED
from buoyfleet.cloud.local.rules import (
    FirehoseAction,
    KinesisAction,
    OwnAction,
    Payload,
    Rule,
    RuleSpec,
    StoreAction,
    TimestreamAction,
)
from buoyfleet.model.errors import UsageError
from buoyfleet.model.twin import OwnRule, TimeUnit

KINDS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "cloudwatchLogs": (frozenset({"logGroupName"}), frozenset({"batchMode"})),
    "cloudwatchMetric": (
        frozenset({"metricNamespace", "metricName", "metricValue", "metricUnit"}),
        frozenset({"metricTimestamp"}),
    ),
    "dynamoDB": (
        frozenset({"tableName", "hashKeyField", "hashKeyValue"}),
        frozenset(
            {"hashKeyType", "operation", "payloadField", "rangeKeyField", "rangeKeyType", "rangeKeyValue"}
        ),
    ),
    "dynamoDBv2": (frozenset({"putItem"}), frozenset()),
    "elasticsearch": (frozenset({"endpoint", "index", "type", "id"}), frozenset()),
    "firehose": (frozenset({"deliveryStreamName"}), frozenset({"batchMode", "separator"})),
    "http": (
        frozenset({"url"}),
        frozenset({"auth", "batchConfig", "confirmationUrl", "enableBatching", "headers"}),
    ),
    "iotAnalytics": (frozenset({"channelName"}), frozenset({"batchMode", "channelArn"})),
    "iotEvents": (frozenset({"inputName"}), frozenset({"batchMode", "messageId"})),
    "kafka": (
        frozenset({"destinationArn", "topic", "clientProperties"}),
        frozenset({"headers", "key", "partition"}),
    ),
    "kinesis": (frozenset({"streamName"}), frozenset({"partitionKey"})),
    "lambda": (frozenset({"functionArn"}), frozenset()),
    "openSearch": (frozenset({"endpoint", "index", "type", "id"}), frozenset()),
    "republish": (frozenset({"topic"}), frozenset({"qos", "headers"})),
    "s3": (frozenset({"bucketName", "key"}), frozenset({"cannedAcl"})),
    "sns": (frozenset({"targetArn"}), frozenset({"messageFormat"})),
    "sqs": (frozenset({"queueUrl"}), frozenset({"useBase64"})),
    "stepFunctions": (frozenset({"stateMachineName"}), frozenset({"executionNamePrefix"})),
    "timestream": (frozenset({"databaseName", "tableName", "dimensions"}), frozenset({"timestamp"})),
}
"""Action → parameters that it needs, and those it may have; `roleArn` may stand in each."""
_RESOURCES: Final = {
    "cloudwatchLogs": "logGroupName",
    "cloudwatchMetric": "metricName",
    "dynamoDB": "tableName",
    "dynamoDBv2": "tableName",
    "elasticsearch": "endpoint",
    "firehose": "deliveryStreamName",
    "http": "url",
    "iotAnalytics": "channelName",
    "iotEvents": "inputName",
    "kafka": "topic",
    "kinesis": "streamName",
    "lambda": "functionArn",
    "openSearch": "endpoint",
    "republish": "topic",
    "s3": "bucketName",
    "sns": "targetArn",
    "sqs": "queueUrl",
    "stepFunctions": "stateMachineName",
    "timestream": "tableName",
}
"""Action → the parameter that names its resource."""
_PLAIN: Final = frozenset(
    {"hashKeyType", "rangeKeyType", "useBase64", "batchMode", "messageFormat", "cannedAcl", "separator"}
)
"""Parameters without substitution templates."""


def read_rule(own: OwnRule) -> RuleSpec:
    """A rule of a file: `topicRulePayload`, or the `rule` of `get-topic-rule`.

    Raises:
        UsageError: it cannot be read, or IoT Core or the twin does not have what it asks for.
    """
    where = own.file
    try:
        document = json.loads(Path(own.file).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the rule cannot be read: {error.strerror}", where=where) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=where) from None
    if isinstance(document, Mapping):
        document = document.get("topicRulePayload", document.get("rule", document))
    if not isinstance(document, Mapping) or not isinstance(document.get("sql"), str):
        raise UsageError(
            "no rule: `sql` is missing", where=where, next_step="aws iot get-topic-rule prints one"
        )
    actions = document.get("actions")
    if not isinstance(actions, list) or not actions:
        raise UsageError("`actions` must be a list of at least one action", where=where)
    read = tuple(
        _read_action(one, f"{where}: action {number}", own.stores) for number, one in enumerate(actions, 1)
    )
    error_action = document.get("errorAction") or None
    failing = None if error_action is None else _own_action(error_action, f"{where}: errorAction")
    version = document.get("awsIotSqlVersion", "2015-10-08")  # the default of CreateTopicRule
    spec = RuleSpec(own.name, document["sql"], version, read, failing)
    kinds = [type(one) for one in spec.store_actions]
    if own.stores and not kinds:
        raise UsageError(
            "`stores: true`, and no action of the rule is timestream, kinesis or firehose",
            where=where,
            next_step="take `stores` away",
        )
    if len(set(kinds)) < len(kinds) or {KinesisAction, FirehoseAction} <= set(kinds):
        raise UsageError(
            "two actions of the rule feed one store of the twin", where=where, next_step="leave one of them"
        )
    return spec


def _read_action(action: Any, where: str, stores: bool) -> StoreAction | OwnAction:
    own = _own_action(action, where)
    if not stores or own.kind not in _FEED:
        return own
    return _FEED[own.kind](action[own.kind], where)


def _timestream(parameters: Mapping[str, Any], where: str) -> TimestreamAction:
    dimensions = parameters["dimensions"]
    try:
        named = {str(one["name"]): str(one["value"]) for one in dimensions}
    except (KeyError, TypeError):
        raise UsageError("a dimension is an object with `name` and `value`", where=where) from None
    buoy = named.get(BUOY) or next((text for text in named.values() if "topic(" in text), "")
    if not buoy:
        raise UsageError(
            f"no dimension is the buoy: {', '.join(named) or 'there is none'}",
            where=where,
            next_step=f"a dimension {BUOY!r} with the value ${{topic(3)}}",
        )
    stamp = parameters.get("timestamp")
    if stamp is None:
        return TimestreamAction(buoy)
    unit = str(stamp.get("unit")) if isinstance(stamp, Mapping) else ""
    if unit not in _UNITS or "value" not in stamp:
        raise UsageError(
            "timestamp is an object with `value` and `unit`", where=where, next_step=", ".join(_UNITS)
        )
    return TimestreamAction(buoy, str(stamp["value"]), _UNITS[unit])


def _kinesis(parameters: Mapping[str, Any], _where: str) -> KinesisAction:
    return KinesisAction(str(parameters.get("partitionKey") or "${newuuid()}"))


def _firehose(parameters: Mapping[str, Any], where: str) -> FirehoseAction:
    separator = parameters.get("separator", "")
    if separator not in ("", "\n", "\t", "\r\n", ","):  # API reference, FirehoseAction
        raise UsageError(f"separator {separator!r} is none of AWS's", where=where)
    return FirehoseAction(separator)


BUOY: Final = "buoy_id"
_UNITS: Final[Mapping[str, TimeUnit]] = {
    "SECONDS": "s",
    "MILLISECONDS": "ms",
    "MICROSECONDS": "us",
    "NANOSECONDS": "ns",
}
_FEED: Final[Mapping[str, Callable[[Mapping[str, Any], str], StoreAction]]] = {
    "timestream": _timestream,
    "kinesis": _kinesis,
    "firehose": _firehose,
}


def _own_action(action: Any, where: str) -> OwnAction:
    if not isinstance(action, Mapping) or len(action) != 1:
        raise UsageError("an action is an object with one key", where=where)
    ((kind, parameters),) = action.items()
    if kind not in KINDS:
        step = f"the twin has {', '.join(KINDS)}"
        raise UsageError(f"the twin does not have the action {kind!r}", where=where, next_step=step)
    needed, possible = KINDS[kind]
    given = set(parameters) - {"roleArn"} if isinstance(parameters, Mapping) else set()
    for name in sorted(needed - given):
        raise UsageError(f"{kind} needs {name!r}", where=where)
    for name in sorted(given - needed - possible):
        raise UsageError(f"{kind} has no {name!r}", where=where)
    values = {name: parameters[name] for name in sorted(given)}
    if kind == "dynamoDBv2":
        values = {"tableName": str(values["putItem"].get("tableName", ""))}
    return OwnAction(kind, tuple((name, _text(value)) for name, value in values.items() if name != "headers"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


Beside = Callable[[Payload, Any, int], str]
"""(payload, result, time in ns) → why the action failed; empty: it did not."""


def resource_of(action: OwnAction) -> str:
    """What an error document names as the resource."""
    return dict(action.parameters).get(_RESOURCES[action.kind], "")


def bind_action(
    rule: Rule, action: OwnAction, topic: Topic, errors: ErrorActions, encode: Callable[[Any], str]
) -> Beside:
    """An action beside the stores, for one topic."""
    templates: dict[str, Evaluate | str] = {
        name: text if name in _PLAIN else rule.template(text, topic) for name, text in action.parameters
    }
    kind, name = action.kind, rule.spec.name

    def act(payload: Payload, result: Any, at_ns: int) -> str:
        values: dict[str, Any] = {}
        for key, template in templates.items():
            value = template if isinstance(template, str) else template(payload, at_ns)
            if value is UNDEFINED:
                return f"{key} is Undefined"
            values[key] = value if isinstance(value, str) else encode(value)
        try:
            text = "" if result is UNDEFINED else encode(result)
        except (ValueError, RecursionError) as error:
            return f"the result is no JSON: {str(error)[:120]}"
        if kind == "republish":
            return _republish(rule, values["topic"], text, errors)
        record, problem = _record(kind, values, result, text)
        if not problem:
            errors.book.add(kind, name, {"time_ms": at_ns // 1_000_000, **record})
            if kind == "lambda" and (called := name_in(values["functionArn"])) in errors.functions.names:
                errors.functions.send(called, text or "null")
        return problem

    return act


def _republish(rule: Rule, topic: str, text: str, errors: ErrorActions) -> str:
    if rule.matches(topic):
        return f"the rule selects its own message on {topic} again: it would go round"
    taken = errors.republish is not None and errors.republish(topic, text.encode())
    return "" if taken else f"the broker did not take a message on {topic}"


def _record(kind: str, values: dict[str, Any], result: Any, text: str) -> tuple[dict[str, Any], str]:
    """What the service gets, or why it would refuse it."""
    match kind:
        case "cloudwatchMetric":
            try:
                number = float(values["metricValue"])
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                return {}, f"metricValue is {values['metricValue']!r}, not a number"
            return {**values, "metricValue": number}, ""
        case "dynamoDB":
            for part in ("hash", "range"):
                key = f"{part}KeyValue"
                if values.get(f"{part}KeyType") == "NUMBER" and key in values:
                    try:
                        values[key] = json.loads(values[key])
                    except ValueError:
                        return {}, f"{key} is {values[key]!r}, not a number"
            return {**values, values.get("payloadField", "payload"): result}, ""
        case "dynamoDBv2":
            if type(result) is not dict:
                return {}, "the result is no JSON object"
            return {"tableName": values["tableName"], "item": result}, ""
        case "sqs" if values.get("useBase64") == "true":
            return {"queueUrl": values["queueUrl"], "body": base64.b64encode(text.encode()).decode()}, ""
        case "sns" if values.get("messageFormat") == "JSON":
            # SNS wants an object with a text for each protocol, and one for the rest.
            if type(result) is not dict or not isinstance(result.get("default"), str):
                return {}, "messageFormat JSON needs an object with the text `default`"
    return {**values, "body": text}, ""
