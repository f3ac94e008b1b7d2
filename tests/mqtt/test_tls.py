"""Mutual TLS: both transports against mosquitto, and what they tell a server in the handshake."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt_certificates import Authority
from mqtt_support import KINDS, Network, accept_and_hold, run, serving

from buoyfleet.model.fleet import TlsSpec
from buoyfleet.mqtt.tls import client_context

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def broker(start_mosquitto: Callable[..., Any], authority: Authority) -> Any:
    """mosquitto that asks for client certificates and takes the user name from them."""
    server = authority.issue("broker.test")
    return start_mosquitto(
        [
            f"cafile {authority.ca}",
            f"certfile {server.certificate}",
            f"keyfile {server.key}",
            "require_certificate true",
            "use_identity_as_username true",
        ]
    )


def context(
    authority: Authority, thing: str = "", *, ca: Path | None = None, alpn: str = ""
) -> ssl.SSLContext:
    """A client context as the fleet file describes it."""
    certificate = key = ""
    if thing:
        issued = authority.issue(thing)
        certificate, key = (str(path).replace(thing, "{thing}") for path in (issued.certificate, issued.key))
    return client_context(TlsSpec(str(ca or authority.ca), certificate, key, alpn=alpn), thing)


def test_a_board_with_a_certificate_publishes_over_tls(kind: str, broker: Any, authority: Authority) -> None:
    async def main() -> None:
        async with Network(kind, broker.port, tls=context(authority, "buoy-100")) as network:
            board = await (await network.board("buoy-100").opened()).subscribed(b"tls/")
            for packet_id in range(1, 51):
                # More than one TLS record in all, so that records and packets are cut in different places.
                board.publish(b"tls/", b"x" * 1000, packet_id)
            board.call("flush")
            await board.heard.until(lambda: sorted(board.heard.acked) == list(range(1, 51)))
            await board.heard.until(lambda: board.heard.messages == [(b"tls/", b"x" * 1000, False)] * 50)

    run(main())


def test_a_board_may_bring_a_certificate_of_its_own(kind: str, broker: Any, authority: Authority) -> None:
    async def main() -> None:
        async with Network(kind, broker.port, tls=context(authority)) as network:
            await network.board("own", context(authority, "buoy-101")).opened()

    run(main())


def test_a_board_without_a_certificate_is_refused(kind: str, broker: Any, authority: Authority) -> None:
    async def main() -> None:
        async with Network(kind, broker.port, tls=context(authority)) as network:
            board = network.board("bare")
            board.call("open")
            await board.heard.event("closed")
            assert board.heard.names() == ["closed"]
            assert f"127.0.0.1:{broker.port}" in board.heard.reasons[0]

    run(main())


def test_a_broker_that_is_not_trusted_is_not_talked_to(
    kind: str, broker: Any, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "somebody else")

    async def main() -> None:
        async with Network(kind, broker.port, tls=context(authority, "buoy-102", ca=other.ca)) as network:
            board = network.board("mistrusts")
            board.call("open")
            await board.heard.event("closed")
            assert "certificate not trusted" in board.heard.reasons[0]

    run(main())


def test_a_broker_with_another_name_is_not_talked_to(kind: str, broker: Any, authority: Authority) -> None:
    async def main() -> None:
        tls = context(authority, "buoy-103")
        async with Network(kind, broker.port, tls=tls, server_name="iot.example.com") as network:
            board = network.board("misled")
            board.call("open")
            await board.heard.event("closed")
            assert "certificate not trusted: Hostname mismatch" in board.heard.reasons[0]
            assert "iot.example.com" in board.heard.reasons[0]

    run(main())


def test_plain_tcp_to_a_tls_port_ends_with_a_reason(kind: str, broker: Any) -> None:
    async def main() -> None:
        async with Network(kind, broker.port) as network:
            board = network.board("plain")
            board.call("open")
            await board.heard.event("closed")
            assert board.heard.names() == ["closed"]

    run(main())


def test_tls_to_a_plain_port_ends_with_a_reason(kind: str, authority: Authority, mosquitto: Any) -> None:
    async def main() -> None:
        async with Network(kind, mosquitto.port, tls=context(authority)) as network:
            board = network.board("secret")
            board.call("open")
            await board.heard.event("closed")
            assert board.heard.names() == ["closed"]

    run(main())


def test_server_name_and_protocol_are_told_as_iot_core_wants_them(kind: str, authority: Authority) -> None:
    told: list[tuple[str | None, str | None, str]] = []
    server_tls = authority.server_context("iot.test")
    server_tls.set_alpn_protocols(["x-amzn-mqtt-ca"])
    asked: list[str | None] = []
    server_tls.sni_callback = lambda _sock, name, _context: asked.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown = writer.get_extra_info("ssl_object")
        subject = dict(pair[0] for pair in shown.getpeercert()["subject"])
        told.append((asked[-1], shown.selected_alpn_protocol(), subject["commonName"]))
        await accept_and_hold(reader, writer)

    async def main() -> None:
        tls = context(authority, "buoy-104", alpn="x-amzn-mqtt-ca")
        async with (
            serving(serve, ssl=server_tls) as port,
            Network(kind, port, tls=tls, server_name="iot.test") as network,
        ):
            await network.board("named").opened()
            assert told == [("iot.test", "x-amzn-mqtt-ca", "buoy-104")]

    run(main())
