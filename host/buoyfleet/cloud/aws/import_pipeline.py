"""Reads a pipeline from an account: rules, the data stream, the delivery stream and functions.

Everything is read as AWS has it. What the twin cannot rehearse is in `notes`, in words: nothing is left out
silently. Only the rules are needed; where another read is refused, the note says which permission is missing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from buoyfleet.cloud.aws.account import Account, AwsError

FEEDS: Final = ("timestream", "kinesis", "firehose")
"""Actions that feed the twin's stores."""
NOT_THERE: Final = frozenset({"cloudwatchAlarm", "influxDB", "iotSiteWise", "location", "salesforce"})
"""Actions that the twin does not have."""
_LEVEL_FOR_ANY: Final = "0"


@dataclass(slots=True)
class ImportedFunction:
    """A Lambda function."""

    name: str
    configuration: dict[str, Any]
    code: bytes = b""
    """The deployment package (zip); empty where it could not be fetched."""
    concurrency: int | None = None


@dataclass(slots=True)
class ImportedPipeline:
    """What the account has."""

    region: str
    account: str
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name → the rule as `get_topic_rule` gives it, with the actions that the twin has."""
    whole: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Rules of which an action had to be left out, as AWS has them."""
    feeding: list[str] = field(default_factory=list)
    """Rules that feed the stores."""
    topic_prefix: str = ""
    shards: int | None = None
    delivery: dict[str, Any] = field(default_factory=dict)
    """Description of the delivery stream."""
    transform: str = ""
    """Name of the function of the delivery stream."""
    functions: dict[str, ImportedFunction] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


Fetch = Callable[[str], bytes]
"""Address of a deployment package → its bytes. Raises OSError."""


class PipelineReader:
    """Reads one pipeline.

    Args:
        account: whom to ask.
        fetch: how a function's code is downloaded.
    """

    def __init__(self, account: Account, fetch: Fetch) -> None:
        self._account = account
        self._fetch = fetch
        self._found = ImportedPipeline("", "")

    def read(self, names: tuple[str, ...] = (), topic_prefix: str = "") -> ImportedPipeline:
        """The pipeline.

        Args:
            names: rules to read; none: all of the account.
            topic_prefix: of the boards; empty: that which the rules select.

        Raises:
            AwsError: no rule can be read.
        """
        found = self._found = ImportedPipeline(self._account.region, self._account.number)
        for name in names or tuple(self._rule_names()):
            self._read_rule(name)
        if not found.rules:
            raise AwsError(
                "the account has no rule to import",
                where=f"account {found.account}, {found.region}",
                next_step="name another region with --region; `aws iot list-topic-rules` shows the rules",
            )
        found.topic_prefix = topic_prefix or self._prefix()
        self._choose_stores()
        self._read_functions_of_rules()
        return found

    def _note(self, text: str) -> None:
        self._found.notes.append(text)

    def _ask(self, what: str, service: str, operation: str, *, on: str, **arguments: Any) -> dict[str, Any]:
        """A call that the import can do without; empty where it fails."""
        try:
            return self._account.call(service, operation, on=on, **arguments)
        except AwsError as error:
            step = f" ({error.next_step})" if error.next_step else ""
            self._note(f"{what} {on} could not be read: {error.what}{step}; the twin's defaults are used")
            return {}

    # -- rules ----------------------------------------------------------------------------------------------

    def _rule_names(self) -> Iterator[str]:
        for page in self._account.pages("iot", "list_topic_rules", token=("nextToken", "nextToken")):
            yield from (str(rule["ruleName"]) for rule in page.get("rules", []))

    def _read_rule(self, name: str) -> None:
        rule = dict(self._account.call("iot", "get_topic_rule", on=name, ruleName=name).get("rule", {}))
        rule.pop("createdAt", None)
        if rule.get("ruleDisabled"):
            self._note(f"rule {name} is disabled and was left out")
            return
        kept = [one for one in rule.get("actions", []) if not NOT_THERE & set(one)]
        left = [kind for one in rule.get("actions", []) for kind in one if kind in NOT_THERE]
        failing = rule.pop("errorAction", None) or None
        if failing is not None:
            rule["errorAction"] = failing
        if isinstance(failing, Mapping) and NOT_THERE & set(failing):
            left += [f"error action {kind}" for kind in failing]
            failing = None
        if left:
            self._found.whole[name] = rule
            for kind in left:
                hint = "; write `influxdb` under `target.twin`" if kind == "influxDB" else ""
                self._note(f"rule {name}: the twin does not have the action {kind}{hint}")
            rule = {**rule, "actions": kept}
            rule.pop("errorAction", None)
            if failing is not None:
                rule["errorAction"] = failing
        if kept:
            self._found.rules[name] = rule
        else:
            self._note(f"rule {name} was left out: none of its actions can be rehearsed")

    # -- what feeds the stores ------------------------------------------------------------------------------

    def _prefix(self) -> str:
        for rule in self._found.rules.values():
            if any(set(FEEDS) & set(one) for one in rule["actions"]):
                prefix = prefix_of(rule["sql"])
                if prefix:
                    return prefix
        return ""

    def _choose_stores(self) -> None:
        """The twin has one table and one stream: those that the first rules write to."""
        found = self._found
        if not found.topic_prefix:
            self._note(
                "no rule that writes to Timestream, Kinesis or Firehose selects PREFIX/BUOY/data/, where "
                "boards publish: the twin's own rules feed the stores. --topic-prefix names another prefix"
            )
            return
        topic = f"{found.topic_prefix}/1/data/"
        table: tuple[str, str] | None = None
        stream: tuple[str, str] | None = None
        for name, rule in found.rules.items():
            if not _selects(rule["sql"], topic):
                if any(set(FEEDS) & set(one) for one in rule["actions"]):
                    self._note(
                        f"rule {name} does not select {topic}: its records go to actions/, not to a store"
                    )
                continue
            feeds, kept = False, []
            for action in rule["actions"]:
                ((kind, parameters),) = action.items()
                if kind == "timestream":
                    goes = (str(parameters["databaseName"]), str(parameters["tableName"]))
                    table = table or goes
                    fits, words = table == goes, ".".join(goes)
                elif kind in ("kinesis", "firehose"):
                    goes = (kind, str(parameters.get("streamName", parameters.get("deliveryStreamName"))))
                    stream = stream or goes
                    fits, words = stream == goes, " ".join(goes)
                else:
                    kept.append(action)
                    continue
                if fits:
                    feeds = True
                    kept.append(action)
                else:
                    found.whole.setdefault(name, rule)
                    self._note(f"rule {name}: {words} is left out: the twin has one table and one stream")
            if kept:
                found.rules[name] = {**rule, "actions": kept}
            if feeds:
                found.feeding.append(name)
                if "buoy_id" not in rule["sql"]:
                    self._note(
                        f"rule {name}: its SELECT has no `AS buoy_id`, by which the verdict finds records in "
                        "S3; without it the verdict misses them"
                    )
        if table is None:
            self._note("no rule writes to Timestream: the twin's own rule buoy_timestream stands in")
        if stream is None:
            self._note("no rule writes to Kinesis or Firehose: the twin's own rule buoy_kinesis stands in")
        else:
            self._read_stream(*stream)

    def _read_stream(self, kind: str, name: str) -> None:
        found = self._found
        if kind == "kinesis":
            answer = self._ask("stream", "kinesis", "describe_stream_summary", on=name, StreamName=name)
            if answer:
                found.shards = int(answer["StreamDescriptionSummary"]["OpenShardCount"])
            found.delivery = self._delivery_behind(name)
        else:
            found.delivery = self._delivery(name)
        if not found.delivery:
            self._note(f"{kind} {name}: no delivery stream was read; the twin's own stands in")
            return
        self._look_at(found.delivery)

    def _delivery(self, name: str) -> dict[str, Any]:
        answer = self._ask(
            "delivery stream", "firehose", "describe_delivery_stream", on=name, DeliveryStreamName=name
        )
        description: dict[str, Any] = answer.get("DeliveryStreamDescription", {})
        return description

    def _delivery_behind(self, stream: str) -> dict[str, Any]:
        """The delivery stream that reads a data stream."""
        behind: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            answer = self._ask("delivery streams of", "firehose", "list_delivery_streams", on="*", **more)
            names = [str(name) for name in answer.get("DeliveryStreamNames", [])]
            for name in names:
                description = self._delivery(name)
                source = description.get("Source", {}).get("KinesisStreamSourceDescription", {})
                if str(source.get("KinesisStreamARN", "")).endswith(f":stream/{stream}"):
                    behind.append(description)
            if not answer.get("HasMoreDeliveryStreams") or not names:
                break
            more = {"ExclusiveStartDeliveryStreamName": names[-1]}
        for other in behind[1:]:
            self._note(f"delivery stream {other['DeliveryStreamName']} is left out: the twin has one")
        return behind[0] if behind else {}

    def _look_at(self, delivery: dict[str, Any]) -> None:
        name = delivery.get("DeliveryStreamName")
        destinations = delivery.get("Destinations") or [{}]
        if "ExtendedS3DestinationDescription" not in destinations[0] or len(destinations) > 1:
            kinds = [key.removesuffix("DestinationDescription") for one in destinations for key in one]
            kinds = [kind for kind in kinds if kind not in ("DestinationId", "S3", "ExtendedS3")]
            self._note(
                f"delivery stream {name}: the twin delivers to S3, not to {', '.join(kinds) or 'others'}"
            )
        extended = destinations[0].get("ExtendedS3DestinationDescription", {})
        for key, words in (
            ("DataFormatConversionConfiguration", "conversion of the data format"),
            ("DynamicPartitioningConfiguration", "dynamic partitioning"),
        ):
            if extended.get(key, {}).get("Enabled"):
                self._note(f"delivery stream {name}: {words} is not rehearsed")
        if extended.get("S3BackupMode") == "Enabled":
            self._note(f"delivery stream {name}: the backup of source records is not rehearsed")
        if extended.get("CompressionFormat", "UNCOMPRESSED") not in ("UNCOMPRESSED", "GZIP"):
            self._note(
                f"delivery stream {name}: objects are not packed as {extended['CompressionFormat']} here"
            )
        for processor in processors(delivery):
            kind = processor.get("Type")
            if kind == "Lambda":
                arn = parameters_of(processor).get("LambdaArn", "")
                self._found.transform = self._read_function(arn)
            elif kind != "AppendDelimiterToRecord":
                self._note(f"delivery stream {name}: the processor {kind} is not rehearsed")

    # -- functions ------------------------------------------------------------------------------------------

    def _read_functions_of_rules(self) -> None:
        for name, rule in self._found.rules.items():
            for action in rule["actions"]:
                if "lambda" in action:
                    self._read_function(str(action["lambda"].get("functionArn", "")))
            for arn in arns_in(rule["sql"]):
                if not self._read_function(arn):
                    self._note(f"rule {name}: the function {arn} cannot be called")

    def _read_function(self, arn: str) -> str:
        """Read it once; its name, empty where the ARN is none."""
        name = function_name(arn)
        if not name or name in self._found.functions:
            return name
        answer = self._ask("function", "lambda", "get_function", on=name, FunctionName=arn)
        configuration = dict(answer.get("Configuration", {}))
        function = ImportedFunction(name, configuration)
        self._found.functions[name] = function
        reserved = answer.get("Concurrency", {}).get("ReservedConcurrentExecutions")
        function.concurrency = None if reserved is None else int(reserved)
        if not answer:
            return name
        for layer in configuration.get("Layers", []):
            self._note(
                f"function {name}: put what it needs of the layer {layer.get('Arn')} into functions/{name}/"
            )
        if configuration.get("Environment", {}).get("Error"):
            said = configuration["Environment"]["Error"].get("Message", "not readable")
            self._note(f"function {name}: its variables could not be read: {said}")
        self._download(function, answer.get("Code", {}))
        return name

    def _download(self, function: ImportedFunction, code: Mapping[str, Any]) -> None:
        runtime = str(function.configuration.get("Runtime", ""))
        step = f"put a Python or JavaScript handler into functions/{function.name}/"
        if not runtime.startswith(("python", "nodejs")):
            kind = f"has the runtime {runtime}" if runtime else "is a container image"
            self._note(f"function {function.name} {kind}, which does not run here; {step}")
            return
        try:
            function.code = self._fetch(str(code["Location"]))
        except (KeyError, OSError) as error:
            what = "AWS names no place of it" if isinstance(error, KeyError) else error
            self._note(f"the code of function {function.name} could not be downloaded: {what}; {step}")


def processors(delivery: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The processors of a delivery stream that are switched on."""
    extended = (delivery.get("Destinations") or [{}])[0].get("ExtendedS3DestinationDescription", {})
    configuration = extended.get("ProcessingConfiguration", {})
    return list(configuration.get("Processors", [])) if configuration.get("Enabled") else []


def parameters_of(processor: Mapping[str, Any]) -> dict[str, str]:
    """Name → value."""
    return {one["ParameterName"]: str(one["ParameterValue"]) for one in processor.get("Parameters", [])}


def function_name(arn: str) -> str:
    """The name in a function's ARN, with or without a version; empty where it is none."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 and parts[2] == "lambda" and parts[5] == "function" else ""


def arns_in(sql: str) -> list[str]:
    """The ARNs that `aws_lambda(…)` calls in a statement."""
    return re.findall(r"aws_lambda\s*\(\s*[\"'](arn:[^\"']+)[\"']", sql, re.IGNORECASE)


def _from_of(sql: str) -> str:
    match = re.search(r"\bFROM\s+('(?:[^']|'')*'|\"[^\"]*\")", sql, re.IGNORECASE)
    return match[1][1:-1].replace("''", "'") if match else ""


def prefix_of(sql: str) -> str:
    """The topic prefix of boards that a rule's FROM selects; empty where it takes no `PREFIX/BUOY/data/`.

    `aws/+/+/data/#` gives `aws/0`: a level for any text becomes 0.
    """
    levels = _from_of(sql).split("/")
    data = levels.index("data") if "data" in levels else len(levels)
    before = [level for level in levels[:data] if level != "#"]
    if data < len(levels):
        before = before[:-1]  # the buoy's own level
    prefix = "/".join(_LEVEL_FOR_ANY if level == "+" else level for level in before)
    return prefix if before and not prefix.startswith("$") and _selects(sql, f"{prefix}/1/data/") else ""


def _selects(sql: str, topic: str) -> bool:
    from buoyfleet.mqtt.topics import topic_matches

    chosen = _from_of(sql).encode()
    return bool(chosen) and topic_matches(chosen, topic.encode(), hash_matches_parent=False)
