"""A certificate authority of our own: EC P-256 keys and X.509 certificates as PEM files, keys 0600."""

import contextlib
import datetime
import hashlib
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from buoyfleet.model.file_lock import file_lock

VALID_DAYS = 825
"""Of issued certificates: long enough for a season of tests, short enough to be replaced."""
LOCK_S = 30.0
RSA_BITS = 2048
"""Of the keys that IoT Core makes, and the fewest that it takes."""
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_SKEW = datetime.timedelta(hours=1)
"""A board's clock may be a little behind the host's."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path
    certificate_id: str
    """SHA-256 of the DER in hex, which is AWS's certificate id."""


class CertificateAuthority:
    """Signs for one folder: `ca.pem`, and `<name>.pem` and `<name>.key` per certificate."""

    def __init__(self, folder: Path, name: str, *, keep: bool = False) -> None:
        """Make a new authority in `folder`.

        Args:
            folder: for its certificate and those it issues; made if missing.
            name: common name.
            keep: keep its key in `ca.key`, and take what is kept there; otherwise the key stays in memory.

        Raises:
            OSError: the folder cannot be read or written.
            PreflightError: another program keeps it locked.
            ValueError: a kept key or certificate is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "ca.pem"
        kept = folder / "ca.key"
        # Two that are begun at once are to be one: boards believe the certificate that lasts.
        alone = file_lock(folder / "ca.lock", LOCK_S, "making a certificate authority")
        with alone if keep else contextlib.nullcontext():
            if keep and kept.exists() and self.file.exists():
                self._name, self._key = _kept_authority(self.file, kept)
            else:
                self._name, self._key = _common_name(name), ec.generate_private_key(ec.SECP256R1())
                self._make(kept if keep else None)
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def _make(self, kept: Path | None) -> None:
        public = self._key.public_key()
        builder = (
            _builder(self._name, self._name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_usage(signs=True), critical=True)
        )
        if kept is not None:
            _write_key(kept, self._key)
        self.file.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def issue_server(self, name: str, hosts: Iterable[str]) -> Issued:
        """A certificate of a server that is reached under these names and addresses.

        Raises:
            OSError: a file cannot be written.
        """
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._issue(name, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def find_client(self, name: str) -> Issued | None:
        """The certificate that `issue_client` made for a name before; None if there is none.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        if not (certificate.exists() and key.exists()):
            return None
        der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(
            serialization.Encoding.DER
        )
        return Issued(certificate, key, hashlib.sha256(der).hexdigest())

    def issue_client(self, name: str) -> Issued:
        """A certificate of a device or another client.

        Raises:
            OSError: a file cannot be written.
        """
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def sign(self, subject: x509.Name, key: CertificatePublicKeyTypes) -> tuple[str, str]:
        """A client's certificate for a key that somebody else holds: its PEM, and its id."""
        signed = self._end_builder(subject, key, ExtendedKeyUsageOID.CLIENT_AUTH).sign(
            self._key, hashes.SHA256()
        )
        der = signed.public_bytes(serialization.Encoding.DER)
        return _pem(signed).decode(), hashlib.sha256(der).hexdigest()

    def _issue(
        self, name: str, purpose: x509.ObjectIdentifier, names: x509.SubjectAlternativeName | None
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._end_builder(_common_name(name), key.public_key(), purpose)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(_pem(signed))
        _write_key(key_file, key)
        der = signed.public_bytes(serialization.Encoding.DER)
        return Issued(certificate, key_file, hashlib.sha256(der).hexdigest())

    def _end_builder(
        self, subject: x509.Name, key: CertificatePublicKeyTypes, purpose: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return (
            _builder(subject, self._name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(self._identifier, critical=False)
        )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)


def _kept_authority(certificate: Path, key: Path) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key} is no EC key")
    return x509.load_pem_x509_certificate(certificate.read_bytes()).subject, loaded


def signing_request(name: str, key_file: Path) -> str:
    """A request (PEM) for a certificate of this name, with the key of a file; a key is made if there is none.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: it holds no EC key.
    """
    if key_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} is no EC key")
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(key_file, key)
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(_common_name(name)).sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def read_request(text: str) -> tuple[x509.Name, CertificatePublicKeyTypes]:
    """Subject and key of a signing request (PEM).

    Raises:
        ValueError: it is none, its signature is wrong, or it has a key that IoT Core does not take.
    """
    try:
        request = x509.load_pem_x509_csr(text.encode())
    except ValueError:
        raise ValueError("The certificate signing request cannot be read") from None
    if not request.is_signature_valid:
        raise ValueError("The signature of the certificate signing request is not valid")
    key = request.public_key()
    # API reference, CreateCertificateFromCsr: RSA of at least 2048 bits, or one of three curves.
    good = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    )
    if not good:
        raise ValueError("The key of the certificate signing request is not supported")
    return request.subject, key


def new_rsa_key() -> tuple[x509.Name, CertificatePublicKeyTypes, str]:
    """What CreateKeysAndCertificate makes: subject, public key, and private key as PEM."""
    key = rsa.generate_private_key(65537, RSA_BITS)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return _common_name("AWS IoT Certificate"), key.public_key(), text.decode()


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])  # X.520: at most 64 characters


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
