"""Simulated boards that are on their ports before the run, as real ones are, and fleets with them."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pyarrow.parquet as pq
from paho.mqtt.enums import CallbackAPIVersion

from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.model.ledger import COMPACTED, Event
from buoyfleet.model.places import FACTORY
from buoyfleet.serial.console import Console
from buoyfleet.simulation.esp32.factory import factory_image
from buoyfleet.simulation.esp32.simulator import Simulator


def plugged(folder: Path, ids: Iterable[int]) -> Simulator:
    """Boards with the firmware on them, never commissioned."""
    return Simulator(
        folder,
        ids,
        factory=factory_image(firmware_files(), FACTORY),
        access_points={"buoy": "secret"},
    )


def cable_fleet(path: Path, simulator: Simulator, ids: str, **parts: Any) -> Path:
    """A fleet file of boards on the simulator's ports; `parts` are `run`, `group`, `others`, `target`."""
    run = {"messages": 30, "interval": "100 ms", "start_spread": "100 ms", "drain_timeout": "20 s"}
    run["late_send"] = "30 s"  # outages make messages late; and a busy machine is not the subject
    port = simulator.path(simulator.ids[0]).replace(str(simulator.ids[0]), "{id}")
    group = {"kind": "simulated", "ids": ids, "port": port, "wifi": WIFI, **parts.get("group", {})}
    fleet = {
        "fleet": "cables",
        "target": parts.get("target", "local"),
        "run": {**run, **parts.get("run", {})},
        "boards": [group, *parts.get("others", [])],
    }
    path.write_text(json.dumps(fleet))
    return path


WIFI = {"ssid": "buoy", "password": "${env:WIFI_PASSWORD}"}
ENVIRONMENT = {"WIFI_PASSWORD": "secret"}


def settings_on(simulator: Simulator, buoy_id: int) -> dict[str, Any]:
    """What the board's console says."""
    with Console(simulator.path(buoy_id)) as console:
        console.wait_until_ready(120)
        found: dict[str, Any] = console.request("get")
        return found


def once(factory: Any, name: str, make: Callable[[Path], None]) -> Path:
    """What `make` left in `out` of a folder, made once for all workers of a test session."""
    root: Path = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder / "out"


def ledger_rows(folder: Path, event: Event, buoy_id: int) -> list[dict[str, Any]]:
    """Rows of a run's ledger."""
    table = pq.read_table(folder / COMPACTED)
    return [row for row in table.to_pylist() if row["event"] == event and row["buoy"] == buoy_id]


@contextlib.contextmanager
def listening(port: int, topic: str, subscribed: Callable[[], None] = lambda: None) -> Iterator[list[Any]]:
    """What arrives on a topic, as paho's messages, of a broker that may start later, or again."""
    arrived: list[Any] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.on_connect = lambda *_: client.subscribe(topic) and None
    client.on_subscribe = lambda *_: subscribed()
    client.on_message = lambda _client, _data, message: arrived.append(message)
    client.reconnect_delay_set(0.05, 0.05)
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        yield arrived
    finally:
        client.disconnect()
        client.loop_stop()
