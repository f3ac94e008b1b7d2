"""Certificates and keys that somebody made: sent whole, or refused by file before anything is written."""

import contextlib
import datetime
import socket
import ssl
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID

from buoyfleet.bench.credentials import Credentials
from buoyfleet.bench.keys import CredentialFiles
from buoyfleet.bench.plan import Options, Software, missing
from buoyfleet.bench.survey import State
from buoyfleet.bench.target import refuse_wrong_authority
from buoyfleet.bench.tls_files import load
from buoyfleet.bench.wanted import Wanted
from buoyfleet.model.board_names import parse_name
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.fleet import Fleet, RunSpec, TargetSpec, TlsSpec
from buoyfleet.serial.probe import Found
from buoyfleet.simulation.esp32.child import interpreter

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Party:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def key_pem(self, encryption: serialization.KeySerializationEncryption | None = None) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def party(
    name: str,
    signer: Party | None = None,
    *,
    ca: bool = False,
    since: datetime.datetime = NOW - DAY,
    until: datetime.datetime = NOW + 90 * DAY,
    key: Key | None = None,
) -> Party:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return Party(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


ONE, TWO = party("one", ca=True), party("two", ca=True)
BETWEEN = party("between", ONE, ca=True)
BUOY, SERVER = party("buoy", BETWEEN), party("localhost", TWO)
OLD = party("old", ONE, until=NOW - datetime.timedelta(hours=1))
LARGE = party("rsa", ONE, key=rsa.generate_private_key(65537, 2048))
YOUNG = party("young", ONE, since=NOW + DAY)


def put(folder: Path, name: str, *parts: bytes) -> Path:
    path = folder / name
    path.write_bytes(b"".join(parts))
    path.chmod(0o600)
    return path


@pytest.fixture
def good(tmp_path):
    """A CA file of two, a chain of two, a key: all of them PEM."""
    return (
        put(tmp_path, "ca.pem", b"two authorities\n", ONE.pem, TWO.pem),
        put(tmp_path, "buoy.pem", BUOY.pem, BETWEEN.pem),
        put(tmp_path, "buoy.key", BUOY.key_pem()),
    )


MEET = """
import socket, sys, tls
def content(name):
    with open(name, "rb") as file:
        return file.read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_verify_locations(content("ca.der"))
context.load_cert_chain(content("cert.der"), content("key.der"))
line = socket.socket()
line.connect(socket.getaddrinfo("127.0.0.1", int(sys.argv[1]))[0][-1])
line = context.wrap_socket(line, server_hostname="localhost")
line.write(b"hello")
print(line.read(2).decode())
"""


def meets(folder: Path, given: Credentials) -> str:
    """What a MicroPython with these files says to a broker that `two` signed and that trusts `one`."""
    for path, data in given.files().items():
        put(folder, Path(path).name, data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(put(folder, "server.pem", SERVER.pem, SERVER.key_pem()))
    context.load_verify_locations(put(folder, "one.pem", ONE.pem))
    context.verify_mode = ssl.CERT_REQUIRED
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            line, _ = listening.accept()
            with line, contextlib.suppress(OSError), context.wrap_socket(line, server_side=True) as secure:
                secure.recv(5)
                secure.sendall(b"ok")

        thread = threading.Thread(target=serve)
        thread.start()
        program = put(folder, "meet.py", MEET.encode())
        command = [str(interpreter()), str(program), str(listening.getsockname()[1])]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
        thread.join()
    return done.stdout + done.stderr


def test_bundle_and_chain_go_onto_the_board_whole_and_its_interpreter_uses_all_of_them(tmp_path, good):
    given = load(*good)
    assert given.certificate == BUOY.der, "the fingerprint is that of the board's own"
    assert meets(tmp_path, given).strip() == "ok"
    first_only = Credentials(ONE.der, given.certificate, given.key, given.chain)
    assert "not correctly signed" in meets(tmp_path, first_only), "the second authority is needed"
    joined = Credentials(ONE.der + TWO.der, given.certificate, given.key, given.chain)
    assert "not correctly signed" in meets(tmp_path, joined), "Mbed TLS reads one certificate of DER"


def test_a_ca_that_did_not_sign_the_brokers_certificate_is_refused_before_anything_is_written(tmp_path, good):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(put(tmp_path, "server.pem", SERVER.pem, SERVER.key_pem()))
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                line, _ = listening.accept()
                with line, contextlib.suppress(OSError), context.wrap_socket(line, server_side=True):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()

        def judge(ca: str) -> None:
            tls = TlsSpec(ca, "x", "y", server_name="localhost")
            target = TargetSpec("broker", host="127.0.0.1", port=port, tls=tls)
            source = str(tmp_path / "boards.yaml")
            refuse_wrong_authority(Fleet("x", source, target, "aws/0", (), RunSpec(), ()))

        judge(good[0].name)
        put(tmp_path, "one.pem", ONE.pem)
        with pytest.raises(PreflightError, match="boards would refuse the broker's certificate") as caught:
            judge("one.pem")
        thread.join()
    assert str(tmp_path / "one.pem") in caught.value.where
    judge("one.pem")  # nobody listens: the self-test tells it


def test_single_certificates_stay_der(tmp_path, good):
    key = good[2]
    for ca, own in (
        (put(tmp_path, "a", ONE.pem), put(tmp_path, "b", BUOY.pem)),
        (put(tmp_path, "c", ONE.der), put(tmp_path, "d", BUOY.der)),
    ):
        assert load(ca, own, key).files() | {"certs/key.der": b""} == {
            "certs/ca.der": ONE.der,
            "certs/cert.der": BUOY.der,
            "certs/key.der": b"",
        }


def refusal(ca: Path, certificate: Path, key: Path) -> str:
    with pytest.raises(PreflightError) as caught:
        load(ca, certificate, key)
    return str(caught.value)


def test_every_problem_is_told_at_once_with_its_file(tmp_path):
    ca = put(tmp_path, "ca.pem", ONE.pem, OLD.pem)
    certificate = put(tmp_path, "young.pem", YOUNG.pem)
    key = put(tmp_path, "locked.key", BUOY.key_pem(serialization.BestAvailableEncryption(b"secret")))
    key.chmod(0o644)
    said = refusal(ca, certificate, key)
    assert said.startswith("3 problems with TLS files; nothing was written")
    assert (
        f"{ca}: certificate 2 of 2 (CN=old) expired on {OLD.certificate.not_valid_after_utc:%Y-%m-%d}" in said
    )
    assert f"{certificate}: the certificate (CN=young) is not valid before" in said
    assert f"{key}: others may use the key (its mode is 0644)" in said
    key.chmod(0o600)
    assert f"{key}: the key is encrypted" in refusal(ca, certificate, key)


def pem_text(party: Party) -> bytes:
    """As `openssl ecparam -genkey` writes it: parameters, then the key in its older form."""
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    return parameters + party.key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )


def test_a_key_as_openssl_writes_it_is_taken(tmp_path, good):
    assert load(good[0], good[1], put(tmp_path, "k", pem_text(BUOY))).key == load(*good).key


@pytest.mark.parametrize(
    ("own", "key", "said"),
    [
        ((BETWEEN, BUOY), BUOY, "(CN=buoy) did not sign certificate 1 of 2 (CN=between)"),
        ((BETWEEN, BUOY), BUOY, "the key belongs to certificate 2 of 2 (CN=buoy)"),
        ((BUOY, ONE), BUOY, "(CN=one) did not sign certificate 1 of 2 (CN=buoy)"),
        ((BUOY,), TWO, "the key is not that of the certificate"),
        ((LARGE,), LARGE, "the key is RSA 2048, not EC P-256"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, good, own: Sequence[Party], key: Party, said):
    chain = put(tmp_path, "own.pem", *(one.pem for one in own))
    assert said in refusal(good[0], chain, put(tmp_path, "own.key", key.key_pem()))


PKCS12 = serialize_key_and_certificates(b"buoy", BUOY.key, BUOY.certificate, None, NoEncryption())
PUBLIC = BUOY.key.public_key().public_bytes(Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
OPENSSH = BUOY.key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
P384 = party("large", key=ec.generate_private_key(ec.SECP384R1()))


@pytest.mark.parametrize(
    ("of", "data", "said"),
    [
        ("ca", ONE.pem + TWO.pem[:300], "1 of 2 certificates can be read"),
        ("ca", ONE.pem[:300], "it is a certificate that was cut off"),
        ("ca", ONE.der + TWO.der, "more than one thing in DER"),
        ("ca", b"", "an empty file"),
        ("ca", ONE.pem.decode().encode("utf-16"), "UTF-16"),
        ("ca", ONE.pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "OpenSSL's own form"),
        ("ca", BUOY.pem, "(CN=buoy) is not the certificate of a CA"),
        ("ca", SERVER.der, "(CN=localhost) is not the certificate of a CA"),
        ("certificate", PKCS12, "a PKCS #12 file"),
        ("certificate", ONE.pem.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST"), "has not signed yet"),
        ("certificate", BUOY.key_pem(), "no certificate in PEM or DER: it is a private key"),
        ("key", BUOY.pem, "no private key in PEM or DER: it is a certificate"),
        ("key", PUBLIC, "a public key"),
        ("key", OPENSSH, "ssh-keygen"),
        ("key", PKCS12, "a PKCS #12 file"),
        ("key", P384.key_pem(), "the key is EC 384, not EC P-256"),
        ("key", BUOY.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8,
                                       serialization.BestAvailableEncryption(b"x")), "the key is encrypted"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path, good, of, data, said):
    files = dict(zip(("ca", "certificate", "key"), good, strict=True))
    files[of] = put(tmp_path, "größer als nötig.pem", data)
    told = refusal(*files.values())
    assert said in told
    assert f"{files[of]}" in told
    assert not any(word in told for word in ("ParseError", "MalformedFraming")), "a library's words"


def test_a_broker_that_signed_its_own_certificate_is_its_own_ca(tmp_path, good):
    assert load(put(tmp_path, "own.pem", party("localhost").pem), *good[1:]).chain


def test_a_bundle_of_the_whole_world_is_refused(tmp_path, good):
    world = put(tmp_path, "world.pem", ONE.pem * 20)
    assert "20 certificates of" in refusal(world, *good[1:])
    assert "board's memory" in refusal(world, *good[1:])


@pytest.mark.usefixtures("good")
def test_the_files_of_all_boards_are_judged_before_the_first_is_touched(tmp_path):
    source = CredentialFiles(TlsSpec("ca.pem", "{thing}.pem", "{thing}.key"), tmp_path)
    source.check(["buoy"])
    with pytest.raises(PreflightError) as caught:
        source.check(["buoy", "buoy-2", "buoy-3"])
    said = str(caught.value)
    assert "4 problems" in said
    for name in ("buoy-2.pem", "buoy-2.key", "buoy-3.pem", "buoy-3.key"):
        assert f"{tmp_path / name}: cannot be read" in said


@pytest.mark.parametrize(
    ("ca", "own", "why"),
    [(ONE, BUOY, []), (TWO, BUOY, ["another CA"]), (ONE, OLD, ["certificate "])],
    ids=["the same", "another CA", "another certificate"],
)
def test_keys_are_sent_again_when_ca_or_certificate_differ_from_the_boards(ca, own, why):
    import hashlib

    there = {"certs/ca.der": ONE.der, "certs/cert.der": BUOY.der, "certs/key.der": b""}
    files = {path: hashlib.sha256(data).hexdigest() for path, data in there.items()}
    state = State(Found("p", "firmware", "240ac4000080", micropython="1.25.0", buoy=1), files, settings={})
    plan = missing(
        Wanted(parse_name("/dev/x"), 1, "", ""),
        state,
        Software("", "", {}, {}, {}),
        Credentials(ca.der, own.der, b""),
        True,
        Options(),
    )
    assert [step.why[: len(why[0])] for step in plan if step.name == "keys"] == why
