"""Each connection has its share of the broker: a board's message does not wait for another board's flood."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from broker_bench import Bench
from broker_clients import RawClient

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.cloud.local.broker.shares import SHARE, Shares, TurnQueue
from buoyfleet.mqtt.codec import PINGREQ, Packet, Pingreq, Pingresp, encode_publish

FLOOD = 2000
NEAR = 200
"""A share or a few of them, and far from the flood's end."""


def flood(count: int = FLOOD) -> bytes:
    return b"".join(
        encode_publish(b"flood", b"%d" % number, 1, packet_id=1 + number) for number in range(count)
    )


def test_a_message_passes_a_flood_that_arrived_before_it(
    start: Callable[..., Bench], raw: Callable[..., RawClient]
) -> None:
    bench = start(Limits.lifted())
    flooder, board = raw(bench.port), raw(bench.port)
    flooder.connect("flooder")
    board.connect("board")
    held, sent = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert sent.wait(90)

    holder = threading.Thread(target=bench.call, args=(hold,))
    holder.start()
    assert held.wait(90)
    flooder.send(flood())
    board.publish("board", b"here")
    sent.set()
    holder.join(90)
    bench.eventually(lambda: len(bench.received) == FLOOD + 1, "all messages at the sink")
    topics = [message.topic for message in bench.received]
    assert topics.index("board") < NEAR


def test_a_flood_is_taken_in_order_and_whole_with_what_stands_behind_it(
    start: Callable[..., Bench], raw: Callable[..., RawClient]
) -> None:
    bench = start(Limits.lifted())
    flooder = raw(bench.port)
    flooder.connect("flooder")
    flooder.send(flood() + PINGREQ)
    assert isinstance(flooder.until(Pingresp), Pingresp)
    assert bench.payloads() == [b"%d" % number for number in range(FLOOD)]
    assert flooder.acks == list(range(1, FLOOD + 1))


def test_what_a_client_sent_before_it_hung_up_or_before_a_fault_is_taken(
    start: Callable[..., Bench], raw: Callable[..., RawClient]
) -> None:
    bench = start(Limits.lifted())
    for ending in (b"", b"\xff\xff", b"\xe0\x00"):
        client: Any = raw(bench.port)
        client.connect(f"ends-{len(ending)}")
        client.send(flood() + ending)
        # A reset would take with it what the broker has not read: the end comes behind the data.
        client.socket.shutdown(socket.SHUT_WR)
        while client.packet() is not None:
            pass
    bench.eventually(lambda: len(bench.received) == 3 * FLOOD, "all messages at the sink")


def test_the_rest_of_the_loop_has_its_turn_while_many_connections_have_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    monkeypatch.setattr("buoyfleet.cloud.local.broker.shares.time.monotonic", lambda: now_s)
    log: list[str] = []

    def handle(packets: Sequence[Packet]) -> None:
        nonlocal now_s
        now_s += 0.004 * len(packets) / SHARE  # so that two or three shares are a turn
        log.append("packets")

    async def main() -> None:
        turns = TurnQueue()
        connections = [Shares(handle, turns) for _ in range(8)]
        for connection in connections:
            connection.add([Pingreq()] * SHARE * 2)
        while any(connections):
            log.append("others")
            await asyncio.sleep(0)

    asyncio.run(main())
    assert log.count("packets") == 16
    runs = "".join("p" if entry == "packets" else " " for entry in log).split()
    assert max(map(len, runs)) <= 4
