"""Where the pipeline stands in an AWS account, as a fleet file says it."""

from dataclasses import dataclass

from buoyfleet.model.twin import InfluxSpec

DEFAULT_NAME = "buoytest"
"""Of the pipeline that test fleets use: its own things, table, stream and bucket, never those in service."""


@dataclass(frozen=True, slots=True)
class AwsSpec:
    """A pipeline in an account, by default with the names of `host/buoyfleet/cloud/aws/pipeline.yaml`."""

    name: str = DEFAULT_NAME
    region: str = ""
    """Empty: boto3's own chain (AWS_REGION, profile)."""
    profile: str = ""
    """Of ~/.aws/config; empty: boto3's own chain."""
    account: str = ""
    """If given, credentials of another account are refused."""
    endpoint: str = ""
    """Host name of IoT Core's data endpoint; empty: asked for."""
    port: int = 443
    """8883, or 443 where MQTT is chosen by ALPN."""
    certificates: str = ""
    """Folder with `<thing>.pem` and `<thing>.key`."""
    ca: str = ""
    """The authority of the endpoint's certificate."""
    thing_type: str = DEFAULT_NAME
    thing_group: str = DEFAULT_NAME
    policy: str = f"{DEFAULT_NAME}-buoy"
    witness: str = f"{DEFAULT_NAME}-witness"
    """Thing of the witness, which may listen to all of the fleet, and its policy."""
    database: str = DEFAULT_NAME
    table: str = "measures"
    timestream_rule: str = f"{DEFAULT_NAME}_timestream"
    kinesis_rule: str = f"{DEFAULT_NAME}_kinesis"
    influxdb: InfluxSpec | None = None
    """The time-series store in place of Timestream."""
    stream: str = DEFAULT_NAME
    delivery_stream: str = DEFAULT_NAME
    function: str = f"{DEFAULT_NAME}-datatransform"
    bucket: str = ""
    """Empty: `<name>-<account>-<region>`."""
    s3_prefix: str = "data/"
    failed_prefix: str = "processing-failed/"
    error_prefix: str = "rule-errors/"
    """Where the rules' error actions write."""
    wait_s: float = 600.0
    """How long to wait for stores and metrics after the last message."""
    listen_s: float = 5.0
    """How long to listen for boards in service before the first message."""
    max_messages: int = 100_000
    max_cost_usd: float = 5.0

    @property
    def rules(self) -> tuple[str, ...]:
        """The pipeline's rules: one where boards use Basic Ingest, else two."""
        return tuple(dict.fromkeys((self.timestream_rule, self.kinesis_rule)))
