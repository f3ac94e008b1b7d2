"""Settings of the local twin; the defaults are AWS's or the source system's, as noted."""

from dataclasses import dataclass, field
from typing import Literal

from buoyfleet.model.secret import SecretRef

INGEST_RULE = "buoy_ingest"
"""The twin's rule for Basic Ingest: one rule feeds all stores, as a message names one rule."""
SqlVersion = Literal["2015-10-08", "2016-03-23"]
TimeUnit = Literal["s", "ms", "us", "ns"]
FaultStage = Literal["broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"]
FaultKind = Literal[
    "lost", "duplicated", "altered", "delayed", "retyped", "truncated", "unanswered", "taken-over"
]


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """A rehearsed fault: what happens to chosen messages on entering a stage of the twin.

    `buoys`, `messages` (counted per buoy from 0, in order of arrival at the stage) and `measures` select,
    empty ones all. `altered` takes `value`, `delayed` takes `seconds`. `unanswered` and `taken-over` are the
    broker's alone: it neither takes nor acknowledges the message, or another client takes the client id.
    """

    stage: FaultStage
    kind: FaultKind
    buoys: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()
    measures: tuple[str, ...] = ()
    value: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LimitSetting:
    """One limit that differs from AWS's; names as in `buoyfleet.model.limits`."""

    name: str
    value: bool | float | None
    """None: lifted."""


@dataclass(frozen=True, slots=True)
class ErrorAction:
    """What IoT Core does with a message whose rule action failed; one of the two."""

    s3: str = ""
    """Prefix in the bucket, e.g. `rule-errors/`."""
    republish: str = ""
    """Topic."""


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What differs from the source system's rule; empty: as there."""

    sql: str = ""
    sql_version: SqlVersion | None = None
    timestamp: str = ""
    """Substitution template of a record's time (Timestream action)."""
    timestamp_unit: TimeUnit = "ms"
    error_action: ErrorAction | None = None


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule beside those of the stores."""

    name: str
    file: str
    """JSON as `aws iot get-topic-rule` prints it."""
    stores: bool = False
    """Whether its actions feed the twin's stores, in place of the twin's own rules."""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A Lambda function that rules call."""

    name: str
    handler: str
    """A file as of `lambda_handler`."""
    environment: str = ""
    """File of its variables."""


@dataclass(frozen=True, slots=True)
class TwinTls:
    """Mutual TLS with certificates of the twin's own CA, and IoT Core policies."""

    alpn: bool = False
    """Boards connect to the second port, which takes MQTT by ALPN as IoT Core does on 443."""
    policy: str = ""
    """Policy document of every board's certificate; empty: what a buoy needs and nothing else."""
    authority: str = ""
    """Folder of an authority that is kept from run to run, as boards with certificates of their own need it;
    empty: a new one for each twin."""


@dataclass(frozen=True, slots=True)
class AuthorizerSpec:
    """A custom authorizer: a function that decides who may connect, and what for."""

    name: str
    handler: str
    """A Python or JavaScript file, or `file.function`, as of `lambda_handler`."""
    token_key: str = ""
    """Header, query parameter or user name parameter that holds the token."""
    signing_key: str = ""
    """File of the public key that signs tokens (RSA, PEM); empty: signing is disabled."""
    default: bool = False
    """It is asked where a client names none and has no other credentials."""


@dataclass(frozen=True, slots=True)
class ProvisioningSpec:
    """A template of fleet provisioning."""

    name: str
    template: str
    """File of the template's body (JSON)."""
    hook: str = ""
    """Pre-provisioning hook: a file as of `lambda_handler`."""
    policy: str = ""
    """File of the policy that every `PolicyName` of the template stands for; empty: that of the boards."""


@dataclass(frozen=True, slots=True)
class InfluxSpec:
    """An InfluxDB that exists, as a further store behind the rules."""

    url: str
    database: str
    """Version 1: the database; 2 and 3: the bucket."""
    organisation: str = ""
    """Version 2 and 3 only."""
    measurement: str = "buoy_data"
    username: str = ""
    password: SecretRef | None = None
    token: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class TwinSpec:
    """One twin."""

    limits: tuple[LimitSetting, ...] = ()
    """These hold in every mode, also where the rates are lifted."""
    tls: TwinTls | None = None
    ingest_rule: str = ""
    """Basic Ingest: the rule that boards name, which feeds all stores; empty: boards use topics."""
    timestream_rule: RuleSettings = field(default_factory=RuleSettings)
    kinesis_rule: RuleSettings = field(default_factory=RuleSettings)
    rules: tuple[OwnRule, ...] = ()
    functions: tuple[FunctionSpec, ...] = ()
    """Functions that rules call."""
    timestream_memory_store_h: float = 24.0
    """The source system's table keeps 24 h in memory (AWS's default is 6 h)."""
    timestream_visible_after_s: float = 0.0
    """Eventual consistency: a reader sees a record this much later."""
    kinesis_shards: int = 1
    firehose_lambda_buffer_mb: float = 1.0
    firehose_lambda_buffer_s: float = 60.0
    firehose_s3_buffer_mb: float = 5.0
    firehose_s3_buffer_s: float = 300.0
    hurry: bool = True
    """Whether a drain runs the buffers ahead of their time, or waits for them."""
    lambda_handler: str = ""
    """A Python or JavaScript file; empty: the twin's `datatransform.py`."""
    lambda_environment: str = ""
    """File of the function's variables; empty: none but Lambda's own."""
    lambda_timeout_s: float = 60.0
    lambda_memory_mb: int = 128
    lambda_cold_start_ms: float = 250.0
    """Modelled, not measured: a verdict must be the same on every machine."""
    lambda_per_record_ms: float = 1.0
    """Modelled, at 128 MB."""
    lambda_base_memory_mb: float = 40.0
    """Modelled use of memory by the runtime itself."""
    lambda_record_memory_kb: float = 6.0
    """Modelled use of memory per record of a batch."""
    lambda_concurrency: int = 1000
    """Executions that the account leaves to the function (Lambda quotas: 1000 per region)."""
    s3_prefix: str = ""
    """Before each object's name; `!{timestamp:…}` as in Firehose. Empty: Firehose's `YYYY/MM/dd/HH/`."""
    s3_error_prefix: str = ""
    """The same for what could not be transformed; empty: `processing-failed/YYYY/MM/dd/HH/`."""
    s3_delimiter: str = ""
    """Appended to each record (Firehose processor AppendDelimiterToRecord)."""
    s3_gzip: bool = False
    authorizers: tuple[AuthorizerSpec, ...] = ()
    access_policy: str = ""
    """Policy of the twin's access keys; empty: everything."""
    provisioning: tuple[ProvisioningSpec, ...] = ()
    """Needs `tls`."""
    influxdb: InfluxSpec | None = None
    faults: tuple[FaultSpec, ...] = ()
