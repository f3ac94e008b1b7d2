"""The fleet client by itself: back-pressure, keep-alive, sources, and how many connect at a time."""

import asyncio
import socket
from typing import Any

import pytest
import uvloop
from mqtt_support import Network, accept_and_hold, packets_of, run, serving

from buoyfleet.mqtt.codec import (
    Connect,
    encode_connack,
    encode_connect,
    encode_puback,
    encode_publish,
)
from buoyfleet.mqtt.dialler import BOARDS_PER_SOURCE
from buoyfleet.mqtt.fleet_client import HIGH_WATER_BYTES

CONNECT = encode_connect(Connect("board"))


def test_a_board_that_keeps_silent_is_dropped_by_the_broker_and_told(mosquitto: Any) -> None:
    async def main() -> None:
        async with Network("fleet", mosquitto.port) as network:
            board = await network.board(Connect("silent", keep_alive_s=1)).opened()
            await board.heard.event("closed", 15)
            assert board.heard.reasons == [f"closed by 127.0.0.1:{mosquitto.port}"]

    run(main())


@pytest.mark.parametrize("messages_per_flush", [1, 1000])
def test_a_broker_that_stops_reading_makes_the_board_unwritable_until_it_reads_again(
    messages_per_flush: int,
) -> None:
    read_on = asyncio.Event()
    received: list[int] = []
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(CONNECT))
        writer.write(encode_connack(False, 0))
        await read_on.wait()
        async for packet in packets_of(reader):
            received.append(getattr(packet, "packet_id", 0))  # noqa: PERF401 - counted while it grows

    async def main() -> None:
        nonlocal sent
        async with serving(serve, small_buffers=True) as port, Network("fleet", port) as network:
            board = await network.board("board").opened()
            assert board.client.writable
            # As a link that sends while it may: system buffers take some megabytes, our own only a little.
            quiet = 0
            while quiet < 20:
                quiet += 1
                while board.client.writable:
                    sent += 1
                    quiet = 0
                    board.publish(b"t", b"x" * 1000, sent)
                    if sent % messages_per_flush == 0:
                        board.call("flush")
                board.call("flush")
                await asyncio.sleep(0)
            wire = board.client._wire
            assert wire.transport.get_write_buffer_size() < 3 * HIGH_WATER_BYTES
            board.heard.events.clear()
            read_on.set()
            await board.heard.event("writable")
            assert board.client.writable
            while len(received) < sent:
                await asyncio.sleep(0.001)
            assert received == list(range(1, sent + 1))

    run(main())


def test_writable_turns_false_before_a_flush_so_that_one_turn_cannot_queue_without_end(
    mosquitto: Any,
) -> None:
    async def main() -> None:
        async with Network("fleet", mosquitto.port) as network:
            board = await network.board("bounded").opened()
            queued = 0
            while board.client.writable:
                board.publish(b"t", b"x" * 1000)
                queued += 1
            assert HIGH_WATER_BYTES / 1100 < queued < HIGH_WATER_BYTES / 900
            board.call("flush")
            await board.heard.event("writable")

    run(main())


def test_a_broker_that_sends_but_never_reads_our_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # The system's own buffers would take a million answers: small ones tell the same in less time.
    monkeypatch.setattr("buoyfleet.mqtt.fleet_client.MAX_UNREAD_BYTES", 100_000)
    begin = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(CONNECT))
        writer.write(encode_connack(False, 0))
        await begin.wait()
        flood = encode_publish(b"t", b"", 1, packet_id=1) * 1000
        while True:
            writer.write(flood)
            await writer.drain()

    async def main() -> None:
        async with serving(serve, small_buffers=True) as port, Network("fleet", port) as network:
            board = await network.board("board").opened()
            system = board.client._wire.transport.get_extra_info("socket")
            system.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
            begin.set()
            await board.heard.event("closed", 15)
            assert board.heard.reasons == [f"127.0.0.1:{port} sends but does not read"]
            assert len(board.heard.messages) * 4 > 100_000

    run(main())


def test_acknowledgements_before_and_after_other_packets_reach_the_listener_in_order() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                acks = [encode_puback(packet_id) for packet_id in (1, 2, 3, 4)]
                stream = encode_connack(True, 0) + acks[0] + acks[1] + encode_publish(b"t", b"m") + acks[2]
                # Split inside the third PUBACK, and a run of whole ones after it.
                writer.write(stream[:-2])
                await writer.drain()
                await asyncio.sleep(0.02)  # lets the pieces arrive apart; either way the result is the same
                writer.write(stream[-2:] + acks[3])

    async def main() -> None:
        async with serving(serve) as port, Network("fleet", port) as network:
            board = await network.board("mixed").opened()
            await board.heard.until(lambda: board.heard.acked == [1, 2, 3, 4])
            assert board.heard.events[:3] == [
                ("open", True),
                ("pubacks", [1, 2]),
                ("message", b"t", b"m", False),
            ]

    run(main())


def test_a_goodbye_to_a_broker_that_does_not_read_ends_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buoyfleet.mqtt.dialler.LINGER_S", 0.1)
    stop = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(CONNECT))
        writer.write(encode_connack(False, 0))
        await stop.wait()

    async def main() -> None:
        async with serving(serve, small_buffers=True) as port, Network("fleet", port) as network:
            board = await network.board("board").opened()
            for _ in range(100):
                board.publish(b"t", b"x" * 100_000)
            board.call("disconnect")
            assert network.shared.open_count == 1
            while network.shared.open_count:
                await asyncio.sleep(0.01)
            stop.set()

    run(main(), deadline_s=5)


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({}, "127.0.0.1"),
        ({"sources": ["127.9.9.9"]}, "127.9.9.9"),
        ({"first_number": 3 * BOARDS_PER_SOURCE}, "127.0.0.4"),
        ({"first_number": BOARDS_PER_SOURCE - 1}, "127.0.0.1"),
    ],
)
def test_boards_beyond_the_ports_of_one_address_leave_from_the_next(options: Any, source: str) -> None:
    peers: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await accept_and_hold(reader, writer)

    async def main() -> None:
        async with serving(serve) as port, Network("fleet", port, **options) as network:
            await network.board("sourced").opened()
            assert peers == [source]

    run(main())


def test_a_given_list_of_sources_is_used_in_turn() -> None:
    peers: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await accept_and_hold(reader, writer)

    async def main() -> None:
        async with (
            serving(serve) as port,
            Network("fleet", port, sources=["127.0.0.2", "127.0.0.3"]) as network,
        ):
            for number in range(4):
                await network.board(f"sourced-{number}").opened()
            assert peers == ["127.0.0.2", "127.0.0.3"] * 2

    run(main())


def test_few_boards_are_between_open_and_connack_at_a_time_and_all_get_their_turn() -> None:
    waiting: dict[str, asyncio.StreamWriter] = {}
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                waiting[packet.client_id] = writer
                arrived.set()

    async def main() -> None:
        async with serving(serve) as port, Network("fleet", port, max_connecting=3) as network:
            boards = [network.board(f"board-{number}") for number in range(10)]
            for board in boards:
                board.call("open")
            opened = 0
            while opened < len(boards):
                turn = [f"board-{number}" for number in range(opened, min(opened + 3, len(boards)))]
                while len(waiting) < len(turn):
                    arrived.clear()
                    await arrived.wait()
                assert sorted(waiting) == turn
                assert network.shared.connecting_count == len(turn)
                # One is refused, one accepted, one given up by its owner: each makes room for the next.
                for place, name in enumerate(turn):
                    if place < 2:
                        waiting[name].write(encode_connack(False, 3 if place == 0 else 0))
                    else:
                        boards[opened + place].call("close")
                waiting.clear()
                opened += len(turn)
            for board in boards:
                if not board.heard.events and board.client._wire is not None:
                    await board.heard.until(lambda board=board: board.heard.events)
            told = [board.heard.names() for board in boards]
            assert told == [["closed"], ["open"], []] * 3 + [["closed"]]

    run(main())


def test_a_board_closed_in_the_very_moment_it_connects_leaves_nothing_open() -> None:
    async def main() -> None:
        async with serving(accept_and_hold) as port, Network("fleet", port) as network:
            board = network.board("hasty")
            made = network.shared.made
            closed = asyncio.Event()

            def close() -> None:
                board.call("close")
                closed.set()

            def made_and_closed(wire: Any) -> None:
                made(wire)
                asyncio.get_running_loop().call_soon(close)

            network.shared.made = made_and_closed
            board.call("open")
            await closed.wait()
            while network.shared.open_count:
                await asyncio.sleep(0)
            assert network.shared.connecting_count == 0
            assert board.heard.events == []

    run(main(), deadline_s=5)


def test_a_name_is_resolved_once_for_all_boards_and_every_address_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    really = uvloop.Loop.getaddrinfo

    async def getaddrinfo(loop: Any, host: str, port: int, **options: Any) -> Any:
        if host != "broker.example":
            return await really(loop, host, port, **options)
        asked.append(host)
        # Nobody listens on the first, as on ::1 of many a "localhost".
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.77", "127.0.0.1")
        ]

    async def main() -> None:
        async with serving(accept_and_hold) as port, Network("fleet", port) as network:
            network.shared.host = "broker.example"
            for number in range(20):
                network.board(f"board-{number}").call("open")
            for board in network.boards:
                await board.heard.event("open")
        assert asked == ["broker.example"]

    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", getaddrinfo)
    run(main())


def test_a_name_without_an_address_is_told_to_every_board() -> None:
    async def main() -> None:
        async with Network("fleet", 1883) as network:
            network.shared.host = "broker..example"
            network.shared.peer = "broker..example:1883"
            for number in range(3):
                network.board(f"board-{number}").call("open")
            for board in network.boards:
                await board.heard.event("closed")
                assert "broker..example:1883" in board.heard.reasons[0]

    run(main())
