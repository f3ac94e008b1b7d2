"""Settings of the pipeline's resources, as the account has them."""

from dataclasses import dataclass

from buoyfleet.cloud.aws.account import Account
from buoyfleet.model.aws import AwsSpec

DEFAULT_BUFFER_S = 360.0
"""Firehose's defaults: 60 s before the function, 300 s before S3."""


@dataclass(slots=True)
class Settings:
    """What is known; None where it could not be asked."""

    shards: int | None = None
    buffered_s: float = DEFAULT_BUFFER_S
    """Longest stay in Firehose's buffers."""
    lambda_timeout_s: float | None = None
    lambda_memory_mb: int | None = None


def read_stream(account: Account, spec: AwsSpec, settings: Settings) -> str:
    """Ask about the data stream; returns a sentence.

    Raises:
        AwsError: there is none, not allowed, no answer.
    """
    answer = account.call("kinesis", "describe_stream_summary", on=spec.stream, StreamName=spec.stream)
    summary = answer["StreamDescriptionSummary"]
    settings.shards = int(summary["OpenShardCount"])
    return f"{spec.stream}: {summary['StreamStatus'].lower()}, {settings.shards} shards"


def read_delivery(account: Account, spec: AwsSpec, settings: Settings) -> str:
    """Ask about Firehose; as `read_stream`."""
    answer = account.call(
        "firehose",
        "describe_delivery_stream",
        on=spec.delivery_stream,
        DeliveryStreamName=spec.delivery_stream,
    )
    description = answer["DeliveryStreamDescription"]
    destination = (description.get("Destinations") or [{}])[0]
    extended = destination.get("ExtendedS3DestinationDescription") or {}
    s3_s = float(extended.get("BufferingHints", {}).get("IntervalInSeconds", 300))
    function_s = 0.0
    for processor in extended.get("ProcessingConfiguration", {}).get("Processors", []):
        if processor.get("Type") == "Lambda":
            named = {one["ParameterName"]: one["ParameterValue"] for one in processor.get("Parameters", [])}
            function_s = float(named.get("BufferIntervalInSeconds", 60))
    settings.buffered_s = s3_s + function_s
    status = str(description["DeliveryStreamStatus"]).lower()
    return f"{spec.delivery_stream}: {status}, buffers {function_s:g} s and {s3_s:g} s"


def read_function(account: Account, spec: AwsSpec, settings: Settings) -> str:
    """Ask about the Lambda function; as `read_stream`."""
    answer = account.call(
        "lambda", "get_function_configuration", on=spec.function, FunctionName=spec.function
    )
    settings.lambda_timeout_s = float(answer["Timeout"])
    settings.lambda_memory_mb = int(answer["MemorySize"])
    return f"{spec.function}: timeout {settings.lambda_timeout_s:g} s, {settings.lambda_memory_mb} MB"
