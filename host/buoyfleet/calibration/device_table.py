"""Writes a calibration into the buoy system's DynamoDB table of devices, beside whatever else an item
holds.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from buoyfleet.calibration.export import device_calibration
from buoyfleet.calibration.record import Record, read_record
from buoyfleet.calibration.session import SensorOutcome
from buoyfleet.model.errors import PreflightError, TargetError, UsageError


class Table(Protocol):
    """A boto3 DynamoDB table resource."""

    def get_item(self, **arguments: Any) -> Any:
        """Read an item."""

    def update_item(self, **arguments: Any) -> Any:
        """Change an item."""


def open_table(name: str, region: str | None, profile: str | None) -> Table:
    """The table, with the credentials that boto3 finds.

    Raises:
        PreflightError: no region, no such profile.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        table: Table = session.resource("dynamodb").Table(name)
    except (BotoCoreError, ValueError) as error:
        raise PreflightError(
            f"DynamoDB cannot be reached: {error}",
            next_step="give --region and --profile, or run aws configure",
        ) from error
    return table


def store_calibration(table: Table, record: Record, device: str = "") -> str:
    """Put the calibration of a record into its device's item; every other attribute stays.

    Args:
        table: of devices.
        record: of a calibration that holds.
        device: id of the item; the buoy's id if empty.

    Returns:
        What was changed, in words.

    Raises:
        UsageError: the calibration does not hold, or the table has no such device or sensor.
        TargetError: DynamoDB refused, or the item changed meanwhile.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if not record.in_force:
        raise UsageError(
            f"{record.identifier} is not in force ({record.outcome or 'broke off'})",
            next_step="store a calibration that passed: buoy calibration status",
        )
    device = device or str(record.begin["board"].get("buoy") or record.board)
    try:
        found = table.get_item(Key={"id": device}, ConsistentRead=True).get("Item")
        if found is None:
            raise UsageError(
                f"the table has no device `{device}`",
                next_step="give the item's id with --device, or create it first",
            )
        index, sensor = _sensor(found, record.key, device)
        table.update_item(
            Key={"id": device},
            UpdateExpression=f"SET sensors[{index}].calibration = :calibration",
            # The list may have been reordered since it was read.
            ConditionExpression=f"sensors[{index}].id = :sensor",
            ExpressionAttributeValues={
                ":calibration": device_calibration(record),
                ":sensor": sensor.get("id"),
            },
        )
    except (BotoCoreError, ClientError) as error:
        raise TargetError(
            f"DynamoDB refused: {error}",
            where=f"device {device}",
            cause="permissions, a wrong table name or region, or the item changed at the same moment",
            next_step="the board is calibrated; try again: buoy calibration "
            f"export {record.path.parent} --dynamodb TABLE",
        ) from error
    return f"device {device}: sensors[{index}].calibration of {record.started.date()}"


def store_passed(table: Table, sensors: Iterable[SensorOutcome]) -> Iterator[str]:
    """Store the calibrations that passed; gives what was changed for each, in words.

    Raises:
        UsageError: the table has no such device or sensor.
        TargetError: DynamoDB refused, or the item changed meanwhile.
    """
    for one in sensors:
        if one.result.outcome in ("passed", "warned"):
            yield store_calibration(table, read_record(one.folder))


def _sensor(item: dict[str, Any], key: str, device: str) -> tuple[int, dict[str, Any]]:
    sensors = item.get("sensors")
    names = []
    for index, sensor in enumerate(sensors if isinstance(sensors, list) else []):
        if isinstance(sensor, dict):
            if key in (sensor.get("id"), sensor.get("measurement")):
                return index, sensor
            names.append(str(sensor.get("measurement") or sensor.get("id")))
    raise UsageError(
        f"device `{device}` has no sensor `{key}`; it has {', '.join(names) or 'none'}",
        next_step="add the sensor to the item, its `id` or `measurement` being the key",
    )
