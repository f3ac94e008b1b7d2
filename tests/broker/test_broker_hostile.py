"""Whatever bytes come, in whatever pieces: the broker neither crashes nor hangs, and others keep working."""

import socket
import ssl
from collections.abc import Callable, Iterator

import pytest
from broker_bench import DEADLINE_S, Bench
from broker_certificates import Authority
from broker_clients import RawClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.cloud.local.broker.tls import server_context
from buoyfleet.mqtt.codec import (
    DISCONNECT,
    PINGREQ,
    Connect,
    Will,
    encode_connect,
    encode_puback,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)

Raw = Callable[..., RawClient]

CONNECT = encode_connect(Connect("hostile", 60, True, Will(b"gone", b"x", 1)))
PACKETS = [
    CONNECT,
    PINGREQ,
    DISCONNECT,
    encode_publish(b"a/b", b"payload", 0),
    encode_publish(b"a/b", b"payload", 1, True, True, 3),
    encode_publish(b"a/b", b"payload", 2, packet_id=4),
    encode_publish(b"$x", b"", 1, packet_id=5),
    encode_puback(1),
    encode_subscribe(1, ((b"a/#", 1), (b"+/b", 0))),
    encode_subscribe(2, ((b"$SYS/#", 2),)),
    encode_unsubscribe(3, (b"a/#",)),
    b"\x20\x02\x00\x00",
    b"\x50\x02\x00\x01",
    b"\x62\x02\x00\x01",
    b"\x90\x03\x00\x01\x00",
    b"\xd0\x00",
    b"\xf0\x00",
]


@pytest.fixture(scope="module")
def besieged() -> Iterator[Bench]:
    """One broker for all examples: what one breaks, the next one finds."""
    bench = Bench(Limits.lifted())
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def bystander(besieged: Bench) -> Iterator[RawClient]:
    """A client that must not notice anything."""
    client = RawClient(besieged.port)
    client.connect("bystander")
    client.subscribe(("bystander", 1))
    yield client
    client.vanish()


def attack(port: int, pieces: list[bytes]) -> None:
    """Send the pieces, as far as the broker listens, then close and read to the end."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as attacker:
        attacker.settimeout(DEADLINE_S)
        try:
            for piece in pieces:
                attacker.sendall(piece)
            attacker.shutdown(socket.SHUT_WR)
            while attacker.recv(65_536):
                pass
        except TimeoutError:
            pytest.fail("the broker keeps the peer waiting")
        except OSError:
            pass  # the broker has closed before all was sent: that is its right


def assert_unharmed(bench: Bench, bystander: RawClient) -> None:
    before = len(bystander.messages)
    bystander.publish("bystander", b"still here")
    assert bystander.fence()
    assert len(bystander.messages) == before + 1
    bench.eventually(lambda: bench.broker.connections == 1, "the attacker's client is gone")


_SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_SETTINGS
@given(pieces=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_random_bytes(besieged: Bench, bystander: RawClient, pieces: list[bytes]) -> None:
    attack(besieged.port, pieces)
    assert_unharmed(besieged, bystander)


@_SETTINGS
@given(
    packets=st.lists(st.sampled_from(PACKETS), min_size=1, max_size=8),
    connected=st.booleans(),
    cut=st.integers(0, 30),
    pieces=st.integers(1, 7),
)
def test_packets_in_any_order_cut_anywhere(
    besieged: Bench, bystander: RawClient, packets: list[bytes], connected: bool, cut: int, pieces: int
) -> None:
    data = (CONNECT if connected else b"") + b"".join(packets)
    data = data[: max(1, len(data) - cut)]
    size = -(-len(data) // pieces)
    attack(besieged.port, [data[at : at + size] for at in range(0, len(data), size)])
    assert_unharmed(besieged, bystander)


@_SETTINGS
@given(
    packet=st.sampled_from(PACKETS),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_packets_with_changed_bytes(
    besieged: Bench, bystander: RawClient, packet: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(CONNECT + packet)
    for at, value in changes:
        data[at % len(data)] = value
    attack(besieged.port, [bytes(data)])
    assert_unharmed(besieged, bystander)


@pytest.mark.parametrize("packet", [packet for packet in PACKETS if packet != CONNECT])
def test_anything_before_connect_closes_the_connection(raw: Raw, bench: Bench, packet: bytes) -> None:
    client = raw(bench.port)
    client.send(packet)
    assert client.wait_closed()
    assert bench.reasons() == ["protocol-error"]
    assert bench.received == []
    assert bench.metric("Connect.ClientError") == 1


def test_a_second_connect_closes_the_connection(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.send(CONNECT + CONNECT)
    assert client.wait_closed()
    assert bench.refused[0].detail == "a second CONNECT on one connection"


@pytest.mark.parametrize(
    "header", [b"\x30\xff\xff\xff\x7f", b"\x10\xff\xff\xff\x7f", b"\x82\xff\xff\xff\x7f"]
)
def test_an_endless_packet_is_refused_before_it_is_read(raw: Raw, bench: Bench, header: bytes) -> None:
    client = raw(bench.port)
    client.send(CONNECT)
    client.packet()
    client.send(header)
    assert client.wait_closed()
    assert "at most" in bench.refused[0].detail


def test_valid_packets_before_a_fault_are_still_taken(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.send(CONNECT + encode_publish(b"t", b"good", 1, packet_id=1) + b"\xf0\x00")
    assert client.wait_closed()
    assert client.acks == [1]
    assert bench.payloads() == [b"good", b"x"], "the message, then the will"


def test_a_packet_that_drips_in_is_taken_when_it_is_whole(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    for byte in CONNECT + encode_publish(b"t", b"slow", 1, packet_id=1):
        client.send(bytes((byte,)))
    assert client.fence()
    assert bench.payloads() == [b"slow"]


def test_dripping_bytes_do_not_keep_a_connection_alive(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.send(CONNECT)
    client.packet()
    endless = encode_publish(b"t", bytes(1000), 1, packet_id=1)
    for at in range(4):
        client.send(endless[at : at + 1])
        bench.advance(30.0)
    assert client.wait_closed()
    assert "keep-alive" in bench.reasons()


def test_a_connection_that_never_says_connect_is_closed(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.send(CONNECT[:5])
    bench.eventually(lambda: len(bench.broker._connections) == 1)
    bench.advance(10.0)
    assert client.wait_closed()
    assert bench.reasons() == ["connect-timeout"]


def test_a_peer_that_does_not_read_is_not_read_either_and_is_dropped_in_the_end(
    raw: Raw, start: Callable[..., Bench]
) -> None:
    bench = start(Limits.lifted())
    stuck, other = raw(bench.port), raw(bench.port)
    stuck.connect("stuck", keep_alive_s=30)
    stuck.subscribe(("t", 0))
    other.connect("other", keep_alive_s=300)
    for _ in range(150):
        other.publish("t", bytes(100_000), qos=0)
    assert other.fence()
    pings = bench.metric("Ping.Success")
    stuck.send(PINGREQ * 1_000)
    assert other.fence()
    assert bench.metric("Ping.Success") == pings + 1
    bench.advance(45.0)
    assert bench.refused[-1].client_id == "stuck"
    assert bench.refused[-1].reason == "keep-alive"
    bench.advance(6.0)
    bench.eventually(lambda: len(bench.broker._connections) == 1, "gone with what it did not read")
    assert other.fence()


def test_many_invented_topics_do_not_pile_up(raw: Raw, start: Callable[..., Bench]) -> None:
    bench = start(Limits.lifted())
    client = raw(bench.port)
    client.connect("inventor")
    for first in range(0, 60_000, 1_000):
        client.send(b"".join(encode_publish(b"t/%d" % number, b"") for number in range(first, first + 1_000)))
        assert client.fence()
    assert len(bench.received) == 60_000
    assert bench.call(lambda: len(bench.broker._router.routes)) <= 50_000


def test_tls_garbage_and_plain_connections_leave_a_tls_port_working(
    start: Callable[..., Bench], tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = Authority(tmp_path_factory.mktemp("hostile"), "hostile test CA")
    server, device = authority.issue("localhost"), authority.issue("buoy-100")
    bench = start(tls=server_context(server.certificate, server.key, authority.file))
    for pieces in ([b"\x16\x03\x01\x02\x00\x01\x00"], [b"GET / HTTP/1.1\r\n\r\n"], [b"\x00" * 500], []):
        attack(bench.port, pieces)
    context: ssl.SSLContext = authority.client_context(device)
    client = RawClient(bench.port, tls=context)
    answer = client.connect("buoy-100")
    assert answer is not None
    assert answer.code == 0
    client.vanish()
    bench.eventually(lambda: bench.broker.refusals().get("tls-failed", 0) == 4, "each failure recorded")
