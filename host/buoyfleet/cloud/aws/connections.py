"""Why boards were disconnected, as IoT Core remembers it for half an hour (`iot-data get_connection`)."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from buoyfleet.cloud.aws.account import Account, AwsError

MAX_ASKED = 200
"""Boards asked about: a sample is enough to name a reason, and calls have a rate."""
_PARALLEL = 8
_OWN_WISH = frozenset(("", "CLIENT_INITIATED_DISCONNECT"))

MEANINGS = {
    "DUPLICATE_CLIENTID": "another client connected with the same client id",
    "AUTH_ERROR": "the policy does not allow what the board tried",
    "FORBIDDEN_ACCESS": "the policy does not allow what the board tried",
    "CLIENT_ERROR": "the board sent what MQTT or IoT Core does not allow",
    "CONNECTION_LOST": "the network between board and IoT Core broke",
    "MQTT_KEEP_ALIVE_TIMEOUT": "nothing was heard of the board for one and a half keep-alives",
    "SERVER_ERROR": "an error of IoT Core",
    "SERVER_INITIATED_DISCONNECT": "IoT Core closed the connection for reasons of its own",
    "THROTTLED": "the board went beyond a rate",
}
"""disconnectReason (AWS IoT guide, lifecycle events) in words."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What IoT Core says about a client id."""

    thing: str
    connected: bool
    reason: str
    since_ms: int
    """Of the connection, or of its end."""


def ask_connections(account: Account, things: Iterable[str]) -> tuple[list[Connection], str]:
    """Connections of some client ids, and why the rest could not be asked about, if so."""
    chosen = list(things)[:MAX_ASKED]
    found: list[Connection] = []
    problem = ""

    def ask(thing: str) -> Connection | AwsError | None:
        try:
            answer = account.call("iot-data", "get_connection", on=thing, clientId=thing)
        except AwsError as error:
            return None if error.code == "ResourceNotFoundException" else error
        connected = bool(answer.get("connected"))
        since = answer.get("connectedSince" if connected else "disconnectedSince") or 0
        return Connection(thing, connected, str(answer.get("disconnectReason") or ""), int(since))

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for answer in pool.map(ask, chosen):
            if isinstance(answer, AwsError):
                problem = problem or str(answer)
            elif answer is not None:
                found.append(answer)
    return found, problem


_REASONS = {
    "DUPLICATE_CLIENTID": "duplicate-client-id",
    "AUTH_ERROR": "not-authorised",
    "FORBIDDEN_ACCESS": "not-authorised",
    "CLIENT_ERROR": "protocol-error",
    "MQTT_KEEP_ALIVE_TIMEOUT": "keep-alive",
    "THROTTLED": "publish-rate",
}
"""disconnectReason → reason in the evidence, as the twin names it."""


def trouble(connections: Iterable[Connection], since_ms: int) -> list[dict[str, object]]:
    """Rows of `buoyfleet.model.evidence.LINKS_SCHEMA` for boards that IoT Core disconnected after a time."""
    return [
        {
            "client": one.thing,
            "reason": _REASONS.get(one.reason, one.reason.lower().replace("_", "-")),
            "detail": MEANINGS.get(one.reason, one.reason) + f" (disconnectReason {one.reason})",
            "at_ns": one.since_ms * 1_000_000,
        }
        for one in connections
        if not one.connected and one.reason not in _OWN_WISH and one.since_ms >= since_ms
    ]


def trouble_notes(connections: Iterable[Connection], since_ms: int) -> list[str]:
    """A sentence per reason for boards that IoT Core disconnected after a time."""
    by_reason: dict[str, list[Connection]] = {}
    for one in connections:
        if not one.connected and one.reason not in _OWN_WISH and one.since_ms >= since_ms:
            by_reason.setdefault(one.reason, []).append(one)
    notes = []
    for reason, ones in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        first = min(ones, key=lambda one: one.since_ms)
        moment = datetime.fromtimestamp(first.since_ms / 1000, UTC).strftime("%H:%M:%S UTC")
        others = f" and {len(ones) - 1} more" if len(ones) > 1 else ""
        meaning = f": {MEANINGS[reason]}" if reason in MEANINGS else ""
        notes.append(f"{first.thing} disconnected at {moment}{others} ({reason}{meaning})")
    return notes
