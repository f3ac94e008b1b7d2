"""What a fleet file asks of a board, as the settings of its firmware (`buoy.settings`)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BoardError
from buoyfleet.model.fleet import BoardSpec

# A record of the outbox: a payload of nine measures, and what frames it (buoy.flash_outbox).
_OUTBOX_RECORD_BYTES = 180
_SEGMENT_BYTES = 4000
_FEWEST_SEGMENTS, _MOST_SEGMENTS = 2, 64
SECTIONS = ("sensors", "pins", "power")
"""Settings that are sent one by one: together they do not fit into a line of the console."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What boards on a cable need of the fleet and the target."""

    topic_prefix: str
    payload: str
    qos: int
    max_rate: float | None
    """Messages per second of one board; None: no limit."""
    witness: str = "witness"
    """Thing that may read all topics, and ask a board without a cable."""
    ingest_rule: str = ""
    """Basic Ingest: the rule that data go to; empty: they go to their topic."""


def settings_for(
    spec: BoardSpec, run: RunSettings, endpoint: Endpoint, own: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings that make the board do what the fleet file says.

    Args:
        spec: the board.
        run: of the whole fleet.
        endpoint: the broker.
        own: the board's settings as they are; drivers keep their pins and calibrations.

    Raises:
        BoardError: the board's firmware cannot do that.
    """
    if endpoint.username or endpoint.password:
        raise BoardError(
            f"board {spec.buoy_id} cannot log in with a user name: its firmware knows certificates only",
            next_step="use a broker without a password, or TLS with certificates",
        )
    link = spec.link
    return {
        "broker_host": endpoint.host,
        "broker_port": endpoint.cable_port or endpoint.port,
        "broker_tls": endpoint.tls is not None,
        "topic_prefix": run.topic_prefix,
        "ingest_rule": run.ingest_rule,
        "payload": run.payload,
        "qos": run.qos,
        "keep_alive_s": min(1200, max(30, link.keep_alive_s)),
        "in_flight": min(100, link.in_flight),
        "ack_timeout_s": _whole(link.ack_timeout_s, 1, 300),
        "connect_timeout_s": _whole(link.connect_timeout_s, 1, 60),
        "backoff_min_ms": _whole(link.backoff_min_s * 1000, 10, 600_000),
        "backoff_max_s": _whole(link.backoff_max_s, 1, 3600),
        "max_rate_per_s": _whole(run.max_rate or 100, 1, 100),
        "outbox_segments": _whole(
            1 + link.outbox * _OUTBOX_RECORD_BYTES / _SEGMENT_BYTES, _FEWEST_SEGMENTS, _MOST_SEGMENTS
        ),
        # It sends what the plan says and nothing by itself, always awake, with the time that we tell it.
        "publish_interval_s": 0,
        "low_power": False,
        "ntp_host": "",
        "sensors": _sensors(spec, own.get("sensors", {})),
    }


def _sensors(spec: BoardSpec, own: Mapping[str, Any]) -> dict[str, Any]:
    sensors: dict[str, Any] = {}
    for sensor in spec.sensors:
        settings: dict[str, Any] = {"mode": sensor.mode}
        if sensor.mode == "hardware":
            settings = {**own.get(sensor.key, {}), "mode": "hardware"}
        elif sensor.mode == "counter" and sensor.base:
            settings["base"] = sensor.base
        elif sensor.mode == "constant":
            settings["value"] = sensor.value
        if sensor.mode != "off":
            sensors[sensor.key] = settings
    return sensors


def _whole(value: float, least: int, most: int) -> int:
    return min(most, max(least, math.ceil(value)))


def changes_between(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Requests `set` that lead from one to the other, each short enough for a line of the console."""
    differing = {key: value for key, value in wanted.items() if now.get(key) != value}
    requests = [{key: value for key, value in differing.items() if key not in SECTIONS}]
    requests += [{key: differing[key]} for key in SECTIONS if key in differing]
    return [request for request in requests if request]
