"""The whole way behind the broker: what goes in is in both stores, every loss has its stage and reason."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twin_bench import Bench, drive, payload, values

from buoyfleet.cloud.local.rule_tokens import RuleError
from buoyfleet.cloud.local.s3 import list_objects
from buoyfleet.cloud.s3_reader import read_failed
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import LimitSetting, RuleSettings
from sensors.catalog import KEYS


def expected(
    buoys: int, messages: int, start_ms: int, interval_ms: int = 1000
) -> set[tuple[int, int, str, float]]:
    return {
        (buoy, start_ms + number * interval_ms, key, float(value))
        for buoy in range(100, 100 + buoys)
        for number in range(messages)
        for key, value in values(number).items()
    }


def test_every_measure_arrives_in_both_stores_with_its_value_and_time(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        start_ms = bench.now_ms
        bench.fleet(5, 20)
        await bench.pipeline.hurry()
        run = bench.collected()
        wanted = expected(5, 20, start_ms)
        assert run.found("timestream") == wanted
        assert run.found("s3") == wanted
        assert len(run.store("timestream")) == len(run.store("s3")) == 5 * 20 * 9
        assert run.problems == []
        assert run.outcomes("timestream") == []
        for stage in ("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"):
            assert run.reached(stage) == list(range(100))
        assert bench.pipeline.stored() == {"timestream": 900, "s3": 900}
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert [(count.entered, count.left, count.waiting) for count in counts.values()] == [
            *[(100, 100, 0)] * 2,
            (1100, 1100, 0),
            *[(100, 100, 0)] * 4,
        ]
        assert counts["firehose"].metrics["AWS/Firehose SucceedProcessing.Records"] == 100
        assert counts["rules"].metrics["AWS/IoT TopicMatch"] == 200

    drive(tmp_path, work)


def test_buoy_id_and_timestamp_are_measures_of_timestream_too(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms))
        foreign = {row["measure"]: row for row in bench.collected().store("timestream", known=False)}
        assert set(foreign) == {*KEYS, "buoy_id", "timestamp"}
        assert (foreign["buoy_id"]["type"], foreign["buoy_id"]["text"]) == ("VARCHAR", "100")
        assert (foreign["timestamp"]["type"], foreign["timestamp"]["value"]) == ("BIGINT", bench.now_ms)

    drive(tmp_path, work)


def test_rows_of_s3_carry_the_time_they_would_have_become_visible(tmp_path: Path) -> None:
    spec = replace(
        TwinSpec(),
        firehose_lambda_buffer_s=60,
        firehose_s3_buffer_s=300,
        lambda_cold_start_ms=200,
        lambda_per_record_ms=10,
    )

    async def work(bench: Bench) -> None:
        start_ns = bench.clock.now_ns
        bench.fleet(1, 3)
        await bench.pipeline.hurry()
        run = bench.collected()
        # 60 s in the Lambda buffer, 200 ms cold start, 3 records of 10 ms, 300 s in the S3 buffer
        visible = {row["visible_ns"] for row in run.store("s3")}
        assert visible == {start_ns + 60_000_000_000 + 230_000_000 + 300_000_000_000}
        assert {row["visible_ns"] - start_ns for row in run.store("timestream")} == {0, 10**9, 2 * 10**9}
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["firehose"].simulated_s == pytest.approx(360.23)
        assert counts["firehose"].wall_s < 20
        assert counts["lambda"].simulated_s == pytest.approx(0.23)

    drive(tmp_path, work, spec)


def test_hurrying_gives_what_waiting_would_have_given(tmp_path: Path) -> None:
    spec = replace(TwinSpec(), firehose_lambda_buffer_s=7, firehose_s3_buffer_s=20, lambda_per_record_ms=100)

    def layout(bench: Bench) -> list[tuple[int, int]]:
        folder = Path(bench.pipeline.config.folder) / "s3"
        return sorted(
            (info.last_modified_ns - bench.started_ns, (folder / info.key).stat().st_size)  # type: ignore[attr-defined]
            for info in list_objects(folder)
        )

    async def hurried(bench: Bench) -> list[tuple[int, int]]:
        bench.started_ns = bench.clock.now_ns  # type: ignore[attr-defined]
        bench.fleet(3, 40)
        await bench.pipeline.hurry()
        return layout(bench)

    async def waited(bench: Bench) -> list[tuple[int, int]]:
        bench.started_ns = bench.clock.now_ns  # type: ignore[attr-defined]
        for number in range(40):
            for buoy in range(100, 103):
                bench.send(buoy, payload(number, bench.now_ms))
            bench.clock.advance(1)
            await bench.pipeline.deliver_until(bench.clock.now_ns)
        for _ in range(200):
            bench.clock.advance(1)
            await bench.pipeline.deliver_until(bench.clock.now_ns)
        assert bench.pipeline.idle
        return layout(bench)

    objects = drive(tmp_path / "a", hurried, spec)
    assert [seconds for seconds, _ in objects] == [29_350_000_000, 50_100_000_000]
    assert drive(tmp_path / "b", waited, spec) == objects


def test_buffers_run_by_themselves_where_nobody_hurries_them(tmp_path: Path) -> None:
    spec = replace(
        TwinSpec(), firehose_lambda_buffer_s=0.05, firehose_s3_buffer_s=0.1, lambda_cold_start_ms=0
    )

    async def main() -> None:
        from buoyfleet.cloud.local.config import TwinConfig
        from buoyfleet.cloud.local.pipeline import Pipeline
        from buoyfleet.model.clock import HostClock

        pipeline = Pipeline(TwinConfig(str(tmp_path / "twin"), twin=spec))
        pipeline.start()
        try:
            pipeline.sink("aws/0/100/data/", payload(1, HostClock().utc_ns() // 10**6), 1, False, False, "c")
            async with asyncio.timeout(90):
                while pipeline.stored()["s3"] < 9:
                    await asyncio.sleep(0.01)
        finally:
            await pipeline.close()

    asyncio.run(main())


def test_a_lambda_timeout_leaves_s3_short_and_timestream_complete(tmp_path: Path) -> None:
    """The finding of the original stress test, 30 buoys at one message a second, in small."""
    spec = replace(
        TwinSpec(),
        lambda_timeout_s=3,
        lambda_cold_start_ms=250,
        lambda_per_record_ms=2,
        firehose_lambda_buffer_s=60,
    )

    async def work(bench: Bench) -> None:
        start_ms = bench.now_ms
        bench.fleet(30, 70)
        await bench.pipeline.hurry()
        run = bench.collected()
        assert run.found("timestream") == expected(30, 70, start_ms)
        # The first buffer holds a minute, 1800 records: more than 1375 need more than 3 s. The rest fits.
        failed = {row["message"] for row in run.outcomes("lambda")}
        assert failed == set(range(30 * 60))
        assert set(run.reached("s3")) == set(range(30 * 70)) - failed
        assert {row["buoy"] for row in run.store("s3")} == set(range(100, 130))
        assert len(run.store("s3")) == 10 * 30 * 9
        detail = run.outcomes("lambda")[0]
        assert (detail["outcome"], detail["reason"]) == ("failed", "timeout")
        for words in ("timed out after 3 s", "1800 records", "3.85 s", "4 attempts", "processing-failed/"):
            assert words in detail["detail"]
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["kinesis"].metrics[
            "twin busiest second of a shard, share of its limit"
        ] == pytest.approx(0.03)
        assert counts["lambda"].metrics["AWS/Lambda Errors"] == 4
        assert counts["lambda"].metrics["AWS/Lambda Invocations"] == 5
        assert counts["lambda"].rejected == {"timeout": 1800}
        assert "Task timed out after 3.00 seconds" in counts["lambda"].notes[0]

    drive(tmp_path, work, spec)


@pytest.mark.soak
def test_the_timeout_doubled_makes_s3_complete_but_later(tmp_path: Path) -> None:
    async def work(bench: Bench) -> tuple[int, int]:
        start_ns = bench.clock.now_ns
        bench.fleet(30, 70)
        await bench.pipeline.hurry()
        rows = bench.collected().store("s3")
        return len(rows), max(row["visible_ns"] for row in rows) - start_ns

    spec = replace(TwinSpec(), lambda_timeout_s=6, lambda_per_record_ms=2)
    short, _ = drive(tmp_path / "short", work, replace(spec, lambda_timeout_s=3))
    full, late_ns = drive(tmp_path / "full", work, spec)
    _, fast_ns = drive(tmp_path / "fast", work, replace(spec, lambda_per_record_ms=0.1))
    assert (short, full) == (10 * 30 * 9, 70 * 30 * 9)
    assert late_ns > fast_ns


def test_failed_records_lie_under_processing_failed_as_they_were(tmp_path: Path) -> None:
    spec = replace(TwinSpec(), lambda_timeout_s=1, lambda_per_record_ms=1000)

    async def work(bench: Bench) -> None:
        start_ms = bench.now_ms
        bench.fleet(1, 3)
        await bench.pipeline.hurry()
        folder = Path(bench.pipeline.config.folder) / "s3"
        (info,) = list_objects(folder)
        problems: list[str] = []
        failed = read_failed(info, (folder / info.key).read_bytes(), problems.append)
        assert [(record.attempts, record.error_code) for record in failed] == [
            (4, "Lambda.FunctionTimedOut")
        ] * 3
        assert [json.loads(record.raw_data)["timestamp"] for record in failed] == [
            start_ms,
            start_ms + 1000,
            start_ms + 2000,
        ]
        assert failed[0].arrival_ms == start_ms
        assert failed[0].ended_ms == start_ms + 60_000 + 4 * 1000
        run = bench.collected()
        assert run.store("s3") == []
        assert run.problems == []

    drive(tmp_path, work, spec)


HANDLERS = {
    "raises": ("def lambda_handler(event, context):\n    raise ValueError('boom')\n", "function-error", 4),
    "returns nothing": ("def lambda_handler(event, context):\n    pass\n", "bad-response", 1),
    "forgets one": (
        "def lambda_handler(event, context):\n"
        "    return {'records': [dict(r, result='Ok') for r in event['records'][1:]]}\n",
        "missing-record-id",
        1,
    ),
    "doubles one": (
        "def lambda_handler(event, context):\n"
        "    return {'records': [dict(r, result='Ok') for r in event['records'] * 2]}\n",
        "duplicated-record-id",
        1,
    ),
}


@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_that_fails_a_batch_sends_it_to_processing_failed(tmp_path: Path, name: str) -> None:
    source, reason, attempts = HANDLERS[name]
    (tmp_path / "handler.py").write_text(source)

    async def work(bench: Bench) -> None:
        bench.fleet(1, 3)
        await bench.pipeline.hurry()
        run = bench.collected()
        assert [(row["message"], row["reason"]) for row in run.outcomes("lambda")] == [
            (0, reason),
            (1, reason),
            (2, reason),
        ]
        assert f"{attempts} attempt" in run.outcomes("lambda")[0]["detail"]
        assert run.store("s3") == []
        assert len(run.store("timestream")) == 27

    drive(tmp_path, work, TwinSpec(lambda_handler=str(tmp_path / "handler.py")))


def test_a_handler_can_fail_and_drop_single_records(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(
        "from itertools import cycle\n"
        "def lambda_handler(event, context):\n"
        "    results = cycle(['Ok', 'Dropped', 'ProcessingFailed', 'Nonsense'])\n"
        "    return {'records': [{'recordId': r['recordId'], 'result': x, 'data': r['data']}\n"
        "                        for r, x in zip(event['records'], results)]}\n"
    )

    async def work(bench: Bench) -> None:
        bench.fleet(1, 8)
        await bench.pipeline.hurry()
        run = bench.collected()
        reasons = {row["message"]: (row["outcome"], row["reason"]) for row in run.outcomes("lambda")}
        dropped, failed = ("rejected", "dropped-by-handler"), ("failed", "processing-failed")
        assert reasons == {1: dropped, 5: dropped, 2: failed, 3: failed, 6: failed, 7: failed}
        assert run.reached("s3") == [0, 4]

    drive(tmp_path, work, TwinSpec(lambda_handler=str(tmp_path / "handler.py")))


def test_a_shard_that_is_too_small_loses_for_s3_alone(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for number in range(3):
            for buoy in range(100, 120):
                bench.send(buoy, payload(number, bench.now_ms + number))
        await bench.pipeline.hurry()
        run = bench.collected()
        assert len(run.store("timestream")) == 60 * 9
        assert run.reached("s3") == list(range(25))
        assert [row["message"] for row in run.outcomes("kinesis")] == list(range(25, 60))

    twin = TwinSpec(limits=(LimitSetting("shard_records_per_s", 25.0),))
    drive(tmp_path, work, twin, limits="aws")


def test_original_payloads_of_one_millisecond_collide_in_timestream(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0))
        bench.send(100, payload(1))
        bench.send(101, payload(1))
        bench.clock.advance(0.001)
        bench.send(100, payload(2))
        await bench.pipeline.hurry()
        run = bench.collected()
        assert len(run.store("timestream")) == 27
        collided = {row["measure"]: row for row in run.outcomes("timestream")}
        assert set(collided) == set(KEYS)
        assert {(row["message"], row["reason"]) for row in collided.values()} == {(1, "collision")}
        assert {row["timestamp_ms"] for row in run.store("timestream")} == {bench.now_ms - 1, bench.now_ms}
        assert len(run.store("s3")) == 36
        assert {row["timestamp_ms"] for row in run.store("s3")} == {None}

    drive(tmp_path, work, payload="original")


def test_sql_version_2016_on_the_timestream_rule_loses_whole_numbers(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, b'{"temp": 7.5, "timestamp": %d}' % bench.now_ms)
        bench.send(100, b'{"temp": 8.0, "timestamp": %d}' % (bench.now_ms + 1))
        bench.send(100, b'{"temp": 8.5, "timestamp": %d}' % (bench.now_ms + 2))
        run = bench.collected()
        assert [row["value"] for row in run.store("timestream")] == [7.5, 8.5]
        (refused,) = run.outcomes("timestream")
        assert (refused["message"], refused["measure"], refused["reason"]) == (1, "temp", "type-conflict")

    drive(tmp_path, work, TwinSpec(timestream_rule=RuleSettings(sql_version="2016-03-23")))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed-payload"),
        (b"{", "malformed-payload"),
        (b"[1]", "malformed-payload"),
        (b'"text"', "malformed-payload"),
        (b'{"temp": NaN}', "malformed-payload"),
        (b'{"temp": "\xff"}', "malformed-payload"),
        (b"[" * 100_000, "malformed-payload"),
        (b"9" * 10_000, "malformed-payload"),
    ],
)
def test_a_malformed_payload_is_refused_by_the_rules_with_a_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, data)
        bench.send(100, payload(0, bench.now_ms))
        run = bench.collected()
        assert [(row["message"], row["reason"]) for row in run.outcomes("rules")] == [(0, reason)]
        assert len(run.store("timestream")) == 9
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["rules"].metrics["AWS/IoT ParseError"] == 1

    drive(tmp_path, work)


@pytest.mark.parametrize(
    "data", [b'{"temp": 1e999}', b'{"temp": "\\ud800"}', b'{"temp": ' + b"9" * 400 + b"}"]
)
def test_values_that_json_allows_and_stores_do_not_are_refused_and_nothing_stops(
    tmp_path: Path, data: bytes
) -> None:
    async def work(bench: Bench) -> None:
        body = data[:-1] + b', "timestamp": %d}' % bench.now_ms
        for _ in range(2):
            bench.send(100, body)
        bench.send(100, payload(0, bench.now_ms + 1))
        await bench.pipeline.hurry()
        run = bench.collected()
        assert 2 in run.reached("s3")
        assert len([row for row in run.store("timestream") if row["message"] == 2]) >= 8

    drive(tmp_path, work)


def test_a_topic_without_the_trailing_slash_matches_no_rule(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms), topic="aws/0/100/data")
        run = bench.collected()
        (row,) = run.outcomes("rules")
        assert row["reason"] == "no-rule-matched"
        assert "aws/0/100/data" in row["detail"]
        assert run.evidence("received")[0]["buoy"] == 100

    drive(tmp_path, work)


def test_a_stamped_table_refuses_messages_without_a_timestamp(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0))
        run = bench.collected()
        assert [(row["stage"], row["reason"]) for row in run.evidence("outcomes")] == [
            ("timestream", "no-timestamp")
        ]

    drive(tmp_path, work)


def test_where_keeps_messages_from_a_store_and_says_so(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for number in range(4):
            bench.send(100, payload(number, bench.now_ms + number))
        run = bench.collected()
        assert {row["message"] for row in run.store("timestream")} == {2, 3}
        assert [(row["message"], row["reason"]) for row in run.outcomes("rules")] == [
            (0, "where"),
            (1, "where"),
        ]

    sql = "SELECT *, topic(3) AS buoy_id FROM 'aws/+/+/data/#' WHERE ec >= 4"
    drive(tmp_path, work, TwinSpec(timestream_rule=RuleSettings(sql)))


def test_a_rule_that_is_not_allowed_is_refused_before_anything_runs(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(RuleError):
            bench.pipeline.compile_rules()

    drive(tmp_path, work, TwinSpec(kinesis_rule=RuleSettings("SELECT DISTINCT do FROM 'aws/#'")))


def test_what_is_still_in_a_buffer_is_waiting_and_says_until_when(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(1, 2)
        await bench.pipeline.deliver_until(bench.clock.now_ns)
        run = bench.collected()
        rows = run.outcomes("firehose")
        assert [(row["message"], row["outcome"]) for row in rows] == [(0, "waiting"), (1, "waiting")]
        assert "1 MB or 60 s" in rows[0]["detail"]
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert (counts["firehose"].waiting, counts["firehose"].left) == (2, 0)

    drive(tmp_path, work)


def test_the_lambda_buffer_goes_by_size_and_requests_stay_below_six_megabytes(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        body = json.dumps({"temp": 1.5, "timestamp": bench.now_ms, "note": "x" * 100_000}).encode()
        for _ in range(35):
            bench.send(100, body)
        await bench.pipeline.hurry()
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        # 11 records of 100 KB reach 1 MB; the fourth batch goes by time
        assert counts["lambda"].metrics["AWS/Lambda Invocations"] == 4
        assert counts["s3"].left == 35

    drive(tmp_path, work)

    async def large(bench: Bench) -> None:
        for number in range(20_000):
            bench.send(100, b'{"temp": 1.5, "timestamp": %d}' % (bench.now_ms + number))
        await bench.pipeline.hurry()
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["lambda"].rejected == {}
        assert counts["s3"].left == 20_000

    drive(tmp_path / "large", large, replace(TwinSpec(), firehose_lambda_buffer_mb=3, lambda_per_record_ms=0))


def test_the_timer_of_a_buffer_that_went_by_size_does_not_empty_the_next_one(tmp_path: Path) -> None:
    spec = replace(
        TwinSpec(), firehose_lambda_buffer_mb=0.0002, lambda_cold_start_ms=0, lambda_per_record_ms=0
    )

    async def work(bench: Bench) -> None:
        start_ns = bench.clock.now_ns
        for _ in range(3):  # two of them are over 200 bytes: the third begins a buffer 50 s after the first
            bench.send(100, payload(0, bench.now_ms))
            bench.clock.advance(25)
        await bench.pipeline.hurry()
        (info,) = list_objects(Path(bench.pipeline.config.folder) / "s3")
        entered = {
            row["message"]: row["at_ns"]
            for row in bench.collected().evidence("trace")
            if row["stage"] == "lambda"
        }
        assert [entered[number] - start_ns for number in range(3)] == [25 * 10**9, 25 * 10**9, 110 * 10**9]
        assert info.last_modified_ns - start_ns == 325 * 10**9

    drive(tmp_path, work, spec)


def test_a_function_that_timed_out_starts_cold_again(tmp_path: Path) -> None:
    spec = replace(
        TwinSpec(),
        lambda_cold_start_ms=1000,
        lambda_per_record_ms=100,
        lambda_timeout_s=3,
        firehose_lambda_buffer_s=10,
    )

    async def work(bench: Bench) -> None:
        for records in (5, 5, 40, 5):
            for _ in range(records):
                bench.send(100, payload(0, bench.now_ms))
            bench.clock.advance(100)
        await bench.pipeline.hurry()
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        # cold 1.5 s, warm 0.5 s, four times the timeout, cold again 1.5 s
        assert counts["lambda"].simulated_s == pytest.approx(1.5 + 0.5 + 4 * 3 + 1.5)
        assert counts["lambda"].rejected == {"timeout": 40}

    drive(tmp_path, work, spec)


def test_s3_objects_go_by_size(tmp_path: Path) -> None:
    spec = replace(TwinSpec(), firehose_s3_buffer_mb=0.001, firehose_lambda_buffer_s=0)

    async def work(bench: Bench) -> None:
        bench.fleet(1, 20)
        await bench.pipeline.hurry()
        sizes = [
            (Path(bench.pipeline.config.folder) / "s3" / info.key).stat().st_size
            for info in list_objects(Path(bench.pipeline.config.folder) / "s3")
        ]
        assert len(sizes) > 2
        assert all(1048 <= size < 1300 for size in sorted(sizes)[1:])
        assert bench.collected().found("s3") == bench.collected("again").found("timestream")

    drive(tmp_path, work, spec)


def test_a_bucket_that_cannot_be_written_is_tried_again_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from buoyfleet.cloud.local.s3 import Bucket

    def full(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(28, "No space left on device")

    async def work(bench: Bench) -> None:
        bench.fleet(1, 2)
        with monkeypatch.context() as patched:
            patched.setattr(Bucket, "put", full)
            await bench.pipeline.hurry()
        rows = bench.collected().outcomes("s3")
        assert [(row["message"], row["outcome"], row["reason"]) for row in rows] == [
            (0, "failed", "write-failed"),
            (1, "failed", "write-failed"),
        ]
        assert "No space left" in rows[0]["detail"]
        bench.fleet(1, 1)
        await bench.pipeline.hurry()
        assert bench.collected("later").reached("s3") == [2]

    drive(tmp_path, work)


def test_refused_messages_are_kept_with_their_reason(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.pipeline.refused("payload-too-large", "200 KB", "buoy-100", "aws/0/100/data/", b"x")
        bench.pipeline.refused("connect-rate", "501 in a second", "buoy-101", "", None)
        run = bench.collected()
        (row,) = run.evidence("refused")
        assert (row["buoy"], row["client"], row["reason"], row["payload"]) == (
            100,
            "buoy-100",
            "payload-too-large",
            b"x",
        )
        counts = bench.pipeline.stage_counts()
        assert counts[0].rejected == {"payload-too-large": 1}
        assert counts[0].entered == 1

    drive(tmp_path, work)


def test_rule_matches_beyond_the_accounts_rate_are_throttled(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.pipeline.charge = lambda matches: matches == 2 and bench.pipeline.intake.accepted <= 1
        for number in range(2):
            bench.send(100, payload(number, bench.now_ms + number))
        run = bench.collected()
        assert [(row["message"], row["reason"]) for row in run.outcomes("rules")] == [(1, "rule-throttled")]

    drive(tmp_path, work)


def test_messages_wait_for_the_rules_and_nobody_waits_for_the_messages(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        pipeline = bench.pipeline
        with pipeline._compiling:  # as another thread does while it parses
            pipeline.sink("aws/0/100/data/", payload(0, bench.now_ms), 1, False, False, "client")
            await asyncio.sleep(0.03)
            assert pipeline.intake.accepted == 0
        async with asyncio.timeout(90):
            while pipeline.stored()["timestream"] < 9:
                await asyncio.sleep(0.005)

    drive(tmp_path, work)
