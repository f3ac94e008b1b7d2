"""Basic Ingest (`$aws/rules/NAME/…`) in the pipeline, and rules on topics of the account's services."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from twin_bench import Bench, drive, payload

from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.twin import Twin
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import LimitSetting, RuleSettings
from buoyfleet.mqtt.codec import Connack, Connect, Decoder, Puback, encode_connect, encode_publish


def test_basic_ingest_runs_the_rule_that_it_names_and_no_other(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms), topic="$aws/rules/buoy_timestream/aws/0/100/data/")
        bench.send(101, payload(0, bench.now_ms), topic="$aws/rules/buoy_kinesis/anything/0/101")
        await bench.pipeline.hurry()
        run = bench.collected()
        assert {buoy for buoy, *_ in run.found("timestream")} == {100}
        assert {buoy for buoy, *_ in run.found("s3")} == {101}
        foreign = {row["measure"]: row["text"] for row in run.store("timestream", known=False)}
        assert foreign["buoy_id"] == "100", "topic(3) does not see the prefix"
        assert [row["buoy"] for row in run.evidence("received")] == [100, 101]

    drive(tmp_path, work)


def test_one_rule_feeds_all_stores_of_a_fleet_that_names_it(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms), topic="$aws/rules/buoy_ingest/aws/0/100/data/")
        await bench.pipeline.hurry()
        run = bench.collected()
        for store in ("timestream", "s3"):
            assert {buoy for buoy, *_ in run.found(store)} == {100}
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["rules"].metrics["AWS/IoT TopicMatch {RuleName=buoy_ingest}"] == 1

    drive(tmp_path, work, TwinSpec(ingest_rule="buoy_ingest"))


def test_a_rule_that_is_not_there_is_named_and_counted(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms), topic="$aws/rules/nowhere/aws/0/100/error/")
        (row,) = bench.collected().outcomes("rules")
        assert row["reason"] == "rule-not-found"
        assert "the rule nowhere" in row["detail"]
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["rules"].metrics["AWS/IoT RuleNotFound"] == 1

    drive(tmp_path, work)


def test_a_rule_can_select_what_a_service_publishes(tmp_path: Path) -> None:
    sql = "SELECT state.reported.temp AS temp FROM '$aws/things/+/shadow/update/accepted'"
    spec = replace(TwinSpec(), kinesis_rule=RuleSettings(sql=sql))

    async def run() -> None:
        twin = Twin(TwinConfig(str(tmp_path / "twin"), twin=spec))
        await twin.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", twin.port)
            state = json.dumps({"state": {"reported": {"temp": 7.5}}}).encode()
            update = b"$aws/things/buoy-100/shadow/update"
            writer.write(encode_connect(Connect("buoy-100")) + encode_publish(update, state, 1, packet_id=1))
            decoder, packets = Decoder(), []
            while not any(isinstance(packet, Puback) for packet in packets):
                packets += decoder.feed(await reader.read(1000))
            writer.close()
            assert isinstance(packets[0], Connack)
            await twin.pipeline.hurry()
            counts = {count.name: count for count in twin.stage_counts()}
            assert counts["rules"].metrics["AWS/IoT Success {RuleName=buoy_kinesis}"] == 1
            assert counts["rules"].rejected == {}, "the request itself is nobody's"
        finally:
            await twin.close()

    asyncio.run(run())


def test_rules_that_name_no_service_cost_a_connection_nothing(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        assert not bench.pipeline.wants("$aws/events/presence/connected/buoy-100")
        assert bench.pipeline._engine is None, "not even compiled for that"

    drive(tmp_path, work)


def rules_after(tmp_path: Path, spec: TwinSpec, keep: tuple[str, ...]) -> dict[str, float]:
    """Counters of the rules after a message for each state of a shadow."""

    async def run() -> dict[str, float]:
        twin = Twin(TwinConfig(str(tmp_path / "twin"), twin=spec))
        await twin.start()
        try:
            for state in keep:
                body = f'{{"state":{{"desired":{{"keep":{state}}}}}}}'.encode()
                twin.services.shadows.request("buoy-100", "", "update", body)
                twin.pipeline.sink("aws/0/100/data/", payload(0, 1), 1, False, False, "buoy-100")
                twin.pipeline.take_in()
            return {count.name: count for count in twin.stage_counts()}["rules"].metrics
        finally:
            await twin.close()

    return asyncio.run(run())


WHERE = 'get_thing_shadow("buoy-100", "arn:aws:iam::1:role/r").state.desired.keep = true'
OWN = RuleSettings(sql=f"SELECT * FROM 'aws/+/+/data/#' WHERE {WHERE}")


def test_a_rule_sees_a_shadow_as_it_is_when_the_message_comes(tmp_path: Path) -> None:
    metrics = rules_after(tmp_path, replace(TwinSpec(), kinesis_rule=OWN), ("false", "true", "false"))
    assert metrics["AWS/IoT TopicMatch {RuleName=buoy_kinesis}"] == 3
    assert metrics["AWS/IoT Success {RuleName=buoy_kinesis}"] == 1


def test_matches_of_ones_own_rules_count_as_outbound_publishes_too(tmp_path: Path) -> None:
    limits = (LimitSetting("account_publishes_out_per_s", 1),)
    metrics = rules_after(tmp_path, replace(TwinSpec(), kinesis_rule=OWN, limits=limits), ("true",))
    assert metrics["AWS/IoT RuleMessageThrottled"] == 1, "two rules match, one is allowed"
