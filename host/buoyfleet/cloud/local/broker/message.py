"""A message on its way to one subscriber."""

from dataclasses import dataclass
from typing import Protocol

_OVERHEAD_BYTES = 150
"""What a queued message costs beside topic and payload (CPython 3.11, rounded)."""

HEADER_BYTES = 7
"""Fixed header, topic length and packet id of a PUBLISH of usual size."""


@dataclass(frozen=True, slots=True)
class Extra:
    """What few messages have."""

    properties: bytes = b""
    """What MQTT 5 forwards, encoded."""
    expires_s: float | None = None
    """Broker time until which it may be sent; None: for ever."""
    shared: "Shared | None" = None
    """The group that shares it, where it came by a shared subscription."""


NO_EXTRA = Extra()


@dataclass(slots=True, eq=False)
class Message:
    """A message for one subscriber."""

    topic: bytes
    payload: bytes
    qos: int
    retain: bool
    extra: Extra = NO_EXTRA
    packet_id: int = 0
    """Its id once it has been sent with QoS 1: a resend carries the same one, and DUP (MQTT 3.1.1, 4.4)."""
    first_sent_s: float = 0.0
    """Broker time of that first sending: the hour of retries counts from here."""

    @property
    def cost_bytes(self) -> int:
        """What it holds of a queue's bound."""
        return len(self.topic) + len(self.payload) + len(self.extra.properties) + _OVERHEAD_BYTES

    @property
    def size_bytes(self) -> int:
        """What it is on the wire, near enough for throughput."""
        return len(self.topic) + len(self.payload) + len(self.extra.properties) + HEADER_BYTES

    def expired(self, now_s: float) -> bool:
        """Whether it may not be sent any more."""
        expires_s = self.extra.expires_s
        return expires_s is not None and now_s >= expires_s


class Shared(Protocol):
    """Where a message goes back to if its receiver is gone."""

    def give_back(self, message: Message, now_s: float) -> None:
        """Take a message that its receiver did not acknowledge."""
        ...
