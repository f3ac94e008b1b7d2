"""Objects as Firehose writes them, and the reader that takes them apart again."""

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from buoyfleet.cloud.local.s3 import Bucket, list_objects
from buoyfleet.cloud.measure_rows import MeasureRows
from buoyfleet.cloud.s3_reader import ObjectInfo, documents, read_failed, read_object, unpack

AT_NS = 1_795_429_500_123_456_789  # 2026-11-23 10:25:00 UTC
HOUR_NS = 3600 * 10**9


def rows_of(body: bytes, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    rows, problems = MeasureRows(), []  # type: ignore[var-annotated]
    read_object(ObjectInfo("k", AT_NS), body, rows, problems.append, **options)
    detached = rows.detach()
    return (detached.table().to_pylist() if detached is not None else []), problems


def test_an_object_lies_where_firehose_would_put_it(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path / "s3")
    key, size = bucket.put(bucket.layout.data_prefix(AT_NS - HOUR_NS), [(1, b"{}"), (2, b"[]")], AT_NS)
    uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert re.fullmatch(f"2026/11/23/09/buoys-1-2026-11-23-10-25-00-{uuid}", key)
    path = tmp_path / "s3" / key
    assert path.read_bytes() == b"{}[]"
    assert size == 4
    assert path.stat().st_mtime_ns // 10**6 == AT_NS // 10**6


def test_a_delimiter_follows_every_record_where_it_is_set(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path / "s3", delimiter="\n")
    key, _ = bucket.put("", [(1, b"{}"), (2, b"[]")], AT_NS)
    assert (tmp_path / "s3" / key).read_bytes() == b"{}\n[]\n"


def test_an_object_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(tmp_path / "s3")

    def full(_old: object, _new: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            bucket.put("", [(1, b"{}")], AT_NS)
    assert list(list_objects(tmp_path / "s3")) == []
    assert [path for path in (tmp_path / "s3").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("delimiter", ["", "\n"])
def test_what_was_put_is_read_back_with_the_numbers_of_its_messages(
    tmp_path: Path, compress: bool, delimiter: str
) -> None:
    bucket = Bucket(tmp_path / "s3", delimiter=delimiter, compress=compress)
    records = [
        (
            number,
            json.dumps(
                {"temp": 1.5 * number, "liqlev": True, "buoy_id": 100 + number, "timestamp": number}
            ).encode(),
        )
        for number in range(5)
    ]
    key, _ = bucket.put("", records, AT_NS)
    (info,) = list_objects(tmp_path / "s3")
    assert info.key == key
    bucket.log.flush()
    rows, problems = MeasureRows(), []  # type: ignore[var-annotated]
    body = (tmp_path / "s3" / key).read_bytes()
    offsets = [sum(len(data) + len(delimiter) for _, data in records[:place]) for place in range(5)]
    assert read_object(info, body, rows, problems.append, (offsets, [number for number, _ in records])) == 5
    detached = rows.detach()
    assert detached is not None
    found = {
        (row["message"], row["buoy"], row["timestamp_ms"], row["measure"], row["type"], row["value"])
        for row in detached.table().to_pylist()
    }
    assert found == {
        (number, 100 + number, number, measure, kind, value)
        for number in range(5)
        for measure, kind, value in (("temp", "DOUBLE", 1.5 * number), ("liqlev", "BOOLEAN", 1.0))
    }
    assert problems == []


def test_whole_numbers_without_a_point_are_doubles_as_json_has_one_kind_of_number() -> None:
    rows, _ = rows_of(b'{"temp":7,"buoy_id":1}')
    assert (rows[0]["type"], rows[0]["value"]) == ("DOUBLE", 7.0)
    assert rows[0]["timestamp_ms"] is None
    assert rows[0]["message"] is None


def test_texts_and_structures_are_rows_of_text() -> None:
    rows, _ = rows_of('{"temp":"7.0","o":{"a":1},"z":null,"buoy_id":"42","é":"ü"}'.encode())
    found = {row["measure"]: (row["type"], row["text"], row["buoy"]) for row in rows}
    assert found == {
        "temp": ("VARCHAR", "7.0", 42),
        "o": ("VARCHAR", '{"a": 1}', 42),
        "z": ("VARCHAR", "null", 42),
        "é": ("VARCHAR", "ü", 42),
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"temp":1,"buoy_id":1}GARBAGE{"temp":2,"buoy_id":1}', "no JSON at byte 22"),
        (b'{"temp":1,"buoy_id":1}{"temp":NaN}{"temp":2,"buoy_id":1}', "no JSON at byte 22"),
        (b'{"temp":1,"buoy_id":1}{"temp":5}{"temp":2,"buoy_id":1}', "no buoy_id in the document at byte 22"),
        (b'{"temp":1,"buoy_id":1}[5]{"temp":2,"buoy_id":1}', "no buoy_id"),
        (b'{"temp":1,"buoy_id":1}\n{"temp":2,"buoy_id":1}{"temp', "no JSON at byte 45"),
        (b'{"temp":1,"buoy_id":1}{"s":"\xff","buoy_id":1}{"temp":2,"buoy_id":1}', "not Unicode at byte 22"),
        (
            b'{"temp":1,"buoy_id":1}{"s":"\\ud800","buoy_id":1}{"temp":2,"buoy_id":1}',
            "not Unicode at byte 22",
        ),
    ],
)
def test_what_cannot_be_read_is_reported_and_the_rest_is_read(body: bytes, problem: str) -> None:
    rows, problems = rows_of(body)
    assert [row["value"] for row in rows if row["measure"] == "temp"] == [1.0, 2.0]
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("cut", [5, 30])
def test_broken_gzip_is_reported(cut: int) -> None:
    rows, problems = rows_of(gzip.compress(b'{"temp":1.5,"buoy_id":1}' * 9)[:cut])
    assert rows == []
    assert "gzip" in problems[0]


def test_gzip_members_one_after_another_are_one_content() -> None:
    assert unpack(gzip.compress(b"{}") + gzip.compress(b"[]")) == b"{}[]"


def test_failed_records_are_read_with_firehoses_fields() -> None:
    line = (
        '{"attemptsMade":4,"arrivalTimestamp":1654710150135,"errorCode":"Lambda.FunctionTimedOut",'
        '"errorMessage":"timed out","attemptEndingTimestamp":1654710238263,"rawData":"eyJhIjoxfQ==",'
        '"lambdaArn":"arn:aws:lambda:x"}\n'
    )
    problems: list[str] = []
    first, second = read_failed(ObjectInfo("processing-failed/k", 0), (line * 2).encode(), problems.append)
    assert first == second
    assert (first.attempts, first.error_code, first.raw_data, first.lambda_arn) == (
        4,
        "Lambda.FunctionTimedOut",
        b'{"a":1}',
        "arn:aws:lambda:x",
    )
    assert (first.arrival_ms, first.ended_ms) == (1654710150135, 1654710238263)
    assert problems == []
    assert read_failed(ObjectInfo("k", 0), b'{"attemptsMade":4}', problems.append) == []
    assert "none of Firehose's" in problems[0]


def test_failed_records_have_a_prefix_of_their_own(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path / "s3")
    key, _ = bucket.put(bucket.layout.failed_prefix(AT_NS), [(1, b"{}\n")], AT_NS, index=False)
    assert key.startswith("processing-failed/2026/11/23/10/buoys-1-")


json_objects = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=5,
)
separators = st.sampled_from(["", "\n", " \r\n\t"])


@settings(deadline=None)
@given(
    objects=st.lists(json_objects, max_size=8),
    separator=separators,
    ascii_only=st.booleans(),
    pack=st.booleans(),
)
def test_concatenated_documents_come_back_with_their_offsets(
    objects: list[dict[str, Any]], separator: str, ascii_only: bool, pack: bool
) -> None:
    parts = [json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass") for value in objects]
    try:
        b"".join(parts).decode()
    except UnicodeDecodeError:
        return  # a lone surrogate has no UTF-8
    content = separator.encode().join(parts)
    body = gzip.compress(content) if pack else content
    problems: list[str] = []
    found = list(documents(unpack(body), problems.append))
    places = [sum(len(part) + len(separator) for part in parts[:place]) for place in range(len(parts))]
    assert found == list(zip(places, objects, strict=True))
    assert problems == []


@settings(deadline=None)
@given(
    st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789.eE-tfn \n\\u', max_size=120).map(str.encode)
)
@example(b"[" * 5000)
@example(b'{"a":' * 5000)
@example(b'{"temp":' + b"9" * 5000 + b',"buoy_id":1}')
@example(b'{"temp":' + b"9" * 400 + b',"buoy_id":1}')
@example(b'{"temp":1e999,"buoy_id":1}')
def test_any_bytes_are_read_or_reported(body: bytes) -> None:
    rows_of(body)
