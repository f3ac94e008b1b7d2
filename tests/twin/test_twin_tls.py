"""A twin with its own authority: boards are enrolled, connect with mutual TLS, and may what policies say."""

import asyncio
import hashlib
import json
import ssl
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from run_bench import buoy, fleet_text, result_of
from twin_process import server

from buoyfleet.cloud.certificates import CertificateAuthority
from buoyfleet.cloud.local.broker.authority import CONNECT, PUBLISH, RECEIVE, SUBSCRIBE, Principal
from buoyfleet.cloud.local.registry import Registry
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import TargetSpec, TwinSpec
from buoyfleet.model.twin import TwinTls
from buoyfleet.mqtt.tls import client_context


def identity(folder: Path, name: str) -> Principal:
    der = ssl.PEM_cert_to_DER_cert((folder / "certs" / f"{name}.pem").read_text())
    return Principal(name, hashlib.sha256(der).hexdigest())


def test_a_board_may_what_a_buoy_needs_and_nothing_else(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "aws/0")
    registry.enrol([("buoy-100", 100), ("buoy-101", 101)])
    board = identity(tmp_path, "buoy-100")
    allowed = [
        (CONNECT, "client/buoy-100"),
        (PUBLISH, "topic/aws/0/100/data/"),
        (PUBLISH, "topic/aws/0/100/error/"),
        (SUBSCRIBE, "topicfilter/aws/0/100/config/#"),
        (RECEIVE, "topic/aws/0/100/config/global/"),
        (SUBSCRIBE, "topicfilter/aws/0/100/config/console/"),
        (PUBLISH, "topic/aws/0/100/error/console/"),
    ]
    refused = [
        (CONNECT, "client/buoy-101"),
        (PUBLISH, "topic/aws/0/101/data/"),
        (PUBLISH, "topic/aws/0/100/config/global/"),
        (PUBLISH, "topic/aws/0/101/config/console/"),
        (SUBSCRIBE, "topicfilter/aws/0/101/config/#"),
        (SUBSCRIBE, "topicfilter/#"),
        (RECEIVE, "topic/aws/0/101/data/"),
    ]
    assert [one for one in allowed if not registry.authorise(*one, board)] == []
    assert [one for one in refused if registry.authorise(*one, board)] == []
    # The certificate of one board under the name of another is nobody.
    assert not registry.authorise(PUBLISH, "topic/aws/0/101/data/", replace(board, client_id="buoy-101"))
    witness = replace(identity(tmp_path, "witness"), client_id="witness-3")
    assert registry.authorise(CONNECT, "client/witness-3", witness)
    assert registry.authorise(SUBSCRIBE, "topicfilter/aws/0/+/data/", witness)
    assert not registry.authorise(PUBLISH, "topic/aws/0/100/data/", witness)
    assert not registry.authorise(PUBLISH, "topic/aws/0/100/config/global/", witness)
    assert registry.authorise(PUBLISH, "topic/aws/0/100/config/console/", witness)


def test_enrolling_twice_keeps_what_is_there_and_keys_are_private(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "aws/0")
    first = registry.enrol([("buoy-100", 100)])
    key = (tmp_path / "certs" / "buoy-100.key").read_bytes()
    assert registry.enrol([("buoy-100", 100), ("buoy-101", 101)]) == first
    assert (tmp_path / "certs" / "buoy-100.key").read_bytes() == key
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "certs").glob("*.key")}
    assert modes == {0o600}


def test_a_certificate_names_its_thing_and_is_for_clients_only(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path, "test CA")
    issued = authority.issue_client("buoy-100")
    certificate = x509.load_pem_x509_certificate(issued.certificate.read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=buoy-100"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.file.read_bytes()))


@pytest.mark.parametrize(
    ("content", "words"), [("{", "not JSON"), ('{"Version": "x"}', "2012-10-17"), (None, "cannot be read")]
)
def test_a_policy_that_cannot_be_used_says_why(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "policy.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=words):
        Registry(tmp_path, "aws/0", str(path))


@pytest.mark.parametrize("alpn", [False, True])
def test_the_target_gives_boards_their_files_and_the_port(tmp_path: Path, alpn: bool) -> None:
    async def main() -> None:
        spec = TargetSpec("local", twin=TwinSpec(tls=TwinTls(alpn=alpn)))
        target = LocalTarget(spec, tmp_path, things=(("buoy-100", 100),))
        try:
            endpoint = await target.start()
            assert endpoint.tls is not None
            assert endpoint.tls.alpn == ("x-amzn-mqtt-ca" if alpn else "")
            reader, writer = await asyncio.open_connection(
                endpoint.host,
                endpoint.port,
                ssl=client_context(endpoint.tls, "buoy-100"),
                server_hostname=endpoint.tls.server_name,
            )
            writer.close()
            await reader.read()
        finally:
            await target.stop()

    asyncio.run(main())


def test_a_twin_without_tls_enrols_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            assert (await twin.ask("enrol", things=[["buoy-100", 100]]))["tls"] is None

    asyncio.run(main())


def test_a_run_over_mutual_tls_with_every_limit_of_aws_passes(tmp_path: Path) -> None:
    fleet = json.loads(fleet_text(target_section={"kind": "local", "twin": {"tls": {"alpn": True}}}))
    fleet["boards"] = [
        {"kind": "virtual", "ids": "100-102"},
        {"kind": "virtual", "ids": "103-104", "link": "paho"},
    ]
    (tmp_path / "fleet.yaml").write_text(json.dumps(fleet))
    out = tmp_path / "runs"
    run = buoy("run", str(tmp_path / "fleet.yaml"), "--limits", "aws", "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    assert result["witness"]["seen"] == 100
    broker = next(stage for stage in result["stages"] if stage["name"] == "broker")
    # The witness needs several connections for 250 messages/s, all with the one certificate.
    connections = result["witness"]["connections"]
    assert connections > 1
    assert broker["metrics"]["AWS/IoT Connect.Success"] == 5 + connections
    assert broker["metrics"]["AWS/IoT PublishIn.AuthError"] == 0
    keys = [path for path in out.rglob("*.key") if stat.S_IMODE(path.stat().st_mode) != 0o600]
    assert keys == []
