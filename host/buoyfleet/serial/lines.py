"""From the bytes of a board's port to what they say: answers, numbered events, text."""

import json
from dataclasses import dataclass
from typing import TypeGuard

from buoy.console import MARKER, checked

from buoyfleet.serial.refusals import RefusalCode, refusal_code

MOST_BUSY_MS = 60000
MOST_LINE_BYTES = 65536
"""A line without an end is cut here: a board that only sends noise must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    request_id: int
    value: object
    error: str | None
    """Why the board refused, for people; None if it did not."""
    code: RefusalCode = RefusalCode.UNSAID
    """The same for programs."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something told unasked."""

    number: int
    body: dict[str, object]


class LineSplitter:
    """Whole lines out of a stream of bytes; LF, CR LF and CR all end one."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends; empty ones are left out."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        while len(self._rest) > MOST_LINE_BYTES:
            lines.append(self._rest[:MOST_LINE_BYTES])
            self._rest = self._rest[MOST_LINE_BYTES:]
        return [line for line in lines if line]

    @property
    def rest(self) -> bytes:
        """What came after the last line end."""
        return self._rest


def parse_line(line: bytes) -> Answer | Event | None:
    """What a line says; None: it is text (a log line, the ROM's messages, noise, a damaged answer)."""
    start = line.find(MARKER)  # noise may stand before it
    if start < 0:
        return None
    data = line[start + len(MARKER) :]
    if data.endswith(b"}"):
        return None  # a board always writes the check
    try:
        body = json.loads(checked(data))
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    number = body.get("n")
    if _whole(number) and isinstance(body.get("event"), dict):
        return Event(number, body["event"])
    request_id = body.get("id")
    if not _whole(request_id):
        return None
    if "ok" in body:
        return Answer(request_id, body["ok"], None)
    if isinstance(body.get("error"), str):
        return Answer(request_id, None, body["error"], refusal_code(body.get("code")))
    return None


def busy_s(line: bytes) -> float:
    """How long a board that connects will not answer, in s; 0: it says nothing like that."""
    start = line.find(MARKER)
    if start < 0 or b'"busy_ms"' not in line:
        return 0.0
    try:
        body = json.loads(checked(line[start + len(MARKER) :]))
    except (ValueError, RecursionError):
        return 0.0
    found = body.get("busy_ms") if isinstance(body, dict) else None
    return found / 1000 if _whole(found) and 0 < found <= MOST_BUSY_MS else 0.0


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def visible(line: bytes) -> str:
    """A line for a log: control bytes and what is no UTF-8 are shown as escapes."""
    text = line.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
