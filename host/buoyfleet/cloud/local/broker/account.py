"""What the broker asks of the account's services: topics that begin with `$aws/`, and events of clients."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from buoyfleet.cloud.local.broker.authority import Principal
from buoyfleet.cloud.local.broker.records import DisconnectReason

BASIC_INGEST: Final = "$aws/rules/"
"""Messages on such a topic go to one rule and to no subscriber (developer guide, "Basic Ingest")."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that a service publishes."""

    topic: str
    payload: bytes
    direct: bool = False
    """To the client that asked, subscribed or not, and to nobody else."""


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """Something that happened to a client."""

    kind: Literal["connected", "disconnected", "subscribed", "unsubscribed"]
    client_id: str
    principal_id: str
    """The certificate's id; "" without one."""
    ip_address: str = ""
    reason: DisconnectReason | None = None
    topics: tuple[str, ...] = ()


class Account(Protocol):
    """The account's services."""

    def wants(self, topic: str) -> bool:
        """Whether a rule selects from this reserved topic."""
        ...

    def publish_problem(self, topic: str) -> str:
        """Why no client may publish to the topic; "": it may."""
        ...

    def subscribe_problem(self, topic_filter: str) -> str:
        """Why no client may subscribe to the filter; "": it may."""
        ...

    def request(self, topic: str, payload: bytes, who: Principal) -> list[Reply]:
        """What the services publish because of a client's message."""
        ...

    def event(self, event: ClientEvent) -> Reply | None:
        """The message of an event; None: there is none."""
        ...


def split_ingest(topic: str) -> tuple[str, str]:
    """(name of the rule, topic behind it) of a topic of Basic Ingest; ("", topic) of any other.

    What is behind counts for lengths, and is what `topic()` of rule SQL sees.
    """
    if not topic.startswith(BASIC_INGEST):
        return "", topic
    name, _, rest = topic[len(BASIC_INGEST) :].partition("/")
    return name, rest
