"""IoT Core's rates and windows, with paho and with our codec, on a clock that a test turns."""

from collections.abc import Callable
from dataclasses import replace

from broker_bench import Bench
from broker_clients import Client, RawClient, connected

from buoyfleet.cloud.local.broker import Limits

New = Callable[..., Client]
Start = Callable[..., Bench]
Raw = Callable[..., RawClient]

UNAVAILABLE = 3
"""CONNACK: server unavailable."""

# Connects per second, per account and per client id


def test_one_client_id_connects_once_a_second(new_client: New, bench: Bench) -> None:
    connected(new_client, bench).disconnect()
    answer = new_client(bench.port).connect("buoy-100")
    assert answer is not None
    assert answer.code == UNAVAILABLE
    assert bench.metric("Connect.ClientIDThrottle") == 1
    assert bench.reasons() == ["client-id-rate"]
    bench.advance(0.9)
    again = new_client(bench.port).connect("buoy-100")
    assert again is not None
    assert again.code == UNAVAILABLE
    bench.advance(0.1)
    connected(new_client, bench)


def test_an_account_connects_at_its_rate(new_client: New, start: Start) -> None:
    bench = start(Limits(connects_per_s=3))
    for number in range(3):
        connected(new_client, bench, f"buoy-{number}")
    answer = new_client(bench.port).connect("buoy-3")
    assert answer is not None
    assert answer.code == UNAVAILABLE
    assert bench.metric("Connect.Throttle") == 1
    assert bench.refused[0].detail == "CONNECT 4 of this second in the account; 3 allowed"
    bench.advance(1.0)
    connected(new_client, bench, "buoy-3")


# Publishes per second and account


def test_an_account_publishes_at_its_rate(new_client: New, start: Start) -> None:
    bench = start(Limits(account_publishes_in_per_s=4))
    first, second = connected(new_client, bench, "a"), connected(new_client, bench, "b")
    for _ in range(3):
        first.publish("t")
        assert first.fence()
        second.publish("t")
        assert second.fence()
    assert len(first.acks) + len(second.acks) == 4
    assert bench.metric("PublishIn.Throttle") == 2
    assert bench.reasons() == ["account-publish-rate"] * 2


def test_deliveries_and_rule_matches_share_the_accounts_outbound_rate(new_client: New, start: Start) -> None:
    bench = start(Limits(account_publishes_out_per_s=3))
    client = connected(new_client, bench)
    client.subscribe(("t", 1))
    assert bench.call(lambda: bench.broker.charge_rule_matches(2))
    client.publish("t", b"1")
    client.publish("t", b"2")
    assert client.fence()
    assert [message.payload for message in client.messages] == [b"1"]
    assert bench.metric("PublishOut.Throttle") == 1
    assert bench.reasons() == ["delivery-account-rate"]
    assert not bench.call(lambda: bench.broker.charge_rule_matches(1))
    assert len(client.acks) == 2, "what the account may not send out was taken in all the same"


# Per connection: 100 publishes a second each way, 512 KiB/s


def test_the_101st_publish_of_a_second_is_discarded_without_an_answer(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench)
    for number in range(103):
        client.publish("aws/0/100/data/", b"%d" % number)
    assert client.fence()
    assert len(client.acks) == 100
    assert bench.payloads() == [b"%d" % number for number in range(100)]
    assert bench.metric("PublishIn.Success") == 100
    assert bench.metric("PublishIn.Throttle") == 3
    lost = bench.refused[-1]
    assert lost.reason == "publish-rate"
    assert (lost.client_id, lost.topic, lost.payload) == ("buoy-100", "aws/0/100/data/", b"102")
    assert lost.detail == "message 103 of this second on one connection: 100 are taken"
    bench.advance(1.0)
    client.publish("aws/0/100/data/", b"later")
    assert client.fence()
    assert bench.payloads()[-1] == b"later"


def test_a_subscriber_gets_100_messages_a_second_of_a_fleets_300(new_client: New, bench: Bench) -> None:
    witness = connected(new_client, bench, "witness")
    witness.subscribe(("aws/0/+/data/", 1))
    boards = [connected(new_client, bench, f"buoy-{number}") for number in range(3)]
    for board in boards:
        for _ in range(100):
            board.publish("aws/0/1/data/")
        assert board.fence()
    assert witness.fence()
    assert len(witness.messages) == 100
    assert bench.metric("PublishIn.Success") == 300
    assert bench.metric("PublishOut.Throttle") == 200
    assert set(bench.reasons()) == {"delivery-rate"}
    assert bench.refused[0].client_id == "witness"
    assert bench.refused[0].payload is None, "the message itself was accepted"


def test_more_than_512_kib_a_second_waits_and_arrives(new_client: New, bench: Bench) -> None:
    client = connected(new_client, bench)
    for _ in range(6):
        client.publish("t", bytes(120 * 1024))
    bench.eventually(lambda: len(bench.received) == 5, "the first second's bytes")
    bench.eventually(lambda: len(bench.refused) == 1, "the sixth message")
    assert bench.reasons() == ["throughput-delay"]
    assert "waits 0.17 s" in bench.refused[0].detail
    assert bench.metric("PublishIn.Throttle") == 0
    bench.advance(0.1)
    assert len(bench.payloads()) == 5
    bench.advance(0.1)
    assert client.fence()
    assert len(bench.payloads()) == 6
    assert len(client.acks) == 6
    assert bench.reasons() == ["throughput-delay"], "one spell, said once"
    for _ in range(6):
        client.publish("t", bytes(120 * 1024))
    bench.eventually(lambda: len(bench.refused) == 2, "the next spell is said again")


def test_more_than_512_kib_a_second_waits_on_its_way_out_too(new_client: New, bench: Bench) -> None:
    reader = connected(new_client, bench, "reader")
    reader.subscribe(("t", 0))
    for number in range(2):
        writer = connected(new_client, bench, f"writer-{number}")
        for _ in range(3):
            writer.publish("t", bytes(120 * 1024))
        assert writer.fence()
    assert reader.fence()
    assert len(reader.messages) == 5
    bench.advance(0.2)
    assert reader.fence()
    assert len(reader.messages) == 6


# Unacknowledged QoS 1: 100 in, 100 out, delivery retried for an hour


def test_100_messages_in_flight_to_a_client_that_does_not_acknowledge(new_client: New, start: Start) -> None:
    bench = start(replace(Limits(), publishes_in_per_s=None, publishes_out_per_s=None))
    reader = new_client(bench.port, acknowledge=False)
    reader.connect("reader")
    reader.subscribe(("t", 1))
    writer = connected(new_client, bench, "writer")
    for number in range(103):
        writer.publish("t", b"%d" % number)
    assert writer.fence()
    assert reader.fence()
    assert len(reader.messages) == 100
    for message in reader.messages[:2]:
        reader.acknowledge_one(message)
    assert reader.fence()
    assert [message.payload for message in reader.messages[100:]] == [b"100", b"101"]


def test_100_unanswered_messages_from_a_client_then_no_more_are_taken(new_client: New, start: Start) -> None:
    bench = start(replace(Limits(), publishes_in_per_s=None, bytes_in_per_s=1000))
    client = connected(new_client, bench)
    for _ in range(1 + 103):
        client.publish("t", bytes(1200))
    bench.eventually(lambda: bench.broker.refusals().get("in-flight", 0) == 3, "the excess")
    assert len(bench.payloads()) == 1
    assert bench.metric("PublishIn.Throttle") == 3
    for _ in range(100):
        bench.advance(1.2)
    assert client.fence()
    assert client.acks == [*range(1, 102)]


def test_an_unacknowledged_message_is_tried_again_for_an_hour(new_client: New, bench: Bench) -> None:
    first = new_client(bench.port, acknowledge=False)
    first.connect("buoy-100", clean=False)
    first.subscribe(("config", 1))
    first.publish("config", b"early")
    assert first.fence()
    bench.advance(1800.0)
    first.publish("config", b"late")
    bench.eventually(lambda: bench.broker.connections == 0, "dropped: silent for 1.5 keep-alives")
    second = new_client(bench.port, acknowledge=False)
    second.connect("buoy-100", clean=False)
    assert second.fence()
    assert [(m.payload, m.dup) for m in second.messages] == [(b"early", True)]
    assert second.messages[0].packet_id == first.messages[0].packet_id
    second.vanish()
    bench.eventually(lambda: bench.broker.connections == 0, "gone")
    bench.advance(1801.0)
    third = new_client(bench.port)
    third.connect("buoy-100", clean=False)
    assert third.fence()
    assert third.messages == []
    assert bench.reasons()[-1] == "delivery-expired"
