"""Jobs and streams of an account that has none: what AWS answers to a device that asks.

AWS IoT Core developer guide, "Jobs device MQTT API" and "Using AWS IoT MQTT-based file delivery in devices".
"""

import json
from typing import Any

from buoyfleet.cloud.local.broker.account import Reply


def request_job(thing: str, rest: list[str], payload: bytes, now_s: int) -> list[Reply]:
    """Answer a request on `$aws/things/THING/jobs/…`; to the client that asked and to no other."""
    topic = f"$aws/things/{thing}/jobs/{'/'.join(rest)}"
    try:
        body = json.loads(payload or b"{}")
        token = body.get("clientToken") if isinstance(body, dict) else None
    except (ValueError, RecursionError):
        return [_reply(f"{topic}/rejected", {"code": "InvalidJson", "timestamp": now_s}, None)]
    stamp: dict[str, Any] = {"timestamp": now_s}
    if rest == ["get"]:
        answer = {**stamp, "inProgressJobs": [], "queuedJobs": []}
    elif rest == ["start-next"] or rest == ["$next", "get"]:
        answer = {**stamp, "execution": {}}
    else:
        words = f"Job execution of job {rest[0]} for thing {thing} does not exist"
        refusal = {"code": "ResourceNotFound", "message": words, **stamp}
        return [_reply(f"{topic}/rejected", refusal, token)]
    return [_reply(f"{topic}/accepted", answer, token)]


def request_stream(thing: str, stream: str, payload: bytes) -> list[Reply]:
    """Answer a request for a stream, in JSON: there is none."""
    try:
        body = json.loads(payload or b"{}")
        token = body.get("c") if isinstance(body, dict) else None
    except (ValueError, RecursionError):
        token = None
    said = {"o": "ResourceNotFound", "m": f"Stream {stream} does not exist"}
    if token is not None:
        said["c"] = token
    return [Reply(f"$aws/things/{thing}/streams/{stream}/rejected/json", _encode(said))]


def _reply(topic: str, said: dict[str, Any], token: Any) -> Reply:
    if token is not None:
        said = {**said, "clientToken": token}
    return Reply(topic, _encode(said), direct=True)


def _encode(said: dict[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
