"""The last retained message of each topic."""

from dataclasses import dataclass

from host.cloud.local.broker.routing import has_wildcard
from host.mqtt.codec import topic_matches


@dataclass(frozen=True, slots=True)
class Retained:
    """A retained message."""

    topic: bytes
    payload: bytes
    qos: int


class RetainedMessages:
    """One message a topic; an empty payload clears it (MQTT 3.1.1, section 3.3.1.3)."""

    def __init__(self, hash_matches_parent: bool) -> None:
        self._messages: dict[bytes, Retained] = {}
        self._hash_matches_parent = hash_matches_parent

    def __len__(self) -> int:
        return len(self._messages)

    def keep(self, topic: bytes, payload: bytes, qos: int) -> None:
        """Replace the topic's message, or clear it if the payload is empty."""
        if payload:
            self._messages[topic] = Retained(topic, payload, qos)
        else:
            self._messages.pop(topic, None)

    def matching(self, topic_filter: bytes) -> list[Retained]:
        """The messages that a valid filter selects."""
        if not has_wildcard(topic_filter):
            message = self._messages.get(topic_filter)
            return [] if message is None else [message]
        return [
            message
            for topic, message in self._messages.items()
            if topic_matches(topic_filter, topic, hash_matches_parent=self._hash_matches_parent)
        ]
