"""`buoy cloud import`: a pipeline of an account becomes a fleet file that the twin runs."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import ACCOUNT, BUCKET, NAME, REGION, AccountStandIn

from buoyfleet.cli.main import invoke
from buoyfleet.cloud.aws.import_pipeline import arns_in, prefix_of
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.exit_codes import ExitCode

ROLE = f"arn:aws:iam::{ACCOUNT}:role/rules"
HANDLER = """
import os, pathlib


def transform(event, context):
    assert os.environ["SITE"] == "harbour"
    return {"records": [{**record, "result": "Ok"} for record in event["records"]]}
"""
DATA = "SELECT *, topic(3) AS buoy_id FROM 'aws/+/+/data/#'"


@pytest.fixture
def used(here: AccountStandIn) -> AccountStandIn:
    """An account as people have them: rules beside the pipeline, a function with variables."""
    function = here.make_function(
        "shape",
        {"app/main.py": HANDLER, "../escape.py": "1"},
        Runtime="python3.13",
        Handler="app.main.transform",
        Timeout=42,
        MemorySize=512,
        Environment={"Variables": {"SITE": "harbour", "TOKEN": "s3cret"}},
        Layers=[{"Arn": "arn:aws:lambda:us-west-2:1:layer:numpy:3"}],
    )
    here.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    here.client("kinesis").create_stream(StreamName=NAME, ShardCount=3)
    for name, source in (("other", f"{NAME}-else"), (NAME, NAME)):
        here.client("firehose").create_delivery_stream(
            DeliveryStreamName=name,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={
                "KinesisStreamARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{source}",
                "RoleARN": ROLE,
            },
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE,
                "BucketARN": f"arn:aws:s3:::{BUCKET}",
                "Prefix": "buoys/!{timestamp:yyyy/MM/dd}/",
                "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/",
                "BufferingHints": {"SizeInMBs": 7, "IntervalInSeconds": 61},
                "CompressionFormat": "GZIP",
                "ProcessingConfiguration": {
                    "Enabled": True,
                    "Processors": [
                        {
                            "Type": "Lambda",
                            "Parameters": [
                                {"ParameterName": "LambdaArn", "ParameterValue": f"{function}:$LATEST"},
                                {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "30"},
                            ],
                        },
                        {"Type": "MetadataExtraction", "Parameters": []},
                    ],
                },
            },
        )
    timestream = {
        "databaseName": "d", "tableName": "t", "roleArn": ROLE,
        "dimensions": [{"name": "buoy_id", "value": "${topic(3)}"}],
        "timestamp": {"value": "${timestamp}", "unit": "MILLISECONDS"},
    }  # fmt: skip
    kinesis = {"streamName": NAME, "partitionKey": "${newuuid()}", "roleArn": ROLE}
    rule(here, "data", DATA, {"timestream": timestream}, {"kinesis": kinesis},
         errorAction={"sqs": {"queueUrl": "https://sqs/q", "roleArn": ROLE}})  # fmt: skip
    rule(
        here,
        "copy",
        DATA,
        {"kinesis": {**kinesis, "streamName": "second"}},
        {"sns": {"targetArn": "t", "roleArn": ROLE}},
    )
    rule(here, "alarm", "SELECT temp FROM 'aws/+/+/data/#' WHERE temp > 30",
         {"sns": {"targetArn": "t", "roleArn": ROLE}},
         {"cloudwatchAlarm": {"alarmName": "a", "stateReason": "r", "stateValue": "OK",
                              "roleArn": ROLE}})  # fmt: skip
    rule(here, "off", "SELECT * FROM 'x'", {"sqs": {"queueUrl": "q", "roleArn": ROLE}}, ruleDisabled=True)
    return here


def rule(account: AccountStandIn, name: str, sql: str, *actions: dict[str, Any], **more: Any) -> None:
    payload = {"sql": sql, "awsIotSqlVersion": "2015-10-08", "actions": list(actions), **more}
    account.client("iot").create_topic_rule(ruleName=name, topicRulePayload=payload)


@pytest.mark.usefixtures("used")
def test_a_pipeline_becomes_a_fleet_file_that_is_ready_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "harbour"
    assert invoke(["cloud", "import", "--into", str(folder)]) == ExitCode.OK
    said = capsys.readouterr().out
    fleet = load_fleet(folder / "boards.yaml")
    twin = fleet.target.twin
    assert twin is not None
    assert {one.name: one.stores for one in twin.rules} == {"data": True, "copy": False, "alarm": False}
    assert (fleet.topic_prefix, twin.kinesis_shards, twin.s3_gzip) == ("aws/0", 3, True)
    assert (twin.firehose_s3_buffer_mb, twin.firehose_s3_buffer_s, twin.firehose_lambda_buffer_s) == (
        7,
        61,
        30,
    )
    assert (twin.s3_prefix, twin.lambda_timeout_s, twin.lambda_memory_mb) == (
        "buoys/!{timestamp:yyyy/MM/dd}/", 42, 512,
    )  # fmt: skip
    assert Path(twin.lambda_handler) == folder / "functions" / "shape" / "app" / "main.transform"
    variables = Path(twin.lambda_environment)
    assert json.loads(variables.read_text()) == {"SITE": "harbour", "TOKEN": "s3cret"}
    assert stat.S_IMODE(variables.stat().st_mode) == 0o600
    assert "s3cret" not in said + (folder / "boards.yaml").read_text()
    assert not (folder / "functions" / "escape.py").exists()
    assert invoke(["check", str(folder / "boards.yaml")]) == ExitCode.OK
    # What the twin cannot rehearse is named, there and here, and kept.
    written = (folder / "boards.yaml").read_text()
    for words in (
        "rule off is disabled",
        "rule alarm: the twin does not have the action cloudwatchAlarm",
        "rule copy: kinesis second is left out",
        "the processor MetadataExtraction is not rehearsed",
        "layer:numpy:3",
        "'../escape.py' in its code was left out",
    ):
        assert words in said
        assert words in written
    kept = json.loads((folder / "rules" / "alarm.aws.json").read_text())["rule"]
    assert [next(iter(one)) for one in kept["actions"]] == ["sns", "cloudwatchAlarm"]


@pytest.mark.soak
@pytest.mark.usefixtures("used")
def test_an_imported_pipeline_is_rehearsed_with_its_own_rule_and_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["cloud", "import", "--into", "harbour"]) == ExitCode.OK
    assert invoke(["run", "harbour/boards.yaml", "--rate", "10/s"]) == ExitCode.OK
    (run,) = (tmp_path / "runs").iterdir()
    objects = [path for path in (run / "twin" / "s3").rglob("*") if path.is_file() and "buoys/" in str(path)]
    assert objects
    assert (run / "twin" / "actions" / "sns" / "copy.jsonl").is_file()


def test_a_missing_permission_is_named_and_the_rest_is_imported(
    used: AccountStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used.denied.add("GetFunction")
    folder = tmp_path / "harbour"
    assert invoke(["cloud", "import", "data", "--into", str(folder)]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "not allowed: lambda:GetFunction on shape is missing" in said
    assert "buoy cloud policy --for import" in said
    assert "the twin's own runs in its place" in said
    twin = load_fleet(folder / "boards.yaml").target.twin
    assert twin is not None
    assert (twin.lambda_handler, len(twin.rules)) == ("", 1)


def test_the_policy_of_an_import_reads_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["cloud", "policy", "--for", "import"]) == ExitCode.OK
    statements = json.loads(capsys.readouterr().out)["Statement"]
    actions = {action for one in statements for action in one["Action"]}
    assert {"iot:GetTopicRule", "lambda:GetFunction", "firehose:ListDeliveryStreams"} < actions
    assert all(action.split(":")[1].startswith(("Get", "List", "Describe")) for action in actions)


def test_an_account_without_rules_and_a_folder_in_use_are_refused(
    here: AccountStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["cloud", "import", "--into", str(tmp_path / "new")]) == ExitCode.PREFLIGHT
    assert "the account has no rule to import" in capsys.readouterr().err
    rule(here, "one", "SELECT * FROM 'x'", {"sqs": {"queueUrl": "q", "roleArn": ROLE}})
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    assert invoke(["cloud", "import", "--into", str(tmp_path / "used")]) == ExitCode.USAGE
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sql", "prefix"),
    [
        ("SELECT *, topic(3) as buoy_id FROM 'aws/+/+/data/#'", "aws/0"),
        ('select * from "harbour/0/+/data/" where temp > 5', "harbour/0"),
        ("SELECT * FROM 'harbour/#'", "harbour"),
        ("SELECT * FROM 'harbour/+/state'", ""),
        ("SELECT * FROM '$aws/events/presence/#'", ""),
        ("SELECT * FROM '#'", ""),
        ("SELECT 1", ""),
    ],
)
def test_the_prefix_of_boards_is_what_the_rule_selects(sql: str, prefix: str) -> None:
    assert prefix_of(sql) == prefix


def test_functions_in_a_statement_are_found() -> None:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:enrich"
    assert arns_in(f"SELECT aws_lambda('{arn}', *) AS e, AWS_LAMBDA( \"{arn}:1\", 1) FROM 'a'") == [
        arn,
        f"{arn}:1",
    ]
