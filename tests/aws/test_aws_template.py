"""The CloudFormation template makes the pipeline that target `aws` expects and that the twin rehearses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from buoyfleet.cloud.aws.template import HANDLER, pipeline_template
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.rules import default_rules
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.fleet import TwinSpec


class _Loader(yaml.SafeLoader):
    """Knows CloudFormation's short forms, as far as to keep their text."""


def _short_form(loader: _Loader, _name: str, node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _short_form)


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    document = yaml.load(pipeline_template(), _Loader)
    found: dict[str, Any] = document["Resources"]
    return found


@pytest.mark.soak
def test_the_linter_of_cloudformation_finds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(pipeline_template())
    command = [Path(sys.executable).with_name("cfn-lint"), "--regions", "us-west-2", "--", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_function_is_the_file_that_the_twin_runs(resources: dict[str, Any]) -> None:
    assert TwinConfig("x").handler_path == HANDLER
    assert resources["Function"]["Properties"]["Code"]["ZipFile"] == HANDLER.read_text()


def test_both_rules_are_those_that_the_twin_runs(resources: dict[str, Any]) -> None:
    twin = default_rules("buoytest/0", "stamped")
    for rule, name in zip(twin, ("TimestreamRule", "KinesisRule"), strict=True):
        payload = resources[name]["Properties"]["TopicRulePayload"]
        sql = payload["Sql"].replace("${BuoyLevel}", "3").replace("${TopicPrefix}", "buoytest/0")
        assert (sql.lower(), payload["AwsIotSqlVersion"]) == (rule.sql.lower(), rule.version)


def test_the_rule_for_basic_ingest_has_the_actions_of_both_and_stands_in_for_them(
    resources: dict[str, Any],
) -> None:
    rules = [resources[name] for name in ("TimestreamRule", "KinesisRule", "IngestRule")]
    two, one = (
        [rule["Properties"]["TopicRulePayload"]["Actions"] for rule in part]
        for part in (rules[:2], rules[2:])
    )
    assert [action for actions in two for action in actions] == one[0]
    (twin,) = TwinConfig("x", topic_prefix="buoytest/0", twin=TwinSpec(ingest_rule="buoy_ingest")).rules()
    payload = rules[2]["Properties"]["TopicRulePayload"]
    sql = payload["Sql"].replace("${BuoyLevel}", "3").replace("${TopicPrefix}", "buoytest/0")
    assert (sql.lower(), payload["AwsIotSqlVersion"]) == (twin.sql.lower(), twin.version)
    assert [rule["Condition"] for rule in rules] == ["UsesTimestreamRule", "UsesTwoRules", "UsesIngest"]


def test_the_names_are_those_that_a_fleet_file_expects(resources: dict[str, Any]) -> None:
    spec = AwsSpec()

    def named(resource: str, key: str) -> str:
        text: str = resources[resource]["Properties"][key]
        return text.replace("${Name}", spec.name).replace("${RuleName}", spec.name)

    assert named("Table", "TableName") == spec.table
    assert named("TimestreamRule", "RuleName") == spec.timestream_rule
    assert named("InfluxRule", "RuleName") == spec.timestream_rule
    assert named("KinesisRule", "RuleName") == spec.kinesis_rule
    assert named("Function", "FunctionName") == spec.function
    for resource, key in (
        ("Database", "DatabaseName"),
        ("Stream", "Name"),
        ("Delivery", "DeliveryStreamName"),
    ):
        assert named(resource, key) == "Name"
    assert named("Bucket", "BucketName") == f"{spec.name}-${{AWS::AccountId}}-${{AWS::Region}}"
    delivery = resources["Delivery"]["Properties"]["ExtendedS3DestinationConfiguration"]
    assert delivery["Prefix"] == f"{spec.s3_prefix}!{{timestamp:yyyy/MM/dd/HH}}/"
    failed = delivery["ErrorOutputPrefix"].replace("!{firehose:error-output-type}", "processing-failed")
    assert failed == f"{spec.failed_prefix}!{{timestamp:yyyy/MM/dd/HH}}/"
    for rule in ("TimestreamRule", "InfluxRule", "KinesisRule"):
        action = resources[rule]["Properties"]["TopicRulePayload"]["ErrorAction"]["S3"]
        assert action["Key"].startswith(spec.error_prefix)
