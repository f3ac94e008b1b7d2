"""Rules that a user brings along: as AWS prints them, with actions that leave something to read."""

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twin_bench import Bench, drive, payload

from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.own_rules import read_rule
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import OwnRule

SQL = "SELECT temp FROM 'aws/+/+/data/#'"
ROLE = {"roleArn": "arn:aws:iam::123456789012:role/iot"}


def rule(
    tmp_path: Path, *actions: Any, sql: str = "SELECT temp FROM 'aws/+/+/data/#'", **more: Any
) -> OwnRule:
    """A file as `aws iot get-topic-rule` prints it."""
    file = tmp_path / "rule.json"
    body = {
        "ruleName": "mine",
        "sql": sql,
        "awsIotSqlVersion": "2016-03-23",
        "actions": list(actions),
        **more,
    }
    file.write_text(json.dumps({"ruleArn": "arn:aws:iot:us-east-1:1:rule/mine", "rule": body}))
    return OwnRule("mine", str(file))


def written(tmp_path: Path, own: OwnRule, *messages: tuple[str, bytes]) -> tuple[dict[str, list[Any]], Bench]:
    """Action → its records after some messages of buoy 100, and the bench."""
    republished: list[tuple[str, bytes]] = []

    async def work(bench: Bench) -> None:
        bench.pipeline.errors.republish = lambda topic, body: republished.append((topic, body)) is None
        for topic, body in messages:
            bench.send(100, body, topic=topic)
        await asyncio.to_thread(bench.pipeline.errors.write)
        found["bench"] = bench
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        found["rules"] = counts["rules"]
        found["outcomes"] = bench.collected().outcomes("rules")

    found: dict[str, Any] = {}
    drive(tmp_path, work, replace(TwinSpec(), rules=(own,)))
    files = (tmp_path / "twin" / "actions").rglob("*.jsonl")
    records = {
        file.parent.name: [json.loads(line) for line in file.read_text().splitlines()] for file in files
    }
    for rows in records.values():
        for row in rows:
            assert row.pop("time_ms") > 0
    found["republished"] = republished
    return records, found  # type: ignore[return-value]


ACTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"sqs": {"queueUrl": "https://sqs/q", "useBase64": True, **ROLE}},
        {"queueUrl": "https://sqs/q", "body": base64.b64encode(b'{"temp":16.25}').decode()},
    ),
    (
        {"sns": {"targetArn": "arn:aws:sns:us-east-1:1:t", "messageFormat": "RAW", **ROLE}},
        {"targetArn": "arn:aws:sns:us-east-1:1:t", "messageFormat": "RAW", "body": '{"temp":16.25}'},
    ),
    (
        {
            "cloudwatchMetric": {
                "metricNamespace": "buoys/${topic(3)}", "metricName": "temp", "metricUnit": "None",
                "metricValue": "${temp}", **ROLE,
            }
        },
        {"metricNamespace": "buoys/100", "metricName": "temp", "metricUnit": "None", "metricValue": 16.25},
    ),
    (
        {
            "dynamoDB": {
                "tableName": "t", "hashKeyField": "buoy", "hashKeyType": "NUMBER",
                "hashKeyValue": "${topic(3)}", "payloadField": "data", **ROLE,
            }
        },
        {
            "tableName": "t", "hashKeyField": "buoy", "hashKeyType": "NUMBER", "hashKeyValue": 100,
            "payloadField": "data", "data": {"temp": 16.25},
        },
    ),
    ({"dynamoDBv2": {"putItem": {"tableName": "t"}, **ROLE}}, {"tableName": "t", "item": {"temp": 16.25}}),
    (
        {"s3": {"bucketName": "b", "key": "raw/${topic(3)}.json", **ROLE}},
        {"bucketName": "b", "key": "raw/100.json", "body": '{"temp":16.25}'},
    ),
    ({"cloudwatchLogs": {"logGroupName": "g", **ROLE}}, {"logGroupName": "g", "body": '{"temp":16.25}'}),
]  # fmt: skip


def test_every_action_leaves_what_its_service_would_get(tmp_path: Path) -> None:
    own = rule(tmp_path, *(action for action, _ in ACTIONS))
    records, found = written(tmp_path, own, ("aws/0/100/data/", payload(0, 1)))
    assert records == {next(iter(action)): [record] for action, record in ACTIONS}
    assert found["rules"].metrics["AWS/IoT Success {RuleName=mine}"] == 1  # type: ignore[index]
    assert found["rules"].rejected == {}, "stores got the message by their own rules"  # type: ignore[index]


def test_a_rule_republishes_but_not_to_itself(tmp_path: Path) -> None:
    own = rule(
        tmp_path,
        {"republish": {"topic": "alarm/${topic(3)}", "qos": 1, **ROLE}},
        {"republish": {"topic": "aws/0/${topic(3)}/data/", **ROLE}},
        errorAction={"sqs": {"queueUrl": "https://sqs/errors", **ROLE}},
    )
    records, found = written(tmp_path, own, ("aws/0/100/data/", payload(0, 1)))
    assert found["republished"] == [("alarm/100", b'{"temp":16.25}')]  # type: ignore[index]
    assert found["rules"].metrics["AWS/IoT Failure {RuleName=mine}"] == 1  # type: ignore[index]
    (note,) = found["rules"].notes  # type: ignore[index]
    assert "republish: the rule selects its own message on aws/0/100/data/ again" in note
    (record,) = records["sqs"]
    told = json.loads(record["body"])
    assert (told["ruleName"], told["topic"]) == ("mine", "aws/0/100/data/")
    assert base64.b64decode(told["base64OriginalPayload"]) == payload(0, 1)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"cloudwatchMetric": {"metricNamespace": "n", "metricName": "m", "metricUnit": "None",
                               "metricValue": "warm"}}, "metricValue is 'warm', not a number"),
        ({"sns": {"targetArn": "t", "messageFormat": "JSON"}}, "needs an object with the text `default`"),
        ({"s3": {"bucketName": "b", "key": "${nothing}"}}, "key is Undefined"),
        ({"dynamoDB": {"tableName": "t", "hashKeyField": "b", "hashKeyType": "NUMBER",
                       "hashKeyValue": "x"}}, "hashKeyValue is 'x', not a number"),
    ],
)  # fmt: skip
def test_what_a_service_would_refuse_fails_and_is_noted(
    tmp_path: Path, action: dict[str, Any], words: str
) -> None:
    records, found = written(tmp_path, rule(tmp_path, action), ("aws/0/100/data/", payload(0, 1)))
    assert records == {}
    assert words in found["rules"].notes[0]  # type: ignore[index]


def test_a_rule_of_ones_own_hides_no_message_that_no_store_takes(tmp_path: Path) -> None:
    own = rule(tmp_path, {"sqs": {"queueUrl": "q"}}, sql="SELECT * FROM '#'")
    records, found = written(tmp_path, own, ("aws/0/100/dat/", payload(0, 1)), ("weather/now", b"{}"))
    assert len(records["sqs"]) == 2
    (row,) = found["outcomes"]  # type: ignore[index]
    assert (row["reason"], "aws/0/100/dat/" in row["detail"]) == ("no-rule-matched", True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "not JSON"),
        ("{}", "`sql` is missing"),
        ('{"sql": "SELECT * FROM \'a\'", "actions": []}', "at least one action"),
        ('{"sql": "SELECT * FROM \'a\'", "actions": [{"iotSiteWise": {}}]}', "the action 'iotSiteWise'"),
        ('{"sql": "SELECT * FROM \'a\'", "actions": [{"sqs": {}}]}', "sqs needs 'queueUrl'"),
        ('{"sql": "SELECT * FROM \'a\'", "actions": [{"sqs": {"queueUrl": "q", "x": 1}}]}', "sqs has no 'x'"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_the_file(tmp_path: Path, body: str, words: str) -> None:
    file = tmp_path / "rule.json"
    file.write_text(body)
    with pytest.raises(UsageError, match=words) as refused:
        read_rule(OwnRule("mine", str(file)))
    assert str(file) in str(refused.value)


TIMESTREAM = {
    "timestream": {
        "databaseName": "d", "tableName": "t", **ROLE,
        "dimensions": [{"name": "buoy_id", "value": "${topic(3)}"}],
        "timestamp": {"value": "${timestamp}", "unit": "MILLISECONDS"},
    }
}  # fmt: skip
KINESIS = {"kinesis": {"streamName": "s", "partitionKey": "${newuuid()}", **ROLE}}
FIREHOSE = {"firehose": {"deliveryStreamName": "f", "separator": "\n", **ROLE}}
ALL = "SELECT *, topic(3) AS buoy_id FROM 'aws/+/+/data/#'"


@pytest.mark.parametrize("delivery", [KINESIS, FIREHOSE])
def test_one_rule_with_several_actions_feeds_the_stores_in_place_of_the_twins_own(
    tmp_path: Path, delivery: dict[str, Any]
) -> None:
    """AWS allows ten actions a rule."""
    file = rule(tmp_path, TIMESTREAM, delivery, {"sqs": {"queueUrl": "q"}}, sql=ALL)
    own = replace(file, stores=True)
    assert [one.name for one in TwinConfig("x", twin=TwinSpec(rules=(own,))).rules()] == ["mine"]

    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms))
        await bench.pipeline.hurry()
        run = bench.collected()
        assert {row["message"] for row in run.store("s3")} == {0}
        assert {row["message"] for row in run.store("timestream")} == {0}
        counts = {count.name: count for count in bench.pipeline.stage_counts()}
        assert counts["rules"].metrics["AWS/IoT Success {RuleName=mine}"] == 1
        assert counts["kinesis"].entered == (delivery is KINESIS)
        bench.pipeline.errors.write()
        assert (tmp_path / "twin" / "actions" / "sqs" / "mine.jsonl").is_file()

    drive(tmp_path, work, TwinSpec(rules=(own,)))


def test_a_store_that_no_rule_of_ones_own_feeds_keeps_the_twins_rule(tmp_path: Path) -> None:
    own = replace(rule(tmp_path, KINESIS, sql=ALL), stores=True)
    names = [one.name for one in TwinConfig("x", twin=TwinSpec(rules=(own,))).rules()]
    assert names == ["buoy_timestream", "mine"]
    beside = replace(own, stores=False)
    names = [one.name for one in TwinConfig("x", twin=TwinSpec(rules=(beside,))).rules()]
    assert names == ["buoy_timestream", "buoy_kinesis", "mine"]


def test_store_actions_of_a_rule_beside_the_stores_leave_their_records(tmp_path: Path) -> None:
    records, found = written(
        tmp_path, rule(tmp_path, KINESIS, TIMESTREAM), ("aws/0/100/data/", payload(0, 1))
    )
    assert (records["kinesis"][0]["streamName"], records["kinesis"][0]["body"]) == ("s", '{"temp":16.25}')
    assert json.loads(records["timestream"][0]["dimensions"]) == [{"name": "buoy_id", "value": "100"}]
    assert found["rules"].rejected == {}  # type: ignore[index]


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([{"sqs": {"queueUrl": "q"}}], "no action of the rule is timestream, kinesis or firehose"),
        ([KINESIS, FIREHOSE], "two actions of the rule feed one store"),
        ([{"timestream": {**TIMESTREAM["timestream"], "dimensions": [{"name": "site", "value": "x"}]}}],
         "no dimension is the buoy: site"),
        ([{"timestream": {**TIMESTREAM["timestream"], "timestamp": {"value": "1", "unit": "HOURS"}}}],
         "`value` and `unit`"),
        ([{"firehose": {"deliveryStreamName": "f", "separator": ";"}}], "separator ';'"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_feed_the_stores_is_refused(
    tmp_path: Path, actions: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        read_rule(replace(rule(tmp_path, *actions), stores=True))
