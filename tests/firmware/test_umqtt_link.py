"""The link over umqtt.simple on MicroPython: each hazard of umqtt, against scripted and real brokers."""

import threading
from pathlib import Path
from typing import Any

import pytest
from link_bench import CONNACK, Peer, run_link, scripted_broker

from buoyfleet.mqtt.codec import Connect, Puback, Publish, Subscribe

pytestmark = pytest.mark.timeout(400)

# The link must leave the board's loop its turn. A loop that waits in the link for deadlines of 400 ms and
# more comes to a dozen turns in these tests; one that does not comes to a thousand, under load to hundreds.
LEAST_TURNS = 100
FAST = ("backoff_min_ms=20", "backoff_max_ms=100")


def test_packets_leave_in_one_piece_so_that_qos_1_is_not_slowed_down_by_the_network_stack(
    micropython: Path, mosquitto: Any
) -> None:
    result = run_link(micropython, mosquitto.port, 2000, "in_flight=1", limit_ms=20000)
    assert result["acknowledged"] == 2000
    assert result["troubles"] == []
    # One packet in several writes comes to 22 messages/s (Nagle's algorithm against delayed acknowledgement).
    assert result["spent_ms"] < 10000


@pytest.mark.soak
def test_qos_1_goes_on_past_the_last_packet_id(micropython: Path, mosquitto: Any) -> None:
    result = run_link(micropython, mosquitto.port, 70000, "in_flight=10", limit_ms=50000)
    assert result["acknowledged"] == result["attempts"] == 70000
    assert result["trouble_count"] == 0


def test_qos_0_is_sent_and_never_acknowledged(micropython: Path, mosquitto: Any) -> None:
    result = run_link(micropython, mosquitto.port, 1000, qos=0)
    assert (result["attempts"], result["acknowledged"]) == (1000, 0)


def silent(peer: Peer) -> None:
    peer.receive()
    threading.Event().wait(20)


def silent_after_connack(peer: Peer) -> None:
    assert isinstance(peer.receive(), Connect)
    peer.send(CONNACK)
    while peer.receive() is not None:
        pass


def silent_after_suback(peer: Peer) -> None:
    peer.accept()
    while peer.receive() is not None:
        pass


def dripping_connack(peer: Peer) -> None:
    peer.receive()
    for byte in CONNACK[:3]:
        peer.send(bytes((byte,)))
        threading.Event().wait(0.3)
    threading.Event().wait(20)


def dripping_puback(peer: Peer) -> None:
    peer.accept()
    packet = peer.published()
    assert packet is not None
    for byte in b"\x40\x02" + bytes(1):
        peer.send(bytes((byte,)))
        threading.Event().wait(0.2)
    while peer.receive() is not None:
        pass


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (silent, "no answer in time"),
        (dripping_connack, "no answer in time"),
        (silent_after_connack, "no SUBACK within 400 ms"),
        (silent_after_suback, "no PUBACK within 400 ms"),
        (dripping_puback, "no PUBACK within 400 ms"),
    ],
)
def test_a_peer_that_is_silent_or_drips_bytes_cannot_hold_the_board(
    micropython: Path, script: Any, words: str
) -> None:
    with scripted_broker(script) as port:
        result = run_link(
            micropython, port, 5, "ack_timeout_ms=400", "connect_timeout_ms=500", *FAST, limit_ms=2500
        )
    assert words in result["troubles"][0]
    assert result["trouble_count"] >= 2
    # Only connecting may block: name look-up, TCP, TLS and CONNACK together, under one deadline.
    assert result["turns"] > LEAST_TURNS or words == "no answer in time"


def odd_connack(peer: Peer) -> None:
    peer.receive()
    peer.send(b"\x30\x02\x00\x00")


def refusing(peer: Peer) -> None:
    peer.receive()
    peer.send(b"\x20\x02\x00\x05")


def odd_pingresp(peer: Peer) -> None:
    peer.accept()
    peer.send(b"\xd0\x01\x00")
    threading.Event().wait(5)


def odd_puback(peer: Peer) -> None:
    peer.accept()
    peer.published()
    peer.send(b"\x40\x03\x00\x01\x00")
    threading.Event().wait(5)


def endless_length(peer: Peer) -> None:
    peer.accept()
    peer.send(b"\x30\xff\xff\xff\xff\x01")
    threading.Event().wait(5)


def huge_packet(peer: Peer) -> None:
    peer.accept()
    peer.send(b"\x30\xff\xff\x7f" + bytes(100))
    threading.Event().wait(5)


def topic_longer_than_packet(peer: Peer) -> None:
    peer.accept()
    peer.send(b"\x30\x04\x00\x50ab")
    threading.Event().wait(5)


def unexpected_packet(peer: Peer) -> None:
    peer.accept()
    peer.send(b"\xf0\x00")
    threading.Event().wait(5)


@pytest.mark.parametrize(
    "script",
    [
        odd_connack,
        refusing,
        odd_pingresp,
        odd_puback,
        endless_length,
        huge_packet,
        topic_longer_than_packet,
        unexpected_packet,
    ],
)
def test_an_odd_broker_is_trouble_and_never_an_exception_in_the_application(
    micropython: Path, script: Any
) -> None:
    with scripted_broker(script) as port:
        result = run_link(
            micropython, port, 5, "ack_timeout_ms=400", "connect_timeout_ms=500", *FAST, limit_ms=1500
        )
    assert result["trouble_count"] >= 2
    assert result["turns"] > LEAST_TURNS


def test_sockets_are_closed_on_every_failure(micropython: Path) -> None:
    with scripted_broker(refusing) as port:
        result = run_link(micropython, port, 5, "backoff_min_ms=1", "backoff_max_ms=2", limit_ms=1500)
    assert result["trouble_count"] > 100
    assert result["descriptors"] < 10


def test_a_broker_that_nobody_runs_is_trouble_with_back_off(micropython: Path, free_port: int) -> None:
    result = run_link(micropython, free_port, 5, "backoff_min_ms=100", "backoff_max_ms=400", limit_ms=2000)
    assert "connection refused" in result["troubles"][0]
    # 75, 150, 300, 300, … ms with the program's fixed jitter
    assert 5 <= result["trouble_count"] <= 9


def test_what_was_not_acknowledged_is_sent_again_with_the_same_bytes_and_the_dup_flag(
    micropython: Path,
) -> None:
    seen: list[tuple[int, bytes, bool]] = []

    def script(peer: Peer) -> None:
        peer.accept()
        while (packet := peer.published()) is not None:
            seen.append((peer.number, packet.payload, packet.dup))
            if peer.number == 0 and len(seen) == 5:
                return  # the fifth is never acknowledged
            if len(seen) != 3:
                peer.acknowledge(packet)

    with scripted_broker(script) as port:
        result = run_link(micropython, port, 10, "in_flight=4", *FAST)
    assert result["acknowledged"] == 10
    first = [payload for number, payload, _ in seen if number == 0]
    second = [(payload, dup) for number, payload, dup in seen if number == 1]
    assert (first[2], True) in second
    assert (first[4], True) in second
    payloads = [payload for payload, _ in second]
    assert payloads == sorted(payloads, key=lambda text: int(text.split(b":")[1].split(b".")[0]))
    assert {payload for _, payload, _ in seen} == {b'{"ph":%d.00,"timestamp":%d}' % (n, n) for n in range(10)}


def test_it_subscribes_again_after_a_reconnect_and_hears_its_configuration(micropython: Path) -> None:
    topic = b"aws/0/100/config/global/"
    body = b'{"reset": false}'
    publish = b"\x32" + bytes((2 + len(topic) + 2 + len(body),))
    publish += len(topic).to_bytes(2, "big") + topic + b"\x00\x07" + body
    subscriptions: list[int] = []

    def script(peer: Peer) -> None:
        assert isinstance(peer.receive(), Connect)
        peer.send(CONNACK)
        for _ in range(2):
            packet = peer.receive()
            assert isinstance(packet, Subscribe)
            subscriptions.append(peer.number)
            peer.send(b"\x90\x03" + packet.packet_id.to_bytes(2, "big") + b"\x01")
        if peer.number == 0:
            return
        peer.send(publish)
        while (packet := peer.receive()) is not None:
            if isinstance(packet, Publish):
                peer.acknowledge(packet)

    with scripted_broker(script) as port:
        result = run_link(micropython, port, 3, *FAST)
    assert subscriptions == [0, 0, 1, 1]
    assert result["configs"] == [[topic.decode(), body.decode()]]


@pytest.mark.parametrize("pieces", [1, 40])
@pytest.mark.parametrize("size", [4096, 5000, 130_000])
def test_a_configuration_that_is_too_large_is_left_out_and_the_connection_stays(
    micropython: Path, size: int, pieces: int
) -> None:
    topic = b"aws/0/100/config/global/"
    good = b'{"reset": false}'
    acknowledged: list[int | None] = []

    def packet(packet_id: int, body: bytes) -> bytes:
        rest = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + body
        length, left = b"", len(rest)
        while True:
            left, digit = divmod(left, 128) if left > 127 else (0, left)
            length += bytes((digit | 0x80 if left else digit,))
            if not left:
                return b"\x33" + length + rest

    def script(peer: Peer) -> None:
        peer.accept()
        data = packet(7, b"[" * size) + packet(8, good)
        step = len(data) // pieces + 1
        for start in range(0, len(data), step):
            peer.send(data[start : start + step])
        waiting: list[Publish] = []
        while len(acknowledged) < 2:
            received = peer.receive()
            if isinstance(received, Publish):
                waiting.append(received)
            else:
                assert isinstance(received, Puback)
                acknowledged.append(received.packet_id)
        for message in waiting:
            peer.acknowledge(message)
        peer.serve()

    with scripted_broker(script) as port:
        result = run_link(micropython, port, 1, *FAST)
    assert result["configs"] == [[topic.decode(), None], [topic.decode(), good.decode()]]
    assert acknowledged == [7, 8]
    assert result["troubles"] == []


def test_a_half_open_link_is_noticed_within_one_and_a_half_keep_alives(micropython: Path) -> None:
    with scripted_broker(silent_after_suback) as port:
        result = run_link(micropython, port, 0, "keep_alive_ms=800", *FAST, limit_ms=0)
        assert result["trouble_count"] == 0
        result = run_link(
            micropython, port, 1, "keep_alive_ms=800", "ack_timeout_ms=60000", *FAST, limit_ms=1400
        )
    assert "PINGRESP" in result["troubles"][0]
