"""`topics: basic-ingest`: which rule boards name, and where that cannot be."""

from pathlib import Path

import pytest

from buoyfleet.inventory.document import fleet_yaml
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.fleet import Fleet

TEXT = """
fleet: a
topics: basic-ingest
target: TARGET
run: {messages: 1, rate: 1/s}
boards: [{kind: virtual, ids: 100}]
"""


def fleet(tmp_path: Path, target: str) -> Fleet:
    file = tmp_path / "boards.yaml"
    file.write_text(TEXT.replace("TARGET", target))
    return load_fleet(file)


def rule_of(fleet: Fleet) -> str:
    settings = fleet.target.twin
    return "" if settings is None else settings.ingest_rule


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("local", "buoy_ingest"),
        ("{kind: local, twin: {rules: [{name: mine, file: x, stores: true}]}}", "mine"),
        ("{kind: local, twin: {rules: [{name: alarm, file: x}]}}", "buoy_ingest"),
    ],
)
def test_boards_name_the_rule_that_feeds_the_twins_stores(tmp_path: Path, target: str, rule: str) -> None:
    one = fleet(tmp_path, target)
    assert (one.ingest_rule, rule_of(one)) == (rule, rule)
    again = tmp_path / "again.yaml"
    again.write_text(fleet_yaml(one))
    assert load_fleet(again).ingest_rule == rule


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("{kind: aws, name: buoy-test}", "buoy_test_ingest"),
        ("{kind: aws, timestream_rule: all, kinesis_rule: all}", "all"),
    ],
)
def test_in_an_account_both_rules_are_the_one(tmp_path: Path, target: str, rule: str) -> None:
    one = fleet(tmp_path, target)
    assert one.target.aws is not None
    assert (one.ingest_rule, one.target.aws.rules) == (rule, (rule,))
    again = tmp_path / "again.yaml"
    again.write_text(fleet_yaml(one))
    assert load_fleet(again).target.aws == one.target.aws


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mqtt://127.0.0.1", "a broker has no rules"),
        ("{kind: aws, influxdb: {url: 'https://a', database: b}}", "one rule cannot feed both"),
        ("{kind: aws, timestream_rule: one, kinesis_rule: two}", "one rule feeds all stores"),
        ("{kind: local, twin: {kinesis_rule: {sql_version: 2015-10-08}}}", "one rule feeds all stores"),
        (
            "{kind: local, twin: {rules: [{name: a, file: x, stores: true}, "
            "{name: b, file: x, stores: true}]}}",
            "names one rule, and 2 have",
        ),
    ],
)
def test_where_no_one_rule_feeds_all_stores_the_file_is_refused(
    tmp_path: Path, target: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        fleet(tmp_path, target)
    assert ":3:" in str(refused.value)
