"""Target `aws`: what a fleet file need not say follows the pipeline's name."""

from fleet_files import load, text_of

from buoyfleet.inventory.document import fleet_yaml
from buoyfleet.inventory.overrides import Overrides


def aws_fleet(folder, target: str = "target: aws", *, overrides=None, **changes: str):
    return load(folder, text_of(("target: local", target), *changes.items()), overrides)


def test_a_test_fleet_has_things_topics_and_stores_of_its_own(tmp_path):
    fleet = aws_fleet(tmp_path)
    spec = fleet.target.aws
    assert spec is not None
    assert fleet.topic_prefix == "buoytest/0"
    assert [board.thing_name for board in fleet.boards][:2] == ["buoytest-100", "buoytest-101"]
    assert (spec.database, spec.table, spec.stream) == ("buoytest", "measures", "buoytest")
    assert (spec.policy, spec.witness) == ("buoytest-buoy", "buoytest-witness")
    assert spec.certificates == str(tmp_path / "certs" / "buoytest")
    assert spec.ca == str(tmp_path / "certs" / "buoytest" / "AmazonRootCA1.pem")


def test_names_follow_the_name_of_the_pipeline_and_rules_have_no_hyphen(tmp_path):
    spec = aws_fleet(tmp_path, "target: {kind: aws, name: north-arm, table: t2}").target.aws
    assert spec is not None
    assert (spec.database, spec.table, spec.function) == ("north-arm", "t2", "north-arm-datatransform")
    assert (spec.timestream_rule, spec.kinesis_rule) == ("north_arm_timestream", "north_arm_kinesis")


def test_what_the_file_says_of_topics_and_things_stays(tmp_path):
    fleet = aws_fleet(
        tmp_path,
        "target: aws\ntopic_prefix: aws/0",
        **{"ids: 100-103": "ids: 100-103\n    thing_name: 'b-{id}'"},
    )
    assert fleet.topic_prefix == "aws/0"
    assert fleet.boards[0].thing_name == "b-100"


def test_a_board_does_not_reconnect_faster_than_a_client_id_may(tmp_path):
    fleet = aws_fleet(tmp_path)
    assert {board.link.backoff_min_s for board in fleet.boards} == {1.1}
    assert fleet.boards[0].link.backoff_max_s >= 1.1


def test_the_command_line_can_choose_the_account(tmp_path):
    fleet = aws_fleet(tmp_path, "target: local", overrides=Overrides(target="aws"))
    assert fleet.target.kind == "aws"
    assert fleet.topic_prefix == "buoytest/0"


def test_an_influxdb_takes_the_place_of_timestream(tmp_path):
    target = "target: {kind: aws, influxdb: {url: 'https://db:8086', database: buoys, token: '${env:T}'}}"
    fleet = aws_fleet(tmp_path, target)
    assert [threshold.text for threshold in fleet.thresholds][:4] == [
        "influxdb.missing == 0",
        "influxdb.duplicated == 0",
        "influxdb.altered == 0",
        "s3.missing == 0",
    ]
    assert not [one for one in fleet.thresholds if one.store == "timestream"]
    assert load(tmp_path, fleet_yaml(fleet)).target == fleet.target
