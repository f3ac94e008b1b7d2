"""TLS before a connection: the listener, which records failed handshakes, and the server's context."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from buoyfleet.cloud.local.broker.records import Metric, Reason, Records

ALPN_MQTT: Final = "x-amzn-mqtt-ca"
"""Names MQTT with a client certificate on port 443 (AWS IoT developer guide, "Protocols, port mappings, and
authentication")."""
ALPN_HTTPS: Final = "x-amzn-http-ca"
"""Names HTTPS with a client certificate there."""
ALPN_CUSTOM: Final = "mqtt"
"""Names MQTT with a custom authorizer there."""
ALPN_WEB: Final = "http/1.1"
"""What clients of HTTPS and WebSocket offer of themselves; it means no more than no ALPN."""
SERVER_NAME = "localhost"
"""What clients of a twin name by SNI: IoT Core wants a name there, and the twin's certificate carries it."""
_SNI = "buoyfleet_sni"
_SHUTDOWN_S = 5.0
"""For a client to answer the end of TLS."""
_RETRY_S = 0.5
"""After a failed accept: there are no descriptors left, and trying again at once would only burn time."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What the handshake has told of a client; all empty without TLS."""

    alpn: str = ""
    """The protocol that client and server agreed on."""
    certificate_id: str = ""
    """As `authority.Principal`."""
    server_name: str = ""
    """As the client sent it by SNI."""


Accept = Callable[[Peer], asyncio.Protocol | str]
"""The protocol of a new connection, or why there is none."""


def server_context(
    certificate: Path, key: Path, client_ca: Path, *, require_sni: bool = True, every_protocol: bool = False
) -> ssl.SSLContext:
    """A context as IoT Core has it: TLS 1.2 or later, a client certificate of the given CA, SNI required.

    `every_protocol`: that of port 443, where a client may have other credentials than a certificate.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL if every_protocol else ssl.CERT_REQUIRED
    others = [ALPN_HTTPS, ALPN_CUSTOM, ALPN_WEB] if every_protocol else []
    context.set_alpn_protocols([ALPN_MQTT, *others])
    if require_sni:

        def check_name(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
            vars(tls)[_SNI] = name  # Python keeps it for clients alone
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name is None else None

        context.sni_callback = check_name
    return context


class TlsListener:
    """Accepts connections and shakes hands with each in a task that lives only as long as that.

    asyncio's own server says nothing of a handshake that fails, but a technician must be told of a wrong
    certificate.
    """

    def __init__(self, context: ssl.SSLContext, timeout_s: float, records: Records, accept: Accept) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._records = records
        self._accept_peer = accept
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
        return _Secured(self._accept_peer, self._refuse)

    def _refuse(self, detail: str) -> None:
        self._records.refuse(Reason.TLS_FAILED, Metric.CONNECTION_AUTHN_ERROR, detail, "")


class _Secured(asyncio.Protocol):
    """Stands in for a connection until the handshake has told whose it is."""

    def __init__(self, accept: Accept, refuse: Callable[[str], None]) -> None:
        self._accept = accept
        self._refuse = refuse

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over: hand the transport on."""
        secured = cast(asyncio.Transport, transport)
        tls = secured.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True)
        certificate_id = hashlib.sha256(der).hexdigest() if der else ""
        name = vars(tls).get(_SNI) or ""
        accepted = self._accept(Peer(tls.selected_alpn_protocol() or "", certificate_id, name))
        if isinstance(accepted, str):
            self._refuse(accepted)
            secured.close()
            return
        secured.set_protocol(accepted)
        accepted.connection_made(secured)


def _plain(error: BaseException) -> str:
    """What OpenSSL says, without file and line of its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(error) or type(error).__name__
