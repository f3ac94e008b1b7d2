"""Metrics, logs, connections, quotas and retained messages of an account, as the run sees them."""

import datetime
import time
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import NAME, PREFIX, AccountStandIn

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.connections import ask_connections, trouble, trouble_notes
from buoyfleet.cloud.aws.failures import Noted
from buoyfleet.cloud.aws.logs import LogLines, read_log
from buoyfleet.cloud.aws.metrics import MetricReader, Reading
from buoyfleet.cloud.aws.quotas import CONNECTIONS, CONNECTS_PER_S, Quotas
from buoyfleet.cloud.aws.retained import RetainedMessages
from buoyfleet.cloud.aws.stages import Facts, stage_counts
from buoyfleet.cloud.local.firehose_events import (
    BAD_RESPONSE,
    DUPLICATED_ID,
    FUNCTION_ERROR,
    MISSING_ID,
    PROCESSING_FAILED,
    TIMED_OUT,
)
from buoyfleet.cloud.s3_reader import FIREHOSE_REASONS
from buoyfleet.model.aws import AwsSpec

SPEC = AwsSpec(region="us-west-2")
NOW_NS = time.time_ns()


def put_metric(here: AccountStandIn, namespace: str, name: str, value: float, **dimensions: str) -> None:
    here.client("cloudwatch").put_metric_data(
        Namespace=namespace,
        MetricData=[
            {
                "MetricName": name,
                "Value": value,
                "Timestamp": datetime.datetime.fromtimestamp(NOW_NS / 1e9, datetime.UTC),
                "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
            }
        ],
    )


def test_metrics_carry_the_names_that_the_twin_gives_them(here: AccountStandIn) -> None:
    rule = f"{NAME}_timestream"
    put_metric(here, "AWS/IoT", "PublishIn.Success", 60, Protocol="MQTT")
    put_metric(here, "AWS/IoT", "PublishIn.Throttle", 5, Protocol="MQTT")
    put_metric(here, "AWS/IoT", "TopicMatch", 60, RuleName=rule)
    put_metric(here, "AWS/IoT", "Success", 50, RuleName=rule, ActionType="Timestream")
    put_metric(here, "AWS/IoT", "Failure", 10, RuleName=rule, ActionType="Timestream")
    put_metric(here, "AWS/IoT", "TopicMatch", 9999, RuleName="somebody_elses")
    put_metric(here, "AWS/Kinesis", "IncomingRecords", 40, StreamName=NAME)
    put_metric(here, "AWS/Kinesis", "IncomingRecords", 20, StreamName=NAME)
    put_metric(here, "AWS/Lambda", "Duration", 900, FunctionName=f"{NAME}-datatransform")
    put_metric(here, "AWS/Lambda", "Duration", 300, FunctionName=f"{NAME}-datatransform")
    put_metric(
        here,
        "AWS/Timestream",
        "UserErrors",
        7,
        TableName="measures",
        DatabaseName=NAME,
        Operation="WriteRecords",
    )
    put_metric(
        here,
        "AWS/Timestream",
        "UserErrors",
        99,
        TableName="measures",
        DatabaseName="live",
        Operation="WriteRecords",
    )
    reading = MetricReader(Account(SPEC), SPEC).read(NOW_NS - 10**9, NOW_NS + 10**9)
    assert reading.values == {
        "AWS/IoT PublishIn.Success": 60,
        "AWS/IoT PublishIn.Throttle": 5,
        f"AWS/IoT TopicMatch {{RuleName={rule}}}": 60,
        f"AWS/IoT Success {{RuleName={rule}}}": 50,
        f"AWS/IoT Failure {{RuleName={rule}}}": 10,
        "AWS/Kinesis IncomingRecords": 60,
        "AWS/Lambda Duration.Maximum": 900,
        "AWS/Lambda Duration.Average": 600,
        "AWS/Timestream UserErrors": 7,
    }
    assert reading.busiest["AWS/Kinesis IncomingRecords"] == 60


def facts(**changes: Any) -> Facts:
    usual: dict[str, Any] = {
        "metrics": Reading(),
        "log": LogLines(),
        "noted": [],
        "series_store": "timestream",
        "series_rows": 0,
        "s3_documents": 0,
        "s3_objects": 0,
    }
    return Facts(**{**usual, **changes})


def test_stages_count_what_the_account_can_tell() -> None:
    metrics = Reading(
        {
            "AWS/IoT PublishIn.Success": 60,
            "AWS/IoT PublishIn.Throttle": 5,
            "AWS/IoT PublishIn.AuthError": 2,
            "AWS/IoT Connect.ClientIDThrottle": 3,
            "AWS/IoT TopicMatch {RuleName=buoytest_timestream}": 60,
            "AWS/IoT ParseError {RuleName=buoytest_kinesis}": 1,
            "AWS/Kinesis IncomingRecords": 58,
            "AWS/Kinesis WriteProvisionedThroughputExceeded": 2,
            "AWS/Firehose DataReadFromKinesisStream.Records": 58,
            "AWS/Firehose SucceedProcessing.Records": 40,
        },
        {"AWS/Kinesis IncomingRecords": 58},
    )
    noted = [Noted("lambda", 100, 1, b"", "timeout", "Task timed out", 1)] * 10
    noted += [Noted("timestream", 100, 1, b"", "type-conflict", "BIGINT against DOUBLE", 1)]
    counts = stage_counts(
        SPEC, facts(metrics=metrics, noted=noted, series_rows=500, s3_documents=40, s3_objects=2, shards=1)
    )
    stages = {stage.name: stage for stage in counts}
    assert list(stages) == ["broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"]
    assert (stages["broker"].left, stages["broker"].rejected) == (
        60,
        {"publish-rate": 5, "not-authorised": 2},
    )
    assert "3 connects refused: a client id may connect once a second" in stages["broker"].notes
    assert stages["rules"].rejected == {"malformed-payload": 1}
    assert stages["timestream"].rejected == {"type-conflict": 1}
    assert (stages["kinesis"].entered, stages["kinesis"].rejected) == (60, {"records-per-second": 2})
    assert stages["kinesis"].notes == ["busiest minute: 58 records, 0.1% of what 1 shard takes"]
    # 58 read, 40 delivered, 10 failed: 8 are in a buffer.
    assert stages["firehose"].waiting == 8
    assert stages["firehose"].notes == ["it holds data back for up to 360 s"]
    assert (stages["lambda"].rejected, stages["lambda"].left) == ({"timeout": 10}, 40)
    assert stages["s3"].notes == ["10 records under processing-failed/"]


def test_the_log_is_searched_for_what_explains_a_failure(here: AccountStandIn) -> None:
    logs, group = here.client("logs"), "/aws/lambda/f"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now_ms = NOW_NS // 10**6
    lines = [
        "2026-11-26T02:00:00.000Z 7f3a Task timed out after 3.00 seconds",
        "2026-11-26T02:00:04.000Z 7f3b Task timed out after 3.00 seconds",
        "REPORT RequestId: 7f3a Duration: 3000.00 ms",
    ]
    logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": now_ms + number, "message": line} for number, line in enumerate(lines)],
    )
    found = read_log(Account(SPEC), "f", now_ms - 1000, now_ms + 1000)
    assert found.counts == {"timeout": 2}
    assert found.quotes == {"timeout": "Task timed out after 3.00 seconds"}
    before = read_log(Account(SPEC), "f", now_ms - 9000, now_ms - 5000)
    assert before.counts == {}
    nothing = read_log(Account(SPEC), "g", 0, now_ms)
    assert "there is no log group /aws/lambda/g" in nothing.problem


def test_reasons_of_disconnections_become_links_and_sentences(here: AccountStandIn) -> None:
    here.connections = {
        "a-1": {"connected": False, "disconnectReason": "DUPLICATE_CLIENTID", "disconnectedSince": 2000},
        "a-2": {"connected": False, "disconnectReason": "DUPLICATE_CLIENTID", "disconnectedSince": 3000},
        "a-3": {
            "connected": False,
            "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
            "disconnectedSince": 2000,
        },
        "a-4": {"connected": False, "disconnectReason": "AUTH_ERROR", "disconnectedSince": 500},
        "a-5": {"connected": True, "connectedSince": 2000},
    }
    found, problem = ask_connections(Account(SPEC), ["a-1", "a-2", "a-3", "a-4", "a-5", "unknown"])
    assert (len(found), problem) == (5, "")
    assert trouble_notes(found, 1000) == [
        "a-1 disconnected at 00:00:02 UTC and 1 more (DUPLICATE_CLIENTID: another client connected with the "
        "same client id)"
    ]
    assert [(row["client"], row["reason"]) for row in trouble(found, 1000)] == [
        ("a-1", "duplicate-client-id"),
        ("a-2", "duplicate-client-id"),
    ]


def test_what_may_not_be_asked_is_a_problem_and_no_failure(here: AccountStandIn) -> None:
    here.denied = {"GetConnection"}
    found, problem = ask_connections(Account(SPEC), ["a-1"])
    assert found == []
    assert "iot:GetConnection on a-1 is missing" in problem


def test_quotas_are_the_accounts_where_it_tells_and_defaults_elsewhere(here: AccountStandIn) -> None:
    here.quotas = {CONNECTS_PER_S.code: 100.0}
    quotas = Quotas.ask(Account(SPEC), (CONNECTS_PER_S, CONNECTIONS))
    assert (quotas.value(CONNECTS_PER_S), quotas.source(CONNECTS_PER_S)) == (100.0, "Service Quotas")
    assert (quotas.value(CONNECTIONS), quotas.source(CONNECTIONS)) == (500_000.0, "default")
    assert "NoSuchResourceException" in quotas.problem


@pytest.mark.parametrize(
    "failure", [TIMED_OUT, FUNCTION_ERROR, BAD_RESPONSE, MISSING_ID, DUPLICATED_ID, PROCESSING_FAILED]
)
def test_firehoses_codes_mean_the_same_in_an_account_as_on_the_twin(failure: Any) -> None:
    assert FIREHOSE_REASONS[failure.code] == failure.reason


CONFIG = f"{PREFIX}/100/config/global/"


@pytest.fixture
def retained(here: AccountStandIn, tmp_path: Path) -> RetainedMessages:
    here.retained = {
        CONFIG: b"before",
        f"{PREFIX}/999/config/global/": b"not ours",
        "other/100/x": b"not ours",
    }
    messages = RetainedMessages(Account(SPEC), PREFIX, frozenset({100, 101}), tmp_path / "before.json")
    messages.remember()
    return messages


def test_retained_messages_of_a_run_are_cleared_or_put_back(
    here: AccountStandIn, retained: RetainedMessages, tmp_path: Path
) -> None:
    here.retained[CONFIG] = b"changed"
    here.retained[f"{PREFIX}/101/config/sensor/"] = b"new"
    here.retained[f"{PREFIX}/999/config/global/"] = b"changed by its owner"
    problems: list[str] = []
    assert retained.restore(problems.append) == 2
    assert here.retained == {
        CONFIG: b"before",
        f"{PREFIX}/999/config/global/": b"changed by its owner",
        "other/100/x": b"not ours",
    }
    assert (problems, retained.restore(problems.append)) == ([], 0)
    assert CONFIG in (tmp_path / "before.json").read_text()


def test_a_retained_message_that_is_gone_comes_back(here: AccountStandIn, retained: RetainedMessages) -> None:
    del here.retained[CONFIG]
    assert retained.restore(lambda _: None) == 1
    assert here.retained[CONFIG] == b"before"


def test_what_could_not_be_put_back_is_told_with_where_to_find_it(
    here: AccountStandIn, retained: RetainedMessages
) -> None:
    here.retained[CONFIG] = b"changed"
    here.denied = {"Publish"}
    problems: list[str] = []
    assert retained.restore(problems.append) == 0
    (problem,) = problems
    assert CONFIG in problem
    assert "before.json" in problem


def test_a_call_that_no_permission_is_known_for_is_not_made(here: AccountStandIn) -> None:
    with pytest.raises(LookupError, match=r"iot\.delete_thing_type"):
        Account(SPEC).call("iot", "delete_thing_type", thingTypeName="x")
    assert here.queries == []


def test_credentials_of_another_account_are_refused(here: AccountStandIn) -> None:
    account = Account(AwsSpec(region="us-west-2", account="999999999999"))
    with pytest.raises(AwsError, match="the fleet file names 999999999999"):
        account.identity()
    assert here.queries == []


def test_without_region_or_credentials_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AwsError, match="no region") as raised:
        _ = Account(AwsSpec()).region
    assert "AWS_REGION" in raised.value.next_step
    with pytest.raises(AwsError, match="no AWS credentials") as raised:
        Account(SPEC).identity()
    assert "aws configure sso" in raised.value.next_step
