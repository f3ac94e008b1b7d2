"""A record for other programs: JSON whole, CSV of the samples, and the device item of the buoy
system's table.
"""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from buoyfleet.calibration.record import Record, RecordedPoint
from buoyfleet.model.spreadsheet import csv_text

CSV_HEAD = (
    "board",
    "key",
    "point",
    "attempt",
    "verify",
    "t_s",
    "raw",
    "temperature_c",
    "value",
    "flags",
    "reference",
    "reference_unit",
    "point_raw",
    "forced",
)


def as_json(record: Record) -> str:
    """Everything that is in the record, as one document."""
    document = {
        "begin": record.begin,
        "before": record.before,
        "after": record.after,
        "points": [asdict(point) for point in record.points],
        "rejected": record.rejected,
        "trouble": record.trouble,
        "fitted": None if record.fitted is None else asdict(record.fitted),
        "checks": [asdict(check) for check in record.checks],
        "uncertainty": None if record.fitted is None else record.fitted.uncertainty,
        "written": record.written,
        "outcome": record.outcome,
        "reason": record.reason,
        "ended": record.ended,
        "broken": record.broken,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def as_csv(record: Record) -> str:
    """A line for every sample of every point that was taken."""
    rows = (
        (
            record.board,
            record.key,
            point.name,
            point.attempt,
            point.verify,
            sample.t_s,
            sample.raw,
            sample.temperature_c,
            sample.value,
            sample.flags,
            point.reference.value,
            point.reference.unit,
            point.plateau.raw,
            point.forced,
        )
        for point in record.points
        for sample in point.samples
    )
    return csv_text([CSV_HEAD, *rows])


def device_calibration(record: Record) -> dict[str, Any]:
    """`calibration` of one sensor as the buoy system's device item has it; numbers as DynamoDB takes them.

    `physicalValue` are the references, `digitalValue` the signals, point by point.
    """
    points = _fitted_points(record)
    return {
        "dateLastCalibrated": record.started.date().isoformat(),
        "physicalValue": [_decimal(point.reference.value) for point in points],
        "digitalValue": [_decimal(point.plateau.raw) for point in points],
    }


def _fitted_points(record: Record) -> list[RecordedPoint]:
    return [point for point in record.points if not point.verify]


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.6g}")
