"""What this version can do: the one place that lists kinds of boards, targets and what a sensor can be.

Adding one is one line here, once the part behind it exists.
"""

from dataclasses import dataclass
from typing import get_args

from buoyfleet.model.fleet import BoardKind, SensorMode, TargetSpec
from buoyfleet.model.store_names import SUBSCRIBER

KINDS: dict[BoardKind, str] = {
    "virtual": "the firmware's own application on this computer, thousands per process",
    "simulated": "an ESP32 in software with the firmware on MicroPython, on a `port` or started by the run",
    "esp32": "a real board on a cable",
}
ON_A_CABLE: tuple[BoardKind, ...] = ("simulated", "esp32")
NEEDS_PORT: tuple[BoardKind, ...] = ("esp32",)

SENSOR_MODES: dict[SensorMode, str] = {
    "counter": "value = 2·base + n for message n; a boolean is n mod 2 (the original test's pattern)",
    "walk": "a seeded walk in the river's normal band",
    "constant": "one value",
    "hardware": "the driver; on a virtual board against simulated parts in simulated water",
    "off": "the buoy does not carry it",
}


# Those of buoyfleet.simulation.water.scenario (a test compares).
WATERS: dict[str, str] = {
    "calm": "late summer, gentle swings",
    "storm": "October rain and waves",
    "salt-wedge": "winter low flow, the sea along the bottom",
    "deicing": "January, glycol and salt from an airfield",
    "bloom": "hot August, algae",
    "beached": "ashore on the second day",
}


@dataclass(frozen=True, slots=True)
class TargetKind:
    """What a kind of target is."""

    about: str
    stores: tuple[str, ...]
    """Where measures should end."""
    thresholds: tuple[str, ...]
    """Used where a fleet file names none."""


_LOSSLESS = ("missing", "duplicated", "altered")
_PIPELINE_STORES = ("timestream", "s3")
_PIPELINE_THRESHOLDS = (
    *(f"{store}.{name} == 0" for store in _PIPELINE_STORES for name in _LOSSLESS),
    "send.dropped == 0",
    "send.late == 0",
    "boards.failed == 0",
)

TARGETS: dict[str, TargetKind] = {
    "local": TargetKind(
        "the twin: a stand-in of the cloud on this computer", _PIPELINE_STORES, _PIPELINE_THRESHOLDS
    ),
    "aws": TargetKind("a pipeline in an AWS account", _PIPELINE_STORES, _PIPELINE_THRESHOLDS),
    "broker": TargetKind(
        "any MQTT broker; what an independent subscriber sees is the proof",
        (SUBSCRIBER,),
        (
            *(f"{SUBSCRIBER}.{name} == 0" for name in _LOSSLESS),
            "send.dropped == 0",
            "send.late == 0",
            "send.unacknowledged == 0",
            "boards.failed == 0",
        ),
    ),
}

INFLUXDB = "influxdb"
_ANSWERS = "send.unacknowledged "


def stores_of(target: TargetSpec) -> tuple[str, ...]:
    """Where measures of a fleet with this target should end."""
    stores = TARGETS[target.kind].stores
    if target.aws is not None and target.aws.influxdb is not None:
        return tuple(INFLUXDB if store == "timestream" else store for store in stores)
    return (*stores, INFLUXDB) if target.twin is not None and target.twin.influxdb is not None else stores


def thresholds_of(target: TargetSpec, qos: int, *, hardware: bool) -> tuple[str, ...]:
    """What must hold where a fleet file names no thresholds; QoS 0 has no acknowledgements.

    Fakes always have a value. A part in water may warm up or be out of range for a while (`hardware`), but a
    sensor that is on and never gives a value is broken.
    """
    added = set(stores_of(target)) - set(TARGETS[target.kind].stores)
    lossless = [f"{store}.{name} == 0" for store in sorted(added) for name in _LOSSLESS]
    gone = tuple(f"{store}." for store in TARGETS[target.kind].stores if store not in stores_of(target))
    kept = (text for text in TARGETS[target.kind].thresholds if not text.startswith(gone or ("\0",)))
    sensors = "sensors.silent == 0" if hardware else "sensors.withheld == 0"
    return (*lossless, *(text for text in kept if qos or not text.startswith(_ANSWERS)), sensors)


# Words that people may know from elsewhere and that get an answer of their own.
LATER_KINDS: tuple[str, ...] = tuple(kind for kind in get_args(BoardKind) if kind not in KINDS)
LATER_TARGETS: tuple[str, ...] = ()
LATER_MODES: tuple[str, ...] = tuple(mode for mode in get_args(SensorMode) if mode not in SENSOR_MODES)
