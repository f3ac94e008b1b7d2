"""The lean MQTT client of a virtual board: a transport (buoyfleet.mqtt.transport) for packs of thousands.

Per board there are two small objects and the loop's own transport: no coroutine, no task, no timer once
connected. Packets are gathered and written once per `flush()`; a run of PUBACKs is parsed without making
packets. Meant for uvloop, right on any asyncio loop.
"""

import asyncio
import ssl
from typing import cast

from buoyfleet.mqtt.codec import (
    DISCONNECT,
    PINGREQ,
    Connack,
    Connect,
    Decoder,
    Packet,
    Pingresp,
    ProtocolError,
    Puback,
    Publish,
    Suback,
    encode_connect,
    encode_puback,
    encode_publish,
    encode_subscribe,
    puback_ids,
)
from buoyfleet.mqtt.dialler import Dialler, Wire
from buoyfleet.mqtt.transport import NOBODY, Listener, loss, not_mqtt, refusal

HIGH_WATER_BYTES = 65_536
"""More than this waiting to leave makes a client not writable; asyncio's own mark is the same."""

MAX_PACKET_BYTES = 300_000
"""A board receives configuration only; a payload on AWS IoT Core is 128 KB at most (IoT Core quotas)."""

MAX_UNREAD_BYTES = 1_048_576
"""A broker that sends but lets this much of our answers wait does not read: the connection is given up."""


class FleetClient:
    """One board's connection; see `buoyfleet.mqtt.transport.Transport` for what the methods promise."""

    __slots__ = (
        "_connect",
        "_dialler",
        "_number",
        "_out",
        "_out_bytes",
        "_tls",
        "_wire",
        "listener",
        "writable",
    )

    def __init__(self, dialler: Dialler, connect: Connect, tls: ssl.SSLContext | None = None) -> None:
        """Nothing is opened yet; set `listener` before `open()`.

        Args:
            dialler: shared by the boards of a pack.
            connect: the CONNECT to send, encoded once here.
            tls: a context of this board's own (its certificate); None: the dialler's.

        Raises:
            ValueError: CONNECT cannot be encoded.
        """
        self.listener: Listener = NOBODY
        self.writable = False
        self._dialler = dialler
        self._connect = encode_connect(connect)
        self._number = dialler.register()
        self._tls = tls
        self._wire: _Wire | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0

    def open(self) -> None:
        """Start to connect; a connection still there is dropped first."""
        self.close()
        self._forget()
        wire = self._wire = _Wire(self)
        self._dialler.dial(wire)

    def publish(self, topic: bytes, payload: bytes, qos: int, packet_id: int, dup: bool) -> None:
        """Queue a PUBLISH, never retained."""
        packet = encode_publish(topic, payload, qos, False, dup, packet_id)
        self._out.append(packet)
        self._out_bytes += len(packet)
        if self._out_bytes > HIGH_WATER_BYTES:
            self.writable = False

    def subscribe(self, topics: tuple[bytes, ...], qos: int, packet_id: int) -> None:
        """Queue one SUBSCRIBE for all topics."""
        self._out.append(encode_subscribe(packet_id, tuple((topic, qos) for topic in topics)))

    def ping(self) -> None:
        """Queue a PINGREQ."""
        self._out.append(PINGREQ)

    def flush(self) -> None:
        """Write everything queued, in one write; without an open connection it is dropped."""
        out = self._out
        if not out:
            return
        wire = self._wire
        if wire is not None and wire.transport is not None:
            wire.transport.write(out[0] if len(out) == 1 else b"".join(out))
            if not self.writable and not wire.paused:
                wire.announce_writable()
        self._out_bytes = 0
        out.clear()

    def disconnect(self) -> None:
        """Say goodbye after what is queued."""
        wire = self._wire
        if wire is not None and wire.opened and wire.transport is not None:
            self._out.append(DISCONNECT)
            self.flush()
            wire.transport.close()
            self._dialler.parting(wire)
            self._detach(wire)
        else:
            self.close()

    def close(self) -> None:
        """Drop the connection, or the attempt at one."""
        wire = self._wire
        if wire is not None:
            self._detach(wire)
            wire.abort()

    def _forget(self) -> None:
        """What is queued belongs to one connection."""
        self._out.clear()
        self._out_bytes = 0

    def _detach(self, wire: "_Wire") -> None:
        """From here on nothing this wire does is an event."""
        wire.client = None
        self._wire = None
        self.writable = False
        self._forget()
        self._dialler.settled(wire)


class _Wire(Wire):
    """One connection of a client; lives on while it closes, so that an old one never speaks for a new one."""

    __slots__ = (
        "_connect",
        "_decoder",
        "_dialler",
        "client",
        "opened",
        "paused",
        "transport",
    )

    def __init__(self, client: FleetClient) -> None:
        self.client: FleetClient | None = client
        self.transport: asyncio.WriteTransport | None = None
        self.opened = False
        self.paused = False
        self.number = client._number
        self.tls = client._tls
        self._connect = client._connect
        self._dialler = client._dialler
        # None while no packet is half received, which is nearly always.
        self._decoder: Decoder | None = Decoder(MAX_PACKET_BYTES)

    # What the client and the dialler call

    @property
    def wanted(self) -> bool:
        """Whether the client still waits for it."""
        return self.client is not None

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def begin(self) -> None:
        """Its turn to connect has come."""
        if self.client is not None:
            self.client.listener.on_dial()

    def fail(self, error: BaseException) -> None:
        """The connection could not be made."""
        self._end(loss(error, self._dialler.peer, opened=False))

    def announce_writable(self) -> None:
        """Tell the listener from the loop, never from inside `flush`."""
        asyncio.get_running_loop().call_soon(self._now_writable)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP, and TLS if any, is there: send CONNECT."""
        self.transport = cast(asyncio.WriteTransport, transport)
        self._dialler.made(self)
        if self.client is None:
            self.abort()
        else:
            self.transport.write(self._connect)

    def data_received(self, data: bytes) -> None:
        """Mostly a run of PUBACKs."""
        client = self.client
        if client is None:
            return
        if self._decoder is None:
            packet_ids = puback_ids(data)
            if packet_ids is not None:
                client.listener.on_pubacks(packet_ids)
                return
            self._decoder = Decoder(MAX_PACKET_BYTES)
        decoder = self._decoder
        error: ProtocolError | None = None
        try:
            packets = decoder.feed(data)
        except ProtocolError as caught:
            packets, error = caught.packets, caught
        self._handle(packets)
        if error is not None:
            self._broken(error.reason)
        elif self.opened and not decoder.buffered_bytes:
            self._decoder = None

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever wanted it."""
        self._dialler.gone(self)
        self.transport = None
        self._end(loss(error, self._dialler.peer, opened=self.opened))

    def pause_writing(self) -> None:
        """The system takes no more just now."""
        self.paused = True
        if self.client is not None:
            self.client.writable = False

    def resume_writing(self) -> None:
        """It does again. Loops may call this from inside a write."""
        self.paused = False
        self.announce_writable()

    # Inside

    def _handle(self, packets: list[Packet]) -> None:
        """Hand packets to the listener, which may close this connection at any of them."""
        run: list[int] = []
        for packet in packets:
            client = self.client
            if client is None:
                return
            if isinstance(packet, Puback) and self.opened:
                run.append(packet.packet_id)
                continue
            if run:
                client.listener.on_pubacks(run)
                run = []
            # The listener may have closed it just now.
            if self.client is not None:
                self._handle_one(client, packet)
        if run and self.client is not None:
            self.client.listener.on_pubacks(run)

    def _handle_one(self, client: FleetClient, packet: Packet) -> None:
        listener = client.listener
        if not self.opened:
            if not isinstance(packet, Connack):
                self._broken(f"{type(packet).__name__.upper()} before CONNACK")
            elif packet.code:
                self._end(refusal(packet.code))
            else:
                self.opened = True
                client.writable = not self.paused
                self._dialler.settled(self)
                listener.on_open(packet.session_present)
        elif isinstance(packet, Publish) and packet.qos < 2:
            listener.on_message(packet.topic, packet.payload, packet.retain)
            if packet.qos and self.client is not None and self.transport is not None:
                # Past the queue: what waits there may have to wait for the ledger.
                self.transport.write(encode_puback(packet.packet_id))
                if self.paused and self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                    self._end(f"{self._dialler.peer} sends but does not read")
        elif isinstance(packet, Suback):
            listener.on_suback(packet.packet_id, packet.codes)
        elif isinstance(packet, Pingresp):
            listener.on_pong()
        else:
            self._broken(f"unexpected {type(packet).__name__.upper()}")

    def _now_writable(self) -> None:
        client = self.client
        if client is None or not self.opened or self.paused or client.writable:
            return
        if client._out_bytes <= HIGH_WATER_BYTES:
            client.writable = True
            tell = getattr(client.listener, "on_writable", None)
            if tell is not None:
                tell()

    def _broken(self, reason: str) -> None:
        self._end(not_mqtt(self._dialler.peer, reason))

    def _end(self, reason: str) -> None:
        """The connection is over: tell the listener, once."""
        client = self.client
        if client is not None:
            client._detach(self)
            self.abort()
            client.listener.on_closed(reason)
