"""The packets of MQTT 3.1.1 as plain data.

Topics, filters, passwords and payloads are bytes as they travel (topics are valid UTF-8); names that people
read are str. Treat packets as read-only: they are not frozen because that triples the cost of making one.
"""

from dataclasses import dataclass
from enum import IntEnum


class ConnackCode(IntEnum):
    """Return codes of CONNACK (section 3.2.2.3)."""

    ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USERNAME_OR_PASSWORD = 4
    NOT_AUTHORISED = 5


CONNACK_MEANINGS: dict[int, str] = {
    0: "accepted",
    1: "unacceptable protocol version",
    2: "client id rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}

SUBACK_FAILURE = 0x80
"""Return code of a refused filter (section 3.9.3)."""


@dataclass(slots=True)
class Will:
    """The message a broker publishes when the client vanishes."""

    topic: bytes
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(slots=True)
class Connect:
    """Client → server, first packet of a connection."""

    client_id: str
    keep_alive_s: int = 60
    """0: no keep-alive; else the server drops a client silent for 1.5 times this."""
    clean_session: bool = True
    will: Will | None = None
    username: str | None = None
    password: bytes | None = None

    def __repr__(self) -> str:
        """Everything but the password, so that it never ends in a log."""
        secret = None if self.password is None else "***"
        return (
            f"Connect(client_id={self.client_id!r}, keep_alive_s={self.keep_alive_s}, "
            f"clean_session={self.clean_session}, will={self.will!r}, "
            f"username={self.username!r}, password={secret})"
        )


@dataclass(slots=True)
class Connack:
    """Server → client, answer to CONNECT; `code` as in `ConnackCode`."""

    session_present: bool
    code: int


@dataclass(slots=True)
class Publish:
    """A message, either way. `packet_id` is 0 for QoS 0 and never 0 above."""

    topic: bytes
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0


@dataclass(slots=True)
class Puback:
    """Answer to a PUBLISH of QoS 1."""

    packet_id: int


@dataclass(slots=True)
class Pubrec:
    """First answer to a PUBLISH of QoS 2."""

    packet_id: int


@dataclass(slots=True)
class Pubrel:
    """Answer to PUBREC."""

    packet_id: int


@dataclass(slots=True)
class Pubcomp:
    """Answer to PUBREL."""

    packet_id: int


@dataclass(slots=True)
class Subscribe:
    """Client → server: (filter, highest QoS wanted) pairs, at least one."""

    packet_id: int
    filters: tuple[tuple[bytes, int], ...]


@dataclass(slots=True)
class Suback:
    """Server → client: one code per filter: the QoS granted, or `SUBACK_FAILURE`."""

    packet_id: int
    codes: bytes


@dataclass(slots=True)
class Unsubscribe:
    """Client → server: at least one filter."""

    packet_id: int
    filters: tuple[bytes, ...]


@dataclass(slots=True)
class Unsuback:
    """Server → client, answer to UNSUBSCRIBE."""

    packet_id: int


@dataclass(slots=True)
class Pingreq:
    """Client → server: keep-alive."""


@dataclass(slots=True)
class Pingresp:
    """Server → client, answer to PINGREQ."""


@dataclass(slots=True)
class Disconnect:
    """Client → server: a polite end; the will is not published."""


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
)
