"""Between bytes and packets of one connection, in the version of MQTT that the client speaks."""

from buoyfleet.cloud.local.broker.decoder5 import Decoder5
from buoyfleet.cloud.local.broker.message import Message
from buoyfleet.cloud.local.broker.mqtt5 import (
    DISCONNECT_CODES,
    LEVEL,
    PACKET_OVERHEAD_BYTES,
    PUBACK_CODES,
    SHUTTING_DOWN,
    SUBACK_CODES,
    TOPIC_FILTER,
    TOPIC_NAME,
    UNSPECIFIED,
    Accepted,
    Encoder5,
    connack,
    disconnect,
    puback,
    suback,
    unsuback,
)
from buoyfleet.cloud.local.broker.packets5 import RECEIVE_MAXIMUM, Connect5
from buoyfleet.cloud.local.broker.properties5 import Fault
from buoyfleet.cloud.local.broker.records import Reason
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.codec import (
    SUBACK_FAILURE,
    Decoder,
    Packet,
    ProtocolError,
    UnsupportedVersion,
    encode_connack,
    encode_publish,
    encode_suback,
    encode_unsuback,
)

_PARSED_EXCESS_BYTES = 128 * 1024
"""Packets this much above the largest allowed are still parsed, so that the refusal can name their topic."""


class Wire:
    """Decodes what a client sends and encodes what it gets; its version shows in its CONNECT."""

    __slots__ = ("_decoder", "_decoder5", "_first", "_limits", "answering", "v5")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._decoder = Decoder(limits.payload_bytes + limits.topic_bytes + _PARSED_EXCESS_BYTES)
        self._decoder5: Decoder5 | None = None
        self._first = b""
        """What came before it was clear which MQTT the client speaks."""
        self.v5: Encoder5 | None = None
        """Where the client speaks MQTT 5."""
        self.answering = (0, 0)
        """Packet id, and number of filters, of the PUBLISH or SUBSCRIBE under way: MQTT 5 can refuse it."""

    # In

    def decode(self, data: bytes, greeted: bool) -> tuple[list[Packet], ProtocolError | None]:
        """The packets of a read, and what is wrong with what comes after them.

        Args:
            data: as it came.
            greeted: whether a CONNECT was accepted before.
        """
        if self._decoder5 is not None:
            return self._decoder5.feed(data)
        if not greeted:
            self._first += data
        try:
            return self._decoder.feed(data), None
        except UnsupportedVersion as error:
            if error.level != LEVEL or greeted or error.packets:
                return error.packets, error
        except ProtocolError as error:
            return error.packets, error
        limits, first = self._limits, self._first
        self._first = b""
        most = limits.payload_bytes + PACKET_OVERHEAD_BYTES
        self.v5 = Encoder5(min(limits.in_flight_in, RECEIVE_MAXIMUM), most)
        self._decoder5 = Decoder5(most)
        return self._decoder5.feed(first)

    # Out

    def accept(self, connect: Packet, said: Accepted) -> bytes:
        """CONNACK of an accepted client."""
        self._first = b""
        if self.v5 is None or not isinstance(connect, Connect5):
            return encode_connack(said.present, 0)
        self.v5.greet(connect)
        return self.v5.accept(said)

    def fits(self, message: Message) -> bool:
        """Whether the client takes a packet as long as this message's."""
        return self.v5 is None or self.v5.fits(message)

    def publish(self, message: Message, packet_id: int, dup: bool, now_s: float) -> bytes:
        """PUBLISH."""
        if self.v5 is None:
            return encode_publish(message.topic, message.payload, message.qos, message.retain, dup, packet_id)
        return self.v5.publish(message, packet_id, dup, now_s)

    def suback(self, packet_id: int, granted: list[int | Reason]) -> bytes:
        """SUBACK: a QoS, or why there is none, for each filter."""
        if self.v5 is None:
            codes = bytes(SUBACK_FAILURE if isinstance(one, Reason) else one for one in granted)
            return encode_suback(packet_id, codes)
        codes = bytes(
            SUBACK_CODES.get(one, UNSPECIFIED) if isinstance(one, Reason) else one for one in granted
        )
        return suback(packet_id, codes)

    def unsuback(self, packet_id: int, filters: int) -> bytes:
        """UNSUBACK."""
        return encode_unsuback(packet_id) if self.v5 is None else unsuback(packet_id, filters)

    def refused_publish(self, packet_id: int, reason: Reason | None) -> bytes:
        """What a client hears of a message that is not taken; b"": nothing."""
        code = PUBACK_CODES.get(reason)
        return b"" if code is None or self.v5 is None else puback(packet_id, code)

    def shutting_down(self) -> bytes:
        """What a client hears of a broker that stops; b"": nothing."""
        return b"" if self.v5 is None else SHUTTING_DOWN

    def farewell(
        self, reason: Reason, greeted: bool, answer: bytes, fault: Fault | None = None
    ) -> list[bytes]:
        """The last packets of a connection that is refused.

        Args:
            reason: of the refusal.
            greeted: whether CONNECT was accepted before.
            answer: what MQTT 3.1.1 says, if it says anything.
            fault: what was wrong with the client's bytes.
        """
        if self.v5 is None:
            return [answer] if answer else []
        code = DISCONNECT_CODES.get(reason, UNSPECIFIED) if fault is None else fault.code
        if not greeted:
            return [connack(code)]
        packet_id, filters = self.answering
        if filters:
            if reason not in SUBACK_CODES:
                return [disconnect(code)]
            if code == TOPIC_NAME:
                code = TOPIC_FILTER
            return [suback(packet_id, bytes((SUBACK_CODES[reason],)) * filters), disconnect(code)]
        if packet_id and reason in PUBACK_CODES:
            return [puback(packet_id, PUBACK_CODES[reason]), disconnect(code)]
        return [disconnect(code)]
