"""The codec against paho-mqtt: what paho sends is decoded, what we encode paho understands."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from buoyfleet.model.clock import Deadline
from buoyfleet.mqtt.codec import (
    CONNACK_MEANINGS,
    PINGRESP,
    Connect,
    Decoder,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Pubrel,
    Subscribe,
    Unsubscribe,
    UnsupportedVersion,
    Will,
    encode_connack,
    encode_puback,
    encode_pubcomp,
    encode_publish,
    encode_pubrec,
    encode_suback,
    encode_unsuback,
)


def answers(packet: Packet) -> list[bytes]:
    """What a server says to a packet; a message to everyone follows each SUBSCRIBE."""
    match packet:
        case Connect():
            return [encode_connack(not packet.clean_session, 0)]
        case Publish(qos=1):
            return [encode_puback(packet.packet_id)]
        case Publish(qos=2):
            return [encode_pubrec(packet.packet_id)]
        case Pubrel(packet_id):
            return [encode_pubcomp(packet_id)]
        case Subscribe(packet_id, filters):
            codes = bytes(qos for _, qos in filters)
            return [
                encode_suback(packet_id, codes[:-1] + b"\x80"),
                encode_publish("güte/".encode(), b"zero", retain=True),
                encode_publish(b"one/", b"x" * 20_000, 1, packet_id=65_535),
                encode_publish(b"again/", b"", 1, dup=True, packet_id=7),
            ]
        case Unsubscribe(packet_id, _):
            return [encode_unsuback(packet_id)]
        case Pingreq():
            return [PINGRESP]
    return []


class Server:
    """Answers one client after the other; keeps every packet."""

    def __init__(self, connack: int = 0) -> None:
        self.packets: list[Packet] = []
        self.failures: list[Exception] = []
        self._connack = connack
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self.port = self._listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with self._listening, self._listening.accept()[0] as connection:
            connection.settimeout(10)
            decoder = Decoder()
            try:
                while data := connection.recv(65_536):
                    for packet in decoder.feed(data):
                        self.packets.append(packet)
                        if self._connack:
                            connection.sendall(encode_connack(False, self._connack))
                            return
                        for answer in answers(packet):
                            connection.sendall(answer)
                        if isinstance(packet, Disconnect):
                            return
            except Exception as error:
                self.failures.append(error)


@contextmanager
def serving(connack: int = 0) -> Iterator[Server]:
    server = Server(connack)
    try:
        yield server
    finally:
        server.thread.join(15)
        assert not server.thread.is_alive()


def new_client(client_id: str, **options: Any) -> paho.Client:
    return paho.Client(CallbackAPIVersion.VERSION2, client_id, reconnect_on_failure=False, **options)


def until(client: paho.Client, condition: Callable[[], object]) -> None:
    """Run paho's own loop until the condition holds."""
    deadline = Deadline(5)
    while not condition():
        assert not deadline.expired
        client.loop(0.05)


def test_everything_paho_sends_is_decoded_as_paho_meant_it() -> None:
    with serving() as server:
        client = new_client("paho-1", clean_session=False)
        client.username_pw_set("überwacht", "pässword")
        client.will_set("gone/", b"\0will", 1, retain=True)
        client.connect("127.0.0.1", server.port, keepalive=77)
        until(client, client.is_connected)
        sent = [
            client.publish("t/0/", b"zero", 0, retain=True),
            client.publish("t/1/", b"x" * 3000, 1),
            client.publish("t/ü/", b"two", 2),
        ]
        until(client, lambda: all(info.is_published() for info in sent))
        subscribed = client.subscribe([("a/+", 1), ("b/#", 0)])[1]
        unsubscribed = client.unsubscribe(["a/+", "b/#"])[1]
        client._send_pingreq()
        # Its answer is the last: with anything unread, closing would be a reset.
        until(client, lambda: client._ping_t == 0)
        client.disconnect()
        until(client, lambda: client.socket() is None)
    assert server.failures == []
    assert [packet for packet in server.packets if not isinstance(packet, Puback)] == [
        Connect(
            "paho-1",
            77,
            False,
            Will(b"gone/", b"\0will", 1, True),
            "überwacht",
            "pässword".encode(),
        ),
        Publish(b"t/0/", b"zero", 0, True),
        Publish(b"t/1/", b"x" * 3000, 1, packet_id=sent[1].mid),
        Publish("t/ü/".encode(), b"two", 2, packet_id=sent[2].mid),
        Pubrel(sent[2].mid),
        Subscribe(subscribed or 0, ((b"a/+", 1), (b"b/#", 0))),
        Unsubscribe(unsubscribed or 0, (b"a/+", b"b/#")),
        Pingreq(),
        Disconnect(),
    ]


def test_everything_we_encode_is_understood_by_paho() -> None:
    heard: list[tuple[Any, ...]] = []
    with serving() as server:
        client = new_client("paho-2", clean_session=False)
        client.on_connect = lambda _c, _d, flags, reason, _p: heard.append(
            ("connect", flags.session_present, reason.value)
        )
        client.on_subscribe = lambda _c, _d, mid, codes, _p: heard.append(
            ("subscribe", mid, [code.value for code in codes])
        )
        client.on_unsubscribe = lambda _c, _d, mid, _r, _p: heard.append(("unsubscribe", mid))
        client.on_message = lambda _c, _d, message: heard.append(
            (message.topic, message.payload, message.qos, message.retain, message.dup, message.mid)
        )
        client.connect("127.0.0.1", server.port)
        until(client, lambda: heard)
        subscribed = client.subscribe([("a", 1), ("b", 1)])[1]
        until(client, lambda: len(heard) == 5)
        unsubscribed = client.unsubscribe("a")[1]
        until(client, lambda: len(heard) == 6)
        client.disconnect()
        until(client, lambda: client.socket() is None)
    assert server.failures == []
    assert heard == [
        ("connect", True, 0),
        ("subscribe", subscribed, [1, 0x80]),
        ("güte/", b"zero", 0, True, False, 0),
        ("one/", b"x" * 20_000, 1, False, False, 65_535),
        ("again/", b"", 1, False, True, 7),
        ("unsubscribe", unsubscribed),
    ]
    assert [packet for packet in server.packets if isinstance(packet, Puback)] == [Puback(65_535), Puback(7)]


def test_paho_reads_our_refusals() -> None:
    for code in range(2, 6):
        told: list[str] = []
        with serving(code) as server:
            client = new_client("paho-3")
            client.on_connect = lambda _c, _d, _f, reason, _p, told=told: told.append(str(reason))
            client.connect("127.0.0.1", server.port)
            until(client, lambda told=told: told)
            client.loop(0.05)
        assert told[0] != "Success", CONNACK_MEANINGS[code]


def test_pahos_other_versions_are_recognised_as_such() -> None:
    for protocol, level in ((MQTTProtocolVersion.MQTTv5, 5), (MQTTProtocolVersion.MQTTv31, 3)):
        with serving() as server:
            client = new_client("paho-4", protocol=protocol)
            client.connect("127.0.0.1", server.port)
            until(client, lambda server=server: server.failures)
        assert isinstance(server.failures[0], UnsupportedVersion)
        assert server.failures[0].level == level
