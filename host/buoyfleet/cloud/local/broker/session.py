"""A session: a client's subscriptions and the messages on their way to it, whether it is connected or not."""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from buoyfleet.cloud.local.broker.authority import Gate
from buoyfleet.cloud.local.broker.message import HEADER_BYTES, Message
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import Metric, Reason, Records
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.codec import encode_publish


class Outlet(Protocol):
    """The connected end of a session."""

    rate_out: SecondWindow | None
    """Publishes per second towards the client; None: no limit."""
    in_flight_out: int
    """Most unacknowledged QoS 1 messages: the broker's limit, or the client's where that is lower."""
    plain: bool
    """It speaks MQTT 3.1.1: `send` takes a PUBLISH made without it, and every message fits."""

    def send(self, data: bytes) -> None:
        """Queue a packet for the next write."""
        ...

    def fits(self, message: Message) -> bool:
        """Whether the client takes a packet as long as this message's."""
        ...

    def deliver(self, message: Message, now_s: float, packet_id: int = 0, dup: bool = False) -> None:
        """Queue a message for the next write, in the client's version of MQTT."""
        ...

    def may_send(self, size: int, now_s: float) -> bool:
        """Whether a PUBLISH of that size may leave now (throughput, unread bytes); pays for it if so."""
        ...

    def wait(self) -> None:
        """Ask for `advance` at the next tick: something waits that no acknowledgement will release."""
        ...


class Session:
    """Messages to one client: in flight, waiting (`pending`), and kept while it was away (`stored`).

    Each queue keeps its order. Live messages overtake stored ones, which IoT Core sends at a rate of their
    own beside the current traffic; where that rate is lifted, stored ones go first.
    """

    __slots__ = (
        "_bytes",
        "_in_flight",
        "_last_id",
        "_limits",
        "_pending",
        "_queueing",
        "_records",
        "_replay",
        "_reserved",
        "_stored",
        "client_id",
        "expiry_s",
        "gate",
        "outlet",
        "subscriptions",
    )

    def __init__(
        self,
        client_id: str,
        expiry_s: float,
        limits: Limits,
        records: Records,
        queueing: SecondWindow | None = None,
    ) -> None:
        """`queueing`: the account's rate of messages stored for absent clients; None: no limit."""
        self.client_id = client_id
        self.expiry_s = expiry_s
        """Its life after its client has gone; 0: it ends with the connection."""
        self.subscriptions: dict[bytes, int] = {}
        """Filter → QoS granted, with the options of MQTT 5 (`routing`)."""
        self.outlet: Outlet | None = None
        self.gate: Gate | None = None
        """What the client may receive; None: everything."""
        self._limits = limits
        self._records = records
        self._in_flight: dict[int, Message] = {}
        self._pending: deque[Message] = deque()
        self._stored: deque[Message] = deque()
        self._reserved: set[int] = set()
        """Packet ids of stored messages that have been sent once."""
        self._last_id = 0
        self._bytes = 0
        """Held by `_in_flight`, `_pending` and `_stored` together."""
        replay = limits.replay_per_s
        self._replay = None if replay is None else SecondWindow(replay)
        self._queueing = queueing

    @property
    def in_flight(self) -> int:
        """QoS 1 messages sent and not acknowledged."""
        return len(self._in_flight)

    @property
    def waiting(self) -> int:
        """Messages not yet sent on this connection."""
        return len(self._pending) + len(self._stored)

    def offer(self, message: Message, encoded: bytes | None, now_s: float) -> bool:
        """Send, queue or store a message; False if it was discarded.

        `encoded` is the PUBLISH ready to leave, which only QoS 0 of MQTT 3.1.1 can have: many subscribers
        share it.
        """
        outlet = self.outlet
        if outlet is None:
            # QoS 0 is at most once: nobody is there, and nothing was promised.
            return message.qos == 1 and self._store(message, now_s)
        if not (outlet.plain or outlet.fits(message)):
            self._refuse_size(message)
            return False
        rate = outlet.rate_out
        if rate is not None and not rate.take(now_s):
            self._refuse(
                Reason.DELIVERY_RATE,
                Metric.PUBLISH_OUT_THROTTLE,
                f"message {rate.count} of this second to one connection: {rate.limit} are sent",
                message,
            )
            return False
        if not self._pending and (not self._stored or self._replay is not None):
            if message.qos:
                if self._may_fly(outlet, message, now_s):
                    self._bytes += message.cost_bytes
                    self._fly(outlet, message, now_s)
                    return True
            elif outlet.may_send(message.size_bytes if encoded is None else len(encoded), now_s):
                if encoded is not None and outlet.plain:
                    outlet.send(encoded)
                else:
                    outlet.deliver(message, now_s)
                self._records.published_out += 1
                return True
            else:
                outlet.wait()
        return self._keep(self._pending, message)

    def acknowledge(self, packet_id: int, now_s: float) -> None:
        """The client has it; an unknown id is ignored, as a resend may cross its acknowledgement."""
        message = self._in_flight.pop(packet_id, None)
        if message is None:
            return
        self._bytes -= message.cost_bytes
        if self._pending or self._stored:
            self.advance(now_s)

    def advance(self, now_s: float) -> None:
        """Send what may be sent now; asks for a tick if something is left that only time releases."""
        outlet = self.outlet
        if outlet is None:
            return
        if self._stored:
            self._send_stored(outlet, now_s)
        if self._pending and (not self._stored or self._replay is not None):
            self._send_pending(outlet, now_s)

    def resume(self, outlet: Outlet, now_s: float) -> None:
        """The client is back."""
        self.outlet = outlet
        self.advance(now_s)

    def suspend(self) -> None:
        """The client has gone: what was promised becomes stored, oldest first; QoS 0 goes."""
        self.outlet = None
        promised = [*self._in_flight.values(), *self._stored, *self._pending]
        self._in_flight.clear()
        self._pending.clear()
        self._stored = deque(message for message in promised if message.qos)
        self._reserved = {message.packet_id for message in self._stored if message.packet_id}
        self._bytes = sum(message.cost_bytes for message in self._stored)

    def expire(self, now_s: float) -> None:
        """Give up messages in flight that the client has not acknowledged for `delivery_retry_s`."""
        late = [
            key
            for key, message in self._in_flight.items()
            if self._too_old(message, now_s) or message.expired(now_s)
        ]
        for packet_id in late:
            self._give_up(self._in_flight.pop(packet_id), now_s)
        if late:
            self.advance(now_s)

    def give_back(self, now_s: float) -> None:
        """Return what it got by shared subscriptions to the groups: others may be there to take it."""
        shared = [message for message in self._stored if message.extra.shared is not None]
        if not shared:
            return
        self._stored = deque(message for message in self._stored if message.extra.shared is None)
        for message in shared:
            self._bytes -= message.cost_bytes
            self._reserved.discard(message.packet_id)
            message.packet_id = 0
            if message.extra.shared is not None:
                message.extra.shared.give_back(message, now_s)

    def unacknowledged(self) -> Iterator[Message]:
        """QoS 1 messages that the client has not acknowledged, oldest first."""
        for messages in (self._in_flight.values(), self._stored, self._pending):
            yield from (message for message in messages if message.qos)

    def _send_pending(self, outlet: Outlet, now_s: float) -> None:
        pending = self._pending
        while pending:
            message = pending[0]
            if message.expired(now_s):
                self._give_up(pending.popleft(), now_s)
            elif message.qos:
                if not self._may_fly(outlet, message, now_s):
                    return
                self._fly(outlet, pending.popleft(), now_s)
            else:
                if not outlet.may_send(message.size_bytes, now_s):
                    outlet.wait()
                    return
                self._bytes -= pending.popleft().cost_bytes
                outlet.deliver(message, now_s)
                self._records.published_out += 1

    def _send_stored(self, outlet: Outlet, now_s: float) -> None:
        stored, replay, rate = self._stored, self._replay, outlet.rate_out
        while stored:
            message = stored[0]
            if (
                self._too_old(message, now_s)
                or message.expired(now_s)
                or not (outlet.plain or outlet.fits(message))
            ):
                self._give_up(stored.popleft(), now_s)
                continue
            if replay is not None and not replay.room(now_s):
                break
            if rate is not None and not rate.room(now_s):
                break
            if not self._may_fly(outlet, message, now_s):
                break
            if replay is not None:
                replay.take(now_s)
            if rate is not None:
                rate.take(now_s)
            self._fly(outlet, stored.popleft(), now_s)
        if stored:
            outlet.wait()

    def _may_fly(self, outlet: Outlet, message: Message, now_s: float) -> bool:
        """Whether a QoS 1 message may be sent now; asks for a tick if only throughput is in the way."""
        if len(self._in_flight) >= outlet.in_flight_out:
            return False
        size = len(message.topic) + len(message.payload) + len(message.extra.properties) + HEADER_BYTES
        if outlet.may_send(size, now_s):
            return True
        outlet.wait()
        return False

    def _fly(self, outlet: Outlet, message: Message, now_s: float) -> None:
        """Send a QoS 1 message whose cost is already counted."""
        packet_id = message.packet_id
        dup = packet_id != 0
        if dup:
            self._reserved.discard(packet_id)
        else:
            packet_id = message.packet_id = self._next_id()
            message.first_sent_s = now_s
        self._in_flight[packet_id] = message
        if outlet.plain:
            outlet.send(encode_publish(message.topic, message.payload, 1, message.retain, dup, packet_id))
        else:
            outlet.deliver(message, now_s, packet_id, dup)
        self._records.published_out += 1

    def _next_id(self) -> int:
        packet_id = self._last_id
        while True:  # ends: few ids are taken, `in_flight_out` on this connection and on the one before
            packet_id = packet_id % 65_535 + 1
            if packet_id not in self._in_flight and packet_id not in self._reserved:
                self._last_id = packet_id
                return packet_id

    def _store(self, message: Message, now_s: float) -> bool:
        """Keep a message for the client's return, within the account's rate."""
        if self._queueing is not None and not self._queueing.take(now_s):
            self._refuse(
                Reason.DELIVERY_QUEUE_RATE,
                Metric.PUBLISH_OUT_THROTTLE,
                f"message {self._queueing.count} of this second that the account stores for absent clients: "
                f"{self._queueing.limit} are stored",
                message,
            )
            return False
        return self._keep(self._stored, message)

    def _keep(self, queue: deque[Message], message: Message) -> bool:
        cost = message.cost_bytes
        if self._bytes + cost > self._limits.queue_bytes:
            self._refuse(
                Reason.DELIVERY_QUEUE_FULL,
                Metric.PUBLISH_OUT_THROTTLE,
                f"{self.waiting + self.in_flight} messages ({self._bytes} bytes) already wait for it; "
                f"the twin keeps {self._limits.queue_bytes} bytes a client",
                message,
            )
            return False
        self._bytes += cost
        queue.append(message)
        return True

    def _too_old(self, message: Message, now_s: float) -> bool:
        return bool(message.packet_id) and now_s - message.first_sent_s > self._limits.delivery_retry_s

    def _give_up(self, message: Message, now_s: float) -> None:
        self._bytes -= message.cost_bytes
        self._reserved.discard(message.packet_id)
        if message.expired(now_s):
            self._refuse(
                Reason.DELIVERY_MESSAGE_EXPIRED,
                Metric.PUBLISH_OUT_CLIENT_ERROR,
                "its Message Expiry Interval passed before the client acknowledged it",
                message,
            )
            return
        if not self._too_old(message, now_s):
            self._refuse_size(message)
            return
        self._refuse(
            Reason.DELIVERY_EXPIRED,
            Metric.PUBLISH_OUT_CLIENT_ERROR,
            f"the client did not acknowledge it within {self._limits.delivery_retry_s:.0f} s",
            message,
        )

    def _refuse_size(self, message: Message) -> None:
        self._refuse(
            Reason.DELIVERY_PACKET_TOO_LARGE,
            Metric.PUBLISH_OUT_CLIENT_ERROR,
            f"about {message.size_bytes} bytes, more than the Maximum Packet Size that the client named",
            message,
        )

    def _refuse(self, reason: Reason, metric: Metric, detail: str, message: Message) -> None:
        self._records.refuse(reason, metric, detail, self.client_id, message.topic.decode())
