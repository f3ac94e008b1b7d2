"""Two kinds of client behind the same methods: our codec on a socket, and paho-mqtt."""

import queue
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import paho.mqtt.client as paho
from broker_bench import DEADLINE_S, Bench

from buoyfleet.mqtt.codec import (
    DISCONNECT,
    PINGREQ,
    Connack,
    Connect,
    Decoder,
    Packet,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Unsuback,
    Will,
    encode_connect,
    encode_puback,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)


class Client(Protocol):
    """What the conformance tests need of a client."""

    messages: list[Publish]
    acks: list[int]

    def connect(
        self,
        client_id: str,
        *,
        clean: bool = True,
        keep_alive_s: int = 60,
        will: Will | None = None,
    ) -> Connack | None: ...
    def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, retain: bool = False) -> None: ...
    def subscribe(self, *filters: tuple[str, int]) -> bytes | None: ...
    def fence(self) -> bool: ...
    def wait_closed(self) -> bool: ...
    def acknowledge_one(self, message: Publish) -> None: ...
    def vanish(self) -> None: ...
    def disconnect(self) -> None: ...


@dataclass
class RawClient:
    """Our codec on a blocking socket: sees and sends every packet."""

    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = "localhost"
    acknowledge: bool = True
    """Answer QoS 1 with PUBACK."""
    messages: list[Publish] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder = Decoder()
        self._packets: list[Packet] = []
        self._last_id = 0
        plain = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        plain.settimeout(DEADLINE_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain
        if self.tls is not None:
            self.socket = self.tls.wrap_socket(plain, server_hostname=self.server_name)

    def next_id(self) -> int:
        """A packet id not used before."""
        self._last_id += 1
        return self._last_id

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def packet(self) -> Packet | None:
        """The next packet; None: the connection is closed."""
        while not self._packets:
            try:
                data = self.socket.recv(65_536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not data:
                return None
            self._packets = self._decoder.feed(data)
        packet = self._packets.pop(0)
        if isinstance(packet, Publish):
            self.messages.append(packet)
            if packet.qos == 1 and self.acknowledge:
                self.send(encode_puback(packet.packet_id))
        elif isinstance(packet, Puback):
            self.acks.append(packet.packet_id)
        return packet

    def until(self, kind: type[Packet]) -> Packet | None:
        """Read until a packet of that kind; None: the connection was closed before."""
        while (packet := self.packet()) is not None and not isinstance(packet, kind):
            pass
        return packet

    def connect(
        self,
        client_id: str,
        *,
        clean: bool = True,
        keep_alive_s: int = 60,
        will: Will | None = None,
    ) -> Connack | None:
        """CONNECT; the answer, or None if there was none."""
        self.send(encode_connect(Connect(client_id, keep_alive_s, clean, will)))
        answer = self.until(Connack)
        assert answer is None or isinstance(answer, Connack)
        return answer

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, retain: bool = False) -> None:
        """PUBLISH, without waiting for an answer."""
        packet_id = self.next_id() if qos else 0
        self.send(encode_publish(topic.encode(), payload, qos, retain, packet_id=packet_id))

    def subscribe(self, *filters: tuple[str, int]) -> bytes | None:
        """SUBSCRIBE; the codes, or None if there was no answer."""
        packet_id = self.next_id()
        self.send(encode_subscribe(packet_id, tuple((name.encode(), qos) for name, qos in filters)))
        self.send(PINGREQ)
        codes: bytes | None = None
        while (packet := self.packet()) is not None and not isinstance(packet, Pingresp):
            if isinstance(packet, Suback) and packet.packet_id == packet_id:
                codes = packet.codes
        return codes

    def unsubscribe(self, *filters: str) -> bool:
        """UNSUBSCRIBE; whether it was answered."""
        self.send(encode_unsubscribe(self.next_id(), tuple(name.encode() for name in filters)))
        return self.until(Unsuback) is not None

    def fence(self) -> bool:
        """Wait until all that was sent so far is dealt with; False: the connection is closed."""
        try:
            self.send(PINGREQ)
        except (ConnectionError, ssl.SSLError):
            return False
        return self.until(Pingresp) is not None

    def acknowledge_one(self, message: Publish) -> None:
        """PUBACK of a message, where the client does not acknowledge by itself."""
        self.send(encode_puback(message.packet_id))

    def wait_message(self) -> Publish:
        """The next message."""
        seen = len(self.messages)
        while len(self.messages) == seen:
            assert self.packet() is not None, "closed while a message was awaited"
        return self.messages[seen]

    def wait_closed(self) -> bool:
        """Read to the end; True once the broker has closed."""
        while self.packet() is not None:
            pass
        return True

    def vanish(self) -> None:
        """Close without DISCONNECT."""
        self.socket.close()

    def disconnect(self) -> None:
        """DISCONNECT and close."""
        self.send(DISCONNECT)
        self.socket.close()


class PahoClient:
    """paho-mqtt behind the same methods."""

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = "localhost",
        acknowledge: bool = True,
        protocol: paho.MQTTProtocolVersion = paho.MQTTv311,
    ) -> None:
        self.port = port
        self.tls = tls
        self.server_name = server_name
        self.acknowledge = acknowledge
        self.protocol = protocol
        self.messages: list[Publish] = []
        self.acks: list[int] = []
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._client: paho.Client | None = None
        self._closed = threading.Event()
        self._running = False
        """Its thread says when the connection ends; a handshake that failed leaves none."""

    def connect(
        self,
        client_id: str,
        *,
        clean: bool = True,
        keep_alive_s: int = 60,
        will: Will | None = None,
    ) -> Connack | None:
        """Connect; the answer, or None if there was none."""
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=clean if self.protocol == paho.MQTTv311 else None,
            protocol=self.protocol,
            reconnect_on_failure=False,
            manual_ack=not self.acknowledge,
        )
        client.max_inflight_messages_set(10_000)
        client.on_message = lambda _, __, message: self.messages.append(
            Publish(
                message.topic.encode(),
                message.payload,
                message.qos,
                message.retain,
                message.dup,
                message.mid,
            )
        )
        client.on_publish = lambda _, __, mid, *___: self.acks.append(mid)
        client.on_subscribe = lambda _, __, mid, codes, ___: self._events.put(
            ("suback", (mid, bytes(code.value for code in codes)))
        )
        client.on_unsubscribe = lambda *_: self._events.put(("unsuback", None))
        client.on_connect = lambda _, __, flags, code, ___: self._events.put(
            ("connack", (flags.session_present, _CONNACK_OF.get(code.value, code.value)))
        )
        client.on_disconnect = lambda *_: self._closed_now()
        if will is not None:
            client.will_set(will.topic.decode(), will.payload, will.qos, will.retain)
        if self.tls is not None:
            client.tls_set_context(self.tls)
        self._client = client
        # TLS names a host by SNI, and never an address.
        host = self.server_name if self.tls and self.server_name else "127.0.0.1"
        client.connect(host, self.port, keep_alive_s)
        client.loop_start()
        self._running = True
        event, value = self._events.get(timeout=DEADLINE_S)
        if event == "closed":
            return None
        return Connack(value[0], value[1])

    def _closed_now(self) -> None:
        self._closed.set()
        self._events.put(("closed", None))

    @property
    def client(self) -> paho.Client:
        """The connected paho client."""
        assert self._client is not None
        return self._client

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, retain: bool = False) -> None:
        """Publish, without waiting for an answer."""
        self.client.publish(topic, payload, qos, retain)

    def subscribe(self, *filters: tuple[str, int]) -> bytes | None:
        """Subscribe; the codes, or None if there was no answer."""
        _, wanted = self.client.subscribe([*filters])
        codes: bytes | None = None
        self.client.unsubscribe("fence")
        while True:
            event, value = self._events.get(timeout=DEADLINE_S)
            if event == "suback" and value[0] == wanted:
                codes = value[1]
            elif event in ("unsuback", "closed"):
                return codes

    def fence(self) -> bool:
        """Wait until all that was sent so far is dealt with; False: the connection is closed."""
        if self._closed.is_set() or self.client.unsubscribe("fence")[0] != paho.MQTT_ERR_SUCCESS:
            return False
        return self._events.get(timeout=DEADLINE_S)[0] == "unsuback"

    def acknowledge_one(self, message: Publish) -> None:
        """PUBACK of a message, where the client does not acknowledge by itself."""
        self.client.ack(message.packet_id, 1)

    def wait_closed(self) -> bool:
        """Whether the broker closes within the deadline."""
        return self._closed.wait(DEADLINE_S)

    def vanish(self) -> None:
        """Close without DISCONNECT."""
        if not self._running:
            return
        connected = self.client.socket()
        if connected is not None:
            with suppress(OSError):  # paho's thread may have closed it just now
                connected.shutdown(socket.SHUT_RDWR)
        self._closed.wait(DEADLINE_S)
        self.client.loop_stop()

    def disconnect(self) -> None:
        """DISCONNECT and close."""
        self.client.disconnect()
        self.client.loop_stop()


_CONNACK_OF = {0: 0, 132: 1, 133: 2, 136: 3, 134: 4, 135: 5}
"""paho gives MQTT 5 reason codes for the return codes of MQTT 3.1.1."""


def connected(
    new_client: Callable[..., Client], bench: Bench, client_id: str = "buoy-100", **options: object
) -> Client:
    """A client that the broker has accepted."""
    client = new_client(bench.port)
    answer = client.connect(client_id, **options)  # type: ignore[arg-type]
    assert answer is not None
    assert answer.code == 0
    return client
