"""What a store says of the moment from which its readers see a measure: the one place that knows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visibility:
    """Of one store at one kind of target."""

    known: bool
    """Whether `visible_ns` of its rows (buoyfleet.model.store) is a time of its own."""
    words: str
    """Where the time comes from; where there is none, why."""


_TWIN = (
    "by the twin's clock, in which Firehose's buffers last as long as on AWS (the run itself does not wait)"
)
_SERIES = "the store does not say since when a query sees a row"

_VISIBILITY: dict[tuple[str, str], Visibility] = {
    ("local", "timestream"): Visibility(True, _TWIN),
    ("local", "s3"): Visibility(True, _TWIN),
    ("local", "influxdb"): Visibility(True, "when InfluxDB acknowledged the write to the twin"),
    ("broker", "subscriber"): Visibility(True, "when the subscriber received it"),
    ("aws", "s3"): Visibility(True, "S3's LastModified, in whole seconds"),
    ("aws", "timestream"): Visibility(False, _SERIES),
    ("aws", "influxdb"): Visibility(False, _SERIES),
}


def visibility(target: str, store: str) -> Visibility:
    """Of a store at a target of that kind."""
    return _VISIBILITY.get((target, store), Visibility(False, _SERIES))
