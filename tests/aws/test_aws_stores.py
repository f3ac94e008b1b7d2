"""Reading stores back: Timestream by stubs of botocore's service model, the bucket by moto."""

import base64
import gzip
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import ACCOUNT, BUCKET, NAME, AccountStandIn
from botocore.stub import Stubber

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.bucket import BucketReader, safe_path
from buoyfleet.cloud.aws.stores import Stores, Window
from buoyfleet.cloud.aws.timestream import IDS_PER_QUERY, Range, TimestreamReader
from buoyfleet.cloud.measure_rows import MeasureRows
from buoyfleet.model.aws import AwsSpec
from sensors.catalog import KEYS

SPEC = AwsSpec(region="us-west-2")
# moto stamps objects with the time of now.
T0 = time.time_ns() // 10**6 - 1000
ROWS = Range(T0, T0 + 1000, (100, 101))
SPAN = f"time BETWEEN from_milliseconds({T0}) AND from_milliseconds({T0 + 1000})"


class Queries:
    """A reader of Timestream whose answers are stubs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        # Without an address of its own the client would ask AWS for one.
        monkeypatch.setenv("AWS_ENDPOINT_URL_TIMESTREAM_QUERY", "http://127.0.0.1:9")
        account = Account(SPEC)
        self.reader = TimestreamReader(account, SPEC)
        self.stubs = Stubber(account.client("timestream-query"))
        self.stubs.activate()

    def answer(
        self, query: str, rows: list[list[Any]], *, token: str = "", following: str = "", metered: int = 1
    ) -> None:
        """What a query, or its next page, is answered with."""
        asked = {"QueryString": query, **({"NextToken": token} if token else {})}
        response: dict[str, Any] = {
            "QueryId": "q",
            "Rows": [
                {"Data": [{"NullValue": True} if value is None else {"ScalarValue": value} for value in row]}
                for row in rows
            ],
            "ColumnInfo": [],
            "QueryStatus": {"CumulativeBytesScanned": metered, "CumulativeBytesMetered": metered},
        }
        if following:
            response["NextToken"] = following
        self.stubs.add_response("query", response, asked)


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Queries:
    return Queries(monkeypatch)


def table_of(rows: MeasureRows) -> list[tuple[Any, ...]]:
    detached = rows.detach()
    if detached is None:
        return []
    names = ("buoy", "timestamp_ms", "measure", "type", "value", "text", "visible_ns")
    table = detached.table()
    return sorted(zip(*(table.column(name).to_pylist() for name in names), strict=True), key=str)


def test_rows_of_every_type_and_page_are_read(queries: Queries) -> None:
    queries.answer(
        'DESCRIBE "buoytest"."measures"',
        [
            ["buoy_id"],
            ["measure_name"],
            ["measure_value::double"],
            ["measure_value::boolean"],
            ["measure_value::varchar"],
        ],
    )
    query = (
        "SELECT buoy_id, measure_name, to_milliseconds(time), measure_value::double, measure_value::boolean, "
        f"measure_value::varchar FROM \"buoytest\".\"measures\" WHERE {SPAN} AND buoy_id IN ('100', '101')"
    )
    queries.answer(
        query,
        [
            ["100", "ph", str(T0), "7.25", None, None],
            ["100", "liqlev", str(T0), None, "true", None],
        ],
        following="more",
        metered=10_000_000,
    )
    queries.answer(
        query,
        [["101", "buoy_id", str(T0 + 1), None, None, "101"], ["101", "ph", str(T0), None, None, None]],
        token="more",
        metered=10_000_000,
    )
    rows, problems = MeasureRows(), []  # type: ignore[var-annotated]
    found = queries.reader.read(ROWS, rows, lambda _b, time_ms, _m: time_ms * 10**6, problems.append)
    assert found == 3
    assert table_of(rows) == [
        (100, T0, "liqlev", "BOOLEAN", 1.0, None, T0 * 10**6),
        (100, T0, "ph", "DOUBLE", 7.25, None, T0 * 10**6),
        (101, T0 + 1, "buoy_id", "VARCHAR", None, "101", (T0 + 1) * 10**6),
    ]
    assert problems == ["Timestream buoytest.measures: a row of buoy 101, measure ph has no value"]
    # What a query has metered is told with every page, and counts once.
    assert queries.reader.metered_bytes == 10_000_001
    queries.stubs.assert_no_pending_responses()


def test_only_measures_of_the_run_are_counted_some_hundred_buoys_at_a_time(queries: Queries) -> None:
    keys = ", ".join(f"'{key}'" for key in KEYS)
    buoys = tuple(range(IDS_PER_QUERY + 1))
    for part, count in ((buoys[:IDS_PER_QUERY], "40"), (buoys[IDS_PER_QUERY:], "2")):
        ids = ", ".join(f"'{one}'" for one in part)
        queries.answer(
            f'SELECT count(*) FROM "buoytest"."measures" WHERE {SPAN} AND buoy_id IN ({ids}) '
            f"AND measure_name IN ({keys})",
            [[count]],
        )
    assert queries.reader.count(Range(T0, T0 + 1000, buoys)) == 42
    queries.stubs.assert_no_pending_responses()


def test_a_run_stops_asking_before_it_becomes_dear(queries: Queries) -> None:
    keys = ", ".join(f"'{key}'" for key in KEYS)
    query = f"SELECT count(*) FROM \"buoytest\".\"measures\" WHERE {SPAN} AND buoy_id IN ('100', '101') "
    queries.answer(f"{query}AND measure_name IN ({keys})", [["1"]], metered=60 << 30)
    with pytest.raises(AwsError, match="60 GiB, which is enough"):
        queries.reader.count(ROWS)


def test_a_permission_that_lacks_is_told_with_action_resource_and_command(queries: Queries) -> None:
    queries.stubs.add_client_error("query", "AccessDeniedException", "not authorized", 403)
    with pytest.raises(AwsError) as raised:
        queries.reader.count(ROWS)
    text = str(raised.value)
    assert "timestream:Select and timestream:DescribeTable on buoytest.measures is missing" in text
    assert "buoy cloud policy --for run" in text


# -- the bucket --------------------------------------------------------------------------------------------


def message(buoy: int, number: int, **more: Any) -> dict[str, Any]:
    return {"ph": 7.0 + number, "temp": 11.5, "buoy_id": buoy, "timestamp": T0 + number, **more}


HOUR = datetime.fromtimestamp(T0 / 1000, UTC).strftime("%Y/%m/%d/%H")
THE_DAY_BEFORE = datetime.fromtimestamp(T0 / 1000 - 86_400, UTC).strftime("%Y/%m/%d/%H")
WINDOW = Window(T0 * 10**6, (T0 + 60_000) * 10**6, frozenset({100, 101}))


class NoSeries:
    """A time-series store with nothing in it."""

    name, where = "timestream", "nowhere"

    def count(self, _rows: Range) -> int:
        return 0

    def read(self, *_: Any) -> int:
        return 0


@pytest.fixture
def stores(here: AccountStandIn, tmp_path: Path) -> Stores:
    here.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    return Stores(Account(SPEC), SPEC, NoSeries(), BUCKET, tmp_path, "buoytest/0")


def put(here: AccountStandIn, key: str, body: bytes) -> None:
    here.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)


NOW_NS = (T0 + 120_000) * 10**6


def test_objects_are_read_whatever_stands_between_their_records_gzip_or_not(
    here: AccountStandIn, stores: Stores, tmp_path: Path
) -> None:
    plain = b"".join(json.dumps(message(100, number)).encode() for number in range(3))
    packed = gzip.compress(b"\n".join(json.dumps(message(101, number)).encode() for number in range(2)))
    put(here, f"data/{HOUR}/a", plain)
    put(here, f"data/{HOUR}/b.gz", packed)
    put(here, f"data/{HOUR}/foreign", json.dumps(message(999, 1)).encode())
    put(here, f"data/{THE_DAY_BEFORE}/old", plain)
    put(here, f"elsewhere/{HOUR}/a", plain)
    look = stores.look(WINDOW, NOW_NS, rows=False)
    assert (look.s3, look.documents, look.objects) == (10, 5, 3)
    assert stores.look(WINDOW, NOW_NS, rows=False).s3 == 10
    stores.write(WINDOW, tmp_path)
    assert stores.problems == []
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "stores" / "s3")
    assert table.num_rows == 10
    assert set(table.column("buoy").to_pylist()) == {100, 101}


def failed_document(code: str, buoy: int, number: int) -> bytes:
    raw = base64.b64encode(json.dumps(message(buoy, number)).encode()).decode()
    return json.dumps(
        {
            "attemptsMade": 4,
            "arrivalTimestamp": T0,
            "errorCode": code,
            "errorMessage": "The Lambda function invocation timed out.",
            "attemptEndingTimestamp": T0 + 9000,
            "rawData": raw,
            "lambdaArn": f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:{NAME}-datatransform",
        }
    ).encode()


def test_failed_records_are_evidence_for_the_very_message(here: AccountStandIn, stores: Stores) -> None:
    body = (
        failed_document("Lambda.FunctionTimedOut", 100, 7)
        + b"\n"
        + failed_document("Lambda.FunctionError", 101, 8)
    )
    put(here, f"processing-failed/{HOUR}/x", body)
    put(here, f"processing-failed/{HOUR}/broken", b'{"attemptsMade": 1}')
    look = stores.look(WINDOW, NOW_NS, rows=False)
    assert [(one.stage, one.buoy, one.timestamp_ms, one.reason) for one in look.noted] == [
        ("lambda", 100, T0 + 7, "timeout"),
        ("lambda", 101, T0 + 8, "function-error"),
    ]
    assert (
        look.noted[0].detail
        == "The Lambda function invocation timed out; 2 records in the object; 4 attempts"
    )
    assert any("none of Firehose's" in problem for problem in stores.problems)


@pytest.mark.parametrize(
    ("action", "said", "stage", "reason"),
    [
        (
            "TimestreamAction",
            "The measure value type BIGINT does not match the existing DOUBLE",
            "timestream",
            "type-conflict",
        ),
        (
            "TimestreamAction",
            "The record timestamp is outside the time range [..] of the memory store",
            "timestream",
            "too-old",
        ),
        (
            "TimestreamAction",
            "A record exists already with the same time and a version that is not lower",
            "timestream",
            "collision",
        ),
        ("TimestreamAction", "something new", "timestream", "refused"),
        (
            "KinesisAction",
            "ProvisionedThroughputExceededException: Rate exceeded for shard",
            "kinesis",
            "records-per-second",
        ),
        ("S3Action", "no such bucket", "rules", "action-failed"),
    ],
)
def test_what_a_rules_error_action_wrote_names_stage_and_reason(
    here: AccountStandIn, stores: Stores, action: str, said: str, stage: str, reason: str
) -> None:
    document = {
        "ruleName": "buoytest_timestream",
        "topic": "buoytest/0/100/data/",
        "cloudwatchTraceId": "x",
        "clientId": "buoytest-100",
        "base64OriginalPayload": base64.b64encode(
            json.dumps({"ph": 7, "timestamp": T0 + 3}).encode()
        ).decode(),
        "failures": [{"failedAction": action, "failedResource": "t", "errorMessage": said}],
    }
    put(here, f"rule-errors/{HOUR}/x.json", json.dumps(document).encode())
    (noted,) = stores.look(WINDOW, NOW_NS, rows=False).noted
    assert (noted.stage, noted.reason, noted.buoy, noted.timestamp_ms) == (stage, reason, 100, T0 + 3)
    assert said.rstrip(".") in noted.detail


def test_an_object_that_is_too_much_is_told_and_left_alone(
    here: AccountStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    monkeypatch.setattr("buoyfleet.cloud.aws.bucket.MAX_BYTES", 10)
    put(here, f"data/{HOUR}/a", b"x" * 11)
    reader = BucketReader(Account(SPEC), BUCKET, tmp_path)
    assert reader.fetch(("data/",), WINDOW.since_ns, NOW_NS, lambda _: None) == []
    assert reader.refused == 1


@pytest.mark.parametrize(
    ("key", "path"), [("a/../../etc/x", "a/_../_../etc/x"), ("a//b", "a/_/b"), ("data/x.gz", "data/x.gz")]
)
def test_a_key_never_leads_out_of_the_runs_folder(key: str, path: str) -> None:
    assert safe_path(key) == path


def test_a_bucket_that_does_not_exist_is_told_with_its_name(here: AccountStandIn, tmp_path: Path) -> None:
    reader = BucketReader(Account(SPEC), "not-there", tmp_path)
    with pytest.raises(AwsError, match="NoSuchBucket") as raised:
        reader.fetch(("data/",), WINDOW.since_ns, NOW_NS, lambda _: None)
    assert raised.value.where == "s3.list_objects_v2 not-there"
    assert here.queries == []
