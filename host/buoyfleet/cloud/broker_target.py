"""Target `broker`: any MQTT broker. What an independent subscriber saw is the only store."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from buoyfleet.cloud.target import Check, Collected, LiveCounts, Manners, Stakes
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import TargetError
from buoyfleet.model.fleet import TargetSpec
from buoyfleet.model.limits import PUBLISHES_PER_S
from buoyfleet.model.plan import Plan
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.mqtt.codec import (
    CONNACK_MEANINGS,
    DISCONNECT,
    Connack,
    Connect,
    Decoder,
    ProtocolError,
    encode_connect,
)
from buoyfleet.mqtt.tls import client_context

CONNECT_TIMEOUT_S = 10.0
_PLAIN_PORT, _TLS_PORT = 1883, 8883
# Endpoints of AWS IoT Core (IoT Core guide, "Device data and service endpoints").
_IOT_CORE_HOST = re.compile(r"[a-z0-9-]+\.iot\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", re.IGNORECASE)


class BrokerTarget:
    """A broker of someone else's: nothing is started. What the subscriber saw is in the run's folder."""

    stores: tuple[str, ...] = (SUBSCRIBER,)
    changed_limits: tuple[str, ...] = ()
    address = ""

    def __init__(self, spec: TargetSpec, password: str = "", probe_as: str = "buoy-preflight") -> None:
        """Nothing is opened yet.

        Args:
            spec: kind `broker`; port 0 means MQTT's own.
            password: the resolved secret of `spec.password`.
            probe_as: thing name whose certificate and client id preflight uses: one that the run will use, as
                a broker with policies knows nobody else.
        """
        self._probe_as = probe_as
        port = spec.port or (_TLS_PORT if spec.tls is not None else _PLAIN_PORT)
        self._endpoint = Endpoint(spec.host, port, spec.tls, spec.username, password)
        iot_core = _IOT_CORE_HOST.fullmatch(spec.host) is not None
        self.manners = Manners(delivers_per_s=PUBLISHES_PER_S if iot_core else None)

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
                endpoint.host,
                endpoint.port,
                ssl=_context(endpoint, self._probe_as),
                server_hostname=_server_name(endpoint),
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
            client_id=self._probe_as,
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
        except ssl.SSLError as error:
            # TLS 1.3: a broker refuses a client's certificate only after the client's side of the handshake.
            raise TargetError(
                f"TLS was refused: {error.reason or error}",
                next_step="check target.tls: certificate, key",
            ) from None
        except ConnectionError as error:
            if endpoint.tls is None:
                raise TargetError(f"no MQTT there: {error}", next_step="correct target.port") from None
            # The alert that says why can be overtaken by the reset of the connection.
            raise TargetError(
                "the connection was reset after the TLS handshake, as when a broker refuses a certificate",
                next_step="check target.tls: certificate, key",
            ) from None
        except ProtocolError as error:
            raise TargetError(f"no MQTT there: {error}", next_step="correct target.port") from None
        raise TargetError(
            "the connection was closed before a CONNACK",
            next_step="look into the broker's log, or correct target.tls",
        )

    async def stakes(self, plan: Plan) -> Stakes | None:  # noqa: ARG002 - part of the protocol
        """Nobody is asked: what listens to a foreign broker is not known."""
        return None

    async def start(self) -> Endpoint:
        """Where boards connect; the broker runs already."""
        return self._endpoint

    async def reopen(self, since_ns: int) -> Endpoint | None:  # noqa: ARG002 - part of the protocol
        """The broker runs on."""
        return self._endpoint

    async def counts(self) -> LiveCounts:
        """Nothing can be seen behind a foreign broker."""
        return LiveCounts()

    async def drain(
        self, expected_messages: int, timeout_s: float, progress: Callable[[LiveCounts], None]
    ) -> None:
        """Nothing to wait for."""

    def give_up(self) -> bool:
        """There is nothing to wait for."""
        return False

    async def collect(
        self,
        run_folder: Path,  # noqa: ARG002
        since_ns: int,  # noqa: ARG002
        until_ns: int,  # noqa: ARG002
        buoys: frozenset[int],  # noqa: ARG002
    ) -> Collected:
        """The subscriber wrote what it saw already; a foreign broker tells nothing of its stages."""
        return Collected(self.stores, [])

    async def collect_left(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected:
        """As `collect`: the subscriber writes as it goes."""
        return await self.collect(run_folder, since_ns, until_ns, buoys)

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


def _context(endpoint: Endpoint, thing_name: str) -> ssl.SSLContext | None:
    if endpoint.tls is None:
        return None
    try:
        return client_context(endpoint.tls, thing_name)
    except OSError as error:  # ssl.SSLError is one
        raise TargetError(
            f"TLS files of {thing_name} cannot be used: {error.strerror or error}",
            next_step="check target.tls: ca, certificate, key",
        ) from None


def _server_name(endpoint: Endpoint) -> str | None:
    return (endpoint.tls.server_name or endpoint.host) if endpoint.tls is not None else None
