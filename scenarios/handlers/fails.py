"""A transform that does not expect a pH above 14: it raises, and the whole batch fails with it."""

import base64
import json


def lambda_handler(event: dict, context: object) -> dict:  # type: ignore[type-arg]  # noqa: ARG001
    """Transform one batch."""
    records = []
    for record in event["records"]:
        payload = json.loads(base64.b64decode(record["data"]))
        if payload["ph"] > 14:
            raise ValueError(f"pH of {payload['ph']} is not possible")
        payload["buoy_id"] = int(payload["buoy_id"])
        data = base64.b64encode(json.dumps(payload).encode()).decode()
        records.append({"recordId": record["recordId"], "result": "Ok", "data": data})
    return {"records": records}
