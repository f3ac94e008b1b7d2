"""One client's connection: bytes in, packets to the broker, answers out in one write a read."""

import asyncio
from collections.abc import Sequence
from typing import cast

from buoyfleet.cloud.local.broker.authority import NOBODY, Entrant, Gate
from buoyfleet.cloud.local.broker.backlog import Backlog
from buoyfleet.cloud.local.broker.message import Message
from buoyfleet.cloud.local.broker.mqtt5 import Accepted
from buoyfleet.cloud.local.broker.packets5 import Connect5
from buoyfleet.cloud.local.broker.properties5 import Fault
from buoyfleet.cloud.local.broker.rates import ByteBucket, SecondWindow
from buoyfleet.cloud.local.broker.records import DisconnectReason, Metric, Reason
from buoyfleet.cloud.local.broker.service import Service
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.cloud.local.broker.shares import Shares
from buoyfleet.cloud.local.broker.wire import Wire
from buoyfleet.mqtt.codec import (
    Connect,
    Packet,
    ProtocolError,
    Publish,
    UnsupportedVersion,
    Will,
    encode_connack,
    encode_puback,
)

_UNREAD_BYTES = 256 * 1024
"""Written but unread by the peer: above this nothing more is sent to it, or read from it."""
_LINGER_S = 5.0
"""For a peer to take the last bytes of a connection that the broker closes."""
_CLIENT_ERROR = DisconnectReason.CLIENT_ERROR


class Connection(asyncio.Protocol):
    """A client, from accept to close.

    It has no task and no timer of its own: the broker's tick calls `on_tick` and `on_deadline`.
    """

    __slots__ = (
        "_answering", "_bucket_in", "_bucket_out", "_congested", "_delayed", "_held", "_out", "_reading",
        "_service", "_shares", "_transport", "admit_as", "client_id", "connected_s", "ending", "gate",
        "in_flight_out", "keep_alive_s", "last_packet_s", "plain", "rate_in", "rate_out", "session", "will",
        "wire",
    )  # fmt: skip

    def __init__(self, service: "Service[Connection]", admit_as: Entrant = NOBODY) -> None:
        """`admit_as`: who it is by the credentials that came before CONNECT."""
        limits, now_s = service.limits, service.clock()
        self._service = service
        self._transport: asyncio.Transport | None = None
        self.wire = Wire(limits)
        self._out: list[bytes] = []
        self._answering = False
        """Its own packets are being handled: what it is sent leaves in one write at their end."""
        self._held = Backlog()
        self._shares = Shares(self._arrived, service.turns)
        self._reading = True
        self._delayed = False
        """Whether this spell of too much throughput has been recorded."""
        self._congested = False
        bytes_in, bytes_out = limits.bytes_in_per_s, limits.bytes_out_per_s
        self._bucket_in = None if bytes_in is None else ByteBucket(bytes_in, now_s)
        self._bucket_out = None if bytes_out is None else ByteBucket(bytes_out, now_s)
        rate_in, rate_out = limits.publishes_in_per_s, limits.publishes_out_per_s
        self.rate_in = None if rate_in is None else SecondWindow(rate_in)
        self.rate_out = None if rate_out is None else SecondWindow(rate_out)
        self.in_flight_out = limits.in_flight_out
        """Most unacknowledged QoS 1 messages to the client."""
        self.plain = True
        """It speaks MQTT 3.1.1."""
        self.admit_as = admit_as
        self.client_id = ""
        self.session: Session | None = None
        """None until CONNECT is accepted."""
        self.gate: Gate | None = None
        self.will: Will | None = None
        self.keep_alive_s = 0.0
        self.connected_s = now_s
        self.last_packet_s = now_s
        self.ending = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connected transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_UNREAD_BYTES)
        self._service.opened(self)

    def data_received(self, data: bytes) -> None:
        """Decode a whole read, handle its packets, answer in one write."""
        if self.ending:
            return
        packets, fault = self.wire.decode(data, self.session is not None)
        if packets:
            self.last_packet_s = self._service.clock()
            self._shares.add(packets)
            if self._shares:
                self._choose_reading()
        if fault is not None:
            self._shares.finish()  # what stands before the fault is good
            if not self.ending:
                self._refuse_bytes(fault)
            self._service.flush()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The transport is gone. What waits here had arrived: it is handled, only late."""
        self._shares.finish()
        if self._held and not self.ending:
            self._bucket_in = None
            self._release(self._service.clock())
        self.end(DisconnectReason.CONNECTION_LOST)
        self._service.lost(self)
        self._service.flush()

    def pause_writing(self) -> None:
        """The peer does not read: neither send to it nor read from it until it does."""
        self._congested = True
        self._choose_reading()

    def resume_writing(self) -> None:
        """The peer has read."""
        self._congested = False
        if self.ending:
            return
        self._choose_reading()
        if self.session is not None:
            self.session.advance(self._service.clock())
        self._service.flush()

    # What the broker and the session call

    @property
    def ip_address(self) -> str:
        """Of the peer; "" where the transport does not know."""
        peer = None if self._transport is None else self._transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def send(self, data: bytes) -> None:
        """Queue a packet for the next write."""
        if not self._out and not self._answering:
            self._service.unflushed(self)
        self._out.append(data)

    def accept(self, connect: Connect, said: Accepted) -> None:
        """Answer the CONNECT of an accepted client, and remember what it can take."""
        if isinstance(connect, Connect5):
            self.plain = False
            self.in_flight_out = min(self.in_flight_out, connect.receive_maximum)
        self.send(self.wire.accept(connect, said))

    def fits(self, message: Message) -> bool:
        """Whether the client takes a packet as long as this message's."""
        return self.wire.v5 is None or self.wire.v5.fits(message)

    def deliver(self, message: Message, now_s: float, packet_id: int = 0, dup: bool = False) -> None:
        """Queue a message for the next write, in the client's version of MQTT."""
        self.send(self.wire.publish(message, packet_id, dup, now_s))

    def may_send(self, size: int, now_s: float) -> bool:
        """Whether a PUBLISH of `size` bytes may leave now; pays for it if so."""
        if self._congested:
            return False
        bucket = self._bucket_out
        return bucket is None or bucket.take(now_s, size)

    def wait(self) -> None:
        """Have `on_tick` called at the next tick."""
        self._service.waits(self)

    def write(self) -> None:
        """Write everything queued in one go."""
        out, self._out = self._out, []
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def on_tick(self, now_s: float) -> None:
        """Time has passed for something that waits for it."""
        if self.ending:
            return
        if self._held:
            self._release(now_s)
        if self.session is not None and not self._congested:
            self.session.advance(now_s)

    def on_deadline(self, now_s: float) -> float | None:
        """The connection's deadline has passed; returns the next one, or None."""
        if self.ending:
            self.abort()
            return None
        if self.session is None:
            self.refuse(
                Reason.CONNECT_TIMEOUT,
                None,
                f"no CONNECT within {self._service.limits.connect_timeout_s:.0f} s",
                _CLIENT_ERROR,
            )
            return None
        if self._held:  # the broker keeps it waiting, not the client
            self.last_packet_s = now_s
        limit_s = self.keep_alive_s * self._service.limits.keep_alive_factor
        silent_s = now_s - self.last_packet_s
        if silent_s >= limit_s:
            self.refuse(
                Reason.KEEP_ALIVE,
                None,
                f"silent for {silent_s:.0f} s; keep-alive is {self.keep_alive_s:.0f} s, "
                f"dropped after {limit_s:.0f} s",
                DisconnectReason.MQTT_KEEP_ALIVE_TIMEOUT,
            )
            return None
        self.session.expire(now_s)
        return self.last_packet_s + limit_s

    def refuse(
        self,
        reason: Reason,
        metric: Metric | None,
        detail: str,
        ending: DisconnectReason,
        topic: str = "",
        payload: bytes | None = None,
        answer: bytes = b"",
        fault: Fault | None = None,
    ) -> None:
        """Record a refusal that costs the client its connection, answer if MQTT has an answer, and close."""
        self._service.records.refuse(reason, metric, detail, self.client_id, topic, payload)
        for said in self.wire.farewell(reason, self.session is not None, answer, fault):
            self.send(said)
        self.end(ending)

    def end(self, reason: DisconnectReason) -> None:
        """Close from this side: the session is let go at once, the transport once its bytes are out."""
        if self.ending:
            return
        self.ending = True
        self._discard_held()
        now_s = self._service.clock()
        self._service.ended(self, reason, now_s)
        self.write()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.close()
        if transport.get_write_buffer_size():
            self._service.linger(self, now_s + _LINGER_S)

    def abort(self) -> None:
        """Drop the transport with whatever it still holds."""
        if self._transport is not None:
            self._transport.abort()

    # Packets

    def _arrived(self, packets: Sequence[Packet]) -> None:
        """A share of what the client sent."""
        if self.ending:
            self._shares.drop()
            return
        self._answering = True
        if self._held:
            self._hold(packets)
        else:
            self._handle(packets, self._service.clock())
        self._choose_reading()
        self._answered()

    def _answered(self) -> None:
        """Write the answers; what went to others leaves soon."""
        self._answering = False
        if self._out:
            self.write()
        self._service.flush_soon()

    def _handle(self, packets: Sequence[Packet], now_s: float) -> None:
        """Handle packets in order, until one has to wait for throughput."""
        service, bucket = self._service, self._bucket_in
        for index, packet in enumerate(packets):
            if isinstance(packet, Publish) and self.session is not None:
                if bucket is not None and not bucket.take(now_s, len(packet.topic) + len(packet.payload) + 7):
                    self._delay(packets[index:], bucket)
                    return
                if type(packet) is not Publish:
                    self._publish_v5(packet, now_s)
                elif service.publish(self, packet, now_s):
                    self.send(encode_puback(packet.packet_id))
            else:
                service.rare(self, packet, now_s)
            if self.ending:
                return

    def _publish_v5(self, packet: Publish, now_s: float) -> None:
        """MQTT 5 answers a PUBLISH that is not taken, where the broker has a reason."""
        records, wire = self._service.records, self.wire
        records.latest = None
        wire.answering = (packet.packet_id, 0)
        taken = self._service.publish(self, packet, now_s)
        wire.answering = (0, 0)
        if taken:
            self.send(encode_puback(packet.packet_id))
        elif packet.qos and not self.ending:
            answer = wire.refused_publish(packet.packet_id, records.latest)
            if answer:
                self.send(answer)

    def _delay(self, packets: Sequence[Packet], bucket: ByteBucket) -> None:
        """Hold packets back until throughput allows."""
        if not self._delayed:
            self._delayed = True
            self._service.records.refuse(
                Reason.THROUGHPUT_DELAY,
                None,
                f"more than {bucket.bytes_per_s} bytes/s on one connection: the next message waits "
                f"{bucket.wait_s():.2f} s",
                self.client_id,
            )
        self._hold(packets)
        self._service.waits(self)

    def _hold(self, packets: Sequence[Packet]) -> None:
        """Reading goes on, as what comes now counts against the messages in flight; but not without end."""
        limit = self._service.limits.in_flight_in
        for packet in packets:
            if self.ending:
                return
            if isinstance(packet, Publish) and packet.qos == 1 and self._held.qos1 >= limit:
                detail = f"{limit} QoS 1 messages of this client are not acknowledged yet: no more are taken"
                self._discard(packet, Reason.IN_FLIGHT, detail)
                if self.wire.v5 is not None:  # it was told: Receive Maximum of CONNACK
                    for said in self.wire.farewell(Reason.IN_FLIGHT, True, b""):
                        self.send(said)
                    self.end(_CLIENT_ERROR)
            else:
                self._held.add(packet)
        self._choose_reading()

    def _release(self, now_s: float) -> None:
        """Handle what was held back, as far as throughput allows now."""
        self._handle(self._held.take(), now_s)
        if not self._held:
            self._delayed = False
        self._choose_reading()

    def _discard_held(self) -> None:
        """The connection ends before throughput allowed these messages."""
        for packet in self._held.take():
            if isinstance(packet, Publish):
                detail = "still held back by the throughput limit when the connection ended"
                self._discard(packet, Reason.THROUGHPUT_DELAY, detail)

    def _discard(self, packet: Publish, reason: Reason, detail: str) -> None:
        topic, payload = packet.topic.decode(), packet.payload
        self._service.records.refuse(
            reason, Metric.PUBLISH_IN_THROTTLE, detail, self.client_id, topic, payload
        )

    def _choose_reading(self) -> None:
        """Read from the peer, or leave its bytes to TCP while too much waits here."""
        room = not self._shares and self._held.size_bytes <= self._service.limits.queue_bytes
        reading = room and not self._congested
        transport = self._transport
        if reading == self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    # Refusals of bytes and packets

    def _refuse_bytes(self, fault: ProtocolError) -> None:
        if self.session is None and isinstance(fault, UnsupportedVersion):
            self.refuse(
                Reason.PROTOCOL_VERSION,
                Metric.CONNECT_CLIENT_ERROR,
                fault.reason,
                _CLIENT_ERROR,
                answer=encode_connack(False, 1),
            )
        else:
            self.protocol_error(fault.reason, fault if isinstance(fault, Fault) else None)

    def protocol_error(self, detail: str, fault: Fault | None = None) -> None:
        """The client broke the protocol: it loses its connection."""
        metric = Metric.CONNECT_CLIENT_ERROR if self.session is None else None
        self.refuse(Reason.PROTOCOL_ERROR, metric, detail, _CLIENT_ERROR, fault=fault)
