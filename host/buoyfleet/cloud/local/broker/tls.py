"""Mutual TLS before a connection: the listener, which records failed handshakes, and the server's context."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import cast

from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.records import Metric, Reason, Records

ALPN_MQTT = "x-amzn-mqtt-ca"
"""Names MQTT with a client certificate on port 443 (AWS IoT developer guide, "Protocols, port mappings, and
authentication")."""
SERVER_NAME = "localhost"
"""What clients of a twin name by SNI: IoT Core wants a name there, and the twin's certificate carries it."""
_SHUTDOWN_S = 5.0
"""For a client to answer the end of TLS."""
_RETRY_S = 0.5
"""After a failed accept: there are no descriptors left, and trying again at once would only burn time."""


def server_context(
    certificate: Path, key: Path, client_ca: Path, *, require_sni: bool = True
) -> ssl.SSLContext:
    """A context as IoT Core has it: TLS 1.2 or later, a client certificate of the given CA, SNI required.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols([ALPN_MQTT])
    if require_sni:

        def check_name(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> int | None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name is None else None

        context.sni_callback = check_name
    return context


class TlsListener:
    """Accepts connections and shakes hands with each in a task that lives only as long as that.

    asyncio's own server says nothing of a handshake that fails, but a technician must be told of a wrong
    certificate.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        needs_alpn: bool,
        timeout_s: float,
        records: Records,
        make: Callable[[], Connection],
    ) -> None:
        self._context = context
        self._needs_alpn = needs_alpn
        self._timeout_s = timeout_s
        self._records = records
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, host: str, port: int, backlog: int) -> int:
        """Listen; return the port.

        Raises:
            OSError: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=backlog)
        listener.setblocking(False)
        self._keep(self._accept(listener))
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Close the port and give up handshakes under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(listener)
                except ConnectionError:
                    continue  # the peer went away before it was accepted
                except OSError as error:
                    self._refuse(f"cannot accept connections: {error.strerror}")
                    await asyncio.sleep(_RETRY_S)
                    continue
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._keep(self._shake(accepted))

    async def _shake(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._secured,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=_SHUTDOWN_S,
            )
        except OSError as error:  # ssl.SSLError and a handshake's timeout are OSErrors, too
            self._refuse(f"TLS handshake failed: {_plain(error)}")

    def _secured(self) -> asyncio.Protocol:
        return _Secured(self._make(), self._needs_alpn, self._refuse)

    def _refuse(self, detail: str) -> None:
        self._records.refuse(Reason.TLS_FAILED, Metric.CONNECTION_AUTHN_ERROR, detail, "")


class _Secured(asyncio.Protocol):
    """Stands in for a connection until the handshake has told whose it is."""

    def __init__(self, connection: Connection, needs_alpn: bool, refuse: Callable[[str], None]) -> None:
        self._connection = connection
        self._needs_alpn = needs_alpn
        self._refuse = refuse

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over: hand the transport to the connection."""
        secured = cast(asyncio.Transport, transport)
        tls = secured.get_extra_info("ssl_object")
        if self._needs_alpn and tls.selected_alpn_protocol() != ALPN_MQTT:
            self._refuse(f"this port needs ALPN {ALPN_MQTT}; the client did not offer it")
            secured.close()
            return
        der = tls.getpeercert(binary_form=True)
        self._connection.certificate_id = hashlib.sha256(der).hexdigest() if der else ""
        secured.set_protocol(self._connection)
        self._connection.connection_made(secured)


def _plain(error: BaseException) -> str:
    """What OpenSSL says, without file and line of its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(error) or type(error).__name__
