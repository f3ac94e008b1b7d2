"""Which targets exist and how they are made: the only place that looks at a target's kind."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from buoyfleet.cloud.broker_target import BrokerTarget
from buoyfleet.cloud.local import influx_secrets
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.cloud.target import Target
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.fleet import Fleet

LimitMode = Literal["aws", "lifted"]


def make_target(fleet: Fleet, run_folder: Path, limits: LimitMode, password: str) -> Target:
    """The target of a fleet, not started yet.

    Args:
        fleet: as resolved.
        run_folder: where a target may keep what it needs during the run.
        limits: whether a local twin keeps the rates of IoT Core and Kinesis.
        password: the resolved secret of the target, or empty.
    """
    return _MAKERS[fleet.target.kind](fleet, run_folder, limits, password)


def _local(fleet: Fleet, run_folder: Path, limits: LimitMode, _password: str) -> Target:
    return LocalTarget(
        fleet.target,
        run_folder,
        topic_prefix=fleet.topic_prefix,
        payload=fleet.run.payload,
        limits=limits,
        seed=fleet.run.seed,
        things=tuple((board.thing_name, board.buoy_id) for board in fleet.boards),
        secrets=_influx_secrets(fleet),
    )


def hand_over_secrets(fleet: Fleet) -> None:
    """Put what a twin in this very process needs to where it looks for it."""
    os.environ.update(influx_secrets.environment(*_influx_secrets(fleet)))


def _influx_secrets(fleet: Fleet) -> tuple[str, str]:
    """Password and token of an InfluxDB behind the twin or an account's rules."""
    settings = fleet.target.twin or fleet.target.aws
    influxdb = None if settings is None else settings.influxdb
    if influxdb is None:
        return "", ""
    refs = (influxdb.password, influxdb.token)
    password, token = (resolve_secret(ref, fleet.source).reveal() if ref else "" for ref in refs)
    return password, token


def _broker(fleet: Fleet, _run_folder: Path, _limits: LimitMode, password: str) -> Target:
    return BrokerTarget(fleet.target, password, fleet.boards[0].thing_name)


def _aws(fleet: Fleet, run_folder: Path, _limits: LimitMode, _password: str) -> Target:
    from buoyfleet.cloud.aws.target import AwsTarget  # boto3 is for those who need it

    return AwsTarget(fleet, run_folder, _influx_secrets(fleet))


_Maker = Callable[[Fleet, Path, LimitMode, str], Target]
_MAKERS: dict[str, _Maker] = {"local": _local, "broker": _broker, "aws": _aws}
