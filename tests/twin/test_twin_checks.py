"""What is wrong with a twin's settings is known before one is started, by the same words as later."""

import asyncio
from pathlib import Path

import pytest

from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.cloud.target import Check
from buoyfleet.model.fleet import TargetSpec, TwinSpec
from buoyfleet.model.twin import ErrorAction, InfluxSpec, RuleSettings, TwinTls


def checks(folder: Path, twin: TwinSpec) -> dict[str, Check]:
    target = LocalTarget(TargetSpec("local", twin=twin), folder)
    return {check.name: check for check in asyncio.run(target.preflight())}


def test_the_usual_twin_needs_no_more_than_its_handler(tmp_path: Path) -> None:
    found = checks(tmp_path, TwinSpec())
    assert list(found) == ["lambda handler"]
    assert found["lambda handler"].passed


@pytest.mark.parametrize(
    ("twin", "name", "words"),
    [
        (
            TwinSpec(timestream_rule=RuleSettings("SELECT DISTINCT do FROM 'a'")),
            "rules",
            "expected FROM",
        ),
        (TwinSpec(timestream_rule=RuleSettings(timestamp="${now()}")), "rules", "now() is not supported"),
        (TwinSpec(timestream_rule=RuleSettings(timestamp="${timestamp")), "rules", "does not close"),
        (TwinSpec(s3_prefix="a/!{timestamp:EEE}/"), "twin settings", "'E' of 'EEE' is not known"),
        (
            TwinSpec(kinesis_rule=RuleSettings(error_action=ErrorAction(republish="aws/0/1/data/"))),
            "twin settings",
            "it would go round",
        ),
        (TwinSpec(tls=TwinTls(policy="/nowhere.json")), "policy", "cannot be read"),
    ],
)
def test_a_setting_that_cannot_work_fails_its_check(
    tmp_path: Path, twin: TwinSpec, name: str, words: str
) -> None:
    check = checks(tmp_path, twin)[name]
    assert not check.passed
    assert words in check.detail
    assert check.next_step


def test_own_rules_and_policies_that_work_are_named(tmp_path: Path) -> None:
    policy = Path(__file__).parents[2] / "scenarios/policies/wrong-version.json"
    twin = TwinSpec(timestream_rule=RuleSettings(sql_version="2016-03-23"), tls=TwinTls(policy=str(policy)))
    found = checks(tmp_path, twin)
    assert found["rules"].detail == "buoy_timestream, buoy_kinesis"
    assert found["policy"].passed


def test_an_influxdb_that_is_not_there_fails_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buoyfleet.cloud.influxdb.time.sleep", lambda _: None)
    check = checks(tmp_path, TwinSpec(influxdb=InfluxSpec("http://127.0.0.1:1", "d")))["influxdb"]
    assert not check.passed
    assert "does not answer" in check.detail
    assert "/ping" in check.next_step
