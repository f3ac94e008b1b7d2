"""One connection of a paho client on the caller's event loop."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol

from paho.mqtt import client as paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, ConnackCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from buoyfleet.model.reasons import LinkTrouble
from buoyfleet.mqtt.open_connections import LINGER_S
from buoyfleet.mqtt.packets import CONNACK_MEANINGS, Connect
from buoyfleet.mqtt.paho_hub import PahoHub
from buoyfleet.mqtt.paho_reading import ReadingPaho
from buoyfleet.mqtt.transport import Listener, loss, not_mqtt, refusal

_TURN_S = 0.02
"""Reading goes on at most so long before others have their turn."""
_ENDED, _UNSPECIFIED = 0x00, 0x80
"""Reason codes (MQTT 5, 2.4) that say nothing; paho makes them up where MQTT 3.1.1 has none."""

_Event = tuple[Callable[..., None], tuple[Any, ...]]


class Owner(Protocol):
    """The client a session belongs to."""

    listener: Listener

    @property
    def writable(self) -> bool:
        """Whether more can be queued now."""
        ...

    def detach(self, session: "PahoSession") -> None:
        """From here on nothing this session does is an event."""
        ...


class NamedContext:
    """paho takes the name for SNI from the address it connects to; this puts the wanted name in its place."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._context = context
        self._server_name = server_name
        self.check_hostname = context.check_hostname

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        return self._context.wrap_socket(sock, **{**options, "server_hostname": self._server_name})


class PahoSession:
    """One connection: a paho client of its own, so that paho has nothing left to resend by itself.

    paho's callbacks only note events; they are told to the listener when paho has returned, so that the
    listener may call anything.
    """

    def __init__(self, client: Owner, hub: PahoHub, connect: Connect, tls: ssl.SSLContext | None) -> None:
        self.client: Owner | None = client
        self.opened = False
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        self._writing = False
        self._parting_until_s = float("inf")
        self._ids: dict[int, int] = {}
        """paho's packet id → the link's."""
        self._acked: list[int] = []
        self._events: list[_Event] = []
        self.paho = ReadingPaho(
            CallbackAPIVersion.VERSION2,
            client_id=connect.client_id,
            clean_session=connect.clean_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        mine = self.paho
        mine.max_inflight_messages_set(0)  # the window is the link's
        mine.connect_timeout = hub.connect_timeout_s
        mine.username_pw_set(connect.username, connect.password)  # type: ignore[arg-type]  # bytes are taken as they are
        if connect.will is not None:
            will = connect.will
            mine.will_set(will.topic.decode(), will.payload, will.qos, will.retain)
        context = tls or hub.tls
        if context is not None:
            mine.tls_set_context(NamedContext(context, hub.server_name))  # type: ignore[arg-type]
        # Its presence keeps paho from writing each packet at once; `write` does that for a batch.
        mine.on_socket_register_write = _ignore
        mine.on_socket_close = self._on_socket_close
        mine.on_connect = self._on_connect
        mine.on_disconnect = self._on_disconnect
        mine.on_publish = self._on_publish
        mine.on_subscribe = self._on_subscribe
        mine.on_message = self._on_message
        mine.on_pong = self._on_pong
        if client is not None and getattr(client.listener, "on_plain_messages", None) is not None:
            mine.on_plain = self._on_plain
        mine.connect_async(hub.host, hub.port, connect.keep_alive_s)

    @property
    def wanted(self) -> bool:
        """Whether the client still waits for it."""
        return self.client is not None

    def begin(self) -> None:
        """Its turn to connect has come."""
        if self.client is not None:
            self.client.listener.on_dial()

    # In a thread

    def connect(self) -> None:
        """TCP and TLS, blocking; CONNECT stays queued for the loop."""
        if self.client is not None:
            self.paho.reconnect()

    # In the loop, from hub and client

    def connected(self, done: "asyncio.Future[None]") -> None:
        """The thread is through."""
        if done.cancelled():
            return
        error = done.exception()
        if self.client is None:
            self.drop()
        elif error is not None:
            self._end(loss(error, self._hub.peer, opened=False))
        else:
            sock = self.paho.socket()
            if sock is None:
                raise RuntimeError("paho connected without a socket")
            self._fd = sock.fileno()
            self._hub.made(self)
            self._loop.add_reader(self._fd, self._readable)
            self.write()

    def publish(self, topic: str, payload: bytes, qos: int, packet_id: int) -> None:
        """Give paho a message and remember under which id."""
        info = self.paho.publish(topic, payload, qos)
        if qos:
            self._ids[info.mid] = packet_id

    def subscribe(self, topics: list[tuple[str, int]], packet_id: int) -> None:
        """Give paho a subscription and remember under which id."""
        _, mid = self.paho.subscribe(topics)
        if mid is not None:
            self._ids[mid] = packet_id

    def write(self, *, announce: bool = False) -> None:
        """Let paho write; wait for the socket if it takes no more. Events are told later, from the loop."""
        if self.paho.want_write():
            self.paho.loop_write()
        blocked = self._fd >= 0 and self.paho.want_write()
        if blocked != self._writing and self._fd >= 0:
            self._writing = blocked
            if blocked:
                self._loop.add_writer(self._fd, self._on_room)
            else:
                self._loop.remove_writer(self._fd)
        if announce and not blocked:
            self._events.append((self._now_writable, ()))
        if self._events:
            self._loop.call_soon(self._tell)

    def part(self) -> None:
        """Send DISCONNECT; paho closes when it is out, the hub when that takes too long."""
        self._parting_until_s = time.monotonic() + LINGER_S
        self.paho.disconnect()
        self.write()

    def tick(self, now_s: float) -> None:
        """paho's own keep-alive, and the end of a goodbye that nobody reads."""
        if now_s > self._parting_until_s:
            self.drop()
        else:
            self.paho.loop_misc()
            self.write()

    def drop(self) -> None:
        """Close the socket without a word."""
        sock = self.paho.socket()
        self._released()
        if sock is not None:
            sock.close()
        # paho closes its socket again when it is collected; by then the descriptor may be someone else's.
        self.paho.on_socket_close = None

    # In the loop, from the socket

    def _readable(self) -> None:
        try:
            # To the end: what TLS has decrypted does not make the socket readable again, and libuv tells of
            # a reset only once, though data that came before it are read first. But in turns: a broker that
            # sends faster than we read must not keep the loop from everything else.
            until_s = time.monotonic() + _TURN_S
            while self.paho.receive():
                if time.monotonic() > until_s:
                    asyncio.get_running_loop().call_soon(self._readable)
                    break
        except Exception as error:  # paho's parser raises whatever hostile bytes make it trip over
            self._end(f"paho-mqtt could not read what {self._hub.peer} sent: {error!r}")
            return
        self._tell()
        self.write()

    def _on_room(self) -> None:
        self.write(announce=True)

    def _tell(self) -> None:
        """Tell the listener what paho noted; a run of acknowledgements at once."""
        self._note_acked()
        events, self._events = self._events, []
        for tell, arguments in events:
            if self.client is None:
                return
            tell(*arguments)

    def _note_acked(self) -> None:
        if self._acked:
            acked, self._acked = self._acked, []
            self._events.append((self._tell_acked, (acked,)))

    def _listener(self, packet: str) -> Listener | None:
        """Who hears of a packet; paho lets a broker speak before CONNACK, the contract does not."""
        if self.client is None:
            return None
        if not self.opened:
            self._end(f"not MQTT 3.1.1 from {self._hub.peer}: {packet} before CONNACK")
            return None
        return self.client.listener

    def _tell_acked(self, packet_ids: list[int]) -> None:
        if listener := self._listener("PUBACK"):
            listener.on_pubacks(packet_ids)

    def _tell_suback(self, packet_id: int, codes: bytes) -> None:
        if listener := self._listener("SUBACK"):
            listener.on_suback(packet_id, codes)

    def _tell_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        if listener := self._listener("PUBLISH"):
            listener.on_message(topic, payload, retain)

    def _tell_plain(self, run: list[tuple[bytes, bytes]]) -> None:
        if listener := self._listener("PUBLISH"):
            listener.on_plain_messages(run)  # type: ignore[attr-defined]  # it has it, or none would come

    def _tell_pong(self) -> None:
        if listener := self._listener("PINGRESP"):
            listener.on_pong()

    def _now_writable(self) -> None:
        if self.client is not None and self.client.writable:
            tell = getattr(self.client.listener, "on_writable", None)
            if tell is not None:
                tell()

    def _lost(self, why: ReasonCode) -> None:
        reason = loss(self.paho.fault, self._hub.peer, opened=self.opened)
        # paho's own name for it is worth telling where it says something.
        if why.value not in (_ENDED, _UNSPECIFIED):
            reason = LinkTrouble(f"{reason} (paho-mqtt: {why.getName()})", reason.reason)
        self._end(reason)

    def _accepted(self, session_present: bool) -> None:
        if self.opened:
            self._end(not_mqtt(self._hub.peer, "unexpected CONNACK"))
            return
        self.opened = True
        if self.client is not None:
            self.client.listener.on_open(session_present)

    def _end(self, reason: str) -> None:
        """The connection is over: tell the listener, once."""
        client = self.client
        if client is not None:
            client.detach(self)
            self.drop()
            client.listener.on_closed(reason)

    def _released(self) -> None:
        """The loop watches the socket no more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            if self._writing:
                self._loop.remove_writer(self._fd)
            self._fd = -1
            self._writing = False
            self._hub.gone(self)

    # paho's callbacks

    def _note(self, tell: Callable[..., None], *arguments: Any) -> None:
        self._note_acked()
        self._events.append((tell, arguments))

    def _on_connect(
        self,
        _client: Any,
        _data: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._note(self._end, refusal(_CONNACK_CODES.get(reason.value, reason.value)))
        else:
            self._note(self._accepted, flags.session_present)

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        self._note(self._lost, reason)

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        packet_id = self._ids.pop(mid, None)
        # None: QoS 0, which the contract does not acknowledge.
        if packet_id is not None:
            self._acked.append(packet_id)

    def _on_subscribe(
        self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        packet_id = self._ids.pop(mid, None)
        if packet_id is not None:
            self._note(self._tell_suback, packet_id, bytes(reason.value for reason in reasons))

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        self._note(self._tell_message, message.topic.encode(), bytes(message.payload), message.retain)

    def _on_plain(self, run: list[tuple[bytes, bytes]]) -> None:
        self._note(self._tell_plain, run)

    def _on_pong(self) -> None:
        self._note(self._tell_pong)

    def _on_socket_close(self, _client: Any, _data: Any, _sock: Any) -> None:
        self._released()


# paho gives CONNACK codes by the names of MQTT 5; this is the way back.
_CONNACK_CODES = {
    paho.convert_connack_rc_to_reason_code(ConnackCode(code)).value: code for code in CONNACK_MEANINGS
}


def _ignore(_client: Any, _data: Any, _sock: Any) -> None:
    """Nothing."""
