"""What Firehose and Lambda say to each other: the event, the response, and the objects of failed records."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from buoyfleet.cloud.local.kinesis import Record
from buoyfleet.cloud.local.lambda_runtime import LAMBDA_ARN

STREAM_ARN = "arn:aws:kinesis:local:000000000000:stream/buoys"
DELIVERY_ARN = "arn:aws:firehose:local:000000000000:deliverystream/buoys"
REGION = "local"
_NS_PER_MS = 1_000_000

RECORD_OVERHEAD_BYTES = 430
"""What an event adds to a record's base64 (ids, metadata), rounded up; keeps requests under Lambda's 6 MB."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why records of a batch were not transformed, in Firehose's words."""

    reason: str
    """Short name for the evidence."""
    code: str
    message: str
    retried: bool
    """Whether Firehose tries the batch again (invocation errors), or not (errors of the response)."""


TIMED_OUT = Failure(
    "timeout",
    "Lambda.FunctionTimedOut",
    "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function.",
    True,
)
FUNCTION_ERROR = Failure(
    "function-error",
    "Lambda.FunctionError",
    "The Lambda function was successfully invoked but it returned an error result.",
    True,
)
OUT_OF_MEMORY = Failure(
    "out-of-memory",
    "Lambda.FunctionError",
    "The Lambda function was successfully invoked but it returned an error result.",
    True,
)
THROTTLED = Failure(
    "concurrency",
    "Lambda.InvokeLimitExceeded",
    "Lambda invocation limit exceeded: the function has no execution left "
    "(TooManyRequestsException). Increase its concurrency.",
    True,
)
"""The guide names this failure ("you've reached the Lambda invocation limit"), not the words of its code."""
BAD_RESPONSE = Failure(
    "bad-response",
    "Lambda.JsonProcessingException",
    "There was an error parsing returned records from the Lambda function. Ensure that the returned records "
    "follow the status model required by Kinesis Firehose.",
    False,
)
MISSING_ID = Failure(
    "missing-record-id",
    "Lambda.MissingRecordId",
    "One or more record Ids were not returned. Ensure that the Lambda function returns all received "
    "record Ids.",
    False,
)
DUPLICATED_ID = Failure(
    "duplicated-record-id",
    "Lambda.DuplicatedRecordId",
    "Multiple records were returned with the same record ID. Ensure that the Lambda function returns unique "
    "record IDs for each record.",
    False,
)
PROCESSING_FAILED = Failure(
    "processing-failed",
    "Lambda.ProcessingFailedStatus",
    "ProcessingFailed status set for record",
    False,
)


def event(batch: list[Record], invocation: int) -> bytes:
    """The JSON event of one invocation, as Firehose builds it for a Kinesis source."""
    records = ",".join(
        f'{{"recordId":"{_record_id(record)}",'
        f'"approximateArrivalTimestamp":{record.arrival_ns // _NS_PER_MS},'
        f'"data":"{binascii.b2a_base64(record.data, newline=False).decode()}","kinesisRecordMetadata":'
        f'{{"sequenceNumber":"{record.sequence:056d}","subsequenceNumber":0,'
        f'"partitionKey":{json.dumps(record.partition_key)},"shardId":"shardId-{record.shard:012d}",'
        f'"approximateArrivalTimestamp":{record.arrival_ns // _NS_PER_MS}}}}}'
        for record in batch
    )
    return (
        f'{{"invocationId":"{invocation:036d}","sourceKinesisStreamArn":"{STREAM_ARN}",'
        f'"deliveryStreamArn":"{DELIVERY_ARN}","region":"{REGION}","records":[{records}]}}'
    ).encode()


def _record_id(record: Record) -> str:
    return f"{record.sequence:056d}000000"


@dataclass(slots=True)
class Transformed:
    """A batch after the handler: what to deliver, what it dropped, what failed."""

    delivered: list[tuple[Record, bytes]]
    dropped: list[Record]
    failed: list[Record]


def read_response(batch: list[Record], result: Any) -> Transformed | Failure:
    """Apply the status model (Firehose guide, required parameters for data transformation).

    Records whose entry lacks a known `result`, or whose data is not base64, fail alone; a response without
    all ids, or with an id twice, fails the batch.
    """
    if not isinstance(result, dict) or not isinstance(result.get("records"), list):
        return BAD_RESPONSE
    answers: dict[str, dict[str, Any]] = {}
    for entry in result["records"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("recordId"), str):
            return BAD_RESPONSE
        if entry["recordId"] in answers:
            return DUPLICATED_ID
        answers[entry["recordId"]] = entry
    transformed = Transformed([], [], [])
    for record in batch:
        answer = answers.get(_record_id(record))
        if answer is None:
            return MISSING_ID
        status, data = answer.get("result"), answer.get("data")
        if status == "Dropped":
            transformed.dropped.append(record)
        elif status == "Ok" and isinstance(data, str):
            try:
                transformed.delivered.append((record, binascii.a2b_base64(data, strict_mode=True)))
            except ValueError:
                transformed.failed.append(record)
        else:
            transformed.failed.append(record)
    return transformed


def failed_document(record: Record, failure: Failure, attempts: int, ended_ns: int) -> bytes:
    """One line of an object under `processing-failed/` (Firehose guide, data transformation failures)."""
    document = {
        "attemptsMade": attempts,
        "arrivalTimestamp": record.arrival_ns // _NS_PER_MS,
        "errorCode": failure.code,
        "errorMessage": failure.message,
        "attemptEndingTimestamp": ended_ns // _NS_PER_MS,
        "rawData": base64.b64encode(record.data).decode(),
        "lambdaArn": LAMBDA_ARN,
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
