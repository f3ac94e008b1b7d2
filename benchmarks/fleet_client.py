"""CPU per QoS 1 message of the fleet client alone, beside raw bytes and paho, against mosquitto.

    python benchmarks/fleet_client.py [--messages N] [--rounds N] [--quick] [--limit-us 13]

30 clients send a constant payload of 130 bytes, 20 messages in flight each, while one QoS 0 subscriber takes
everything. `raw` writes bytes encoded beforehand and only counts PUBACKs: what the system itself costs. `paho
processes` is the original's shape: a process and a paho client per buoy. Each side runs in processes of its
own; sides take turns, and ratios are made within a turn. CPU is user and system time of the senders from the
first message to the last acknowledgement. Then: connects/s and memory of 1000 more connections.
Exit 1 if the fleet client needs more than `--limit-us` (median).
"""

import argparse
import asyncio
import functools
import multiprocessing
import multiprocessing.connection
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop
from _bench import mosquitto

from buoyfleet.mqtt.codec import Connect, encode_connect, encode_publish, encode_subscribe
from buoyfleet.mqtt.dialler import Dialler
from buoyfleet.mqtt.fleet_client import FleetClient
from buoyfleet.mqtt.transport import Transport

CLIENTS = 30
WINDOW = 20
PAYLOAD = b"x" * 130
DEADLINE_S = 120.0

Pipe = multiprocessing.connection.Connection


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one side in one turn."""

    cpu_s: float
    wall_s: float
    messages: int

    @property
    def cpu_us(self) -> float:
        """CPU µs per message."""
        return self.cpu_s / self.messages * 1e6

    @property
    def rate(self) -> float:
        """Messages/s."""
        return self.messages / self.wall_s


class Progress:
    """Counts clients that are connected, and those that are through."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.done = asyncio.Event()
        self._ready = self._done = 0

    def connected(self) -> None:
        """One more client got its CONNACK."""
        self._ready += 1
        if self._ready == CLIENTS:
            self.ready.set()

    def through(self) -> None:
        """One more client got its last PUBACK."""
        self._done += 1
        if self._done == CLIENTS:
            self.done.set()


class RawClient(asyncio.Protocol):
    """Bytes encoded beforehand, and nothing known of what comes back but its length."""

    __slots__ = (
        "_acked",
        "_connected",
        "_messages",
        "_number",
        "_packet",
        "_progress",
        "_sent",
        "_transport",
    )

    def __init__(self, number: int, messages: int, progress: Progress) -> None:
        self._number = number
        self._messages = messages
        self._progress = progress
        self._packet = encode_publish(b"aws/0/%d/data/" % number, PAYLOAD, 1, packet_id=1)
        self._connected = False
        self._sent = self._acked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._transport.write(encode_connect(Connect(f"raw-{self._number}", 0)))

    def data_received(self, data: bytes) -> None:
        """CONNACK, then PUBACKs of four bytes."""
        if self._connected:
            self._acked += len(data) >> 2
            self.fill()
            if self._acked >= self._messages:
                self._progress.through()
        else:
            self._connected = True
            self._progress.connected()

    def fill(self) -> None:
        """Fill the window."""
        count = min(self._acked + WINDOW, self._messages) - self._sent
        if count:
            self._sent += count
            self._transport.write(self._packet * count)


class Sender:
    """The least a listener can do with a transport: fill the window, count acknowledgements."""

    __slots__ = ("_acked", "_messages", "_packet_id", "_progress", "_sent", "_topic", "transport")

    def __init__(self, transport: Transport, number: int, messages: int, progress: Progress) -> None:
        self.transport = transport
        self._topic = b"aws/0/%d/data/" % number
        self._messages = messages
        self._progress = progress
        self._sent = self._acked = self._packet_id = 0

    def fill(self) -> None:
        """Fill the window."""
        count = min(self._acked + WINDOW, self._messages) - self._sent
        if count:
            self._sent += count
            publish = self.transport.publish
            topic, packet_id = self._topic, self._packet_id
            for _ in range(count):
                packet_id = packet_id % 65_535 + 1
                publish(topic, PAYLOAD, 1, packet_id, False)
            self._packet_id = packet_id
            self.transport.flush()

    def on_dial(self) -> None:
        """Its turn has come."""

    def on_open(self, session_present: bool) -> None:  # noqa: ARG002
        """Connected."""
        self._progress.connected()

    def on_pubacks(self, packet_ids: list[int]) -> None:
        """Refill."""
        self._acked += len(packet_ids)
        self.fill()
        if self._acked >= self._messages:
            self._progress.through()

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        """Never: nothing is subscribed."""

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """Never: nothing is subscribed."""

    def on_pong(self) -> None:
        """Never: no ping is sent."""

    def on_closed(self, reason: str) -> None:
        """The turn is lost."""
        sys.exit(reason)


async def _turn(progress: Progress, fill: list[Callable[[], None]], messages: int) -> Cost:
    await asyncio.wait_for(progress.ready.wait(), DEADLINE_S)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for begin in fill:
        begin()
    await asyncio.wait_for(progress.done.wait(), DEADLINE_S)
    return Cost(time.process_time() - cpu_s, time.perf_counter() - wall_s, messages * CLIENTS)


async def raw(port: int, messages: int) -> Cost:
    """The system's own cost."""
    progress = Progress()
    clients = [RawClient(number, messages, progress) for number in range(CLIENTS)]
    loop = asyncio.get_running_loop()
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    return await _turn(progress, [client.fill for client in clients], messages)


async def fleet(port: int, messages: int) -> Cost:
    """The fleet client."""
    dialler = Dialler("127.0.0.1", port)
    return await _senders([FleetClient(dialler, Connect(f"fleet-{n}", 0)) for n in range(CLIENTS)], messages)


async def link_paho(port: int, messages: int) -> Cost:
    """paho on one loop: `link: paho`."""
    from buoyfleet.mqtt.paho_client import PahoClient, PahoHub

    hub = PahoHub("127.0.0.1", port)
    return await _senders([PahoClient(hub, Connect(f"link-{n}", 0)) for n in range(CLIENTS)], messages)


async def _senders(transports: Sequence[Transport], messages: int) -> Cost:
    progress = Progress()
    senders = [Sender(transport, number, messages, progress) for number, transport in enumerate(transports)]
    for sender in senders:
        sender.transport.listener = sender
        sender.transport.open()
    return await _turn(progress, [sender.fill for sender in senders], messages)


SIDES = {"raw": raw, "fleet client": fleet, "link paho": link_paho}


def _one_process(pipe: Pipe, side: str, port: int, messages: int) -> None:
    pipe.send(uvloop.run(SIDES[side](port, messages)))


def _apart(work: Callable[..., None], *arguments: object) -> Cost:
    """Run in a fresh process and give what it sends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        result: Cost = ours.recv()
    except EOFError:
        sys.exit(f"{work.__name__}{arguments} failed")
    process.join(30)
    return result


def paho_processes(port: int, messages: int) -> Cost:
    """A process and a paho client per buoy."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Pipe] = []
    for number in range(CLIENTS):
        ours, theirs = context.Pipe()
        context.Process(target=_paho_process, args=(theirs, port, number, messages)).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    wall_s = time.perf_counter()
    for pipe in pipes:
        pipe.send("go")
    cpu_s = sum(pipe.recv() for pipe in pipes)
    return Cost(cpu_s, time.perf_counter() - wall_s, messages * CLIENTS)


def _paho_process(pipe: Pipe, port: int, number: int, messages: int) -> None:
    import paho.mqtt.client as paho

    # paho at its best: one thread, a select of its own, whole windows. `loop_start` beside a publishing
    # thread, as people write it, costs a third more.
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"paho-{number}")
    acknowledged = 0

    def on_publish(*_: object) -> None:
        nonlocal acknowledged
        acknowledged += 1

    client.on_publish = on_publish
    client.on_socket_register_write = lambda *_: None
    client.connect("127.0.0.1", port)
    while not client.is_connected():
        client.loop_write()
        client.loop_read()
    pipe.send("ready")
    pipe.recv()
    cpu_s = time.process_time()
    sent = 0
    while acknowledged < messages:
        for _ in range(min(acknowledged + WINDOW, messages) - sent):
            sent += 1
            client.publish(f"aws/0/{number}/data/", PAYLOAD, 1)
        client.loop_write()
        connection = client.socket()
        if connection is None:
            sys.exit("paho lost its connection")
        select.select([connection], [], [], DEADLINE_S)
        client.loop_read()
    pipe.send(time.process_time() - cpu_s)
    client.disconnect()


TURNS: dict[str, Callable[[int, int], Cost]] = {
    **{side: functools.partial(_apart, _one_process, side) for side in SIDES},
    "paho processes": paho_processes,
}


def _subscribe(pipe: Pipe, port: int) -> None:
    """Take everything, look at nothing."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(encode_connect(Connect("takes-all", 0)))
        connection.sendall(encode_subscribe(1, ((b"aws/+/+/data/", 0),)))
        connection.recv(4 + 5)
        pipe.send("ready")
        while connection.recv(1 << 20):
            pass


def connects(port: int, count: int) -> tuple[float, float]:
    """Connects/s and kB of memory per connection, of the fleet client alone."""
    cost = _apart(_connects, port, count)
    return cost.messages / cost.wall_s, cost.cpu_s


def _connects(pipe: Pipe, port: int, count: int) -> None:
    async def work() -> Cost:
        dialler = Dialler("127.0.0.1", port)
        ready = asyncio.Event()
        left = count

        class Counts(Sender):
            __slots__ = ()

            def on_open(self, session_present: bool) -> None:  # noqa: ARG002
                nonlocal left
                left -= 1
                if not left:
                    ready.set()

        before_kb, began_s = _resident_kb(), time.perf_counter()
        clients = [FleetClient(dialler, Connect(f"idle-{number}", 0)) for number in range(count)]
        for number, client in enumerate(clients):
            client.listener = Counts(client, number, 0, Progress())
            client.open()
        await asyncio.wait_for(ready.wait(), DEADLINE_S)
        wall_s = time.perf_counter() - began_s
        kb_each = (_resident_kb() - before_kb) / count
        for client in clients:
            client.disconnect()
        await dialler.close()
        return Cost(kb_each, wall_s, count)

    pipe.send(uvloop.run(work()))


def _resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5000, help="per client (default 5000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every side (default 3)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 300 messages, one turn")
    parser.add_argument("--limit-us", type=float, default=13.0, help="CPU per message (default 13)")
    options = parser.parse_args()
    if options.quick:
        options.messages, options.rounds = 300, 1
    sides: dict[str, list[Cost]] = {name: [] for name in TURNS}
    with mosquitto() as port:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        subscriber = context.Process(target=_subscribe, args=(theirs, port), daemon=True)
        subscriber.start()
        ours.recv()
        for turn in range(1, options.rounds + 1):
            for name, costs in sides.items():
                costs.append(TURNS[name](port, options.messages))
            print(
                f"turn {turn}: CPU µs/message (messages/s): "
                + ", ".join(
                    f"{name} {costs[-1].cpu_us:.1f} ({costs[-1].rate:,.0f})" for name, costs in sides.items()
                )
            )
        subscriber.terminate()
        subscriber.join(10)
        mine = sides["fleet client"]
        for name, costs in sides.items():
            if costs is not mine:
                ratio = statistics.median(b.cpu_us / a.cpu_us for a, b in zip(mine, costs, strict=True))
                print(f"{name} takes {ratio:.2f} times the CPU of the fleet client (median)")
        rate, kb_each = connects(port, 1000 if options.quick else 5000)
        print(f"connects: {rate:,.0f}/s; memory: {kb_each:.1f} MB per 1000 more connections")
    cpu_us = statistics.median(cost.cpu_us for cost in mine)
    print(f"fleet client: {cpu_us:.1f} µs per QoS 1 message (bar {options.limit_us:g})")
    if cpu_us > options.limit_us:
        sys.exit(1)


if __name__ == "__main__":
    main()
