"""Reads objects as Firehose writes them back into store rows: concatenated JSON with or without a delimiter,
gzip or not, and the documents under `processing-failed/`.

Works on content alone, so that it serves a folder of the twin and objects fetched from a real bucket alike.
"""

import base64
import gzip
import json
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from buoyfleet.cloud.measure_rows import BOOLEAN, DOUBLE, NO_MESSAGE, NO_TIME, VARCHAR, MeasureRows

FAILED_PREFIX = "processing-failed/"
"""Where Firehose puts what could not be transformed, if it is given no other prefix (Firehose guide)."""
FIREHOSE_REASONS = {
    "Lambda.FunctionTimedOut": "timeout",
    "Lambda.FunctionError": "function-error",
    "Lambda.InvokeLimitExceeded": "concurrency",
    "Lambda.JsonProcessingException": "bad-response",
    "Lambda.MissingRecordId": "missing-record-id",
    "Lambda.DuplicatedRecordId": "duplicated-record-id",
    "Lambda.ProcessingFailedStatus": "processing-failed",
    "Lambda.ResultNotSupported": "processing-failed",
}
"""errorCode of a failed record (Firehose guide, data transformation) → reason in the evidence."""
GZIP_MAGIC = b"\x1f\x8b"
MAX_OBJECT_BYTES = 1 << 30
"""A bound on unpacked content: Firehose's S3 buffer is at most 128 MB."""
MAX_TIME_MS = 1 << 62
_MARKS = ("buoy_id", "timestamp")
_KINDS = {bool: BOOLEAN, int: DOUBLE, float: DOUBLE, str: VARCHAR}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a bucket."""

    key: str
    last_modified_ns: int


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """One document of `processing-failed/` (Firehose guide); times in ms since 1970."""

    key: str
    attempts: int
    error_code: str
    error_message: str
    raw_data: bytes
    lambda_arn: str
    arrival_ms: int
    ended_ms: int


def unpack(body: bytes) -> bytes:
    """The content of an object, unpacked if it is gzip.

    Raises:
        ValueError: broken gzip, or more than MAX_OBJECT_BYTES.
    """
    if not body.startswith(GZIP_MAGIC):
        return body
    content = bytearray()
    rest = body
    try:
        while rest:  # gzip members may follow one another
            unpacker = zlib.decompressobj(wbits=31)
            content += unpacker.decompress(rest, MAX_OBJECT_BYTES - len(content))
            if unpacker.unconsumed_tail or len(content) >= MAX_OBJECT_BYTES:
                raise ValueError(f"gzip content of more than {MAX_OBJECT_BYTES} bytes")
            if not unpacker.eof:
                raise ValueError("gzip content ends too early")
            rest = unpacker.unused_data
    except (zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"broken gzip content: {error}") from None
    return bytes(content)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode


def documents(content: bytes, on_problem: Callable[[str], None]) -> Iterator[tuple[int, Any]]:
    """(byte offset, document) of concatenated JSON, whatever white space is between.

    What is no JSON is reported and skipped up to the next object.
    """
    # Offsets count bytes; latin-1 keeps one character a byte, and text is put right for the few that need it.
    ascii_only = content.isascii()
    text = content.decode("ascii" if ascii_only else "latin-1")
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in " \t\r\n":
            at += 1
        if at >= end:
            return
        try:
            document, following = _decode(text, at)
        except (ValueError, RecursionError) as error:
            on_problem(f"no JSON at byte {at}: {str(error)[:80]}")
            following = text.find("{", at + 1)
            if following < 0:
                return
        else:
            try:
                if not ascii_only:
                    document = json.loads(content[at:following])
                if text.find("\\u", at, following) >= 0:
                    json.dumps(document, ensure_ascii=False).encode()
            except (ValueError, RecursionError):
                on_problem(f"not Unicode at byte {at}")
            else:
                yield at, document
        at = following


def read_object(
    info: ObjectInfo,
    body: bytes,
    rows: MeasureRows,
    on_problem: Callable[[str], None],
    index: tuple[list[int], list[int]] | None = None,
    wanted: Callable[[int, int | None, int], bool] | None = None,
) -> int:
    """Add the measures of a data object to `rows` and return how many documents it held.

    JSON knows one kind of number, and SQL version 2016-03-23 writes 7.0 as 7: numbers are DOUBLE here.

    Args:
        info: its key and time; the time becomes `visible_ns`.
        body: its bytes.
        rows: where measures go.
        on_problem: called with a sentence for what cannot be read.
        index: (offsets, messages) of the records in it, ascending, where known.
        wanted: whether to keep a document, given (message or NO_MESSAGE, timestamp_ms, buoy).
    """

    def report(what: str) -> None:
        on_problem(f"S3 object {info.key}: {what}")

    try:
        content = unpack(body)
    except ValueError as error:
        report(str(error))
        return 0
    offsets, messages = index if index is not None else ([], [])
    count = 0
    for offset, document in documents(content, report):
        count += 1
        buoy = _buoy(document)
        if buoy is None:
            report(f"no buoy_id in the document at byte {offset}")
            continue
        stamp = document.get("timestamp")
        time_ms = stamp if type(stamp) is int and abs(stamp) < MAX_TIME_MS else None
        place = bisect_right(offsets, offset) - 1
        message = messages[place] if place >= 0 else NO_MESSAGE
        if wanted is None or wanted(message, time_ms, buoy):
            _add(
                rows, document, buoy, NO_TIME if time_ms is None else time_ms, info.last_modified_ns, message
            )
    return count


def _buoy(document: Any) -> int | None:
    if type(document) is not dict:
        return None
    buoy = document.get("buoy_id")
    if type(buoy) is str and buoy.isascii() and buoy.isdecimal():
        buoy = int(buoy[:10])
    return buoy if type(buoy) is int and 0 <= buoy < 1 << 31 else None


def _add(
    rows: MeasureRows, document: dict[str, Any], buoy: int, time_ms: int, at_ns: int, message: int
) -> None:
    names, kinds, numbers, texts = [], [], [], []
    for name, value in document.items():
        if name in _MARKS:
            continue
        kind = _KINDS.get(type(value))
        if kind is None or (type(value) is int and abs(value) >= 1 << 1000):
            kind, value = VARCHAR, json.dumps(value)
        names.append(name)
        kinds.append(kind)
        if kind == VARCHAR:
            texts.append(value)
            numbers.append(0.0)
        else:
            numbers.append(float(value))
    rows.layout(tuple(names), tuple(kinds)).append(buoy, time_ms, at_ns, message, numbers, texts)


def read_failed(info: ObjectInfo, body: bytes, on_problem: Callable[[str], None]) -> list[FailedRecord]:
    """The documents of an object under `processing-failed/`."""

    def report(what: str) -> None:
        on_problem(f"S3 object {info.key}: {what}")

    try:
        content = unpack(body)
    except ValueError as error:
        report(str(error))
        return []
    records = []
    for offset, document in documents(content, report):
        try:
            records.append(
                FailedRecord(
                    info.key,
                    int(document["attemptsMade"]),
                    str(document["errorCode"]),
                    str(document["errorMessage"]),
                    base64.b64decode(document["rawData"], validate=True),
                    str(document["lambdaArn"]),
                    int(document["arrivalTimestamp"]),
                    int(document["attemptEndingTimestamp"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            report(f"the document at byte {offset} is none of Firehose's: {error!r}")
    return records


def is_failed(key: str) -> bool:
    """Whether an object holds records that were not transformed."""
    return key.startswith(FAILED_PREFIX)
