"""Error actions of rules: the document AWS makes, into the bucket or out again as a message."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from twin_bench import Bench, drive
from twin_process import publish, server

from buoyfleet.cloud.local.error_actions import MAX_WAITING, ErrorActions, Failed
from buoyfleet.cloud.local.s3 import Bucket
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import ErrorAction, LimitSetting, RuleSettings

FAILED = Failed(
    "buoy_kinesis", "aws/0/1/data/", "buoy-1", b"{}", (("KinesisAction", "buoys", "Rate exceeded"),)
)


def objects(bench: Bench, prefix: str) -> list[dict[str, Any]]:
    folder = Path(bench.pipeline.config.folder) / "s3" / prefix
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_a_message_whose_record_timestream_refused_goes_to_the_bucket_as_it_came(tmp_path: Path) -> None:
    raw = b'{"temp": 7.5}'

    async def work(bench: Bench) -> None:
        bench.send(100, raw)  # no timestamp, which the action takes the time from
        bench.send(100, b'{"temp": 7.5, "timestamp": %d}' % bench.now_ms)
        bench.pipeline.errors.write()
        (document,) = objects(bench, "rule-errors")
        assert base64.b64decode(document["base64OriginalPayload"]) == raw
        assert (document["ruleName"], document["topic"]) == ("buoy_timestream", "aws/0/100/data/")
        assert document["clientId"] == "buoy-100"
        (failure,) = document["failures"]
        assert (failure["failedAction"], failure["failedResource"]) == ("TimestreamAction", "buoys")
        metrics = bench.pipeline.stage_counts()[1].metrics
        assert metrics["AWS/IoT Failure {RuleName=buoy_timestream}"] == 1
        assert metrics["AWS/IoT Success {RuleName=buoy_timestream}"] == 1
        assert metrics["AWS/IoT ErrorActionSuccess {RuleName=buoy_timestream}"] == 1
        await bench.pipeline.hurry()
        # What an error action leaves in the bucket is no data of the run.
        run = bench.collected()
        assert {row["message"] for row in run.store("s3")} == {0, 1}
        assert run.problems == []

    drive(tmp_path, work, TwinSpec(timestream_rule=RuleSettings(error_action=ErrorAction(s3="rule-errors/"))))


def test_a_throttled_shard_fails_the_action_of_the_kinesis_rule(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for number in range(3):
            bench.send(100, b'{"temp": 7.5, "timestamp": %d}' % (bench.now_ms + number))
        bench.pipeline.errors.write()
        (document,) = objects(bench, "shard")
        assert document["failures"][0]["failedAction"] == "KinesisAction"

    limits = (LimitSetting("shard_records_per_s", 2.0),)
    rule = RuleSettings(error_action=ErrorAction(s3="shard/"))
    drive(tmp_path, work, TwinSpec(limits=limits, kinesis_rule=rule), limits="aws")


def test_documents_that_cannot_be_kept_count_as_failed(tmp_path: Path) -> None:
    errors = ErrorActions(Bucket(tmp_path / "s3"), tmp_path)
    taken = [errors.run(ErrorAction(s3="e/"), FAILED) for _ in range(MAX_WAITING + 2)]
    assert taken.count(False) == 2
    assert not errors.run(ErrorAction(republish="errors"), FAILED), "no broker"
    assert json.loads(FAILED.document())["failures"][0]["errorMessage"] == "Rate exceeded"


def test_a_republished_error_comes_to_its_subscribers(tmp_path: Path) -> None:
    from buoyfleet.mqtt.codec import Connect, Decoder, Publish, encode_connect, encode_subscribe

    async def main() -> None:
        rule = {"error_action": {"republish": "errors/rules"}}
        async with server(tmp_path, twin={"timestream_rule": rule}) as twin:
            reader, writer = await asyncio.open_connection(twin.endpoint.host, twin.endpoint.port)
            writer.write(encode_connect(Connect("listener")))
            writer.write(encode_subscribe(1, ((b"errors/#", 0),)))
            decoder = Decoder()
            # Two hours too old for the table: the action fails.
            await publish(twin.endpoint, 100, 1, first_ms=1_000)
            found: list[Publish] = []
            while not found:
                data = await asyncio.wait_for(reader.read(65536), 100)
                assert data
                found = [packet for packet in decoder.feed(data) if isinstance(packet, Publish)]
            writer.close()
            document = json.loads(found[0].payload)
            assert found[0].topic == b"errors/rules"
            assert document["ruleName"] == "buoy_timestream"

    asyncio.run(main())


def test_an_error_that_would_come_to_its_own_rule_is_refused(tmp_path: Path) -> None:
    from buoyfleet.cloud.local.config import load

    (tmp_path / "c.json").write_text(
        json.dumps(
            {
                "folder": "x",
                "twin": {"kinesis_rule": {"error_action": {"republish": "aws/0/7/data/again"}}},
            }
        )
    )
    with pytest.raises(UsageError, match="would go round"):
        load(tmp_path / "c.json")
