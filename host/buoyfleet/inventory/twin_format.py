"""The `target.twin` key: settings of the local twin."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from buoyfleet.inventory.authorizer_format import AuthorizerSection, check_authorizer
from buoyfleet.inventory.collection_fields import Many
from buoyfleet.inventory.fields import (
    FilePath,
    IdPiece,
    Ids,
    Meaning,
    Number,
    Switch,
    Text,
    Whole,
    Word,
)
from buoyfleet.inventory.functions_format import FunctionSection
from buoyfleet.inventory.influx_format import InfluxSection
from buoyfleet.inventory.limits_format import LimitsSection
from buoyfleet.inventory.own_rules_format import OwnRuleSection
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.provisioning_format import ProvisioningSection
from buoyfleet.inventory.quantity_fields import duration_field, size_field
from buoyfleet.inventory.sections import Either, Nested, Section, entry, setting
from buoyfleet.inventory.yaml_nodes import Node, Scalar
from buoyfleet.model.fleet import FaultSpec, TwinSpec
from buoyfleet.model.twin import ErrorAction, RuleSettings, SqlVersion, TimeUnit, TwinTls
from sensors.catalog import KEYS

_FAULTS = get_type_hints(FaultSpec)
_STAGES: tuple[str, ...] = get_args(_FAULTS["stage"])
_FAULT_KINDS: tuple[str, ...] = get_args(_FAULTS["kind"])
_BROKER_KINDS = ("unanswered", "taken-over")
# Far beyond every sensor, and two decimals are still exact.
_LIMIT = 1_000_000


@dataclass
class FaultSection(Section):
    """A rehearsed fault."""

    OF = " of a fault"

    stage: Any = entry(Word(_STAGES, "stage"), "On entering which stage.", required=True)
    kind: Any = entry(Word(_FAULT_KINDS, "kind of fault"), "What happens.", required=True)
    buoys: list[IdPiece] | None = entry(Ids(2**31 - 1), "To messages of these buoys.", shown="all")
    messages: list[IdPiece] | None = entry(
        Ids(2**31 - 1, "message"),
        "To these messages, counted per buoy from 0 as they arrive there.",
        shown="all",
    )
    measures: list[str] | None = entry(
        Many(Word(KEYS, "measure"), alone=True), "To these measures.", shown="all nine"
    )
    value: float | None = entry(
        Number(-_LIMIT, _LIMIT, f"a number from -{_LIMIT} to {_LIMIT}"),
        "What `altered` measures become.",
        shown="one more than they were",
    )
    delay: float | None = entry(duration_field("1 ms", "30 d"), "How much later `delayed` messages come.")


def _check_fault(fault: FaultSection, report: Reporter) -> None:
    if fault.kind is None:
        return
    if fault.kind in _BROKER_KINDS and fault.stage not in (None, "broker"):
        message = f"`{fault.kind}` happens between board and broker, not at `{fault.stage}`"
        report.add(fault.line("stage"), fault.under("stage"), message, "write `stage: broker`")
    if fault.kind == "truncated" and fault.stage == "timestream":
        message = "Timestream gets values, and only a payload can be `truncated`"
        report.add(fault.line("stage"), fault.under("stage"), message, "write `stage: rules`")
    if fault.kind == "delayed" and not fault.has("delay"):
        report.add(
            fault.line("kind"), fault.path, "a `delayed` fault needs `delay`", "write e.g. `delay: 5 s`"
        )
    for name, kind in (("delay", "delayed"), ("value", "altered")):
        if fault.has(name) and fault.kind != kind:
            report.add(fault.line(name), fault.under(name), f"only a fault of kind `{kind}` takes `{name}`")


class Template(Text):
    """A text in which `${…}` is a substitution template of a rule, not a secret."""

    def read(self, node: Node, path: str, report: Reporter) -> str:
        if isinstance(node, Scalar) and isinstance(node.value, str) and not node.secret and node.text.strip():
            return node.text
        return super().read(node, path, report)


@dataclass
class ErrorActionSection(Section, model=ErrorAction):
    """What becomes of a message whose rule action failed; one of the two."""

    OF = " of `error_action`"
    RULES = {"minProperties": 1, "maxProperties": 1}  # noqa: RUF012 (not a field)

    s3: str = setting(
        Text("a prefix such as `rule-errors/`", r"^[^!$\s][^!$]*/$"), "Into the bucket, under this prefix."
    )
    republish: str = setting(Text("a topic", r"^[^$#+\s][^#+]{0,255}$"), "As a message on this topic.")


def _check_error_action(action: ErrorActionSection, report: Reporter) -> None:
    if bool(action.s3) == bool(action.republish) and action.has("s3") == action.has("republish"):
        report.add(action.line(), action.path, "write one of `s3: PREFIX/` and `republish: TOPIC`")


@dataclass
class RuleSection(Section, model=RuleSettings):
    """What differs from the source system's rule."""

    OF = " of a rule"

    sql: str = setting(
        Text("a rule statement", r"^(?i:select)\s"),
        "The whole statement; `topic(3) as buoy_id` must stay, as stores find the buoy by it.",
        shown="that of the source system, for the fleet's `topic_prefix`",
    )
    sql_version: SqlVersion | None = setting(
        Word(get_args(SqlVersion), "SQL version"),
        "How numbers are handled: 2016-03-23 writes 7.0 as 7.",
        shown="Timestream and InfluxDB 2015-10-08, Kinesis 2016-03-23",
    )
    error_action: ErrorActionSection | None = setting(
        Nested(ErrorActionSection, check=_check_error_action),
        "What becomes of a message that fails.",
        shown="nothing",
    )


@dataclass
class StoreRuleSection(RuleSection):
    """What differs from the source system's rule, with the time of a record."""

    timestamp: str = setting(
        Template("a substitution template such as `${timestamp}`", r"\S"),
        "The record's time: a substitution template.",
        shown="`${timestamp}` where payloads are `stamped`, else the time of processing",
    )
    timestamp_unit: TimeUnit = setting(Word(get_args(TimeUnit), "unit"), "Unit of `timestamp`.")


def _check_timestamp(rule: StoreRuleSection, report: Reporter) -> None:
    if rule.has("timestamp_unit") and not rule.timestamp:
        message = "`timestamp_unit` is the unit of `timestamp`, which is not written"
        report.add(rule.line("timestamp_unit"), rule.under("timestamp_unit"), message)


class _Rule(Nested):
    """What differs from a rule; a rule that does not differ is not written."""

    def write(self, value: RuleSettings) -> Any:
        document = super().write(value)
        if not value.timestamp:
            document.pop("timestamp_unit", None)
        return document or None


@dataclass
class TwinTlsSection(Section, model=TwinTls):
    """Mutual TLS with certificates of the twin's own authority, one for each board."""

    OF = " of the twin's `tls`"

    alpn: bool = setting(
        Switch(),
        "Boards connect to a second port that takes MQTT by ALPN, as IoT Core does on 443.",
    )
    policy: str = setting(
        FilePath(),
        "IoT Core policy (JSON) of the boards' certificates.",
        shown="what a buoy needs: connect as itself, publish its own topics, read its configuration",
    )
    authority: str = setting(
        FilePath(),
        "Folder of an authority that is kept: that of boards from `buoy commission` is `bench/certs`.",
        shown="a new one for each twin",
    )


class _Tls(Either):
    """`true`, `false`, or files of the twin's authority."""

    def resolve(self, value: bool | TwinTlsSection, folder: Path) -> TwinTls | None:
        if isinstance(value, bool):
            return TwinTls() if value else None
        tls: TwinTls = self.mapping.resolve(value, folder)
        return tls

    def write(self, value: TwinTls) -> Any:
        return self.mapping.write(value)


@dataclass
class TwinSection(Section, model=TwinSpec):
    """Settings of the local twin; the defaults are AWS's or the source system's."""

    limits: Any = entry(
        Nested(LimitsSection),
        "Limits that differ from AWS's; they hold in every mode.",
        shown="AWS's",
        also=("limit", "quotas"),
    )
    tls: bool | TwinTlsSection | None = setting(
        _Tls(Switch(), Nested(TwinTlsSection)),
        "Mutual TLS and policies as IoT Core has them; `false`: plain MQTT.",
        shown="`false`",
    )
    access_policy: str = setting(
        FilePath(),
        "Policy (JSON) of the twin's access keys, for Signature Version 4.",
        shown="everything is allowed",
    )
    authorizers: list[AuthorizerSection] | None = setting(
        Many(Nested(AuthorizerSection, "a mapping with `name` and `handler`", check_authorizer)),
        "Custom authorizers: functions that decide who may connect.",
        also=("authorizer",),
    )
    provisioning: list[ProvisioningSection] | None = setting(
        Many(Nested(ProvisioningSection, "a mapping with `name` and `template`")),
        "Templates of fleet provisioning; they need `tls`.",
    )
    timestream_rule: StoreRuleSection | None = setting(
        _Rule(StoreRuleSection, check=_check_timestamp),
        "The rule that feeds Timestream, and InfluxDB where there is one.",
    )
    kinesis_rule: RuleSection | None = setting(_Rule(RuleSection), "The rule that feeds Kinesis.")
    rules: list[OwnRuleSection] | None = setting(
        Many(Nested(OwnRuleSection, "a mapping with `name` and `file`")),
        "Rules of your own, beside those that feed the stores or, with `stores`, in their place.",
        also=("rule",),
    )
    functions: list[FunctionSection] | None = setting(
        Many(Nested(FunctionSection, "a mapping with `name` and `handler`")),
        "Lambda functions that rules call.",
        also=("function",),
    )
    timestream_memory_store: float = setting(
        duration_field("1 s", "8766 h", hours=True),
        "How old a record may be.",
    )
    timestream_visible_after: float = setting(
        duration_field("0 s", "30 d"),
        "Eventual consistency: a query sees a record this much later.",
    )
    influxdb: InfluxSection | None = setting(
        Nested(InfluxSection, "a mapping with `url` and `database`"),
        "An InfluxDB that runs already, as one more store.",
        also=("influx",),
    )
    kinesis_shards: int = setting(Whole(1, 500), "Shards of the stream.")
    # Firehose's buffering hints end at 128 MB and 900 s (API reference, BufferingHints).
    firehose_lambda_buffer_size: float = setting(
        size_field("1 kB", "128 MB"),
        "Firehose collects this much for one Lambda invocation.",
        attribute="firehose_lambda_buffer_mb",
    )
    firehose_lambda_buffer_time: float = setting(
        duration_field("0 s", "900 s"),
        "Or this long, whichever is first.",
        attribute="firehose_lambda_buffer_s",
    )
    firehose_s3_buffer_size: float = setting(
        size_field("1 kB", "128 MB"),
        "Firehose collects this much for one object in S3.",
        attribute="firehose_s3_buffer_mb",
    )
    firehose_s3_buffer_time: float = setting(
        duration_field("0 s", "900 s"),
        "Or this long, whichever is first.",
        attribute="firehose_s3_buffer_s",
    )
    hurry: bool = setting(
        Switch(),
        "The end of a run does not wait for buffers: they run ahead of their time. `false`: it waits for "
        "them, up to `drain_timeout`.",
    )
    lambda_handler: str = setting(
        FilePath(),
        "The function: a Python file with `lambda_handler`, a JavaScript one with `handler` (needs node), or"
        " `file.function` as Lambda names it.",
        shown="`host/buoyfleet/cloud/local/datatransform.py`",
        also=("handler",),
    )
    lambda_environment: str = setting(
        FilePath(),
        "Variables of the function: a JSON object of texts, or what `aws lambda get-function-configuration` "
        "prints.",
        shown="none",
    )
    # Lambda quotas: 15 minutes, 128 to 10 240 MB.
    lambda_timeout: float = setting(
        duration_field("1 ms", "15 min"),
        "An invocation that would take longer fails.",
    )
    lambda_memory: int = setting(
        size_field("128 MB", "10240 MB", whole=True),
        "Memory, and with it speed, of the Lambda function.",
    )
    lambda_cold_start: float = setting(
        duration_field("0 s", "15 min", milliseconds=True),
        "Modelled time of a cold start.",
    )
    lambda_per_record: float = setting(
        duration_field("0 s", "15 min", milliseconds=True),
        "Modelled time per record, at 128 MB.",
    )
    lambda_base_memory: float = setting(
        size_field("0 MB", "10240 MB"),
        "Modelled memory of the runtime itself.",
    )
    lambda_record_memory: float = setting(
        size_field("0 kB", "10240 MB", kilobytes=True),
        "Modelled memory per record of a batch; an invocation that needs more than it has fails.",
    )
    lambda_concurrency: int = setting(
        Whole(0, 1_000_000),
        "Executions at once that the account leaves to the function.",
    )
    s3_prefix: str = setting(
        Template("a prefix such as `buoys/!{timestamp:yyyy/MM/dd}/`", r"^[^\s/]"),
        "Prefix of objects, with Firehose's `!{timestamp:…}`.",
        shown="the hour: `YYYY/MM/dd/HH/`",
    )
    s3_error_prefix: str = setting(
        Template("a prefix such as `failed/!{firehose:error-output-type}/`", r"^[^\s/]"),
        "Prefix of objects with records that could not be transformed.",
        shown="`processing-failed/` and the hour",
    )
    s3_delimiter: str = setting(
        Meaning({"none": "", "newline": "\n"}, "delimiter"),
        "What follows each record in an object.",
    )
    s3_gzip: bool = setting(Switch(), "Objects are packed.")
    faults: list[FaultSection] = entry(
        Many(Nested(FaultSection, "a mapping with `stage` and `kind`", _check_fault)),
        "Faults to rehearse.",
        default_factory=list,
        also=("fault",),
    )


# Where the keys of a section are written → the section.
TWIN_SECTIONS: dict[str, type[Section]] = {
    "target.twin": TwinSection,
    "target.twin.limits": LimitsSection,
    "target.twin.tls": TwinTlsSection,
    "target.twin.authorizers[]": AuthorizerSection,
    "target.twin.provisioning[]": ProvisioningSection,
    "target.twin.timestream_rule": StoreRuleSection,
    "target.twin.kinesis_rule": RuleSection,
    "target.twin.rules[]": OwnRuleSection,
    "target.twin.functions[]": FunctionSection,
    "target.twin.timestream_rule.error_action": ErrorActionSection,
    "target.twin.influxdb": InfluxSection,
    "target.twin.faults[]": FaultSection,
}
