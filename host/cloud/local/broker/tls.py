"""Mutual TLS before a connection: the handshake, whose failures are recorded, and the server's context."""

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

from host.cloud.local.broker.connection import Connection
from host.cloud.local.broker.records import Metric, Reason, Records

ALPN_MQTT = "x-amzn-mqtt-ca"
"""Names MQTT with a client certificate on port 443 (AWS IoT developer guide, "Protocols, port mappings, and
authentication")."""


def server_context(
    certificate: Path, key: Path, client_ca: Path, *, require_sni: bool = True
) -> ssl.SSLContext:
    """A context as IoT Core has it: TLS 1.2 or later, a client certificate of the given CA, SNI required.

    Raises:
        OSError: a file cannot be read. ssl.SSLError (an OSError): it holds no such thing.
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


class Handshake(asyncio.Protocol):
    """The first moments of a TLS connection, before there is a `Connection`."""

    def __init__(
        self,
        context: ssl.SSLContext,
        needs_alpn: bool,
        timeout_s: float,
        records: Records,
        make: Callable[[str], Connection],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._context = context
        self._needs_alpn = needs_alpn
        self._timeout_s = timeout_s
        self._records = records
        self._make = make
        self._tasks = tasks
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake; the task lives only as long as that."""
        task = asyncio.get_running_loop().create_task(self._shake(transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def data_received(self, data: bytes) -> None:
        """Application data that came with the client's last handshake message."""
        self._early.append(data)

    async def _shake(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport,  # type: ignore[arg-type]  # a socket's transport both reads and writes
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._timeout_s,
            )
        except (OSError, EOFError) as error:  # ssl.SSLError and timeouts are OSErrors
            self._refuse(f"TLS handshake failed: {_plain(error)}")
            transport.close()
            return
        if secured is None:  # uvloop, for a peer that vanished at the last moment
            self._refuse("the client closed the connection during the TLS handshake")
            return
        tls = secured.get_extra_info("ssl_object")
        if self._needs_alpn and tls.selected_alpn_protocol() != ALPN_MQTT:
            self._refuse(f"this port needs ALPN {ALPN_MQTT}; the client did not offer it")
            secured.close()
            return
        der = tls.getpeercert(binary_form=True)
        connection = self._make(hashlib.sha256(der).hexdigest() if der else "")
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(b"".join(self._early))

    def _refuse(self, detail: str) -> None:
        self._records.refuse(Reason.TLS_FAILED, Metric.CONNECTION_AUTHN_ERROR, detail, "")


def _plain(error: BaseException) -> str:
    """What OpenSSL says, without file and line of its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(error) or type(error).__name__
