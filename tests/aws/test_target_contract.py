"""One contract for both adapters: what a run may rely on, be the target the twin or an account."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from account_stand_in import NAME, PREFIX

from buoyfleet.cloud.aws.target import AwsTarget
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.cloud.target import Collected, LiveCounts, Target
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import BoardSpec, Fleet, LinkSpec, RunSpec, SensorSpec, TargetSpec, TwinSpec
from buoyfleet.model.store import SCHEMA
from buoyfleet.model.twin import TwinTls
from buoyfleet.mqtt.codec import DISCONNECT, Connect, Decoder, Puback, encode_connect, encode_publish
from buoyfleet.mqtt.tls import client_context
from buoyfleet.runs.pacing import make_plan
from sensors.catalog import BOOLEAN_KEYS, KEYS

BUOYS = (100, 101)
MESSAGES = 5
STAGES = ["broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"]


def fleet_of(target: TargetSpec) -> Fleet:
    sensors = tuple(SensorSpec(key, "counter") for key in KEYS)
    boards = tuple(
        BoardSpec(buoy, "virtual", f"{NAME}-{buoy}", sensors, LinkSpec(), MESSAGES, 100.0) for buoy in BUOYS
    )
    return Fleet("contract", "contract.yaml", target, PREFIX, boards, RunSpec(), ())


Make = Callable[[Path], Target]


@pytest.fixture(params=["local", "aws"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes the target; for an account the pipeline stands already."""
    if request.param == "local":
        twin = TwinSpec(tls=TwinTls())
        things = tuple((f"{NAME}-{buoy}", buoy) for buoy in BUOYS)
        return lambda folder: LocalTarget(
            TargetSpec("local", twin=twin), folder, topic_prefix=PREFIX, limits="aws", things=things
        )
    request.getfixturevalue("here")
    pipeline = request.getfixturevalue("pipeline")(range(100, 102))
    certificates = pipeline.certificates
    spec = AwsSpec(
        region="us-west-2",
        endpoint="localhost",
        port=pipeline.endpoint.port,
        certificates=str(certificates),
        ca=str(certificates / "ca.pem"),
        witness="witness",
        listen_s=0.0,
        wait_s=20.0,
    )
    return lambda folder: AwsTarget(fleet_of(TargetSpec("aws", aws=spec)), folder)


def payload(number: int, stamp_ms: int) -> bytes:
    values: dict[str, Any] = {key: bool(number % 2) if key in BOOLEAN_KEYS else number + 0.5 for key in KEYS}
    return json.dumps({**values, "timestamp": stamp_ms}).encode()


async def publish(endpoint: Endpoint, buoy: int, first_ms: int) -> None:
    """A board with the certificate of its thing sends its messages and waits for every acknowledgement."""
    thing = f"{NAME}-{buoy}"
    assert endpoint.tls is not None
    reader, writer = await asyncio.open_connection(
        endpoint.host,
        endpoint.port,
        ssl=client_context(endpoint.tls, thing),
        server_hostname=endpoint.tls.server_name or endpoint.host,
    )
    writer.write(encode_connect(Connect(thing)))
    await reader.readexactly(4)
    for number in range(MESSAGES):
        data = payload(number, first_ms + number)
        writer.write(encode_publish(f"{PREFIX}/{buoy}/data/".encode(), data, 1, packet_id=number + 1))
    decoder, waiting = Decoder(), MESSAGES
    while waiting:
        waiting -= sum(isinstance(packet, Puback) for packet in decoder.feed(await reader.read(4096)))
    writer.write(DISCONNECT)
    await writer.drain()
    writer.close()


def rows_of(folder: Path, store: str) -> set[tuple[Any, ...]]:
    parts = sorted((folder / "stores" / store).glob("*.parquet"))
    table = pq.read_table(parts, schema=SCHEMA)
    names = ("buoy", "timestamp_ms", "measure", "value")
    rows = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    return {row for row in rows if row[2] in KEYS}


async def run(target: Target, folder: Path) -> tuple[Collected, list[LiveCounts], int]:
    checks = await target.preflight()
    assert [check for check in checks if not check.passed] == []
    stakes = await target.stakes(make_plan(fleet_of(TargetSpec("local")), "x"))
    assert stakes is None or (stakes.refusals, stakes.live) == ((), ())
    told: list[LiveCounts] = []
    try:
        endpoint = await target.start()
        first_ms = time.time_ns() // 10**6
        await asyncio.gather(*(publish(endpoint, buoy, first_ms) for buoy in BUOYS))
        await target.drain(len(BUOYS) * MESSAGES, 20.0, told.append)
        until_ns = time.time_ns() + 10**9
        collected = await target.collect(folder, (first_ms - 1000) * 10**6, until_ns, frozenset(BUOYS))
        assert await target.counts() == told[-1]
    finally:
        await target.stop()
        await target.stop()
    return collected, told, first_ms


def test_what_boards_sent_is_in_every_store_and_every_stage_tells(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    target = make(folder)
    collected, told, first_ms = asyncio.run(asyncio.wait_for(run(target, folder), 100))
    measures = len(BUOYS) * MESSAGES * len(KEYS)
    assert told[-1] == LiveCounts(len(BUOYS) * MESSAGES, {"timestream": measures, "s3": measures})
    assert collected.stores == target.stores == ("timestream", "s3")
    assert collected.problems == []
    expected = {
        (buoy, first_ms + number, key, float(number % 2) if key in BOOLEAN_KEYS else number + 0.5)
        for buoy in BUOYS
        for number in range(MESSAGES)
        for key in KEYS
    }
    for store in collected.stores:
        assert rows_of(folder, store) == expected
    assert [stage.name for stage in collected.stages] == STAGES
    counts = {stage.name: (stage.left, stage.rejected) for stage in collected.stages}
    for stage in ("broker", "kinesis", "firehose", "lambda", "s3"):
        assert counts[stage] == (len(BUOYS) * MESSAGES, {}), stage
    assert json.loads((folder / "evidence" / "stages.json").read_text())[0]["name"] == "broker"
