"""The last retained message of each topic."""

from dataclasses import dataclass

from buoyfleet.cloud.local.broker.message import NO_EXTRA, Extra
from buoyfleet.cloud.local.broker.routing import has_wildcard
from buoyfleet.mqtt.codec import topic_matches


@dataclass(frozen=True, slots=True)
class Retained:
    """A retained message."""

    topic: bytes
    payload: bytes
    qos: int
    extra: Extra = NO_EXTRA
    kept_s: float = 0.0
    """When it came, in seconds since 1970."""


class RetainedMessages:
    """One message a topic; an empty payload clears it (MQTT 3.1.1, section 3.3.1.3)."""

    def __init__(self, hash_matches_parent: bool, most: int) -> None:
        """`most`: how many the account keeps."""
        self._messages: dict[bytes, Retained] = {}
        self._hash_matches_parent = hash_matches_parent
        self._most = most

    def __len__(self) -> int:
        return len(self._messages)

    def has_room(self, topic: bytes, payload: bytes) -> bool:
        """Whether `keep` would keep it: one more topic, within what the account keeps."""
        return not payload or topic in self._messages or len(self._messages) < self._most

    def keep(self, message: Retained) -> None:
        """Replace the topic's message, or clear it if the payload is empty."""
        if message.payload:
            self._messages[message.topic] = message
        else:
            self._messages.pop(message.topic, None)

    def matching(self, topic_filter: bytes, now_s: float) -> list[Retained]:
        """The messages that a valid filter selects."""
        if not has_wildcard(topic_filter):
            message = self._messages.get(topic_filter)
            found = [] if message is None else [message]
        else:
            found = [
                message
                for topic, message in self._messages.items()
                if topic_matches(topic_filter, topic, hash_matches_parent=self._hash_matches_parent)
            ]
        return self._living(found, now_s)

    def all(self, now_s: float) -> list[Retained]:
        """Every message, by topic."""
        return self._living(sorted(self._messages.values(), key=lambda one: one.topic), now_s)

    def _living(self, found: list[Retained], now_s: float) -> list[Retained]:
        for message in found:
            expires_s = message.extra.expires_s
            if expires_s is not None and now_s >= expires_s:
                del self._messages[message.topic]
        return [message for message in found if message.topic in self._messages]
