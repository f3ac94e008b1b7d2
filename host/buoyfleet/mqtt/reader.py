"""The fields of one packet's body, read strictly; for both versions of MQTT.

Section numbers are those of the OASIS standard "MQTT Version 3.1.1".
"""

from buoyfleet.mqtt.packets import Packet
from buoyfleet.mqtt.topics import TopicError, check_filter, check_text


class ProtocolError(Exception):
    """The peer sent bytes that MQTT does not allow.

    `reason` is one sentence; `packets` are the whole, valid packets that the same `feed` held before
    the fault.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.packets: list[Packet] = []


class Reader:
    """Reads the fields of one packet's body; every overrun is a `ProtocolError`."""

    __slots__ = ("body", "name", "position")

    def __init__(self, name: str, body: bytes) -> None:
        self.name = name
        self.body = body
        self.position = 0

    def byte(self, what: str) -> int:
        """One byte."""
        if self.position >= len(self.body):
            raise ProtocolError(f"{self.name} ends before its {what}")
        self.position += 1
        return self.body[self.position - 1]

    def u16(self, what: str) -> int:
        """Two bytes, the high one first."""
        return self.byte(what) << 8 | self.byte(what)

    def binary(self, what: str) -> bytes:
        """Bytes behind two bytes of length."""
        size = self.u16(f"length of {what}")
        end = self.position + size
        if end > len(self.body):
            raise ProtocolError(f"{self.name} ends inside its {what}")
        field = self.body[self.position : end]
        self.position = end
        return field

    def text(self, what: str) -> bytes:
        """UTF-8 behind two bytes of length."""
        field = self.binary(what)
        try:
            check_text(field, what)
        except TopicError as error:
            raise ProtocolError(f"{self.name}: {error}") from None
        return field

    def packet_id(self) -> int:
        """A packet id, which is never 0."""
        packet_id = self.u16("packet id")
        if not packet_id:
            raise ProtocolError(f"{self.name} with packet id 0")
        return packet_id

    def filter(self) -> bytes:
        """A topic filter."""
        field = self.binary("topic filter")
        try:
            check_filter(field)
        except TopicError as error:
            raise ProtocolError(f"{self.name}: {error}") from None
        return field

    @property
    def more(self) -> bool:
        """Whether the body goes on."""
        return self.position < len(self.body)

    def done(self) -> None:
        """The body must end here."""
        if self.more:
            raise ProtocolError(f"{self.name} with {len(self.body) - self.position} bytes too many")
