"""The packets of MQTT 5, where they say more than those of 3.1.1."""

from dataclasses import dataclass

from buoyfleet.mqtt.packets import Connect, Disconnect, Publish, Subscribe, Will

RECEIVE_MAXIMUM = 65_535
"""What counts where a client says nothing (MQTT 5, section 3.1.2.11.3)."""


@dataclass(slots=True)
class Will5(Will):
    """A will with its properties."""

    properties: bytes = b""
    """What goes on to receivers, encoded."""
    expiry_s: int | None = None
    delay_s: int = 0


@dataclass(slots=True, repr=False)
class Connect5(Connect):
    """`clean_session` is Clean Start: no session that is there is resumed."""

    expiry_s: int = 0
    """How long the session is to live after the connection."""
    receive_maximum: int = RECEIVE_MAXIMUM
    """Most unacknowledged QoS 1 messages to the client."""
    max_packet_bytes: int | None = None
    """Longest packet to the client; None: any."""
    topic_aliases: int = 0
    """Highest topic alias that the client takes."""


@dataclass(slots=True)
class Publish5(Publish):
    """A message with its properties; the alias is already replaced by the topic."""

    properties: bytes = b""
    """What goes on to receivers, encoded."""
    expiry_s: int | None = None
    """Seconds in which it must reach a receiver; None: no bound."""


@dataclass(slots=True)
class Subscribe5(Subscribe):
    """With the options of each filter."""

    options: tuple[int, ...] = ()
    """Subscription Options as they came (section 3.8.3.1)."""


@dataclass(slots=True)
class Disconnect5(Disconnect):
    """With a reason, and perhaps another life for the session."""

    reason: int = 0
    expiry_s: int | None = None
