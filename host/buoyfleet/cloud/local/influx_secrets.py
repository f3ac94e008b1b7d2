"""How a twin's process gets to an InfluxDB: its secrets come from the environment, never from a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.clock import HostClock
from buoyfleet.model.twin import InfluxSpec

if TYPE_CHECKING:
    from buoyfleet.cloud.local.influx_stage import InfluxStage

PASSWORD, TOKEN = "BUOY_INFLUXDB_PASSWORD", "BUOY_INFLUXDB_TOKEN"


def environment(password: str, token: str) -> dict[str, str]:
    """What to add to the environment of the process."""
    return {name: value for name, value in ((PASSWORD, password), (TOKEN, token)) if value}


def take() -> tuple[str, str]:
    """(password, token) of this process; its children do not inherit them."""
    return os.environ.pop(PASSWORD, ""), os.environ.pop(TOKEN, "")


def make_influx_stage(
    spec: InfluxSpec | None, folder: Path, trace: Trace, clock: HostClock
) -> "InfluxStage | None":
    """The stage of an InfluxDB, with the secrets of this process; None where there is none."""
    if spec is None:
        return None
    # Only twins with an InfluxDB pay for importing an HTTP client.
    from buoyfleet.cloud.influxdb import Credentials, InfluxClient
    from buoyfleet.cloud.local.influx_stage import InfluxStage

    return InfluxStage(folder, trace, InfluxClient(spec, Credentials(*take())), clock)
