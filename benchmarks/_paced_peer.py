"""A peer of the paced benchmark: clients that send one QoS 1 message per interval each, in this process.

    python benchmarks/_paced_peer.py raw|gmqtt PORT CLIENTS MESSAGES INTERVAL_S

It prints `ready` when all are connected, starts at a line on its input, and prints the messages that were
acknowledged and the CPU seconds from the start to the last acknowledgement. `raw` writes bytes that were
encoded before; `gmqtt` makes a fresh JSON payload for each message, as a buoy does.
"""

import asyncio
import json
import struct
import sys
import time
from typing import cast

import uvloop

KEYS = ("do", "ec", "liqlev", "ph", "tds", "tbd", "wf", "wp", "temp")
PAYLOAD_BYTES = 130
CONNECTING_AT_ONCE = 64


class RawClient(asyncio.Protocol):
    """MQTT 3.1.1 as bytes made in advance; PUBACKs are counted by their length of four bytes."""

    def __init__(self, number: int) -> None:
        name = f"peer-{number}".encode()
        body = b"\0\4MQTT\4\2\0\x3c" + struct.pack(">H", len(name)) + name
        self.hello = bytes((0x10, len(body))) + body
        topic = f"aws/0/{number}/data/".encode()
        body = struct.pack(">H", len(topic)) + topic + b"\0\1" + b"x" * PAYLOAD_BYTES
        self.packet = b"\x32" + bytes((len(body) & 127 | 128, len(body) >> 7)) + body
        self.connected = asyncio.get_running_loop().create_future()
        self.acknowledged = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say CONNECT."""
        self.transport = cast(asyncio.WriteTransport, transport)
        self.transport.write(self.hello)

    def data_received(self, data: bytes) -> None:
        """CONNACK first, then PUBACKs."""
        if self.connected.done():
            self.acknowledged += len(data) // 4
        else:
            self.connected.set_result(None)

    def publish(self, _n: int) -> None:
        """One message."""
        self.transport.write(self.packet)


class GmqttClient:
    """gmqtt, used as its documentation says."""

    def __init__(self, number: int) -> None:
        from gmqtt import Client

        self.client = Client(f"peer-{number}")
        self.client.on_connect = lambda *_arguments: self.connected.set_result(None)
        self.topic = f"aws/0/{number}/data/"
        self.connected = asyncio.get_running_loop().create_future()

    @property
    def acknowledged(self) -> int:
        """Messages that left and wait for no PUBACK."""
        return self.sent - len(self.client._persistent_storage.get_all())

    sent = 0

    def publish(self, n: int) -> None:
        """One message with a fresh payload."""
        body: dict[str, float | bool | int] = {
            key: n % 2 == 1 if key == "liqlev" else round(n / 7, 2) for key in KEYS
        }
        body["timestamp"] = time.time_ns() // 1_000_000
        self.sent += 1
        self.client.publish(self.topic, json.dumps(body), qos=1)


async def _open(kind: str, number: int, port: int) -> RawClient | GmqttClient:
    client: RawClient | GmqttClient
    if kind == "raw":
        client = RawClient(number)
        own = client
        await asyncio.get_running_loop().create_connection(lambda: own, "127.0.0.1", port)
    else:
        client = GmqttClient(number)
        await client.client.connect("127.0.0.1", port)
    await client.connected
    return client


async def main(kind: str, port: int, count: int, messages: int, interval_s: float) -> None:
    """Connect, wait for the word, send at the pace, count."""
    clients: list[RawClient | GmqttClient] = []
    for first in range(0, count, CONNECTING_AT_ONCE):
        numbers = range(first, min(first + CONNECTING_AT_ONCE, count))
        clients += await asyncio.gather(*(_open(kind, number, port) for number in numbers))
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    before_s = time.process_time()
    began = loop.time()

    def send(client: RawClient | GmqttClient, due: float, n: int) -> None:
        client.publish(n)
        if n + 1 < messages:
            loop.call_at(due + interval_s, send, client, due + interval_s, n + 1)

    for index, client in enumerate(clients):
        due = began + interval_s * index / count
        loop.call_at(due, send, client, due, 0)
    end = began + interval_s * (messages + 10)
    while sum(client.acknowledged for client in clients) < count * messages and loop.time() < end:
        await asyncio.sleep(0.2)
    print(sum(client.acknowledged for client in clients), time.process_time() - before_s, flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])))
