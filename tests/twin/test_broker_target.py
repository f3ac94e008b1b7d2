"""Target `broker`: the preflight tells what is wrong with a broker, and nothing else is pretended."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buoyfleet.cloud import broker_target
from buoyfleet.cloud.broker_target import BrokerTarget
from buoyfleet.cloud.target import Check, LiveCounts
from buoyfleet.model.fleet import TargetSpec, TlsSpec


def check(spec: TargetSpec, password: str = "") -> Check:
    (result,) = asyncio.run(asyncio.wait_for(BrokerTarget(spec, password).preflight(), 100))
    return result


def with_server(answer: Callable[[Any, Any], Any], work: Callable[[int], Any]) -> Any:
    """Run `work(port)` beside a scripted server."""

    async def main() -> Any:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        try:
            return await work(server.sockets[0].getsockname()[1])
        finally:
            server.close()

    return asyncio.run(asyncio.wait_for(main(), 100))


def test_a_broker_that_answers_passes(mosquitto: Any) -> None:
    result = check(TargetSpec("broker", port=mosquitto.port))
    assert result.passed
    assert f"127.0.0.1:{mosquitto.port}" in result.detail


def test_a_dead_port_fails_with_what_to_do(free_port: int) -> None:
    result = check(TargetSpec("broker", port=free_port))
    assert not result.passed
    assert "target.port" in result.next_step


def test_a_wrong_password_is_told_from_a_dead_broker(start_mosquitto: Any, tmp_path: Path) -> None:
    empty = tmp_path / "passwords"
    empty.write_text("")
    empty.chmod(0o600)
    broker = start_mosquitto([f"password_file {empty}", "allow_anonymous false"])
    result = check(TargetSpec("broker", port=broker.port, username="bench"), "secret-word")
    assert not result.passed
    assert "not authorised" in result.detail
    assert "username" in result.next_step
    assert "secret-word" not in f"{result}"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xff\xff\xff\xff\xff", b""])
def test_a_server_that_speaks_no_mqtt_fails(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    async def work(port: int) -> list[Check]:
        return await BrokerTarget(TargetSpec("broker", port=port)).preflight()

    (result,) = with_server(serve, work)
    assert not result.passed


def test_a_server_that_says_nothing_fails_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_target, "CONNECT_TIMEOUT_S", 0.3)

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)
        writer.close()

    async def work(port: int) -> list[Check]:
        return await BrokerTarget(TargetSpec("broker", port=port)).preflight()

    (result,) = with_server(serve, work)
    assert "did not answer a CONNECT" in result.detail


def test_tls_files_that_are_not_there_are_said(mosquitto: Any, tmp_path: Path) -> None:
    tls = TlsSpec(ca=str(tmp_path / "no.pem"))
    result = check(TargetSpec("broker", port=mosquitto.port, tls=tls))
    assert not result.passed
    assert "target.tls" in result.next_step


def test_tls_towards_a_plain_broker_fails_as_tls(mosquitto: Any) -> None:
    tls = TlsSpec(ca=ssl.get_default_verify_paths().cafile or "")
    result = check(TargetSpec("broker", port=mosquitto.port, tls=tls))
    assert not result.passed


def test_ports_default_to_those_of_mqtt() -> None:
    plain = asyncio.run(BrokerTarget(TargetSpec("broker", host="broker.example")).start())
    secure = asyncio.run(
        BrokerTarget(TargetSpec("broker", host="broker.example", tls=TlsSpec(ca="x"))).start()
    )
    assert (plain.port, secure.port) == (1883, 8883)


def test_its_only_store_is_what_the_subscriber_saw(tmp_path: Path) -> None:
    async def main() -> None:
        target = BrokerTarget(TargetSpec("broker"))
        await target.drain(100, 1, lambda _counts: None)
        assert await target.counts() == LiveCounts()
        collected = await target.collect(tmp_path, 0, 1, frozenset({1}))
        assert (target.stores, collected.stores, collected.stages) == (("subscriber",), ("subscriber",), [])
        await target.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "per_s"),
    [
        ("a1b2c3-ats.iot.eu-central-1.amazonaws.com", 100.0),
        ("a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn", None),
        ("a1b2c3-ats.iot.cn-north-1.amazonaws.com.cn", 100.0),
        ("127.0.0.1", None),
        ("iot.example.org", None),
    ],
)
def test_what_a_subscriber_gets_at_most_is_known_of_iot_core_alone(host: str, per_s: float | None) -> None:
    assert BrokerTarget(TargetSpec("broker", host=host)).manners.delivers_per_s == per_s
