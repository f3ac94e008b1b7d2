"""The buoy system's table of devices, on moto's DynamoDB."""

from decimal import Decimal

import boto3
import pytest
from bench_world import SimulatedBoard, calibrate
from moto import mock_aws

from buoyfleet.calibration.device_table import open_table, store_calibration, store_passed
from buoyfleet.model.errors import TargetError, UsageError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


@pytest.fixture
def table():
    """A table with the item of device 130."""
    with mock_aws():
        boto3.client("dynamodb", region_name="us-west-2").create_table(
            TableName="devices",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        found = open_table("devices", "us-west-2", None)
        found.put_item(
            Item={
                "id": "130",
                "Name": "Iona",
                "location": {"lat": Decimal("49.2")},
                "sensors": [
                    {"id": "1", "measurement": "ph", "alerts": [Decimal(6)], "calibration": {"old": True}},
                    {"id": "2", "measurement": "tbd"},
                ],
            }
        )
        yield found


def test_only_the_calibration_of_its_sensor_changes(table):
    _, record = calibrate(SimulatedBoard(), "ph")
    assert "sensors[0]" in store_calibration(table, record, "130")
    item = table.get_item(Key={"id": "130"})["Item"]
    assert item["Name"] == "Iona"
    first, second = item["sensors"]
    assert first["alerts"] == [Decimal(6)]
    assert first["calibration"]["dateLastCalibrated"] == "2026-11-26"
    assert len(first["calibration"]["physicalValue"]) == len(first["calibration"]["digitalValue"]) == 3
    assert second == {"id": "2", "measurement": "tbd"}


def test_what_passed_is_stored_right_after_a_calibration(table):
    from buoyfleet.calibration.guide import Result
    from buoyfleet.calibration.session import SensorOutcome

    result, record = calibrate(SimulatedBoard(), "ph")
    record_folder = record.path.parent
    table.put_item(Item={"id": record.board, "sensors": [{"id": "ph"}]})
    failed = SensorOutcome("wp", Result("failed", "", None, []), record_folder, None)
    (stored,) = store_passed(table, [failed, SensorOutcome("ph", result, record_folder, None)])
    assert stored.startswith("device 130: ")
    assert "calibration" in table.get_item(Key={"id": record.board})["Item"]["sensors"][0]


def test_devices_and_sensors_that_are_not_there_are_told(table):
    _, record = calibrate(SimulatedBoard(), "wp")
    with pytest.raises(UsageError, match="no device `999`"):
        store_calibration(table, record, "999")
    with pytest.raises(UsageError, match="no sensor `wp`; it has ph, tbd"):
        store_calibration(table, record, "130")


def test_a_calibration_that_does_not_hold_is_not_stored(table):
    board = SimulatedBoard()
    board.bench.inject("wp", "short")
    _, record = calibrate(board, "wp")
    with pytest.raises(UsageError, match="not in force"):
        store_calibration(table, record, "130")


def test_an_item_that_was_reordered_meanwhile_is_not_overwritten(table):
    _, record = calibrate(SimulatedBoard(), "ph")

    class Raced:
        def get_item(self, **arguments):
            found = table.get_item(**arguments)
            item = dict(found["Item"])
            item["sensors"] = list(reversed(item["sensors"]))
            table.put_item(Item=item)
            return found

        def update_item(self, **arguments):
            return table.update_item(**arguments)

    with pytest.raises(TargetError, match="refused"):
        store_calibration(Raced(), record, "130")


@pytest.mark.usefixtures("table")
def test_a_table_that_is_not_there_is_told():
    _, record = calibrate(SimulatedBoard(), "ph")
    with pytest.raises(TargetError, match="DynamoDB refused"):
        store_calibration(open_table("nowhere", "us-west-2", None), record, "130")
