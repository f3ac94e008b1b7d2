"""`buoy run` over mutual TLS: every board with the certificate of its thing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mqtt_certificates import Authority
from run_bench import buoy, fleet_text, result_of

from buoyfleet.boards.mqtt_line import MqttLine
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import TlsSpec


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "certs")
    for name in ("broker.test", "buoy-100", "buoy-101", "witness"):
        made.issue(name)
    return made


@pytest.fixture
def tls_port(authority: Authority, tmp_path: Path, start_mosquitto: Any) -> int:
    certs = tmp_path / "certs"
    lines = [
        f"cafile {authority.ca}",
        f"certfile {certs / 'broker.test.pem'}",
        f"keyfile {certs / 'broker.test.key'}",
        "require_certificate true",
    ]
    port: int = start_mosquitto(lines).port
    return port


def fleet_file(tmp_path: Path, port: int, ids: str) -> Path:
    certs = tmp_path / "certs"
    tls = {
        "ca": str(certs / "ca.pem"),
        "certificate": str(certs / "{thing}.pem"),
        "key": str(certs / "{thing}.key"),
        "server_name": "broker.test",
    }
    path = tmp_path / "boards.yaml"
    section = {"kind": "broker", "host": "127.0.0.1", "port": port, "tls": tls}
    path.write_text(fleet_text(ids=ids, target="broker", target_section=section))
    return path


def test_boards_with_certificates_of_their_own_pass(tmp_path: Path, tls_port: int) -> None:
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file(tmp_path, tls_port, "100-101")), "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    assert [board["acknowledged"] for board in result["boards"]] == [20, 20]
    assert result["witness"]["seen"] == 40


def test_the_witness_can_ask_a_board_over_tls(tmp_path: Path, tls_port: int) -> None:
    certs = tmp_path / "certs"
    names = (str(certs / name) for name in ("ca.pem", "{thing}.pem", "{thing}.key"))
    tls = TlsSpec(*names, server_name="broker.test")
    for _ in range(2):  # it leaves when it is closed
        MqttLine(Endpoint("127.0.0.1", tls_port, tls), "aws/0", 100, "witness").close()
    wrong = Endpoint("127.0.0.1", tls_port, replace(tls, server_name="other.test"))
    with pytest.raises(PreflightError, match="cannot be asked over MQTT"):
        MqttLine(wrong, "aws/0", 100, "witness")


def test_a_missing_certificate_is_found_before_anything_is_sent(tmp_path: Path, tls_port: int) -> None:
    run = buoy("run", str(fleet_file(tmp_path, tls_port, "100-102")), "--out", str(tmp_path / "runs"))
    assert run.process.returncode == ExitCode.PREFLIGHT, run.out + run.err
    assert "buoy-102.pem" in run.err


def test_a_certificate_the_broker_does_not_trust_is_a_preflight_failure(
    tmp_path: Path, tls_port: int
) -> None:
    path = fleet_file(tmp_path, tls_port, "100")
    stranger = Authority(tmp_path / "stranger").issue("buoy-100")
    (tmp_path / "certs" / "buoy-100.pem").write_bytes(stranger.certificate.read_bytes())
    (tmp_path / "certs" / "buoy-100.key").write_bytes(stranger.key.read_bytes())
    run = buoy("run", str(path), "--out", str(tmp_path / "runs"))
    assert run.process.returncode == ExitCode.PREFLIGHT, run.out + run.err
    assert "TLS" in run.err
    assert "certificate" in run.err
