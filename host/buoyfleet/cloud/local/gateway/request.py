"""A request of HTTP and its answer, as plain data."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

EXCEPTIONS: Final = {
    400: "InvalidRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
    409: "ConflictException",
    413: "RequestEntityTooLargeException",
    415: "UnsupportedDocumentEncodingException",
    429: "ThrottlingException",
    500: "InternalFailureException",
}
"""Status → exception (botocore's model of `iot-data`)."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, its body read."""

    method: str
    path: str
    """As it was sent, percent signs and all."""
    query_string: str
    """Without the question mark, as it was sent."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order sent."""
    body: bytes = b""
    query: tuple[tuple[str, str], ...] = field(default=())
    """Decoded."""

    @classmethod
    def of(cls, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> "HttpRequest":
        """From the target of the request line."""
        path, _, query_string = target.partition("?")
        pairs = [one.partition("=") for one in query_string.split("&") if one]
        query = tuple((unquote(name), unquote(value)) for name, _, value in pairs)
        return cls(method, path, query_string, headers, body, query)

    def header(self, name: str) -> str:
        """A header's value; several ones joined, "" if it was not sent."""
        return ",".join(value for key, value in self.headers if key == name.lower())

    def parameter(self, name: str) -> str | None:
        """A query parameter; the last one counts."""
        found = [value for key, value in self.query if key == name]
        return found[-1] if found else None

    def credential(self, name: str) -> str:
        """A value that may be a header or a query parameter, whatever its case; "" if it is neither."""
        wanted = name.lower()
        return self.header(wanted) or next((v for key, v in self.query if key.lower() == wanted), "")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What goes back."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A request that is refused: AWS's words for the client, and ours for whoever looks at the twin."""

    def __init__(self, status: int, message: str, detail: str = "", *, noted: bool = False) -> None:
        """`noted`: the broker has recorded it already."""
        super().__init__(detail or message)
        self.status = status
        self.message = message
        self.detail = detail or message
        self.noted = noted


def answer(values: dict[str, Any]) -> HttpAnswer:
    """A JSON object."""
    return document(_json(values))


def document(body: bytes, status: int = 200, trace: str = "") -> HttpAnswer:
    """JSON that is ready."""
    headers = [("content-type", "application/json"), ("x-amzn-requestid", trace or str(uuid.uuid4()))]
    if status in EXCEPTIONS:
        headers.append(("x-amzn-errortype", EXCEPTIONS[status]))
    return HttpAnswer(status, body, tuple(headers))


def message(words: str, status: int = 200) -> HttpAnswer:
    """`{"message": …, "traceId": …}`, as the data endpoint answers a publish and words an error."""
    trace = str(uuid.uuid4())
    return document(_json({"message": words, "traceId": trace}), status, trace)


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
