"""paho-mqtt 2 as a transport (`link: paho`): a second, independent client behind the same contract.

All paho clients of a process run on the caller's event loop; a hub holds what they share. `loop_start` is
never used: it costs a thread and three descriptors a client and stops at 339 clients (select).
"""

import ssl
from collections.abc import Callable

from buoyfleet.mqtt.packets import Connect
from buoyfleet.mqtt.paho_hub import PahoHub
from buoyfleet.mqtt.paho_session import PahoSession
from buoyfleet.mqtt.transport import NOBODY, Listener

HIGH_WATER_BYTES = 65_536
"""More than this waiting to leave makes a client not writable, as for the fleet client."""

__all__ = ["PahoClient", "PahoHub"]


class PahoClient:
    """One board's connection through paho; what the methods promise is said in buoyfleet.mqtt.transport.

    paho chooses packet ids itself and sets DUP only on its own resends: the link's ids are mapped, its `dup`
    is not sent.
    """

    __slots__ = ("_connect", "_hub", "_out", "_out_bytes", "_session", "_tls", "listener")

    def __init__(self, hub: PahoHub, connect: Connect, tls: ssl.SSLContext | None = None) -> None:
        """Nothing is opened yet; set `listener` before `open()`.

        Args:
            hub: shared by the clients of a process.
            connect: what to say in CONNECT.
            tls: a context of this board's own (its certificate); None: the hub's.

        Raises:
            ValueError: a persistent session without a client id.
        """
        if not connect.client_id and not connect.clean_session:
            raise ValueError("a persistent session needs a client id")
        self.listener: Listener = NOBODY
        self._hub = hub
        self._connect = connect
        self._tls = tls
        self._session: PahoSession | None = None
        self._out: list[Callable[[PahoSession], None]] = []
        self._out_bytes = 0

    @property
    def writable(self) -> bool:
        """Whether more can be queued now."""
        session = self._session
        return (
            session is not None
            and session.opened
            and self._out_bytes <= HIGH_WATER_BYTES
            and not session.paho.want_write()
        )

    def open(self) -> None:
        """Start to connect; a connection still there is dropped first."""
        self.close()
        self._forget()
        self._session = PahoSession(self, self._hub, self._connect, self._tls)
        self._hub.dial(self._session)

    def publish(self, topic: bytes, payload: bytes, qos: int, packet_id: int, dup: bool) -> None:  # noqa: ARG002
        """Queue a PUBLISH, never retained."""
        self._out.append(lambda session: session.publish(topic.decode(), payload, qos, packet_id))
        self._out_bytes += len(topic) + len(payload)

    def subscribe(self, topics: tuple[bytes, ...], qos: int, packet_id: int) -> None:
        """Queue one SUBSCRIBE for all topics."""
        wanted = [(topic.decode(), qos) for topic in topics]
        self._out.append(lambda session: session.subscribe(wanted, packet_id))

    def ping(self) -> None:
        """Queue a PINGREQ."""
        self._out.append(lambda session: session.paho.ping())

    def flush(self) -> None:
        """Hand everything queued to paho, which writes it; without an open connection it is dropped."""
        if not self._out:
            return
        out, self._out, was_full = self._out, [], self._out_bytes > HIGH_WATER_BYTES
        self._out_bytes = 0
        session = self._session
        if session is not None and session.opened:
            for give in out:
                give(session)
            session.write(announce=was_full)

    def disconnect(self) -> None:
        """Say goodbye after what is queued."""
        session = self._session
        if session is not None and session.opened:
            self.flush()
            self.detach(session)
            session.part()
        else:
            self.close()

    def close(self) -> None:
        """Drop the connection, or the attempt at one."""
        session = self._session
        if session is not None:
            self.detach(session)
            session.drop()

    def _forget(self) -> None:
        """What is queued belongs to one connection."""
        self._out.clear()
        self._out_bytes = 0

    def detach(self, session: PahoSession) -> None:
        """From here on nothing this session does is an event."""
        session.client = None
        self._session = None
        self._forget()
