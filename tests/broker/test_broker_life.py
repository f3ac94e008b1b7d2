"""Other people's clients, many clients, and the broker's own start and stop."""

import asyncio
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from broker_bench import DEADLINE_S, Bench
from broker_clients import Client, RawClient

from buoyfleet.cloud.local.broker import Broker, Limits
from buoyfleet.mqtt.codec import Connect, Publish, Will, encode_connect, encode_publish

New = Callable[..., Client]
Raw = Callable[..., RawClient]
Start = Callable[..., Bench]


class Tools(Protocol):
    """What the `mosquitto` fixture offers beside its broker."""

    pub: Path
    sub: Path


# Other people's clients


def test_mosquittos_own_clients_publish_and_subscribe(bench: Bench, mosquitto: Tools) -> None:
    port = str(bench.port)
    subscriber = subprocess.Popen(
        [mosquitto.sub, "-p", port, "-t", "aws/0/+/data/", "-q", "1", "-C", "3", "-v"],
        stdout=subprocess.PIPE,
        text=True,
    )
    bench.eventually(lambda: bench.broker.records.value("Subscribe.Success") == 1)  # type: ignore[arg-type]
    for qos in ("0", "1"):
        command = [mosquitto.pub, "-p", port, "-t", "aws/0/7/data/", "-q", qos, "-m", f"qos {qos}"]
        assert subprocess.run(command, timeout=DEADLINE_S, check=False).returncode == 0
    retained = [mosquitto.pub, "-p", port, "-t", "aws/0/8/data/", "-r", "-q", "1", "-m", "kept"]
    assert subprocess.run(retained, timeout=DEADLINE_S, check=False).returncode == 0
    output, _ = subscriber.communicate(timeout=DEADLINE_S)
    assert output.splitlines() == ["aws/0/7/data/ qos 0", "aws/0/7/data/ qos 1", "aws/0/8/data/ kept"]
    late = [mosquitto.sub, "-p", port, "-t", "aws/0/8/data/", "-C", "1", "-W", "5"]
    assert subprocess.run(late, timeout=DEADLINE_S, check=True, capture_output=True).stdout == b"kept\n"


def test_mosquittos_client_publishes_a_thousand_messages_from_a_pipe(start: Start, mosquitto: Tools) -> None:
    bench = start(Limits.lifted())
    lines = "".join(f"{number}\n" for number in range(1000))
    command = [mosquitto.pub, "-p", str(bench.port), "-t", "t", "-q", "1", "-l"]
    subprocess.run(command, input=lines, text=True, timeout=100, check=True)
    assert bench.payloads() == [b"%d" % number for number in range(1000)]


# Life of the broker


def test_stopping_closes_every_connection_and_frees_the_port(raw: Raw, start: Start) -> None:
    bench = start()
    clients = [raw(bench.port) for _ in range(5)]
    for number, client in enumerate(clients[:4]):
        client.connect(f"buoy-{number}", will=Will(b"gone", b"no"))
    bench.run(bench.broker.stop())
    for client in clients:
        assert client.wait_closed()
    assert bench.received == [], "no wills: nobody is left to read them"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", bench.port), 1)
    bench.run(bench.broker.stop())


def test_a_taken_port_is_an_error_and_leaves_nothing_behind() -> None:
    async def twice() -> None:
        first, second = Broker(lambda *_: None), Broker(lambda *_: None)
        port = await first.start()
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", port)
        await second.stop()
        await first.stop()

    asyncio.run(twice())


def test_it_runs_on_asyncios_own_loop_too() -> None:
    async def exchange() -> list[str]:
        topics: list[str] = []
        broker = Broker(lambda topic, *_: topics.append(topic))
        reader, writer = await asyncio.open_connection("127.0.0.1", await broker.start())
        writer.write(encode_connect(Connect("c")) + encode_publish(b"t", b"x", 1, packet_id=9))
        answer = await asyncio.wait_for(reader.readexactly(8), DEADLINE_S)
        assert answer == b"\x20\x02\x00\x00\x40\x02\x00\x09"
        await broker.stop()
        writer.close()
        return topics

    assert asyncio.run(exchange()) == ["t"]


def test_a_thousand_clients_connect_publish_and_leave(start: Start) -> None:
    bench = start(Limits.lifted())

    async def fleet() -> None:
        async def board(number: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
            topic = b"aws/0/%d/data/" % number
            writer.write(
                encode_connect(Connect(f"buoy-{number}")) + encode_publish(topic, b"{}", 1, packet_id=1)
            )
            assert len(await reader.readexactly(8)) == 8
            writer.close()
            await writer.wait_closed()

        for first in range(0, 1000, 100):
            await asyncio.gather(*(board(number) for number in range(first, first + 100)))

    asyncio.run(asyncio.wait_for(fleet(), 100))
    assert len({message.topic for message in bench.received}) == 1000
    bench.eventually(lambda: bench.broker.connections == 0)
    assert bench.call(lambda: bench.broker.sessions) == 0
    assert bench.metric("Connect.Success") == 1000


def test_everything_is_counted_under_its_cloudwatch_name(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.subscribe(("t", 1))
    client.publish("t")
    assert client.fence()
    client.unsubscribe("t")
    counted = {name: value for name, value in bench.call(bench.broker.metrics).items() if value}
    assert counted == {
        "AWS/IoT Connect.Success": 1.0,
        "AWS/IoT Subscribe.Success": 1.0,
        "AWS/IoT PublishIn.Success": 1.0,
        "AWS/IoT PublishOut.Success": 1.0,
        "AWS/IoT Ping.Success": 2.0,
        "AWS/IoT Unsubscribe.Success": 1.0,
    }


def test_messages_are_delivered_in_order(new_client: New, start: Start) -> None:
    bench = start(Limits.lifted())
    reader, writer = new_client(bench.port), new_client(bench.port)
    reader.connect("reader")
    reader.subscribe(("t", 1))
    writer.connect("writer")
    for number in range(500):
        writer.publish("t", b"%d" % number)
    assert writer.fence()
    for _ in range(500 // Limits().in_flight_out + 1):  # a window at a time, as it acknowledges
        assert reader.fence()
    assert [message.payload for message in reader.messages] == [b"%d" % number for number in range(500)]
    assert all(isinstance(message, Publish) for message in reader.messages)
