"""What stages wrote down about messages that they could not pass on, as evidence per message.

Two kinds of objects: Firehose's under `processing-failed/`, and those of the rules' error actions.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buoyfleet.cloud.s3_reader import FIREHOSE_REASONS, ObjectInfo, documents, read_failed, unpack


@dataclass(frozen=True, slots=True)
class Noted:
    """One row of `buoyfleet.model.evidence.NOTED_SCHEMA`."""

    stage: str
    buoy: int
    timestamp_ms: int | None
    payload: bytes
    reason: str
    detail: str
    at_ns: int


# What Timestream says of a rejected record (RejectedRecord, API reference) → reason, as the twin names them.
# Where AWS's words are not known the reason is `refused`, and its sentence is quoted.
_REJECTIONS = (
    (re.compile(r"measure (?:value )?types?|type (?:conflict|mismatch)", re.I), "type-conflict"),
    (
        re.compile(r"version.*(?:lower|less)|same .*(?:dimension|time).*different|duplicate", re.I),
        "collision",
    ),
    (re.compile(r"outside the time range|memory store|retention", re.I), "too-old"),
    (re.compile(r"in the future|future ingestion", re.I), "time-ahead"),
    (re.compile(r"throttl|rate exceeded", re.I), "throttled"),
    (re.compile(r"not authori[sz]ed|access ?denied", re.I), "not-authorised"),
)
_KINESIS = (
    (re.compile(r"provisionedthroughputexceeded|rate exceeded", re.I), "records-per-second"),
    (re.compile(r"not authori[sz]ed|access ?denied", re.I), "not-authorised"),
)
_STAGES = {
    "timestream": ("timestream", _REJECTIONS),
    "influx": ("influxdb", _REJECTIONS),
    "kinesis": ("kinesis", _KINESIS),
}


def firehose_failures(
    info: ObjectInfo, body: bytes, timed_out: str, on_problem: Callable[[str], None]
) -> list[Noted]:
    """The records of an object under `processing-failed/`.

    Args:
        info: its key and time.
        body: its bytes.
        timed_out: a log line of the function about a timeout, or empty; it has the figures.
        on_problem: told of what cannot be read.
    """
    records = read_failed(info, body, on_problem)
    noted = []
    for record in records:
        reason = FIREHOSE_REASONS.get(record.error_code, "processing-failed")
        buoy, stamp = _identity(_json(record.raw_data), "buoy_id")
        if buoy is None:
            on_problem(f"S3 object {info.key}: a failed record without buoy_id")
            continue
        said = timed_out if reason == "timeout" and timed_out else record.error_message
        size = f"; {len(records)} records in the object" if len(records) > 1 else ""
        tries = f"{record.attempts} attempt{'s' if record.attempts != 1 else ''}"
        detail = f"{said.rstrip('.')}{size}; {tries}"
        noted.append(
            Noted("lambda", buoy, stamp, record.raw_data, reason, detail, record.ended_ms * 1_000_000)
        )
    return noted


def rule_failures(
    info: ObjectInfo, body: bytes, level: int, on_problem: Callable[[str], None]
) -> list[Noted]:
    """The messages in an object of an error action (AWS IoT guide, error action message format).

    Args:
        info: its key and time.
        body: its bytes.
        level: index of the topic level that holds the buoy's id, from 0.
        on_problem: told of what cannot be read.
    """
    try:
        content = unpack(body)
    except ValueError as error:
        on_problem(f"S3 object {info.key}: {error}")
        return []
    noted = []
    for _, document in documents(content, lambda what: on_problem(f"S3 object {info.key}: {what}")):
        try:
            payload = base64.b64decode(document["base64OriginalPayload"], validate=True)
            levels = document["topic"].split("/")
            buoy = int(levels[level])
            failures = [(str(one["failedAction"]), str(one["errorMessage"])) for one in document["failures"]]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, binascii.Error) as error:
            on_problem(f"S3 object {info.key}: not the document of an error action: {error!r}")
            continue
        _, stamp = _identity(_json(payload), "")
        for action, message in failures:
            stage, reason = _reason(action, message)
            detail = f"rule {document.get('ruleName', '?')}, {action}: {message[:300].rstrip('.')}"
            noted.append(Noted(stage, buoy, stamp, payload, reason, detail, info.last_modified_ns))
    return noted


def _reason(action: str, message: str) -> tuple[str, str]:
    """(stage, reason) of a failed action."""
    for word, (stage, patterns) in _STAGES.items():
        if word in action.lower():
            found = (reason for pattern, reason in patterns if pattern.search(message))
            return stage, next(found, "refused")
    return "rules", "action-failed"


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _identity(document: dict[str, Any], buoy_key: str) -> tuple[int | None, int | None]:
    """(buoy, timestamp in ms) as far as the content tells."""
    buoy, stamp = document.get(buoy_key), document.get("timestamp")
    if isinstance(buoy, str) and buoy.isascii() and buoy.isdecimal():
        buoy = int(buoy[:10])
    known = type(buoy) is int and 0 <= buoy < 1 << 31
    return (buoy if known else None), (stamp if type(stamp) is int else None)
