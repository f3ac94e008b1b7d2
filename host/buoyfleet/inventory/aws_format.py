"""The `target` key of kind `aws`: where a pipeline stands in an account."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Number, Text, Whole
from buoyfleet.inventory.influx_format import InfluxSection, influx_spec
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Nested, entry
from buoyfleet.inventory.settings import settings_document
from buoyfleet.inventory.target_section import TargetSection
from buoyfleet.inventory.values import duration_text
from buoyfleet.model.aws import DEFAULT_NAME, AwsSpec

_AWS = AwsSpec()
_THING = Text("a name of letters, digits, `:`, `_` and `-`", r"^[a-zA-Z0-9:_-]{1,118}$")
"""AWS IoT: thing names are [a-zA-Z0-9:_-]{1,128}; the witness appends a number."""
_RULE = Text(
    "a name of letters, digits and `_`", r"^[a-zA-Z0-9_]{1,128}$", lambda text: text.replace("-", "_")
)
"""AWS IoT: rule names are [a-zA-Z0-9_]{1,128}, with no hyphen."""
_PLAIN = Text("a name of letters, digits, `_`, `.` and `-`", r"^[a-zA-Z0-9_.-]{1,128}$")
_PREFIX = Text("an S3 prefix such as `data/`", r"^(?:[A-Za-z0-9!_.*'()=-][A-Za-z0-9!_.*'()=/-]{0,200}/)?$")
_PATH = Text("a path", r"\S")


def _of(suffix: str = "") -> str:
    return f"`<name>{suffix}`"


@dataclass
class AwsSection(TargetSection):
    """A pipeline in an AWS account. Credentials come from boto3's own chain, never from this file."""

    OF = " of target `aws`"

    name: str = entry(
        Text("a name of small letters, digits and hyphens", r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$", str.lower),
        "Name of the pipeline (of its CloudFormation stack); everything below is called after it.",
        default=DEFAULT_NAME,
        shown=f"`{DEFAULT_NAME}`",
        also=("stack",),
    )
    region: str = entry(
        Text("a region such as `us-west-2`", r"^[a-z]{2,4}(?:-[a-z]+)+-\d+$"),
        "Region of the pipeline.",
        default="",
        shown="boto3's own (`AWS_REGION`, profile)",
    )
    profile: str = entry(
        Text("the name of a profile", r"^\S+$"),
        "Profile of `~/.aws/config`.",
        default="",
        shown="boto3's own (`AWS_PROFILE`)",
    )
    account: str = entry(
        Text("the 12 digits of an account, in quotes", r"^\d{12}$"),
        "If given, a run with credentials of another account is refused.",
        default="",
        shown="that of the credentials",
        also=("account_id",),
    )
    endpoint: str = entry(
        Text("a host name", r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"),
        "Data endpoint of IoT Core, e.g. `a1b2-ats.iot.us-west-2.amazonaws.com`.",
        default="",
        shown="asked for (`iot:DescribeEndpoint`)",
        also=("host",),
    )
    port: int = entry(
        Whole(1, 65535),
        "`8883`, or `443`, where MQTT is chosen by ALPN `x-amzn-mqtt-ca`.",
        default=_AWS.port,
        shown=f"`{_AWS.port}`",
    )
    certificates: str = entry(
        _PATH,
        "Folder with `<thing>.pem` and `<thing>.key`, as `buoy cloud enroll` fills it.",
        default="",
        shown="`certs/<name>`",
        also=("certs",),
    )
    ca: str = entry(
        _PATH,
        "Certificate of the authority that signed the endpoint's.",
        default="",
        shown="`AmazonRootCA1.pem` in `certificates`",
    )
    thing_type: str = entry(_THING, "Type of the things.", default="", shown=_of(), also=("type",))
    thing_group: str = entry(_THING, "Group of the things.", default="", shown=_of(), also=("group",))
    policy: str = entry(
        _THING,
        "IoT policy of the boards' certificates.",
        default="",
        shown=_of("-buoy"),
        also=("iot_policy",),
    )
    witness: str = entry(
        _THING,
        "Thing of the witness, and its policy; several connections append `-1`, `-2`, ….",
        default="",
        shown=_of("-witness"),
    )
    database: str = entry(_PLAIN, "Database of Timestream.", default="", shown=_of(), also=("db",))
    table: str = entry(_PLAIN, "Its table.", default=_AWS.table, shown=f"`{_AWS.table}`")
    timestream_rule: str = entry(
        _RULE, "IoT rule that writes to Timestream.", default="", shown=_of("_timestream")
    )
    kinesis_rule: str = entry(_RULE, "IoT rule that writes to Kinesis.", default="", shown=_of("_kinesis"))
    influxdb: InfluxSection | None = entry(
        Nested(InfluxSection),
        "The time-series store in place of Timestream (Amazon Timestream for InfluxDB, say).",
        also=("influx",),
    )
    stream: str = entry(_PLAIN, "Kinesis data stream.", default="", shown=_of(), also=("kinesis",))
    delivery_stream: str = entry(_PLAIN, "Firehose stream.", default="", shown=_of(), also=("firehose",))
    function: str = entry(
        _THING, "Lambda function of the transform.", default="", shown=_of("-datatransform"), also=("lambda",)
    )
    bucket: str = entry(
        Text("the name of a bucket", r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", str.lower),
        "S3 bucket.",
        default="",
        shown="`<name>-<account>-<region>`",
        also=("s3",),
    )
    s3_prefix: str = entry(
        _PREFIX, "Where Firehose puts objects in it.", default=_AWS.s3_prefix, shown=f"`{_AWS.s3_prefix}`"
    )
    failed_prefix: str = entry(
        _PREFIX,
        "Where Firehose puts what could not be transformed.",
        default=_AWS.failed_prefix,
        shown=f"`{_AWS.failed_prefix}`",
    )
    error_prefix: str = entry(
        _PREFIX,
        "Where the rules' error actions write.",
        default=_AWS.error_prefix,
        shown=f"`{_AWS.error_prefix}`",
    )
    wait: float = entry(
        duration_field("1 s", "1 d"),
        "How long to wait for stores and metrics after the last message.",
        default=_AWS.wait_s,
        shown=f"`{duration_text(_AWS.wait_s)}`",
    )
    listen: float = entry(
        duration_field("0 s", "1 h"),
        "How long to listen for boards in service before the first message.",
        default=_AWS.listen_s,
        shown=f"`{duration_text(_AWS.listen_s)}`",
    )
    max_messages: int = entry(
        Whole(1, 1_000_000_000),
        "A run that would send more is refused.",
        default=_AWS.max_messages,
        shown=f"`{_AWS.max_messages}`",
    )
    max_cost: float = entry(
        Number(0, 1_000_000, "a number of US dollars"),
        "A run that would cost more US dollars is refused.",
        default=_AWS.max_cost_usd,
        shown=f"`{_AWS.max_cost_usd:g}`",
        also=("max_cost_usd",),
    )


def aws_spec(section: AwsSection, folder: Path) -> AwsSpec:
    """Fill in what the section leaves open; relative paths start at `folder`."""

    def path(text: str) -> str:
        return os.path.abspath(folder / os.path.expanduser(text))

    name = section.name
    certificates = path(section.certificates or f"certs/{name}")
    rule = name.replace("-", "_")
    return AwsSpec(
        name=name,
        region=section.region,
        profile=section.profile,
        account=section.account,
        endpoint=section.endpoint,
        port=section.port,
        certificates=certificates,
        ca=path(section.ca) if section.ca else os.path.join(certificates, "AmazonRootCA1.pem"),
        thing_type=section.thing_type or name,
        thing_group=section.thing_group or name,
        policy=section.policy or f"{name}-buoy",
        witness=section.witness or f"{name}-witness",
        database=section.database or name,
        table=section.table,
        timestream_rule=section.timestream_rule or f"{rule}_timestream",
        kinesis_rule=section.kinesis_rule or f"{rule}_kinesis",
        influxdb=influx_spec(section.influxdb),
        stream=section.stream or name,
        delivery_stream=section.delivery_stream or name,
        function=section.function or f"{name}-datatransform",
        bucket=section.bucket,
        s3_prefix=section.s3_prefix,
        failed_prefix=section.failed_prefix,
        error_prefix=section.error_prefix,
        wait_s=section.wait,
        listen_s=section.listen,
        max_messages=section.max_messages,
        max_cost_usd=section.max_cost,
    )


def aws_document(spec: AwsSpec) -> dict[str, Any]:
    """A spec in the form of a fleet file; `aws_spec` of it gives the same again."""
    renamed = {"wait_s": "wait", "listen_s": "listen", "max_cost_usd": "max_cost"}
    document: dict[str, Any] = {"kind": "aws"}
    for one in fields(spec):
        value = getattr(spec, one.name)
        if one.name == "influxdb":
            if spec.influxdb is not None:
                document["influxdb"] = settings_document(InfluxSection, spec.influxdb)
            continue
        if value != "" or one.name.endswith("_prefix"):
            shown = duration_text(value) if one.name.endswith("_s") else value
            document[renamed.get(one.name, one.name)] = shown
    return document
