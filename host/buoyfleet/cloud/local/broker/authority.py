"""Who may do what: the broker's side of authorisation. `policy` holds IoT Core's rules behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CONNECT: Final = "iot:Connect"
PUBLISH: Final = "iot:Publish"
RETAIN_PUBLISH: Final = "iot:RetainPublish"
SUBSCRIBE: Final = "iot:Subscribe"
RECEIVE: Final = "iot:Receive"

_REMEMBERED = 1000
"""Decisions kept a connection: more topics than any board uses."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is at the other end of a connection."""

    client_id: str
    """"" over HTTP, which has none."""
    certificate_id: str = ""
    """SHA-256 of the client certificate's DER in hex, which is AWS's certificate id; "" without one."""
    name: str = ""
    """Of one without a certificate: an access key's user, or what a custom authorizer said."""
    source_ip: str = ""
    connect_attributes: tuple[str, ...] = ()
    """What its CONNECT asked for: `PersistentConnect`, `LastWill` (guide, "Using connectAttributes")."""
    last_will_topic: str = ""

    @property
    def id(self) -> str:
        """What lifecycle events call the principal."""
        return self.certificate_id or self.name


Authorise = Callable[[str, str, Principal], bool]
"""`(action, resource, principal)`: may it? Resources are ARN tails: `client/…`, `topic/…` or `topicfilter/…`.

Answers are remembered for the life of a connection."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who somebody is by credentials that came before CONNECT, and what that allows."""

    certificate_id: str = ""
    name: str = ""
    """As of `Principal`."""
    authorise: Authorise | None = None
    """Policies of its own; None: the broker's."""
    denied: str = ""
    """Why it may not connect at all."""

    def principal(self, client_id: str) -> Principal:
        """As the policies see it."""
        return Principal(client_id, self.certificate_id, self.name)


NOBODY: Final = Entrant()


class Gate:
    """The decisions for one connection, each asked for once: a changed policy acts on the next connection."""

    __slots__ = ("_authorise", "_known", "principal")

    def __init__(self, authorise: Authorise, principal: Principal) -> None:
        self._authorise = authorise
        self._known: dict[tuple[str, str], bool] = {}
        self.principal = principal

    def allows(self, action: str, resource: str) -> bool:
        """Whether the principal may."""
        key = (action, resource)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._authorise(action, resource, self.principal)
        return known

    def denial(self, action: str, resource: str) -> str:
        """The sentence for a refusal."""
        who = self.principal
        by = f"certificate {who.certificate_id[:12]}…" if who.certificate_id else who.name or "no certificate"
        client = f"client {who.client_id!r}" if who.client_id else "a client of HTTPS"
        return f"{action} on {resource} is not allowed for {client} ({by})"
