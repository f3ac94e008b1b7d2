"""The API `iot-data` over HTTPS: publish, retained messages, shadows, connections.

Paths, parameters and exceptions are those of botocore's model of `iot-data` (API version 2015-05-28).
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from buoyfleet.cloud.local.broker.authority import Gate
from buoyfleet.cloud.local.broker.data_plane import DataPlane
from buoyfleet.cloud.local.broker.packets5 import Publish5
from buoyfleet.cloud.local.broker.properties5 import Property
from buoyfleet.cloud.local.broker.records import DisconnectReason, Reason
from buoyfleet.cloud.local.gateway.request import HttpAnswer, HttpRequest, Refusal, answer, document, message
from buoyfleet.cloud.local.things import Services
from buoyfleet.mqtt.topics import TopicError, check_text, check_topic

STATUS: Final = {
    Reason.NOT_AUTHORISED: (403, "Forbidden"),
    Reason.PAYLOAD_TOO_LARGE: (413, "The payload is too large"),
    Reason.ACCOUNT_PUBLISH_RATE: (429, "Rate exceeded"),
    Reason.RETAINED_QUOTA: (429, "Rate exceeded"),
    Reason.SINK_FAILED: (500, "Internal failure"),
}
"""Why the broker took no message → status and AWS's words; everything else is 400."""
MOST_RETAINED: Final = 200
MOST_SHADOWS: Final = 100
"""Longest pages (`MaxResults`, `PageSize`)."""
USUAL_PAGE: Final = 25
_OPERATIONS: Final = {"GET": "get", "POST": "update", "DELETE": "delete"}
_THING: Final = r"[a-zA-Z0-9:_-]{1,128}"
_SHADOW_NAME = re.compile(r"[$a-zA-Z0-9:_-]{1,64}")
_Handler = Callable[["DataApi", HttpRequest, Gate | None, str], HttpAnswer]


class DataApi:
    """Answers requests whose sender is known."""

    def __init__(self, data: DataPlane, services: Services, announce: Callable[[Any], None]) -> None:
        """`announce` publishes what a service says because of a request."""
        self._data = data
        self._services = services
        self._announce = announce

    def answer(self, request: HttpRequest, gate: Gate | None) -> HttpAnswer:
        """Do what is asked.

        Raises:
            Refusal: AWS would refuse it.
        """
        known = [
            (methods, found) for pattern, methods in _ROUTES if (found := pattern.fullmatch(request.path))
        ]
        if not known:
            raise Refusal(404, "Not Found", f"no operation of iot-data has the path {request.path}")
        methods, found = known[0]
        handler = methods.get(request.method)
        if handler is None:
            raise Refusal(405, f"Method {request.method} is not allowed")
        return handler(self, request, gate, unquote(found["what"] if "what" in found.groupdict() else ""))

    # Messages

    def _publish(self, request: HttpRequest, gate: Gate | None, topic: str) -> HttpAnswer:
        qos = request.parameter("qos") or "0"
        if qos not in ("0", "1"):
            raise Refusal(400, f"Invalid QoS: {qos}")
        retain = (request.parameter("retain") or "false").lower() == "true"
        try:
            check_topic(topic.encode())
        except TopicError as error:
            raise Refusal(400, f"Invalid topic: {error}") from None
        packet = Publish5(
            topic.encode(),
            request.body,
            int(qos),
            retain,
            properties=_properties(request),
            expiry_s=_number(request, "messageExpiry", 1, 604_800),
        )
        submitted = self._data.publish(packet, gate)
        if submitted.taken:
            return message("OK")
        if submitted.reason is None:
            raise Refusal(500, "Internal failure", "the message got lost, as a rehearsed fault has it")
        status, words = STATUS.get(submitted.reason, (400, "Bad Request"))
        raise Refusal(status, words, noted=True)

    def _retained_message(self, _request: HttpRequest, gate: Gate | None, topic: str) -> HttpAnswer:
        _allow(gate, "iot:GetRetainedMessage", f"topic/{topic}")
        found = self._data.retained(topic)
        if found is None:
            raise Refusal(404, f"No retained message found for topic: {topic}")
        values = {
            "topic": topic,
            "payload": base64.b64encode(found.payload).decode(),
            "qos": found.qos,
            "lastModifiedTime": round(found.kept_s * 1000),
        }
        users = _user_properties(found.extra.properties)
        if users:
            values["userProperties"] = base64.b64encode(json.dumps(users).encode()).decode()
        return answer(values)

    def _retained_messages(self, request: HttpRequest, gate: Gate | None, _: str) -> HttpAnswer:
        _allow(gate, "iot:ListRetainedMessages", "*")
        rows: list[tuple[str, Any]] = []
        for one in self._data.all_retained():
            topic, kept_ms = one.topic.decode(), round(one.kept_s * 1000)
            row = {"payloadSize": len(one.payload), "qos": one.qos, "lastModifiedTime": kept_ms}
            rows.append((topic, {"topic": topic, **row}))
        page, token = _page(request, "maxResults", MOST_RETAINED, rows)
        return answer({"retainedTopics": page, **token})

    # Shadows

    def _shadow(self, request: HttpRequest, gate: Gate | None, thing: str) -> HttpAnswer:
        name = request.parameter("name") or ""
        if name and not _SHADOW_NAME.fullmatch(name):
            raise Refusal(400, f"Invalid shadow name: {name}")
        operation = _OPERATIONS[request.method]
        _allow(gate, f"iot:{operation.title()}ThingShadow", f"thing/{thing}" + (f"/{name}" if name else ""))
        replies = self._services.shadows.request(thing, name, operation, request.body)
        first = replies[0]
        if first.topic.endswith("/rejected"):
            said = json.loads(first.payload)
            return document(first.payload, int(said["code"]))
        if operation != "get":
            for reply in replies:
                self._announce(reply)
        return document(first.payload)

    def _shadow_names(self, request: HttpRequest, gate: Gate | None, thing: str) -> HttpAnswer:
        _allow(gate, "iot:ListNamedShadowsForThing", f"thing/{thing}")
        names = [(name, name) for name in self._services.shadows.names(thing)]
        page, token = _page(request, "pageSize", MOST_SHADOWS, names)
        return answer({"results": page, "timestamp": int(time.time()), **token})

    # Connections

    def _connection(self, _request: HttpRequest, gate: Gate | None, client_id: str) -> HttpAnswer:
        _allow(gate, "iot:GetConnection", f"client/{client_id}")
        info = self._data.connection_info(client_id)
        if info is None:
            raise Refusal(404, f"Client {client_id} was not found")
        at_s = time.time() - self._data.age_s(info)
        values: dict[str, Any] = {"clientId": client_id, "connected": info.connected}
        values["connectedSince" if info.connected else "disconnectedSince"] = round(at_s * 1000)
        client = self._data.client(client_id)
        if client is not None and client.session is not None:
            values["keepAliveDuration"] = int(client.keep_alive_s)
            values["sessionExpiry"] = int(client.session.expiry_s)
            values["cleanSession"] = not client.session.expiry_s
        if info.disconnect_reason is not None:
            values["disconnectReason"] = info.disconnect_reason.value
        return answer(values)

    def _disconnect(self, request: HttpRequest, gate: Gate | None, client_id: str) -> HttpAnswer:
        _allow(gate, "iot:DeleteConnection", f"client/{client_id}")
        client = self._data.client(client_id)
        if client is None or client.session is None:
            raise Refusal(404, f"Client {client_id} was not found")
        if request.parameter("preventWillMessage") == "true":
            client.will = None
        if request.parameter("cleanSession") == "true":
            client.session.expiry_s = 0.0
        client.end(DisconnectReason.API_INITIATED_DISCONNECT)
        return document(b"")

    def _subscriptions(self, request: HttpRequest, gate: Gate | None, client_id: str) -> HttpAnswer:
        _allow(gate, "iot:ListSubscriptions", f"client/{client_id}")
        found = self._data.subscriptions(client_id)
        if found is None:
            raise Refusal(404, f"Client {client_id} was not found")
        rows = [(one, {"topicFilter": one, "qos": qos}) for one, qos in found]
        page, token = _page(request, "maxResults", MOST_RETAINED, rows)
        return answer({"subscriptions": page, **token})

    def _direct_message(self, _request: HttpRequest, _gate: Gate | None, client_id: str) -> HttpAnswer:
        raise Refusal(400, "Bad Request", f"SendDirectMessage to {client_id}: the twin does not offer it")


_ROUTES: Final[tuple[tuple[re.Pattern[str], dict[str, _Handler]], ...]] = (
    (re.compile(r"/topics/(?P<what>.+)"), {"POST": DataApi._publish}),
    (re.compile(r"/retainedMessage/(?P<what>.+)"), {"GET": DataApi._retained_message}),
    (re.compile(r"/retainedMessage/?"), {"GET": DataApi._retained_messages}),
    (
        re.compile(rf"/things/(?P<what>{_THING})/shadow"),
        dict.fromkeys(_OPERATIONS, DataApi._shadow),
    ),
    (
        re.compile(rf"/api/things/shadow/ListNamedShadowsForThing/(?P<what>{_THING})"),
        {"GET": DataApi._shadow_names},
    ),
    (re.compile(r"/connections/(?P<what>[^/]+)/subscriptions"), {"GET": DataApi._subscriptions}),
    (re.compile(r"/connections/(?P<what>[^/]+)/messages"), {"POST": DataApi._direct_message}),
    (
        re.compile(r"/connections/(?P<what>[^/]+)"),
        {"GET": DataApi._connection, "DELETE": DataApi._disconnect},
    ),
)


def _allow(gate: Gate | None, action: str, resource: str) -> None:
    if gate is not None and not gate.allows(action, resource):
        raise Refusal(403, "Forbidden", gate.denial(action, resource))


def _number(request: HttpRequest, name: str, low: int, high: int) -> int | None:
    text = request.parameter(name)
    if text is None:
        return None
    if not text.isdecimal() or not low <= int(text) <= high:
        raise Refusal(400, f"Invalid {name}: {text}", f"{name} is {text!r}, not from {low} to {high}")
    return int(text)


def _page(
    request: HttpRequest, size_name: str, most: int, rows: list[tuple[str, Any]]
) -> tuple[list[Any], dict[str, str]]:
    """A page of rows of (key, row) in the order of their keys, and the token of the next."""
    size = _number(request, size_name, 1, most) or min(USUAL_PAGE, most)
    token = request.parameter("nextToken")
    if token:
        try:
            after = base64.urlsafe_b64decode(token).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(400, "Invalid nextToken") from None
        rows = [row for row in rows if row[0] > after]
    page = rows[:size]
    more = {"nextToken": base64.urlsafe_b64encode(page[-1][0].encode()).decode()} if len(rows) > size else {}
    return [row for _, row in page], more


def _properties(request: HttpRequest) -> bytes:
    """The properties of MQTT 5 that a publish carries in headers and query."""
    parts = []
    indicator = request.header("x-amz-mqtt5-payload-format-indicator")
    if indicator:
        if indicator not in ("UNSPECIFIED_BYTES", "UTF8_DATA"):
            raise Refusal(400, f"Invalid payload format indicator: {indicator}")
        parts.append(bytes((Property.PAYLOAD_FORMAT, indicator == "UTF8_DATA")))
    for name, key in ((Property.CONTENT_TYPE, "contentType"), (Property.RESPONSE_TOPIC, "responseTopic")):
        text = request.parameter(key)
        if text:
            parts.append(bytes((name,)) + _text(text, key))
    correlation = request.header("x-amz-mqtt5-correlation-data")
    if correlation:
        data = _decoded(correlation, "correlation data")
        parts.append(bytes((Property.CORRELATION_DATA,)) + len(data).to_bytes(2, "big") + data)
    users = request.header("x-amz-mqtt5-user-properties")
    if users:
        for key, value in _pairs(_decoded(users, "user properties")):
            parts.append(
                bytes((Property.USER,)) + _text(key, "user property") + _text(value, "user property")
            )
    return b"".join(parts)


def _pairs(data: bytes) -> list[tuple[str, str]]:
    """User properties: a JSON list of objects with one name each."""
    try:
        rows = json.loads(data)
        return [(str(key), str(value)) for row in rows for key, value in row.items()]
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise Refusal(400, "Invalid user properties", "user properties are no JSON list of objects") from None


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refusal(400, f"Invalid {what}", f"{what} are not encoded in base64") from None


def _text(text: str, what: str) -> bytes:
    data = text.encode()
    try:
        check_text(data, what)
    except TopicError as error:
        raise Refusal(400, f"Invalid {what}: {error}") from None
    return len(data).to_bytes(2, "big") + data


def _user_properties(properties: bytes) -> list[dict[str, str]]:
    """Those among encoded properties."""
    found, at = [], 0
    while at < len(properties):
        name = properties[at]
        at += 1
        if name == Property.PAYLOAD_FORMAT:
            at += 1
            continue
        fields = []
        for _ in range(2 if name == Property.USER else 1):
            end = at + 2 + int.from_bytes(properties[at : at + 2], "big")
            fields.append(properties[at + 2 : end])
            at = end
        if name == Property.USER:
            found.append({fields[0].decode(): fields[1].decode()})
    return found
