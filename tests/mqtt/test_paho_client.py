"""What is particular to the paho transport: descriptors, back-pressure, threads that connect."""

import asyncio
import os
import threading
from typing import Any

from mqtt_support import Network, packets_of, run, serving

from buoyfleet.mqtt.codec import Connect, Publish, encode_connack, encode_puback, encode_publish
from buoyfleet.mqtt.paho_client import HIGH_WATER_BYTES


def test_a_client_costs_one_descriptor_and_no_thread_of_its_own(mosquitto: Any) -> None:
    async def main() -> None:
        async with Network("paho", mosquitto.port) as network:
            threads_before = threading.active_count()
            await network.board("first").opened()
            descriptors = len(os.listdir("/proc/self/fd"))
            boards = [await network.board(f"more-{number}").opened() for number in range(50)]
            # At most: what tests before this one left open may be closed meanwhile.
            assert len(os.listdir("/proc/self/fd")) <= descriptors + len(boards)
            # A few threads make connections, however many clients there are; none is paho's own.
            assert not [thread for thread in threading.enumerate() if thread.name.startswith("paho-mqtt")]
            assert threading.active_count() - threads_before <= 16

    run(main())


def test_boards_connect_side_by_side_though_paho_connects_blocking() -> None:
    waiting: list[asyncio.StreamWriter] = []
    all_there = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                waiting.append(writer)
                if len(waiting) == 40:
                    all_there.set()

    async def main() -> None:
        async with serving(serve) as port, Network("paho", port) as network:
            for number in range(40):
                network.board(f"board-{number}").call("open")
            # None gets its CONNACK before all are there: the loop runs on, and threads are not held.
            await asyncio.wait_for(all_there.wait(), 100)
            for writer in waiting:
                writer.write(encode_connack(False, 0))
            for board in network.boards:
                await board.heard.event("open")

    run(main())


def test_acknowledgements_and_messages_reach_the_listener_in_the_order_they_came() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ids = []
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                writer.write(encode_connack(False, 0))
            elif isinstance(packet, Publish):
                ids.append(packet.packet_id)
                if len(ids) == 3:
                    acks = [encode_puback(packet_id) for packet_id in ids]
                    writer.write(acks[0] + acks[1] + encode_publish(b"t", b"m") + acks[2])

    async def main() -> None:
        async with serving(serve) as port, Network("paho", port) as network:
            board = await network.board("ordered").opened()
            for packet_id in (7, 8, 9):
                board.publish(b"t", b"x", packet_id)
            board.call("flush")
            await board.heard.until(lambda: len(board.heard.acked) == 3)
            assert board.heard.events[1:] == [
                ("pubacks", [7, 8]),
                ("message", b"t", b"m", False),
                ("pubacks", [9]),
            ]

    run(main())


def test_a_broker_that_stops_reading_makes_paho_unwritable_until_it_reads_again() -> None:
    read_on = asyncio.Event()
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(encode_connack(False, 0))
        await read_on.wait()
        async for packet in packets_of(reader):
            received.append(getattr(packet, "payload", b""))  # noqa: PERF401 - counted while it grows

    async def main() -> None:
        async with serving(serve, small_buffers=True) as port, Network("paho", port) as network:
            board = await network.board("board").opened()
            sent = quiet = 0
            while quiet < 20:
                quiet += 1
                queued = 0
                while board.client.writable:
                    queued += 1
                    quiet = 0
                    board.publish(b"t", b"%d" % sent + b" " * 1000)
                    sent += 1
                assert queued < 2 * HIGH_WATER_BYTES / 1000
                board.call("flush")
                await asyncio.sleep(0)
            board.heard.events.clear()
            read_on.set()
            await board.heard.event("writable")
            assert board.client.writable
            while len(received) < sent:
                await asyncio.sleep(0.001)
            assert [int(payload) for payload in received[:sent]] == list(range(sent))

    run(main())
