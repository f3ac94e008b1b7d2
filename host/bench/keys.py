"""Keys and certificates of boards: made for the twin's CA, or taken from files; keys stay 0600 and unseen."""

import hashlib
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from host.model.errors import PreflightError
from host.model.fleet import TlsSpec

# `cryptography` is dear to import, and most commands need no key.
if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_MAKING = threading.Lock()
"""Boards in parallel, one authority."""
BOARD_CA, BOARD_CERTIFICATE, BOARD_KEY = "certs/ca.der", "certs/cert.der", "certs/key.der"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one board needs for mutual TLS. The key shows itself nowhere."""

    ca: bytes
    """DER."""
    certificate: bytes
    """DER."""
    key: bytes = field(repr=False)
    """PKCS #8, DER."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hex: AWS's certificate id."""
        return hashlib.sha256(self.certificate).hexdigest()

    def files(self) -> dict[str, bytes]:
        """Path on the board → content. The certificate is last: where it is, the key is its own."""
        return {BOARD_KEY: self.key, BOARD_CA: self.ca, BOARD_CERTIFICATE: self.certificate}

    def __getstate__(self) -> object:
        raise TypeError("a key is not to be serialised")


class CredentialSource(Protocol):
    """Gives a board its credentials once its MAC is known."""

    def get(self, thing: str, mac: str, owner: Callable[[str], str], make: bool = True) -> Credentials | None:
        """The credentials of a thing on a board; `owner` tells the MAC that has a certificate by record.

        Without `make` nothing is made: None if there are none yet.

        Raises:
            PreflightError: there are none, or they do not fit each other.
        """
        ...


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """Certificates of the twin's CA, made when first needed and kept in a folder."""

    folder: Path

    def get(self, thing: str, mac: str, owner: Callable[[str], str], make: bool = True) -> Credentials | None:
        """A certificate of this thing that no other board has."""
        from host.cloud.certificates import CertificateAuthority

        certificate, key = self.folder / f"{thing}.pem", self.folder / f"{thing}.key"
        if not make and not (certificate.exists() and key.exists()):
            return None
        with _MAKING:
            try:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                authority = CertificateAuthority(self.folder, "buoyfleet twin CA", keep=True)
            except (OSError, ValueError) as error:
                raise PreflightError(f"no certificate authority: {error}", where=str(self.folder)) from None
        if certificate.exists() and key.exists():
            kept = load(authority.file, certificate, key)
            if owner(kept.fingerprint) in ("", mac):
                return kept
            if not make:
                return None
            # Another board had this id before; its certificate stays its own.
            certificate.rename(certificate.with_suffix(f".{kept.fingerprint[:12]}.pem"))
            key.rename(key.with_suffix(f".{kept.fingerprint[:12]}.key"))
        authority.issue_client(thing)
        return load(authority.file, certificate, key)


@dataclass(frozen=True, slots=True)
class CredentialFiles:
    """Certificates that somebody else made; `{thing}` in the names stands for the thing."""

    tls: TlsSpec
    base: Path
    """Folder of the fleet file, which relative names start from."""

    def get(
        self,
        thing: str,
        mac: str,  # noqa: ARG002
        owner: Callable[[str], str],  # noqa: ARG002
        make: bool = True,  # noqa: ARG002
    ) -> Credentials:
        """The files of this thing."""
        names = (self.tls.ca, self.tls.certificate, self.tls.key)
        ca, certificate, key = (self.base / name.replace("{thing}", thing) for name in names)
        return load(ca, certificate, key)


def load(ca: Path, certificate: Path, key: Path) -> Credentials:
    """Read PEM or DER files and see that they belong together.

    Raises:
        PreflightError: a file is missing, is something else, or others may read the key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import Encoding

    authority = _certificate(ca)
    leaf = _certificate(certificate)
    private = _key(key)
    if leaf.public_key() != private.public_key():
        raise PreflightError("the key is not that of the certificate", where=f"{key}, {certificate}")
    der = private.private_bytes(Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credentials(authority.public_bytes(Encoding.DER), leaf.public_bytes(Encoding.DER), der)


def _certificate(path: Path) -> "x509.Certificate":
    from cryptography import x509

    data = _read(path)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise PreflightError(f"no certificate: {error}", where=str(path)) from None


def _key(path: Path) -> "ec.EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    data = _read(path, private=True)
    # Nothing of this file is ever quoted, not even in an error.
    try:
        if b"-----BEGIN" in data:
            key = serialization.load_pem_private_key(data, None)
        else:
            key = serialization.load_der_private_key(data, None)
    except (ValueError, TypeError):
        raise PreflightError("no private key without a passphrase", where=str(path)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PreflightError(
            "the key is not EC P-256",
            where=str(path),
            cause="an RSA key does not fit into a board's memory during the handshake",
            next_step="openssl ecparam -name prime256v1 -genkey -noout, and a certificate for it",
        )
    return key


def _read(path: Path, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read()
    except OSError as error:
        raise PreflightError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PreflightError(
            f"others may use the key (its mode is {stat.S_IMODE(mode):04o})",
            where=str(path),
            next_step=f"chmod 600 {path}; make a new key if others could have read it",
        )
    return data
