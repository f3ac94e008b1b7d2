"""Lifecycle events: who connects, leaves, subscribes (AWS IoT Core developer guide, "Lifecycle events")."""

import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from buoyfleet.cloud.local.broker.account import ClientEvent, Reply
from buoyfleet.cloud.local.broker.records import DisconnectReason

_VERSION_KEPT_S: Final = 3600.0
"""A client that stays away for about an hour begins again with version 0."""
_PLACES: Final = {
    "connected": "presence",
    "disconnected": "presence",
    "subscribed": "subscriptions",
    "unsubscribed": "subscriptions",
}


class Lifecycle:
    """Makes the messages; numbers the connections of each client."""

    def __init__(self, utc_s: Callable[[], float]) -> None:
        self._utc_s = utc_s
        self._clients: dict[str, tuple[int, str, float]] = {}
        """Client id → version, session, and when it was last heard of; the longest silent first."""

    def message(self, event: ClientEvent) -> Reply | None:
        """The message of an event; None: clients with a wildcard in their id have none."""
        if "+" in event.client_id or "#" in event.client_id:
            return None
        now_s = self._utc_s()
        version, session = self._session(event, now_s)
        said: dict[str, Any] = {
            "clientId": event.client_id,
            "timestamp": int(now_s * 1000),
            "eventType": event.kind,
            "sessionIdentifier": session,
            "principalIdentifier": event.principal_id,
        }
        if event.kind == "connected":
            said["ipAddress"] = event.ip_address
        if event.reason is not None:
            by_client = event.reason is DisconnectReason.CLIENT_INITIATED_DISCONNECT
            said["clientInitiatedDisconnect"] = by_client
            said["disconnectReason"] = event.reason.value
        if _PLACES[event.kind] == "presence":
            said["versionNumber"] = version
        else:
            said["topics"] = list(event.topics)
        topic = f"$aws/events/{_PLACES[event.kind]}/{event.kind}/{event.client_id}"
        return Reply(topic, json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode())

    def _session(self, event: ClientEvent, now_s: float) -> tuple[int, str]:
        while self._clients:
            client_id, (_, _, silent_s) = next(iter(self._clients.items()))
            if client_id == event.client_id or now_s - silent_s <= _VERSION_KEPT_S:
                break
            del self._clients[client_id]
        version, session, heard_s = self._clients.pop(event.client_id, (-1, "", now_s))
        if now_s - heard_s > _VERSION_KEPT_S and event.kind == "connected":
            version = -1
        if event.kind == "connected" or not session:
            version, session = version + 1, uuid.uuid4().hex
        self._clients[event.client_id] = (version, session, now_s)
        return version, session
