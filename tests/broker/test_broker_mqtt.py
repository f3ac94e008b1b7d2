"""What MQTT 3.1.1 asks of a broker, where IoT Core does not differ."""

import asyncio
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from broker_bench import DEADLINE_S, Bench, Client, RawClient

from host.cloud.local.broker import Broker, DisconnectReason, Limits
from host.mqtt.codec import PINGREQ, Connect, Publish, Will, encode_connect, encode_publish

New = Callable[..., Client]
Raw = Callable[..., RawClient]
Start = Callable[..., Bench]


class Tools(Protocol):
    """What the `mosquitto` fixture offers beside its broker."""

    pub: Path
    sub: Path


# QoS


def test_the_sink_gets_every_accepted_message_before_its_acknowledgement(raw: Raw, start: Start) -> None:
    client: list[RawClient] = []
    acknowledged_before: list[int] = []

    def sink(*_: object) -> None:
        acknowledged_before.append(len(client[0].acks))

    bench = start(sink=sink)
    client.append(raw(bench.port))
    client[0].connect("buoy-100")
    for _ in range(3):
        client[0].publish("t")
        assert client[0].fence()
    assert acknowledged_before == [0, 1, 2]


def test_the_sink_is_told_topic_payload_flags_and_client(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(encode_publish("aws/0/100/data/é".encode(), b"\x00\xff", 1, True, True, 7))
    client.send(encode_publish(b"t", b"", 0))
    assert client.fence()
    assert client.acks == [7]
    assert bench.received == [
        ("aws/0/100/data/é", b"\x00\xff", 1, True, True, "buoy-100"),
        ("t", b"", 0, False, False, "buoy-100"),
    ]


def test_a_copy_with_dup_is_passed_on_and_acknowledged_again(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    for dup in (False, True):
        client.send(encode_publish(b"t", b"x", 1, dup=dup, packet_id=7))
    assert client.fence()
    assert client.acks == [7, 7]
    assert [message.dup for message in bench.received] == [False, True]


def test_all_acknowledgements_of_one_read_leave_in_one_write(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(b"".join(encode_publish(b"t", b"x", 1, packet_id=n) for n in range(1, 51)) + PINGREQ)
    data = client.socket.recv(65_536)
    assert len(data) == 50 * 4 + 2


@pytest.mark.parametrize(("published", "granted", "delivered"), [(0, 1, 0), (1, 0, 0), (1, 1, 1), (0, 0, 0)])
def test_the_lower_qos_of_publisher_and_subscriber_counts(
    new_client: New, bench: Bench, published: int, granted: int, delivered: int
) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100")
    assert client.subscribe(("t", granted)) == bytes([granted])
    client.publish("t", qos=published)
    assert client.fence()
    assert [message.qos for message in client.messages] == [delivered]


def test_a_failing_sink_leaves_the_message_unacknowledged_and_the_broker_running(
    raw: Raw, start: Start
) -> None:
    def sink(_: str, payload: bytes, *__: object) -> None:
        if payload == b"bad":
            raise OSError("disk full")

    bench = start(sink=sink)
    client = raw(bench.port)
    client.connect("buoy-100")
    for payload in (b"bad", b"good"):
        client.publish("t", payload)
    assert client.fence()
    assert client.acks == [2]
    assert bench.metric("PublishIn.ServerError") == 1
    assert bench.metric("PublishIn.Success") == 1
    assert bench.refused[0].reason == "sink-failed"
    assert "OSError: disk full" in bench.refused[0].detail


# Subscriptions


def test_unsubscribing_ends_delivery_and_is_answered_even_for_unknown_filters(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.subscribe(("a", 1), ("b/+", 1))
    assert client.unsubscribe("a", "b/+", "never")
    client.publish("a")
    client.publish("b/c")
    assert client.fence()
    assert client.messages == []


def test_overlapping_subscriptions_bring_one_copy_with_the_higher_qos(new_client: New, bench: Bench) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100")
    client.subscribe(("a/#", 0), ("a/b", 1), ("+/b", 0))
    client.publish("a/b")
    assert client.fence()
    assert [message.qos for message in client.messages] == [1]


def test_a_topic_that_was_published_before_reaches_a_later_subscriber(raw: Raw, bench: Bench) -> None:
    """The broker remembers which topics nobody wants; a subscription must undo that."""
    publisher, reader = raw(bench.port), raw(bench.port)
    publisher.connect("publisher")
    reader.connect("reader")
    expected = []
    for topic_filter in ("a/b", "a/+"):
        publisher.publish("a/b", topic_filter.encode() + b" not yet")
        assert publisher.fence()
        reader.subscribe((topic_filter, 0))
        publisher.publish("a/b", topic_filter.encode())
        assert publisher.fence()
        assert reader.unsubscribe(topic_filter)
        publisher.publish("a/b", topic_filter.encode() + b" no more")
        assert publisher.fence()
        expected.append(topic_filter.encode())
    assert reader.fence()
    assert [message.payload for message in reader.messages] == expected


# Retained


def test_an_empty_payload_clears_a_retained_message(new_client: New, bench: Bench) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100")
    client.publish("t", b"kept", retain=True)
    client.publish("t", b"newer", retain=True)
    client.subscribe(("t", 1))
    assert [(m.payload, m.retain, m.qos) for m in client.messages] == [(b"newer", True, 1)]
    client.subscribe(("t", 0))
    assert [(m.payload, m.retain, m.qos) for m in client.messages[1:]] == [(b"newer", True, 0)]
    client.publish("t", b"", retain=True)
    assert client.fence()
    assert client.messages[-1].payload == b""
    client.subscribe(("t", 1))
    assert len(client.messages) == 3
    assert bench.call(lambda: bench.broker.retained) == 0


def test_retained_messages_reach_wildcards_where_that_is_set(raw: Raw, start: Start) -> None:
    bench = start(Limits(retained_to_wildcards=True, hash_matches_parent=True, reserved_topics=False))
    client = raw(bench.port)
    client.connect("buoy-100")
    for topic in ("a", "a/b", "$c/d"):
        client.publish(topic, topic.encode(), retain=True)
    client.subscribe(("a/#", 1))
    assert {message.payload for message in client.messages} == {b"a", b"a/b"}
    client.messages.clear()
    client.subscribe(("#", 0), ("$c/+", 0))
    assert sorted(message.payload for message in client.messages) == [b"$c/d", b"a", b"a/b"]


# Wills


def test_the_will_of_a_client_that_vanishes_is_published_and_kept(new_client: New, bench: Bench) -> None:
    watcher = new_client(bench.port)
    watcher.connect("watcher")
    watcher.subscribe(("gone/#", 1))
    client = new_client(bench.port)
    client.connect("buoy-100", will=Will(b"gone/100", b"bye", 1, True))
    client.vanish()
    bench.eventually(lambda: len(bench.received) == 1, "the will")
    assert bench.received[0] == ("gone/100", b"bye", 1, True, False, "buoy-100")
    assert watcher.fence()
    assert [message.payload for message in watcher.messages] == [b"bye"]
    assert bench.call(lambda: bench.broker.retained) == 1


def test_a_polite_disconnect_discards_the_will(new_client: New, bench: Bench) -> None:
    client = new_client(bench.port)
    client.connect("buoy-100", will=Will(b"gone/100", b"bye"))
    client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    assert bench.received == []
    info = bench.call(lambda: bench.broker.connection_info("buoy-100"))
    assert info is not None
    assert info.disconnect_reason is DisconnectReason.CLIENT_INITIATED_DISCONNECT


def test_a_refused_packet_publishes_the_will_too(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100", will=Will(b"gone/100", b"bye"))
    client.send(b"\xf0\x00")
    assert client.wait_closed()
    assert bench.payloads() == [b"bye"]


# Sessions


def test_a_persistent_session_keeps_subscriptions_and_qos_1_messages(new_client: New, bench: Bench) -> None:
    board = new_client(bench.port)
    first = board.connect("buoy-100", clean=False)
    assert first is not None
    assert not first.session_present
    board.subscribe(("config", 1), ("chatter", 0))
    board.vanish()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner = new_client(bench.port)
    owner.connect("owner")
    owner.publish("config", b"kept")
    owner.publish("chatter", b"not kept: QoS 0 subscription")
    owner.publish("config", b"not kept: QoS 0 message", qos=0)
    assert owner.fence()
    bench.advance(1.0)
    board = new_client(bench.port)
    second = board.connect("buoy-100", clean=False)
    assert second is not None
    assert second.session_present
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"kept"]
    owner.publish("config", b"live")
    assert owner.fence()
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"kept", b"live"]


def test_a_clean_session_ends_the_persistent_one(new_client: New, bench: Bench) -> None:
    board = new_client(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    for clean, present in ((True, False), (False, False)):
        bench.eventually(lambda: bench.broker.connections == 0)
        bench.advance(1.0)
        board = new_client(bench.port)
        answer = board.connect("buoy-100", clean=clean)
        assert answer is not None
        assert answer.session_present == present
        board.publish("config")
        assert board.fence()
        assert board.messages == []
        board.disconnect()


def test_what_a_clean_session_ended_collects_no_more_messages(raw: Raw, start: Start) -> None:
    bench = start(Limits(queue_bytes=1_000))
    board = raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1), ("config/#", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(1.0)
    board = raw(bench.port)
    board.connect("buoy-100")
    for _ in range(5):
        board.publish("config", bytes(500))
        board.publish("config/x", bytes(500))
    assert board.fence()
    assert bench.refused == []


def test_a_resumed_session_does_not_expire_under_its_client(raw: Raw, bench: Bench) -> None:
    board = raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("config", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(1800.0)
    board = raw(bench.port)
    board.connect("buoy-100", clean=False, keep_alive_s=1200)
    for _ in range(3):
        bench.advance(1000.0)
        assert board.fence()
    board.publish("config")
    assert board.fence()
    assert len(board.messages) == 1
    assert bench.call(lambda: bench.broker.sessions) == 1


def test_a_message_that_a_connected_client_never_acknowledges_is_given_up_after_an_hour(
    raw: Raw, bench: Bench
) -> None:
    board = raw(bench.port, acknowledge=False)
    board.connect("buoy-100", keep_alive_s=1200)
    board.subscribe(("config", 1))
    board.publish("config")
    for _ in range(5):
        assert board.fence()
        bench.advance(1000.0)
    assert bench.reasons() == ["delivery-expired"]
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_what_was_not_acknowledged_comes_again_with_dup_and_its_packet_id(raw: Raw, bench: Bench) -> None:
    first = raw(bench.port, acknowledge=False)
    first.connect("buoy-100", clean=False)
    first.subscribe(("t", 1))
    for number in range(3):
        first.publish("t", b"%d" % number)
    assert first.fence()
    assert [message.packet_id for message in first.messages] == [1, 2, 3]
    first.send(b"\x40\x02\x00\x02")
    assert first.fence()
    first.vanish()
    bench.eventually(lambda: bench.broker.connections == 0)
    bench.advance(1.0)
    second = raw(bench.port)
    second.connect("buoy-100", clean=False)
    second.publish("t", b"new")
    assert second.fence()
    seen = {message.payload: (message.packet_id, message.dup) for message in second.messages}
    assert seen.pop(b"new")[0] not in (1, 3)
    assert seen == {b"0": (1, True), b"2": (3, True)}
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_an_acknowledgement_of_nothing_is_ignored(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("buoy-100")
    client.send(b"\x40\x02\x12\x34")
    assert client.fence()


def test_stored_messages_come_at_once_and_in_order_where_the_replay_rate_is_lifted(
    raw: Raw, start: Start
) -> None:
    bench = start(Limits.lifted())
    board, owner = raw(bench.port), raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("t", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner.connect("owner")
    for number in range(250):
        owner.publish("t", b"%d" % number)
    assert owner.fence()
    board = raw(bench.port, acknowledge=False)
    board.connect("buoy-100", clean=False)
    owner.publish("t", b"250")
    assert owner.fence()
    assert board.fence()
    assert len(board.messages) == 100, "no more than may be in flight"
    board.acknowledge = True
    for message in list(board.messages):
        board.send(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))
    while len(board.messages) < 251:
        assert board.packet() is not None
    assert [message.payload for message in board.messages] == [b"%d" % number for number in range(251)]


def test_a_session_holds_no_more_than_its_bound(raw: Raw, start: Start) -> None:
    bench = start(Limits(queue_bytes=10_000))
    board, owner = raw(bench.port), raw(bench.port)
    board.connect("buoy-100", clean=False)
    board.subscribe(("t", 1))
    board.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    owner.connect("owner")
    for _ in range(10):
        owner.publish("t", bytes(2_000))
    assert owner.fence()
    assert bench.call(lambda: bench.broker.waiting) == 4
    assert bench.reasons() == ["delivery-queue-full"] * 6
    assert len(owner.acks) == 10


def test_what_was_acknowledged_no_longer_counts_against_the_bound(raw: Raw, start: Start) -> None:
    bench = start(Limits(queue_bytes=10_000, in_flight_out=1))
    client = raw(bench.port)
    client.connect("buoy-100")
    client.subscribe(("t", 1))
    for number in range(1, 21):
        client.publish("t", bytes(2_000))
        while len(client.messages) < number:
            assert client.fence()
    client.send(b"".join(encode_publish(b"t", bytes(2_000), 1, packet_id=100 + n) for n in range(3)))
    while len(client.messages) < 23:
        assert client.fence()
    assert bench.refused == []


def test_a_client_without_an_id_is_given_one(raw: Raw, bench: Bench) -> None:
    for _ in range(2):
        answer = raw(bench.port).connect("")
        assert answer is not None
        assert answer.code == 0
    assert bench.connected() == 2
    refused = raw(bench.port).connect("", clean=False)
    assert refused is not None
    assert refused.code == 2


# What throughput holds back


def test_a_client_that_leaves_while_its_messages_are_held_back_loses_none(raw: Raw, start: Start) -> None:
    bench = start(Limits(bytes_in_per_s=1_000))
    client = raw(bench.port)
    client.connect("buoy-100", will=Will(b"gone", b"no"))
    for number in range(5):
        client.publish("t", b"%d" % number * 1_200, qos=0)
    client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    assert bench.payloads() == [b"%d" % number * 1_200 for number in range(5)]


def test_messages_still_held_back_when_the_broker_ends_the_connection_are_named(
    raw: Raw, start: Start
) -> None:
    bench = start(Limits(bytes_in_per_s=1_000))
    client = raw(bench.port)
    client.connect("buoy-100")
    for number in range(3):
        client.publish("t", b"%d" % number * 1_200)
    bench.eventually(lambda: "throughput-delay" in bench.broker.refusals())
    bench.clock.now_s += 1.0
    raw(bench.port).connect("buoy-100")
    assert client.wait_closed()
    assert client.acks in ([1], [1, 2]), "the timer may have let one more pass"
    lost = [refusal.payload for refusal in bench.refused if refusal.payload is not None]
    assert lost == [b"%d" % number * 1_200 for number in range(len(client.acks), 3)]
    assert bench.metric("PublishIn.Throttle") == len(lost)


def test_no_more_is_held_back_than_a_session_may_hold(raw: Raw, start: Start) -> None:
    bench = start(Limits(bytes_in_per_s=1_000, publishes_in_per_s=None, queue_bytes=10_000))
    client, other = raw(bench.port), raw(bench.port)
    client.connect("buoy-100")
    other.connect("other")
    for _ in range(100):
        client.publish("t", bytes(10_000), qos=0)
    held = bench.broker._clients["buoy-100"]._held
    bench.eventually(lambda: held.size_bytes > 10_000)
    assert other.fence()
    assert bench.call(lambda: held.size_bytes) < 10_000 + 256 * 1024, "at most one read above the bound"


# A reader that does not read


def test_a_subscriber_that_does_not_read_neither_stops_nor_bloats_the_broker(raw: Raw, start: Start) -> None:
    bench = start(Limits.lifted())
    stuck, reader, writer = raw(bench.port), raw(bench.port), raw(bench.port)
    for client, name in ((stuck, "stuck"), (reader, "reader"), (writer, "writer")):
        client.connect(name)
    stuck.subscribe(("t", 0))
    reader.subscribe(("t", 0))
    size, count = 100_000, 400
    for _ in range(count):
        writer.publish("t", bytes(size), qos=0)
        if not writer.acks:
            reader.wait_message()
    assert writer.fence()
    assert len(reader.messages) == count
    waiting = bench.call(lambda: bench.broker.waiting)
    assert 0 < waiting < count
    assert waiting * size <= Limits().queue_bytes
    assert "delivery-queue-full" in bench.reasons()
    while stuck.packet() is not None and len(stuck.messages) < waiting:
        pass
    assert bench.connected() == 3


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
    subprocess.run(command, input=lines, text=True, timeout=20, check=True)
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

    asyncio.run(asyncio.wait_for(fleet(), 20))
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
