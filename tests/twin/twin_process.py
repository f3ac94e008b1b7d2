"""What the tests of the twin's process share: a board that publishes, a server with settings of its own."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twin_bench import payload

from buoyfleet.cloud.local.control_client import ControlClient
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.mqtt.codec import DISCONNECT, Connect, Decoder, Puback, encode_connect, encode_publish

DEADLINE_S = 120.0


async def publish(endpoint: Endpoint, buoy: int, messages: int, *, qos: int = 1, first_ms: int = 0) -> int:
    """Send stamped messages and wait for all acknowledgements; returns the first timestamp."""
    start_ms = first_ms or time.time_ns() // 10**6
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.write(encode_connect(Connect(f"buoy-{buoy}-{start_ms}")))
    # Unread bytes at the end would make the system reset the connection, and lose what the twin has not read.
    await asyncio.wait_for(reader.readexactly(4), DEADLINE_S)
    decoder = Decoder()
    waiting = messages if qos else 0
    for number in range(messages):
        data = payload(number, start_ms + number)
        packet_id = number + 1 if qos else 0
        writer.write(encode_publish(f"aws/0/{buoy}/data/".encode(), data, qos, packet_id=packet_id))
    while waiting:
        for packet in decoder.feed(await asyncio.wait_for(reader.read(65536), DEADLINE_S)):
            waiting -= isinstance(packet, Puback)
    writer.write(DISCONNECT)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    return start_ms


@asynccontextmanager
async def server(place: Path, *, standalone: bool = False, **settings: Any) -> AsyncIterator["Server"]:
    """A twin's process, ended in any case."""
    running = Server(place, standalone, settings)
    try:
        yield running
    finally:
        if running.control is not None:
            running.control.close()
        running.process.kill()
        running.process.wait(DEADLINE_S)
        for stream in (running.process.stdin, running.process.stdout):
            if stream is not None:
                stream.close()


class Server:
    def __init__(self, folder: Path, standalone: bool, settings: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.json"
        config.write_text(json.dumps({"folder": str(folder / "twin"), **settings}))
        command = [sys.executable, "-m", "buoyfleet.cloud.local.server", str(config)]
        self.process = subprocess.Popen(
            command + ["--standalone"] * standalone,
            stdin=subprocess.DEVNULL if standalone else subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.control: ControlClient | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.ready["host"], self.ready["port"])

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request on the control channel."""
        if self.control is None:
            self.control = ControlClient(self.ready["host"], self.ready["control_port"])
            await self.control.open(DEADLINE_S)
        return await self.control.request(do, DEADLINE_S, **fields)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Any) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)
