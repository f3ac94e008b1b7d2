"""The Lambda function `datatransform`: makes the rule's JSON ready for S3.

The source system's function of the same name base64-decodes each record that Firehose hands over, keeps the
nine keys, makes `buoy_id` an integer and returns recordId, result and data. This one differs so:

- it also keeps `timestamp`, which the original drops: without it a row in S3 cannot be told from another of
  the same value;
- a record that is no JSON object, or whose `buoy_id` is no integer, is returned as `ProcessingFailed`, so
  that it alone goes to the `processing-failed/` prefix; an exception would fail the whole batch;
- keys that a buoy did not send stay away.
"""

import base64
import json

_encode = json.JSONEncoder(separators=(",", ":")).encode

KEYS = ("do", "ec", "liqlev", "ph", "tds", "tbd", "wf", "wp", "temp", "timestamp")
"""Kept as they come. Written out, not imported: the file is uploaded to Lambda as it is."""


def lambda_handler(event: dict, context: object) -> dict:  # type: ignore[type-arg]  # noqa: ARG001
    """Transform one batch.

    Args:
        event: Firehose's event, `{"records": [{"recordId", "data": base64, …}, …], …}`.
        context: Lambda's context, not used.

    Returns:
        `{"records": [{"recordId", "result": "Ok" or "ProcessingFailed", "data": base64}, …]}`.
    """
    return {"records": [transform(record) for record in event["records"]]}


def transform(record: dict) -> dict:  # type: ignore[type-arg]
    """One record of the batch; see the module."""
    try:
        payload = json.loads(base64.b64decode(record["data"]))
        kept = {key: payload[key] for key in KEYS if key in payload}
        kept["buoy_id"] = int(payload["buoy_id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    data = _encode(kept).encode()
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(data).decode()}
