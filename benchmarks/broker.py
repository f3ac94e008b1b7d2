"""CPU of the twin's broker per QoS 1 message, beside mosquitto: same client, same load, same run.

    python benchmarks/broker.py [--messages 100000] [--limit-us 25]

The client writes bytes encoded beforehand and only counts PUBACKs, so that it leaves the broker a core.
`window 20` is a busy board (several messages in one read), `window 1` the worst case (one read and one write
a message). Exit 1 if our broker needs more than `--limit-us` in any case.
"""

import argparse
import asyncio
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from buoyfleet.cloud.local.broker import Broker, Limits
from buoyfleet.mqtt.codec import Connect, encode_connect, encode_publish

PAYLOAD = (
    b'{"do":98.21,"ec":1.41,"liqlev":true,"ph":7.02,"tds":410.55,"tbd":3.11,"wf":0.52,"wp":101.3,"temp":11.2}'
)
START_S = 10.0


@dataclass(frozen=True)
class Load:
    """One case."""

    clients: int
    window: int


LOADS = (Load(30, 20), Load(30, 1), Load(1000, 5))


class Client(asyncio.Protocol):
    """Sends its messages, at most `window` unacknowledged."""

    def __init__(self, number: int, messages: int, window: int, done: asyncio.Event) -> None:
        self.topic = f"aws/0/{number}/data/".encode()
        self.number = number
        self.left = messages
        self.window = window
        self.awaited = messages
        self.done = done
        self.connected = asyncio.Event()
        self.ready = [encode_publish(self.topic, PAYLOAD, 1, packet_id=1 + i) for i in range(window)]
        self.rest = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect."""
        self.transport = transport
        transport.write(encode_connect(Connect(f"load-{self.number}", 600)))  # type: ignore[attr-defined]

    def send(self, count: int) -> None:
        """Send `count` more, or what is left."""
        count = min(count, self.left)
        self.left -= count
        if count:
            self.transport.write(b"".join(self.ready[:count]))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """CONNACK first, then PUBACKs, four bytes each."""
        if not self.connected.is_set():
            self.connected.set()
            data = data[4:]
        self.rest += len(data)
        acknowledged, self.rest = divmod(self.rest, 4)
        if acknowledged:
            self.awaited -= acknowledged
            if self.awaited <= 0:
                self.done.set()
            self.send(acknowledged)


async def run_load(port: int, load: Load, messages: int) -> float:
    """Send the messages; return the seconds from the first to the last acknowledgement."""
    loop = asyncio.get_running_loop()
    each = messages // load.clients
    clients, events = [], []
    for number in range(load.clients):
        event = asyncio.Event()
        _, client = await loop.create_connection(
            lambda number=number, event=event: Client(number, each, load.window, event), "127.0.0.1", port
        )
        clients.append(client)
        events.append(event)
    for client in clients:
        await asyncio.wait_for(client.connected.wait(), START_S)
    started = time.perf_counter()
    for client in clients:
        client.send(load.window)
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in events)), 300)
    wall_s = time.perf_counter() - started
    for client in clients:
        client.transport.abort()
    return wall_s


def cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def serve() -> None:
    """Our broker with an empty sink; prints its port and serves until it is killed."""

    async def main() -> None:
        broker = Broker(lambda *_: None, limits=Limits.lifted())
        print(await broker.start(), flush=True)
        await asyncio.Event().wait()

    uvloop.run(main())


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def mosquitto_path() -> str:
    """mosquitto as the set-up fetched it, else as installed."""
    root = Path(__file__).resolve().parent.parent
    found = shutil.which("mosquitto", path=f"{root}/.tools/bin:{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise SystemExit("mosquitto is missing; `make setup-test` fetches it or says what to install")
    return found


def unused_port() -> int:
    """A TCP port on loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Until something listens there."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(OSError):
            asyncio.run(_touch(port))
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


async def _touch(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000, help="per case and broker")
    parser.add_argument("--limit-us", type=float, default=25.0, help="most CPU a message for ours")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    with tempfile.TemporaryDirectory() as folder:
        port = unused_port()
        config = Path(folder) / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
            "max_inflight_messages 0\nmax_queued_messages 0\n"
        )
        with (
            started([sys.executable, __file__, "--serve"]) as ours,
            started([mosquitto_path(), "-c", str(config)]) as mosquitto,
        ):
            if ours.stdout is None:
                raise SystemExit("our broker has no output")
            our_port = int(ours.stdout.readline())
            wait_for_port(port)
            print("clients  window   ours us/msg  mosquitto us/msg  ratio   ours msg/s  mosquitto msg/s")
            worst = 0.0
            for load in LOADS:
                figures = []
                for process, at in ((ours, our_port), (mosquitto, port)):
                    before = cpu_s(process.pid)
                    wall_s = uvloop.run(run_load(at, load, options.messages))
                    used = (cpu_s(process.pid) - before) / options.messages * 1e6
                    figures.append((used, options.messages / wall_s))
                (our_us, our_rate), (peer_us, peer_rate) = figures
                worst = max(worst, our_us)
                print(
                    f"{load.clients:7}  {load.window:6}  {our_us:12.1f}  {peer_us:16.1f}  "
                    f"{our_us / peer_us:5.2f}  {our_rate:11.0f}  {peer_rate:15.0f}"
                )
    passed = worst <= options.limit_us
    print(f"{'PASS' if passed else 'FAIL'}: at most {worst:.1f} us a message; bar {options.limit_us:g} us")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
