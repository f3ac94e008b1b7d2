"""The contract between a buoy's link policy and the MQTT client that moves its packets.

The link owns packet ids, window, deadlines, back-off, resend and keep-alive; a transport only moves packets.
It never blocks, and calls its listener from the event loop only, never from inside one of its own methods.
"""

import errno
import os
import socket
import ssl
from typing import Protocol

from buoyfleet.model.reasons import LinkReason, LinkTrouble
from buoyfleet.mqtt.packets import CONNACK_MEANINGS, ConnackCode


class Listener(Protocol):
    """Who hears of a connection's events.

    A listener may also have `on_writable()`: an open connection takes more again after it did not; and
    `on_plain_messages(run)`: it then gets runs of (topic, payload) of QoS 0 so where a client has them.
    """

    def on_dial(self) -> None:
        """The attempt to connect begins; until then it waited for its turn."""
        ...

    def on_open(self, session_present: bool) -> None:
        """CONNACK 0 arrived."""
        ...

    def on_pubacks(self, packet_ids: list[int]) -> None:
        """A run of PUBACKs, in order of arrival, at least one."""
        ...

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        """The answer to SUBSCRIBE: one code per topic filter."""
        ...

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """A message; the transport answers QoS 1 itself, after this returns."""
        ...

    def on_pong(self) -> None:
        """PINGRESP arrived."""
        ...

    def on_closed(self, reason: str) -> None:
        """The connection is lost, or could not be made; once per `open()`, never after `close()`."""
        ...


class Transport(Protocol):
    """What the firmware's link calls."""

    listener: Listener

    @property
    def writable(self) -> bool:
        """Whether more can be queued now: open, and less than about 64 KiB waiting to leave."""
        ...

    def open(self) -> None:
        """Start to connect; ends in `on_open` or `on_closed`, unless the owner's deadline calls `close`."""
        ...

    def publish(self, topic: bytes, payload: bytes, qos: int, packet_id: int, dup: bool) -> None:
        """Queue a PUBLISH."""
        ...

    def subscribe(self, topics: tuple[bytes, ...], qos: int, packet_id: int) -> None:
        """Queue a SUBSCRIBE."""
        ...

    def ping(self) -> None:
        """Queue a PINGREQ."""
        ...

    def flush(self) -> None:
        """Write everything queued, in one write."""
        ...

    def disconnect(self) -> None:
        """Write everything queued and a DISCONNECT, then close; no event follows."""
        ...

    def close(self) -> None:
        """Drop the connection at once, and what is queued with it; no event follows."""
        ...


def refusal(code: int) -> LinkTrouble:
    """What a CONNACK other than 0 means, for people."""
    return LinkTrouble(
        f"refused: {CONNACK_MEANINGS.get(code, 'unknown reason')} (CONNACK {code})",
        LinkReason.LOGIN_REFUSED
        if code in (ConnackCode.BAD_USERNAME_OR_PASSWORD, ConnackCode.NOT_AUTHORISED)
        else LinkReason.CONNECT_REFUSED,
    )


def not_mqtt(peer: str, what: str) -> LinkTrouble:
    """The peer breaks the protocol."""
    return LinkTrouble(f"not MQTT 3.1.1 from {peer}: {what}", LinkReason.NOT_MQTT)


def loss(error: BaseException | None, peer: str, *, opened: bool) -> LinkTrouble:
    """Why a connection ended, for people.

    Args:
        error: what the system said; None where the peer closed in good order.
        peer: HOST:PORT.
        opened: whether CONNACK had arrived.
    """
    when = "" if opened else " before CONNACK"
    closed = LinkReason.LOST if opened else LinkReason.CLOSED_EARLY
    if error is None:
        return LinkTrouble(f"closed by {peer}{when}", closed)
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"TLS with {peer}: certificate not trusted: {error.verify_message}"
        return LinkTrouble(text, LinkReason.CERTIFICATE)
    if isinstance(error, ssl.SSLError):
        text = f"TLS with {peer}: {(error.reason or str(error)).replace('_', ' ').lower()}"
        return LinkTrouble(text, LinkReason.TLS)
    if isinstance(error, ConnectionResetError):
        return LinkTrouble(f"connection reset by {peer}{when}", closed)
    if isinstance(error, socket.gaierror):
        return LinkTrouble(f"cannot resolve {peer}: {error.strerror}", LinkReason.NAME)
    if isinstance(error, OSError):
        # uvloop words its errors itself; the system's words are the same for every loop.
        text = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
        if error.errno in (errno.EMFILE, errno.ENFILE):
            text += " (raise `ulimit -n`)"
        if opened:
            return LinkTrouble(f"connection to {peer} lost: {text}", LinkReason.LOST)
        return LinkTrouble(f"cannot connect to {peer}: {text}", LinkReason.UNREACHABLE)
    return LinkTrouble(f"connection to {peer}: {error}", LinkReason.OTHER)


class _Nobody:
    """The listener of a client that has none yet."""

    __slots__ = ()

    def on_dial(self) -> None:
        """Nothing."""

    def on_open(self, session_present: bool) -> None:
        """Nothing."""

    def on_pubacks(self, packet_ids: list[int]) -> None:
        """Nothing."""

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        """Nothing."""

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """Nothing."""

    def on_pong(self) -> None:
        """Nothing."""

    def on_closed(self, reason: str) -> None:
        """Nothing."""


NOBODY: Listener = _Nobody()
