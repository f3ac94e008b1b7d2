"""Target `broker`: any MQTT broker with nothing behind it. Boards publish, acknowledgements count."""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from host.cloud.target import Check, Collected, LiveCounts
from host.model.endpoint import Endpoint
from host.model.errors import TargetError
from host.model.fleet import TargetSpec
from host.mqtt.codec import (
    CONNACK_MEANINGS,
    DISCONNECT,
    Connack,
    Connect,
    Decoder,
    ProtocolError,
    encode_connect,
)

CONNECT_TIMEOUT_S = 10.0
_CLIENT_ID = "buoy-preflight"
_PLAIN_PORT, _TLS_PORT = 1883, 8883


class BrokerTarget:
    """A broker of someone else's: nothing is started, nothing can be collected."""

    stores: tuple[str, ...] = ()

    def __init__(self, spec: TargetSpec, password: str = "") -> None:
        """`password` is the resolved secret of `spec.password`; port 0 means MQTT's own."""
        port = spec.port or (_TLS_PORT if spec.tls is not None else _PLAIN_PORT)
        self._endpoint = Endpoint(spec.host, port, spec.tls, spec.username, password)

    async def preflight(self) -> list[Check]:
        """One CONNECT, answered or not."""
        endpoint = self._endpoint
        where = f"{endpoint.host}:{endpoint.port}"
        began = time.monotonic()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connect()
        except TimeoutError:
            detail = f"{where} did not answer a CONNECT within {CONNECT_TIMEOUT_S:g} s"
            return [Check("broker", False, detail, f"is {where} an MQTT broker, and is it reachable?")]
        except TargetError as error:
            return [Check("broker", False, f"{where}: {error.what}", error.next_step)]
        return [Check("broker", True, f"{where} answered in {(time.monotonic() - began) * 1000:.0f} ms")]

    async def _connect(self) -> None:
        endpoint = self._endpoint
        try:
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=_context(endpoint), server_hostname=_server_name(endpoint)
            )
        except ssl.SSLError as error:
            raise TargetError(
                f"TLS failed: {error.reason or error}",
                next_step="check target.tls: ca, certificate, key, server_name",
            ) from None
        except OSError as error:
            raise TargetError(
                error.strerror or str(error),
                next_step="start the broker, or correct target.host and target.port",
            ) from None
        try:
            await self._greet(reader, writer)
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        endpoint = self._endpoint
        packet = Connect(
            client_id=_CLIENT_ID,
            clean_session=True,
            keep_alive_s=30,
            username=endpoint.username or None,
            password=endpoint.password.encode() if endpoint.password else None,
        )
        writer.write(encode_connect(packet))
        decoder = Decoder()
        try:
            while data := await reader.read(4096):
                for answer in decoder.feed(data):
                    if isinstance(answer, Connack):
                        _judge(answer)
                        writer.write(DISCONNECT)
                        return
        except (ConnectionError, ProtocolError) as error:
            raise TargetError(f"no MQTT there: {error}", next_step="correct target.port") from None
        raise TargetError(
            "the connection was closed before a CONNACK",
            next_step="look into the broker's log, or correct target.tls",
        )

    async def start(self) -> Endpoint:
        """Where boards connect; the broker runs already."""
        return self._endpoint

    async def counts(self) -> LiveCounts:
        """Nothing can be seen behind a foreign broker."""
        return LiveCounts()

    async def drain(
        self, expected_messages: int, timeout_s: float, progress: Callable[[LiveCounts], None]
    ) -> None:
        """Nothing to wait for."""

    async def collect(
        self,
        run_folder: Path,  # noqa: ARG002
        since_ns: int,  # noqa: ARG002
        until_ns: int,  # noqa: ARG002
        buoys: frozenset[int],  # noqa: ARG002
    ) -> Collected:
        """Nothing to collect: no stores, no stages."""
        return Collected((), [])

    async def stop(self) -> None:
        """Nothing to stop."""


def _judge(answer: Connack) -> None:
    if answer.code == 0:
        return
    meaning = CONNACK_MEANINGS.get(answer.code, "unknown code")
    raise TargetError(
        f"refused: {meaning} (CONNACK {int(answer.code)})",
        next_step="check target.username and target.password",
    )


def _context(endpoint: Endpoint) -> ssl.SSLContext | None:
    tls = endpoint.tls
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.certificate and "{thing}" not in tls.certificate + tls.key:
            context.load_cert_chain(tls.certificate, tls.key or None)
    except OSError as error:  # ssl.SSLError is one
        raise TargetError(
            f"TLS files cannot be used: {error.strerror or error}",
            next_step="check target.tls: ca, certificate, key",
        ) from None
    if tls.alpn:
        context.set_alpn_protocols([tls.alpn])
    return context


def _server_name(endpoint: Endpoint) -> str | None:
    return (endpoint.tls.server_name or endpoint.host) if endpoint.tls is not None else None
