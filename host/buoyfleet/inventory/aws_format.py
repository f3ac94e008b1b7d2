"""The `target` key of kind `aws`: where a pipeline stands in an account."""

# ruff: noqa: RUF009 (`setting` makes a dataclass field, which is what the rule wants)

import os
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.inventory.fields import FilePath, Number, Text, Whole
from buoyfleet.inventory.influx_format import InfluxSection
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Nested, setting
from buoyfleet.inventory.target_section import TargetSection
from buoyfleet.inventory.values import absolute_path
from buoyfleet.model.aws import DEFAULT_NAME, AwsSpec

_THING = Text("a name of letters, digits, `:`, `_` and `-`", r"^[a-zA-Z0-9:_-]{1,118}$")
"""AWS IoT: thing names are [a-zA-Z0-9:_-]{1,128}; the witness appends a number."""
_RULE = Text(
    "a name of letters, digits and `_`", r"^[a-zA-Z0-9_]{1,128}$", lambda text: text.replace("-", "_")
)
"""AWS IoT: rule names are [a-zA-Z0-9_]{1,128}, with no hyphen."""
_PLAIN = Text("a name of letters, digits, `_`, `.` and `-`", r"^[a-zA-Z0-9_.-]{1,128}$")
_PREFIX = Text("an S3 prefix such as `data/`", r"^(?:[A-Za-z0-9!_.*'()=-][A-Za-z0-9!_.*'()=/-]{0,200}/)?$")
_CALLED_AFTER_IT = ("thing_type", "thing_group", "database", "stream", "delivery_stream")


def _of(suffix: str = "") -> str:
    return f"`<name>{suffix}`"


@dataclass
class AwsSection(TargetSection, model=AwsSpec, layered=True):
    """A pipeline in an AWS account. Credentials come from boto3's own chain, never from this file."""

    OF = " of target `aws`"

    name: str | None = setting(
        Text("a name of small letters, digits and hyphens", r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$", str.lower),
        "Name of the pipeline (of its CloudFormation stack); everything below is called after it.",
        also=("stack",),
    )
    region: str | None = setting(
        Text("a region such as `us-west-2`", r"^[a-z]{2,4}(?:-[a-z]+)+-\d+$"),
        "Region of the pipeline.",
        shown="boto3's own (`AWS_REGION`, profile)",
    )
    profile: str | None = setting(
        Text("the name of a profile", r"^\S+$"),
        "Profile of `~/.aws/config`.",
        shown="boto3's own (`AWS_PROFILE`)",
    )
    account: str | None = setting(
        Text("the 12 digits of an account, in quotes", r"^\d{12}$"),
        "If given, a run with credentials of another account is refused.",
        shown="that of the credentials",
        also=("account_id",),
    )
    endpoint: str | None = setting(
        Text("a host name", r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"),
        "Data endpoint of IoT Core, e.g. `a1b2-ats.iot.us-west-2.amazonaws.com`.",
        shown="asked for (`iot:DescribeEndpoint`)",
        also=("host",),
    )
    port: int | None = setting(
        Whole(1, 65535),
        "`8883`, or `443`, where MQTT is chosen by ALPN `x-amzn-mqtt-ca`.",
    )
    certificates: str | None = setting(
        FilePath(),
        "Folder with `<thing>.pem` and `<thing>.key`, as `buoy cloud enroll` fills it.",
        shown="`certs/<name>`",
        also=("certs",),
    )
    ca: str | None = setting(
        FilePath(),
        "Certificate of the authority that signed the endpoint's.",
        shown="`AmazonRootCA1.pem` in `certificates`",
    )
    thing_type: str | None = setting(_THING, "Type of the things.", shown=_of(), also=("type",))
    thing_group: str | None = setting(_THING, "Group of the things.", shown=_of(), also=("group",))
    policy: str | None = setting(
        _THING,
        "IoT policy of the boards' certificates.",
        shown=_of("-buoy"),
        also=("iot_policy",),
    )
    witness: str | None = setting(
        _THING,
        "Thing of the witness, and its policy; several connections append `-1`, `-2`, ….",
        shown=_of("-witness"),
    )
    database: str | None = setting(_PLAIN, "Database of Timestream.", shown=_of(), also=("db",))
    table: str | None = setting(_PLAIN, "Its table.")
    timestream_rule: str | None = setting(
        _RULE, "IoT rule that writes to Timestream.", shown=_of("_timestream")
    )
    kinesis_rule: str | None = setting(_RULE, "IoT rule that writes to Kinesis.", shown=_of("_kinesis"))
    influxdb: InfluxSection | None = setting(
        Nested(InfluxSection),
        "The time-series store in place of Timestream (Amazon Timestream for InfluxDB, say).",
        also=("influx",),
    )
    stream: str | None = setting(_PLAIN, "Kinesis data stream.", shown=_of(), also=("kinesis",))
    delivery_stream: str | None = setting(_PLAIN, "Firehose stream.", shown=_of(), also=("firehose",))
    function: str | None = setting(
        _THING, "Lambda function of the transform.", shown=_of("-datatransform"), also=("lambda",)
    )
    bucket: str | None = setting(
        Text("the name of a bucket", r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", str.lower),
        "S3 bucket.",
        shown="`<name>-<account>-<region>`",
        also=("s3",),
    )
    s3_prefix: str | None = setting(_PREFIX, "Where Firehose puts objects in it.")
    failed_prefix: str | None = setting(
        _PREFIX,
        "Where Firehose puts what could not be transformed.",
    )
    error_prefix: str | None = setting(
        _PREFIX,
        "Where the rules' error actions write.",
    )
    wait: float | None = setting(
        duration_field("1 s", "1 d"),
        "How long to wait for stores and metrics after the last message.",
    )
    listen: float | None = setting(
        duration_field("0 s", "1 h"),
        "How long to listen for boards in service before the first message.",
    )
    max_messages: int | None = setting(
        Whole(1, 1_000_000_000),
        "A run that would send more is refused.",
    )
    max_cost: float | None = setting(
        Number(0, 1_000_000, "a number of US dollars"),
        "A run that would cost more US dollars is refused.",
        also=("max_cost_usd",),
    )


def aws_spec(section: AwsSection, folder: Path) -> AwsSpec:
    """Fill in what the section leaves open; relative paths start at `folder`."""
    said = section.model_values(folder)
    name = said.get("name", DEFAULT_NAME)
    rule = name.replace("-", "_")
    certificates = said.get("certificates") or absolute_path(f"certs/{name}", folder)
    usual = {
        "certificates": certificates,
        "ca": os.path.join(certificates, "AmazonRootCA1.pem"),
        **dict.fromkeys(_CALLED_AFTER_IT, name),
        "policy": f"{name}-buoy",
        "witness": f"{name}-witness",
        "timestream_rule": f"{rule}_timestream",
        "kinesis_rule": f"{rule}_kinesis",
        "function": f"{name}-datatransform",
    }
    return AwsSpec(**{**usual, **said})
