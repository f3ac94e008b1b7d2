"""Rules that a user brings along, as `aws iot get-topic-rule` prints them, with actions beside the stores.

What an action would hand to its service is kept as lines of JSON that a person can read:

    actions/sqs/RULE.jsonl  actions/dynamoDBv2/RULE.jsonl  …

The parameters are those of CreateTopicRule (botocore, service model of `iot`).
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from buoyfleet.cloud.local.error_actions import ErrorActions, Failed
from buoyfleet.cloud.local.rule_compile import Evaluate, Topic
from buoyfleet.cloud.local.rule_values import UNDEFINED
from buoyfleet.cloud.local.rules import OwnAction, OwnActions, Payload, Rule, RuleSpec
from buoyfleet.model.errors import UsageError
from buoyfleet.model.twin import OwnRule

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
    "republish": (frozenset({"topic"}), frozenset({"qos", "headers"})),
    "s3": (frozenset({"bucketName", "key"}), frozenset({"cannedAcl"})),
    "sns": (frozenset({"targetArn"}), frozenset({"messageFormat"})),
    "sqs": (frozenset({"queueUrl"}), frozenset({"useBase64"})),
}
"""Action → parameters that it needs, and those it may have; `roleArn` may stand in each."""
_ELSEWHERE: Final = {
    "timestream": "`timestream_rule`",
    "kinesis": "`kinesis_rule`",
    "firehose": "`kinesis_rule`",
    "lambda": "`lambda_handler`",
}
_PLAIN: Final = frozenset(
    {"hashKeyType", "rangeKeyType", "useBase64", "batchMode", "messageFormat", "cannedAcl"}
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
    read = tuple(_action(one, f"{where}: action {number}") for number, one in enumerate(actions, 1))
    error_action = document.get("errorAction")
    failing = None if error_action is None else _action(error_action, f"{where}: errorAction")
    version = document.get("awsIotSqlVersion", "2015-10-08")  # the default of CreateTopicRule
    return RuleSpec(own.name, document["sql"], version, OwnActions(read, failing))


def _action(action: Any, where: str) -> OwnAction:
    if not isinstance(action, Mapping) or len(action) != 1:
        raise UsageError("an action is an object with one key", where=where)
    ((kind, parameters),) = action.items()
    if kind not in KINDS:
        known = ", ".join(KINDS)
        step = f"{_ELSEWHERE[kind]} has it" if kind in _ELSEWHERE else f"the twin has {known}"
        raise UsageError(f"the twin does not have the action {kind!r} here", where=where, next_step=step)
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


Act = Callable[[Payload, Any, int, Failed], str]
"""(payload, result, time in ns, what a failure would tell) → why it failed; empty: it did not."""


def bind_actions(
    rule: Rule, spec: OwnActions, topic: Topic, errors: ErrorActions, encode: Callable[[Any], str]
) -> Act:
    """All actions of a rule, for one topic. One that fails does not keep the others from running."""
    bound = [(one.kind, _bind(rule, one, topic, errors, encode)) for one in spec.actions]
    failing = None if spec.error is None else _bind(rule, spec.error, topic, errors, encode)

    def act(payload: Payload, result: Any, at_ns: int, failed: Failed) -> str:
        problems = []
        for kind, one in bound:
            problem = one(payload, result, at_ns)
            if problem:
                problems.append(f"{kind}: {problem}")
        if problems and failing is not None:
            told = replace(failed, message="; ".join(problems))
            failing(payload, json.loads(told.document()), at_ns)
        return "; ".join(problems)

    return act


def _bind(
    rule: Rule, action: OwnAction, topic: Topic, errors: ErrorActions, encode: Callable[[Any], str]
) -> Callable[[Payload, Any, int], str]:
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
