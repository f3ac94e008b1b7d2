"""InfluxDB over HTTP: line protocol in, InfluxQL out. Serves the twin and an AWS account alike.

    version 1     POST /write?db=…                user and password
    version 2, 3  POST /api/v2/write?bucket=…     token
    all           GET  /query?db=…&q=…            InfluxQL; version 2 wants its bucket mapped to a database

A point is one message: the tag `buoy_id`, a field per measure, the time in ms. A field has the type of its
first value; a point with a field of another type is dropped as a whole. The same tag and time again replaces.
"""

import base64
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from buoyfleet.cloud.measure_rows import BIGINT, BOOLEAN, DOUBLE, VARCHAR, MeasureRows
from buoyfleet.model.errors import TargetError
from buoyfleet.model.twin import InfluxSpec

TAG = "buoy_id"
TIMEOUT_S = 30.0
ATTEMPTS = 4
RETRY_S = 0.5
"""Doubled with each further attempt. Writes are idempotent: the same point again changes nothing."""
CHUNK_ROWS = 10_000
"""Rows of one document of a chunked answer."""
_TYPES = {
    "float": DOUBLE,
    "integer": BIGINT,
    "unsigned": BIGINT,
    "boolean": BOOLEAN,
    "string": VARCHAR,
}
_ABOUT_POINTS = ("partial write", "dropped", "field type conflict")
"""What a refusal says that is about some of the points. A conflict between points of one write costs all."""
_UNSAFE = ("\n", "\r")


class InfluxError(TargetError):
    """InfluxDB refused a request, or did not answer."""


class PartialWrite(InfluxError):
    """Some points of a write were dropped; the others may be stored, and can be written again."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Resolved secrets; never printed."""

    password: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"


def line(measurement: str, buoy: str, fields: Mapping[str, Any], time_ms: int) -> str:
    """One point in line protocol (InfluxDB documentation, "Line protocol").

    Raises:
        ValueError: no field that InfluxDB has a type for, or a line break in a text.
    """
    texts = []
    for name, value in fields.items():
        text = _field(value)
        if text is not None:
            texts.append(f"{_escaped(name, ',= ')}={text}")
    if not texts:
        raise ValueError("a point needs at least one field with a value")
    head = f"{_escaped(measurement, ', ')},{TAG}={_escaped(buoy, ',= ')}"
    return f"{head} {','.join(texts)} {time_ms}"


def _field(value: Any) -> str | None:
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return f"{value}i"
    if kind is float:
        return repr(value)
    if value is None:
        return None
    text = value if kind is str else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if any(char in text for char in _UNSAFE):
        raise ValueError("line protocol has no line break in a text")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str, special: str) -> str:
    if not text or any(char in text for char in _UNSAFE):
        raise ValueError(f"{text!r} is no name in line protocol")
    return "".join(f"\\{char}" if char in special else char for char in text)


class InfluxClient:
    """One connection. Methods block, one at a time."""

    def __init__(self, spec: InfluxSpec, credentials: Credentials | None = None) -> None:
        self.spec = spec
        self._credentials = credentials or Credentials()
        self._address = urlsplit(spec.url)
        self._connection: http.client.HTTPConnection | None = None
        self.where = f"{spec.url}, database {spec.database}"

    def another(self) -> "InfluxClient":
        """A client of the same database with a connection of its own."""
        return InfluxClient(self.spec, self._credentials)

    def close(self) -> None:
        """Drop the connection. Safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def ping(self) -> str:
        """Its version, e.g. `1.6.7`.

        Raises:
            InfluxError: nobody answers, or somebody else.
        """
        status, headers, _ = self._request("GET", "/ping")
        version = headers.get("x-influxdb-version")
        if status >= 300 or version is None:
            raise InfluxError(
                f"the server there is not InfluxDB (HTTP {status})",
                where=self.spec.url,
                next_step="correct `url` of `influxdb`",
            )
        return version

    def write(self, lines: list[str]) -> None:
        """Write points.

        Raises:
            PartialWrite: it is about some of them; `what` is the server's own sentence.
            InfluxError: it did not take the request.
        """
        spec = self.spec
        if self._credentials.token:
            query = {"bucket": spec.database, "org": spec.organisation, "precision": "ms"}
            path = f"/api/v2/write?{urlencode(query)}"
        else:
            path = f"/write?{urlencode({'db': spec.database, 'precision': 'ms'})}"
        status, _, body = self._request("POST", path, "\n".join(lines).encode())
        if status < 300:
            return
        said = _message(body)
        if status in (400, 422) and any(words in said for words in _ABOUT_POINTS):
            raise PartialWrite(said, where=self.where)
        raise InfluxError(
            f"the write was refused (HTTP {status}): {said}", where=self.where, next_step=_next_step(status)
        )

    def query(self, statement: str) -> Iterator[dict[str, Any]]:
        """The series of an InfluxQL statement, in pieces of at most CHUNK_ROWS rows.

        Raises:
            InfluxError: refused, or no answer.
        """
        parameters = {
            "db": self.spec.database,
            "epoch": "ms",
            "chunked": "true",
            "chunk_size": str(CHUNK_ROWS),
            "q": statement,
        }
        status, _, body = self._request("GET", f"/query?{urlencode(parameters, quote_via=quote)}")
        if status >= 300:
            raise InfluxError(
                f"the query was refused (HTTP {status}): {_message(body)}",
                where=self.where,
                next_step=_next_step(status),
            )
        for document in _documents(body, self.where):
            for result in document.get("results", ()):
                if "error" in result:
                    raise InfluxError(
                        str(result["error"]),
                        where=self.where,
                        next_step=f"influx -execute 'CREATE DATABASE \"{self.spec.database}\"'",
                    )
                yield from result.get("series", ())

    def types(self) -> dict[str, str]:
        """Field → type, in the words of the stores."""
        found = {}
        for series in self.query(f"SHOW FIELD KEYS FROM {_name(self.spec.measurement)}"):
            for name, kind in series["values"]:
                found[str(name)] = _TYPES.get(str(kind), VARCHAR)
        return found

    def count(self, since_ms: int, until_ms: int, fields: tuple[str, ...]) -> int:
        """How many values of these fields lie between two times.

        Raises:
            InfluxError: as of `query`.
        """
        statement = (
            f"SELECT count(*) FROM {_name(self.spec.measurement)} WHERE {_between(since_ms, until_ms)}"
        )
        wanted = {f"count_{field}" for field in fields}
        total = 0
        for series in self.query(statement):
            for row in series["values"]:
                total += sum(
                    int(value or 0)
                    for name, value in zip(series["columns"], row, strict=True)
                    if name in wanted
                )
        return total

    def read(
        self,
        since_ms: int,
        until_ms: int,
        buoys: frozenset[int],
        rows: MeasureRows,
        visible_ns: Callable[[int, int], int],
        message: Callable[[int, int], int],
    ) -> int:
        """Add the measures of a time to `rows` and return how many.

        Args:
            since_ms: first time, UTC.
            until_ms: last time.
            buoys: which; others are left out.
            rows: where measures go.
            visible_ns: since when a point is visible, given buoy and time in ms.
            message: the target's number of the message, or NO_MESSAGE; the same arguments.

        Raises:
            InfluxError: as of `query`.
        """
        types = self.types()
        statement = f"SELECT * FROM {_name(self.spec.measurement)} WHERE {_between(since_ms, until_ms)}"
        found = 0
        for series in self.query(statement):
            columns = series["columns"]
            time_at, tag_at = columns.index("time"), columns.index(TAG) if TAG in columns else -1
            measures = [(place, name) for place, name in enumerate(columns) if place not in (time_at, tag_at)]
            for row in series["values"]:
                buoy = _buoy(row[tag_at]) if tag_at >= 0 else None
                if buoy is None or buoy not in buoys:
                    continue
                present = [(name, row[place]) for place, name in measures if row[place] is not None]
                kinds = tuple(types.get(name, VARCHAR) for name, _ in present)
                numbers = [
                    0.0 if kind == VARCHAR else float(value)
                    for (_, value), kind in zip(present, kinds, strict=True)
                ]
                texts = [
                    str(value) for (_, value), kind in zip(present, kinds, strict=True) if kind == VARCHAR
                ]
                time_ms = int(row[time_at])
                rows.layout(tuple(name for name, _ in present), kinds).append(
                    buoy, time_ms, visible_ns(buoy, time_ms), message(buoy, time_ms), numbers, texts
                )
                found += len(present)
        return found

    # -- one request ----------------------------------------------------------------------------------------

    def _request(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body; tried again where nobody answered or the server was busy."""
        wait_s = RETRY_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, headers, answer = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if attempt == ATTEMPTS or isinstance(error, ssl.SSLError):
                    raise InfluxError(
                        f"InfluxDB does not answer: {getattr(error, 'strerror', None) or error}",
                        where=self.spec.url,
                        cause="it is not running, or this is not its address",
                        next_step=f"curl -i {self.spec.url}/ping",
                    ) from None
            else:
                if status not in (429, 500, 503) or attempt == ATTEMPTS:
                    return status, headers, answer
            time.sleep(wait_s)
            wait_s *= 2
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        if self._connection is None:
            secure = self._address.scheme == "https"
            maker = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self._connection = maker(self._address.hostname or "", self._address.port, timeout=TIMEOUT_S)
        prefix = self._address.path.rstrip("/")
        self._connection.request(method, f"{prefix}{path}", body, self._headers())
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def _headers(self) -> dict[str, str]:
        if self._credentials.token:
            return {"Authorization": f"Token {self._credentials.token}"}
        if self.spec.username:
            pair = f"{self.spec.username}:{self._credentials.password}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}


def _buoy(text: Any) -> int | None:
    return (
        int(text)
        if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 10
        else None
    )


def _name(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _between(since_ms: int, until_ms: int) -> str:
    return f"time >= {since_ms}ms AND time <= {until_ms}ms"


def _documents(body: bytes, where: str) -> Iterator[dict[str, Any]]:
    for part in body.splitlines():
        if part.strip():
            try:
                document = json.loads(part)
            except ValueError:
                raise InfluxError("the answer is no JSON", where=where) from None
            if isinstance(document, dict):
                yield document


def _message(body: bytes) -> str:
    """What the server says, from the several forms of its versions."""
    text = body.decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        return text[:300]
    if isinstance(document, dict):
        for key in ("error", "message"):
            if document.get(key):
                return str(document[key])[:300]
    return text[:300]


def _next_step(status: int) -> str:
    if status in (401, 403):
        return "check `username` and `password`, or `token`, of `influxdb`"
    return "check `url`, `database` and `organisation` of `influxdb`"
