"""Whatever a server sends, a transport neither crashes nor hangs: it goes on, or closes with a reason."""

import asyncio
import os
import ssl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt_support import KINDS, Network, packets_of, run, says, serving

from buoyfleet.mqtt.codec import (
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    Connect,
    encode_connack,
    encode_connect,
    encode_puback,
    encode_publish,
    encode_pubrel,
    encode_suback,
    encode_subscribe,
)

SENTENCES = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from(
        [
            PINGRESP,
            PINGREQ,
            DISCONNECT,
            encode_connack(False, 0),
            encode_connack(True, 0),
            encode_connack(False, 5),
            encode_puback(1),
            encode_puback(9) * 3,
            encode_suback(4242, b"\x01"),
            encode_suback(77, b"\x80"),
            encode_publish(b"t", b"x"),
            encode_publish(b"t", b"x", 1, packet_id=5),
            encode_publish(b"t", b"x", 2, packet_id=5),
            encode_pubrel(5),
            encode_subscribe(1, ((b"t", 1),)),
            encode_connect(Connect("me")),
            b"\x30\xff\xff\xff\x7f",
        ]
    ),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SENTENCES, min_size=1, max_size=6), st.booleans(), st.integers(0, 200))
def test_no_stream_of_bytes_crashes_or_hangs_a_board(
    kind: str, sentences: list[bytes], connack: bool, cut: int
) -> None:
    stream = (encode_connack(False, 0) if connack else b"") + b"".join(sentences)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                writer.write(stream[:cut])
                await writer.drain()
                writer.write(stream[cut:])
                writer.write_eof()

    async def main() -> None:
        async with serving(serve) as port, Network(kind, port) as network:
            board = network.board("brave")

            def react(name: str) -> None:
                if name == "open":
                    board.client.subscribe((b"t",), 1, 4242)
                    board.client.publish(b"t", b"x", 1, 9, False)
                    board.client.flush()

            board.heard.on_event = react
            board.call("open")
            # The server ends every connection, so a transport that is alive must tell of the end.
            await board.heard.event("closed")
            assert board.heard.names().count("closed") == 1
            assert board.heard.names()[-1] == "closed"
            assert board.heard.names().count("open") <= 1
            assert board.heard.reasons[0]
            assert not board.client.writable

    run(main())


@pytest.mark.parametrize(
    ("answer", "connack", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "PUBACK with reserved flags"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, "reserved flags"),
        (PINGRESP, False, "PINGRESP before CONNACK"),
        (encode_puback(3), False, "PUBACK before CONNACK"),
        (encode_connack(False, 0), True, "unexpected CONNACK"),
        (PINGREQ, True, "unexpected PINGREQ"),
        (encode_publish(b"t", b"", 2, packet_id=1), True, "unexpected PUBLISH"),
        (encode_pubrel(1), True, "unexpected PUBREL"),
        (b"\x40\x02\x00\x00", True, "PUBACK with packet id 0"),
        (b"\x30\xff\xff\xff\x7f", True, "packet of 268435460 bytes"),
        (b"\xf0\x00", True, "reserved packet type 15"),
        (b"\xff" * 100, True, "more than four bytes"),
    ],
)
def test_a_board_of_the_fleet_says_what_was_wrong(answer: bytes, connack: bool, reason: str) -> None:
    async def main() -> None:
        async with serving(says(answer, connack=connack)) as port, Network("fleet", port) as network:
            board = network.board("strict")
            board.call("open")
            await board.heard.event("closed")
            assert reason in board.heard.reasons[0]
            assert f"not MQTT 3.1.1 from 127.0.0.1:{port}" in board.heard.reasons[0]

    run(main())


# paho-mqtt does not tell its caller of code 1.
@pytest.mark.parametrize(
    ("kind", "code"), [("fleet", 1), *((k, code) for k in KINDS for code in range(2, 6))]
)
def test_every_refusal_of_connack_is_told_with_its_code(kind: str, code: int) -> None:
    async def main() -> None:
        answer = encode_connack(False, code)
        async with serving(says(answer, connack=False)) as port, Network(kind, port) as network:
            board = network.board("refused")
            board.call("open")
            await board.heard.event("closed")
            assert board.heard.names() == ["closed"]
            assert board.heard.reasons[0].endswith(f"(CONNACK {code})")

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_valid_packets_before_the_fault_still_count(kind: str) -> None:
    answer = encode_publish(b"t", b"before") + b"\xf0\x00"

    async def main() -> None:
        async with serving(says(answer)) as port, Network(kind, port) as network:
            board = network.board("fair")
            board.call("open")
            await board.heard.event("closed")
            assert board.heard.events[:2] == [("open", False), ("message", b"t", b"before", False)]

    run(main())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", [b"", encode_connack(False, 0)[:3], b"\x20"])
def test_a_silent_broker_leaves_the_deadline_to_the_owner_and_close_ends_it(kind: str, half: bytes) -> None:
    async def main() -> None:
        async with serving(says(half, connack=False)) as port, Network(kind, port) as network:
            silent = [network.board(f"waits-{number}") for number in range(3)]
            for board in silent:
                board.call("open")
            while network.shared.open_count < len(silent):
                await asyncio.sleep(0.001)
            for board in silent:
                assert board.heard.events == []
                assert not board.client.writable
                board.call("close")
            while network.shared.open_count:
                await asyncio.sleep(0.001)
            assert [board.heard.events for board in silent] == [[]] * 3

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_that_resets_every_connection_is_told_each_time(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async def main() -> None:
        async with serving(serve) as port, Network(kind, port) as network:
            board = network.board("stubborn")
            for times in range(1, 4):
                board.call("open")
                await board.heard.until(lambda times=times: len(board.heard.reasons) == times)
            assert all("before CONNACK" in reason for reason in board.heard.reasons)

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_never_finishes_the_tls_handshake_is_left_when_the_owner_closes(kind: str) -> None:
    hung = asyncio.Event()
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        hung.set()
        while await reader.read(65_536):
            pass
        ended.set()

    async def main() -> None:
        options = {} if kind == "fleet" else {"connect_timeout_s": 0.3}
        async with (
            serving(serve) as port,
            Network(kind, port, tls=ssl.create_default_context(), **options) as network,
        ):
            board = network.board("patient")
            board.call("open")
            await hung.wait()
            board.call("close")
            # paho's handshake is in a thread: it ends by its own timeout.
            await asyncio.wait_for(ended.wait(), 3)
            assert board.heard.events == []

    run(main())


def test_boards_leak_no_descriptors_however_connections_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\xff" * 10)

    async def main() -> None:
        async with serving(serve) as port:
            before = len(os.listdir("/proc/self/fd"))
            for kind in KINDS:
                async with Network(kind, port) as network:
                    boards = [network.board(f"leaky-{number}") for number in range(20)]
                    for number, board in enumerate(boards):
                        board.call("open")
                        if number % 3 == 0:
                            board.call("close")
                    for number, board in enumerate(boards):
                        if number % 3:
                            await board.heard.event("closed")
            while len(os.listdir("/proc/self/fd")) > before:
                await asyncio.sleep(0.01)

    run(main())
