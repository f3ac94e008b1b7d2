"""Runs packs against a broker and reads what they left."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from buoyfleet.boards.job import PackJob
from buoyfleet.boards.report import BoardReport
from buoyfleet.boards.unit import PackUnit
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import BoardSpec, LinkSpec, SensorSpec
from buoyfleet.model.ledger import Event
from buoyfleet.model.plan import BoardPlan, interval_us
from sensors.catalog import KEYS

COUNTERS = tuple(SensorSpec(key, "counter") for key in KEYS)


def job(folder: Path, boards: int = 3, messages: int | None = 10, **options: Any) -> PackJob:
    """A pack of counter boards from id 100 on."""
    interval_ms = options.pop("interval_ms", None)
    link = options.pop("link", LinkSpec())
    sensors = options.pop("sensors", COUNTERS)
    end_ms = options.pop("end_ms", None)
    fields: dict[str, Any] = {
        "payload": "stamped",
        "water": "calm",
        "qos": 1,
        "seed": 1,
        "drain_timeout_s": 10.0,
        "connect_rate": None,
        "first_number": 0,
        "max_rate": None,
    }
    fields.update(options)
    ids = range(100, 100 + boards)
    return PackJob(
        name="pack-0",
        run_folder=folder,
        boards=tuple(
            BoardSpec(buoy, "virtual", f"buoy-{buoy}", sensors, link, messages, interval_ms) for buoy in ids
        ),
        plans=tuple(BoardPlan(buoy, 0, interval_us(interval_ms), messages, end_ms) for buoy in ids),
        topic_prefix="aws/0",
        **fields,
    )


Meanwhile = Callable[[PackUnit], Awaitable[None]]


def run(pack_job: PackJob, port: int, meanwhile: Meanwhile | None = None) -> list[BoardReport]:
    """Run a pack to its end; `meanwhile` happens after the start."""

    async def body() -> list[BoardReport]:
        unit = PackUnit(pack_job)
        await unit.begin()
        try:
            await unit.connect(Endpoint("127.0.0.1", port))
            await unit.start(time.time_ns())
            if meanwhile is not None:
                await meanwhile(unit)
            return await asyncio.wait_for(unit.wait(), 100)
        finally:
            await unit.close()

    return asyncio.run(body())


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        await asyncio.sleep(0.005)


def rows(folder: Path, name: str = "pack-0") -> list[dict[str, Any]]:
    """All whole rows of a pack's ledger stream."""
    found: list[dict[str, Any]] = []
    with pa.OSFile(str(folder / "ledger" / f"{name}.arrows")) as source:
        reader = pa.ipc.open_stream(source)
        while True:
            try:
                batch = reader.read_next_batch()
            except (StopIteration, pa.ArrowInvalid, OSError):
                return found
            found += batch.to_pylist()


def count(ledger: list[dict[str, Any]], event: Event) -> int:
    """Rows of a kind."""
    return sum(1 for row in ledger if row["event"] == event)
