"""Both transports against mosquitto: the fleet client and paho behind one contract."""

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt_support import KINDS, Network, run

from buoyfleet.mqtt.codec import Connect, Will

pytestmark = pytest.mark.parametrize("kind", KINDS)

OTHER = {"fleet": "paho", "paho": "fleet"}


def test_messages_of_both_qos_arrive_unchanged(kind: str, mosquitto: Any) -> None:
    payloads = [b"", b"\0\xff", b'{"do": 7.0}', b"x" * 130, b"y" * 20_000]

    async def main() -> None:
        # The subscriber is the other implementation: neither reads what it wrote itself.
        async with Network(OTHER[kind], mosquitto.port) as watching, Network(kind, mosquitto.port) as sending:
            watcher = await (await watching.board("watcher").opened()).subscribed(b"arrive/+/data/")
            board = await sending.board("board").opened()
            for number, payload in enumerate(payloads, 1):
                board.publish(b"arrive/0/data/", payload)
                board.publish(b"arrive/1/data/", payload, number)
            board.call("flush")
            await watcher.heard.until(lambda: len(watcher.heard.messages) == 2 * len(payloads))
            sent = [(b"arrive/%d/data/" % qos, payload, False) for payload in payloads for qos in (0, 1)]
            assert sorted(watcher.heard.messages) == sorted(sent)
            await board.heard.until(lambda: len(board.heard.acked) == len(payloads))

    run(main())


def test_every_acknowledgement_comes_under_the_links_own_packet_id(kind: str, mosquitto: Any) -> None:
    packet_ids = [7, 65_535, 1, 300, 2]

    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            board = await network.board("own-ids").opened()
            for packet_id in packet_ids:
                board.publish(b"ids/", b"x", packet_id)
            assert board.heard.acked == []
            board.call("flush")
            await board.heard.until(lambda: len(board.heard.acked) == len(packet_ids))
            assert sorted(board.heard.acked) == sorted(packet_ids)
            # Used again later, as a link does.
            board.publish(b"ids/", b"x", 7)
            board.call("flush")
            await board.heard.until(lambda: board.heard.acked.count(7) == 2)

    run(main())


def test_nothing_leaves_before_flush(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(OTHER[kind], mosquitto.port) as watching, Network(kind, mosquitto.port) as sending:
            watcher = await (await watching.board("watcher").opened()).subscribed(b"held/")
            board, marker = await sending.board("board").opened(), await sending.board("marker").opened()
            board.publish(b"held/", b"queued", 1)
            marker.publish(b"held/", b"marker", 1)
            marker.call("flush")
            await marker.heard.event("pubacks")
            await watcher.heard.until(lambda: watcher.heard.messages == [(b"held/", b"marker", False)])
            board.call("flush")
            await watcher.heard.until(lambda: len(watcher.heard.messages) == 2)

    run(main())


def test_a_retained_configuration_arrives_on_subscribing_and_is_marked(kind: str, mosquitto: Any) -> None:
    topic = f"retained/{kind}/config/global/"
    publish = [mosquitto.pub, "-p", str(mosquitto.port), "-t", topic, "-q", "1"]
    subprocess.run([*publish, "-r", "-m", "kept"], check=True, timeout=100)

    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            board = await (await network.board("retained").opened()).subscribed(topic.encode())
            await board.heard.until(lambda: board.heard.messages == [(topic.encode(), b"kept", True)])
            live = await asyncio.create_subprocess_exec(*publish, "-m", "live")
            await board.heard.until(lambda: (topic.encode(), b"live", False) in board.heard.messages)
            assert await live.wait() == 0

    run(main())


def test_one_subscribe_asks_for_all_topics_and_reports_each_answer(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            board = await network.board("two-topics").opened()
            board.call("subscribe", (b"a/config/global/", b"a/config/sensor/"), 1, 9)
            board.call("flush")
            assert await board.heard.event("suback") == ("suback", 9, b"\x01\x01")

    run(main())


def test_the_will_is_published_when_a_board_vanishes_and_not_when_it_says_goodbye(
    kind: str, mosquitto: Any
) -> None:
    def connect(name: str) -> Connect:
        return Connect(name, will=Will(f"will/{kind}/".encode(), name.encode(), 1))

    async def main() -> None:
        async with Network(OTHER[kind], mosquitto.port) as watching, Network(kind, mosquitto.port) as network:
            watcher = await (await watching.board("watcher").opened()).subscribed(f"will/{kind}/".encode())
            (await network.board(connect("polite")).opened()).call("disconnect")
            (await network.board(connect("vanished")).opened()).call("close")
            await watcher.heard.until(lambda: watcher.heard.messages)
            (await network.board(connect("last")).opened()).call("close")
            await watcher.heard.until(lambda: len(watcher.heard.messages) == 2)
            assert [payload for _, payload, _ in watcher.heard.messages] == [b"vanished", b"last"]

    run(main())


def test_a_persistent_session_keeps_messages_while_the_board_sleeps(kind: str, mosquitto: Any) -> None:
    topic = f"persistent/{kind}/config/".encode()
    connect = Connect(f"sleeper-{kind}", clean_session=False)

    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            first = await (await network.board(connect).opened()).subscribed(topic)
            assert first.heard.events[0] == ("open", False)
            first.call("disconnect")
            other = await network.board("sender").opened()
            other.publish(topic, b"while asleep", 1)
            other.call("flush")
            await other.heard.event("pubacks")
            second = await network.board(connect).opened()
            assert second.heard.events[0] == ("open", True)
            await second.heard.until(lambda: second.heard.messages == [(topic, b"while asleep", False)])
            # It was acknowledged: a third connection does not get it again.
            second.call("ping")
            second.call("flush")
            await second.heard.event("pong")
            second.call("disconnect")
            third = await network.board(connect).opened()
            third.call("ping")
            third.call("flush")
            await third.heard.event("pong")
            assert third.heard.messages == []

    run(main())


def test_a_ping_is_answered(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            alive = await network.board("pings").opened()
            alive.call("ping")
            alive.call("flush")
            await alive.heard.event("pong")
            assert alive.heard.names() == ["open", "pong"]

    run(main())


def test_credentials_are_sent_and_a_refusal_says_why(
    kind: str, start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", b"s3cret", salt, 101)
    encoded = "$".join(base64.b64encode(part).decode() for part in (salt, digest))
    passwords = tmp_path / "passwords"
    passwords.write_text(f"buoy:$7$101${encoded}\n")
    passwords.chmod(0o600)
    broker = start_mosquitto(["allow_anonymous false", f"password_file {passwords}"])

    async def main() -> None:
        async with Network(kind, broker.port) as network:
            await network.board(Connect("known", username="buoy", password=b"s3cret")).opened()
            for connect in (Connect("wrong", username="buoy", password=b"guess"), Connect("nobody")):
                refused = network.board(connect)
                refused.call("open")
                assert await refused.heard.event("closed") == (
                    "closed",
                    "refused: not authorised (CONNACK 5)",
                )
                assert refused.heard.names() == ["closed"]

    run(main())


def test_nobody_listening_is_told_once_with_the_address(kind: str, free_port: int) -> None:
    async def main() -> None:
        async with Network(kind, free_port) as network:
            board = network.board("alone")
            board.call("open")
            await board.heard.event("closed")
            assert board.heard.reasons == [f"cannot connect to 127.0.0.1:{free_port}: Connection refused"]
            # And again, as a link does after its back-off.
            board.call("open")
            await board.heard.until(lambda: len(board.heard.reasons) == 2)

    run(main())


def test_a_broker_killed_in_mid_run_is_noticed_and_reconnected_to(
    kind: str, start_mosquitto: Callable[..., Any]
) -> None:
    broker = start_mosquitto()

    async def main() -> None:
        async with Network(kind, broker.port) as network:
            boards = [await network.board(f"board-{number}").opened() for number in range(5)]
            for board in boards:
                for packet_id in range(1, 101):
                    board.publish(b"killed/", b"x" * 100, packet_id)
                board.call("flush")
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            for board in boards:
                await board.heard.event("closed")
                assert board.heard.names().count("closed") == 1
                assert "127.0.0.1" in board.heard.reasons[0]
                assert not board.client.writable
            broker.start()
            for board in boards:
                board.heard.events.clear()
                await board.opened()
                board.publish(b"killed/", b"again", 3)
                board.call("flush")
                await board.heard.until(lambda board=board: board.heard.acked == [3])

    run(main())


def test_a_closed_board_hears_nothing_more_even_of_a_later_connection(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            board = await (await network.board("closing").opened()).subscribed(b"closing/")
            board.publish(b"closing/", b"never seen", 1)
            board.call("flush")
            board.call("close")
            quiet = list(board.heard.events)
            board.call("open")
            board.call("close")
            board.call("open")
            board.call("disconnect")
            witness = await network.board("later").opened()
            witness.call("ping")
            witness.call("flush")
            await witness.heard.event("pong")
            assert board.heard.events == quiet
            await board.opened()

    run(main())


def test_what_was_queued_for_one_connection_never_leaves_on_the_next(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            board = await (await network.board("forgets").opened()).subscribed(b"forgets/")
            board.publish(b"forgets/", b"stale", 1)
            board.call("close")
            board.heard.events.clear()
            await board.opened()
            board.call("flush")
            board.call("close")
            board.publish(b"forgets/", b"while closed", 2)
            board.heard.events.clear()
            await (await board.opened()).subscribed(b"forgets/")
            board.publish(b"forgets/", b"fresh", 3)
            board.call("flush")
            await board.heard.until(lambda: board.heard.acked and board.heard.messages)
            assert board.heard.acked == [3]
            assert board.heard.messages == [(b"forgets/", b"fresh", False)]

    run(main())


def test_the_listener_may_call_anything_from_an_event(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            board = network.board("reacts")
            heard = board.heard

            def react(name: str) -> None:
                if name == "open":
                    board.client.subscribe((b"reacts/",), 1, 1)
                    board.client.publish(b"reacts/", b"early", 1, 2, False)
                    board.client.flush()
                elif name == "message":
                    board.client.close()
                    board.client.open()
                    heard.on_event = None

            heard.on_event = react
            board.call("open")
            await heard.until(lambda: heard.names().count("open") == 2)
            assert heard.messages == [(b"reacts/", b"early", False)]

    run(main())


def test_a_thousand_boards_connect_publish_and_leave_in_one_process(kind: str, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port) as network:
            boards = [network.board(f"thousand-{number}") for number in range(1000)]
            for board in boards:
                board.call("open")
            for board in boards:
                await board.heard.event("open", 15)
            assert network.shared.open_count == 1000
            for board in boards:
                board.publish(b"thousand/", b"x" * 130, 11)
                board.call("flush")
            for board in boards:
                await board.heard.until(lambda board=board: board.heard.acked == [11])

    run(main(), deadline_s=30)
