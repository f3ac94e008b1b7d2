"""Between bytes and packets of one connection: MQTT 3.1.1 as it is, MQTT 5 by translation."""

from host.cloud.local.broker.mqtt5 import (
    DISCONNECT_CODES,
    LEVEL,
    PUBACK_CODES,
    UNSPECIFIED,
    Fault,
    Mqtt5,
    disconnect,
    puback,
)
from host.cloud.local.broker.records import Reason
from host.model.limits import Limits
from host.mqtt.codec import Decoder, Packet, ProtocolError, UnsupportedVersion

_PARSED_EXCESS_BYTES = 128 * 1024
"""Packets this much above the largest allowed are still parsed, so that the refusal can name their topic."""


class Wire:
    """Decodes what a client sends; which version it speaks shows in its CONNECT."""

    __slots__ = ("_decoder", "_first", "_limits", "_max_packet_bytes", "answering", "v5")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._max_packet_bytes = limits.payload_bytes + limits.topic_bytes + _PARSED_EXCESS_BYTES
        self._decoder = Decoder(self._max_packet_bytes)
        self._first = b""
        """What came before it was clear which MQTT the client speaks."""
        self.v5: Mqtt5 | None = None
        """The translator of a client that speaks MQTT 5."""
        self.answering = 0
        """Packet id of the PUBLISH under way, where a refusal has an answer (MQTT 5)."""

    def decode(self, data: bytes, greeted: bool) -> tuple[list[Packet], ProtocolError | None]:
        """The packets of a read, and what is wrong with what comes after them.

        Args:
            data: as it came.
            greeted: whether a CONNECT was accepted before.
        """
        fault: ProtocolError | None = None
        if self.v5 is not None:
            data, fault = self.v5.incoming(data)
        elif not greeted:
            self._first += data
        try:
            return self._decoder.feed(data), fault
        except UnsupportedVersion as error:
            if error.level != LEVEL or self.v5 is not None or greeted:
                return error.packets, error
        except ProtocolError as error:
            return error.packets, error
        self.v5 = Mqtt5(self._limits.keep_alive_max_s, self._max_packet_bytes)
        self._decoder = Decoder(self._max_packet_bytes)
        first, self._first = self._first, b""
        return self.decode(first, False)

    def encode(self, out: list[bytes]) -> bytes:
        """The bytes of packets for the client."""
        if self.v5 is not None:
            out = [self.v5.outgoing(data) for data in out]
        return out[0] if len(out) == 1 else b"".join(out)

    @property
    def starts_clean(self) -> bool:
        """Whether the client wants no session that is there, though it wants its new one kept (MQTT 5)."""
        return self.v5 is not None and self.v5.starts_clean

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
            return [self.v5.connack(False, code)]
        said = [disconnect(code)]
        if self.answering and reason in PUBACK_CODES:
            said.insert(0, puback(self.answering, PUBACK_CODES[reason]))
        return said
