"""Reading certificates and keys that somebody made: everything that is wrong is told at once, by file."""

import datetime
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from buoyfleet.bench.credentials import Credentials
from buoyfleet.model.errors import PreflightError

# `cryptography` is dear to import, and most commands need no key.
if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

T = TypeVar("T")
_BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_KINDS = {
    b"OPENSSH PRIVATE KEY": "a key of OpenSSH; `ssh-keygen -p -m PEM -f FILE` rewrites it",
    b"PRIVATE KEY-----": "a private key",
    b"CERTIFICATE REQUEST": "a request, which a CA has not signed yet",
    b"TRUSTED CERTIFICATE": "OpenSSL's own form; `openssl x509 -in FILE` prints it as PEM",
    b"PUBLIC KEY": "a public key",
    b"BEGIN CERTIFICATE": "a certificate",
}
"""Mark in a file → what it is."""
MOST_BYTES = 8192
"""Of a file on a board, as PEM: it is read into the Python heap when the link starts."""
CLOCKS_DIFFER = datetime.timedelta(minutes=5)
"""A certificate that was made just now, on another computer."""


def load(ca: Path, certificate: Path, key: Path) -> Credentials:
    """Read PEM or DER files and see that they belong together.

    Raises:
        PreflightError: with everything that is wrong: a file is missing, is something else or out of date,
            others may read the key, or they do not fit each other.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import Encoding

    files = _Files(ca, certificate, key)
    files.wrong.refuse()
    assert files.private is not None
    der = files.private.private_bytes(
        Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own = files.own
    return Credentials(
        _board_file(files.authorities),
        own[0].public_bytes(Encoding.DER),
        der,
        _board_file(own) if len(own) > 1 else b"",
    )


def problems_of(ca: Path, certificate: Path, key: Path) -> list[PreflightError]:
    """Everything for which `load` refuses these files."""
    return _Files(ca, certificate, key).wrong.problems


class _Files:
    """Three files, read and judged."""

    def __init__(self, ca: Path, certificate: Path, key: Path) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        self.wrong = wrong = Wrong()
        self.authorities = wrong.gather(lambda: _certificates(ca)) or []
        self.own = wrong.gather(lambda: _certificates(certificate)) or []
        self.private = wrong.gather(lambda: _key(key))
        for path, found in ((ca, self.authorities), (certificate, self.own)):
            wrong.problems += _out_of_date(path, found)
            size = sum(len(one.public_bytes(Encoding.PEM)) for one in found)
            if size > MOST_BYTES:
                what = f"{len(found)} certificates of {size} bytes do not fit into a board's memory"
                wrong.add(what, path, f"keep those that are needed, at most {MOST_BYTES} bytes")
        wrong.problems += _no_authority(ca, self.authorities)
        wrong.problems += _broken_chain(certificate, self.own)
        if self.own and self.private is not None:
            wrong.problems += _not_its_key(certificate, self.own, key, self.private)


@dataclass(slots=True)
class Wrong:
    """Everything that is wrong with files, told at once."""

    problems: list[PreflightError] = field(default_factory=list)

    def gather(self, read: Callable[[], T]) -> T | None:
        """What `read` gives; None, and its error is kept, if it raises a PreflightError."""
        try:
            return read()
        except PreflightError as error:
            self.problems.append(error)
            return None

    def add(self, what: str, path: Path, next_step: str = "") -> None:
        """One problem with a file."""
        self.problems.append(PreflightError(what, where=str(path), next_step=next_step))

    def refuse(self) -> None:
        """Raise for all of them.

        Raises:
            PreflightError: there are some; nothing was written.
        """
        told = list({str(problem): problem for problem in self.problems}.values())
        if len(told) == 1:
            raise told[0]
        if told:
            lines = "\n".join(f"{problem.where}: {problem.what}" for problem in told)
            steps = list(dict.fromkeys(problem.next_step for problem in told if problem.next_step))
            raise PreflightError(
                f"{len(told)} problems with TLS files; nothing was written\n{lines}",
                next_step="; ".join(steps),
            )


def _board_file(certificates: "Sequence[x509.Certificate]") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    if len(certificates) == 1:
        return certificates[0].public_bytes(Encoding.DER)
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def _certificates(path: Path) -> "list[x509.Certificate]":
    from cryptography import x509

    data = _read(path)
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except ValueError:
        raise _other_content("no certificate", data, path) from None
    # What is cut off behind a whole certificate is passed over in silence.
    begun = len(_BEGIN.findall(data))
    if begun > len(found):
        raise PreflightError(
            f"{len(found)} of {begun} certificates can be read",
            where=str(path),
            cause="the file was cut off or changed",
            next_step=f"bring {path} again",
        )
    return found


def _other_content(what: str, data: bytes, path: Path) -> PreflightError:
    """The error for a file that holds something else."""
    kind = next((text for mark, text in _KINDS.items() if mark in data), "")
    # PKCS #12 begins with its version, 3 (RFC 7292).
    if data[:1] == b"\x30" and b"\x02\x01\x03" in data[:8]:
        kind = "a PKCS #12 file; `openssl pkcs12 -in FILE -nodes` shows what is in it, as PEM"
    elif data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        kind = "text in UTF-16; save it as ASCII"
    elif len(_BEGIN.findall(data)) > len(re.findall(rb"-----END ", data)):
        kind = "a certificate that was cut off; bring it again"
    elif not data:
        kind = "an empty file"
    elif data[:2] == b"\x30\x82" and len(data) > int.from_bytes(data[2:4]) + 4:
        kind = "more than one thing in DER; join certificates as PEM"
    return PreflightError(
        f"{what} in PEM or DER" + (f": it is {kind}" if kind else ""),
        where=str(path),
        next_step="name the right file under `tls` of the target",
    )


def _no_authority(path: Path, found: "Sequence[x509.Certificate]") -> list[PreflightError]:
    """Mbed TLS takes who signed from certificates of a CA, and a broker's own if that signed itself."""
    from cryptography import x509

    for one in found:
        try:
            may_sign = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            may_sign = one.version is x509.Version.v1
        if may_sign or one.issuer == one.subject:
            return []
    if not found:
        return []
    return [
        PreflightError(
            f"{_place(found, 0)} is not the certificate of a CA",
            where=str(path),
            cause="it is the certificate of a board or of the broker",
            next_step="`ca` names the certificate of who signed the broker's",
        )
    ]


def _place(found: "Sequence[x509.Certificate]", index: int) -> str:
    name = found[index].subject.rfc4514_string() or "without a name"
    return (
        f"certificate {index + 1} of {len(found)} ({name})" if len(found) > 1 else f"the certificate ({name})"
    )


def _out_of_date(path: Path, found: "Sequence[x509.Certificate]") -> list[PreflightError]:
    now = datetime.datetime.now(datetime.UTC)
    problems = []
    for index, one in enumerate(found):
        if one.not_valid_after_utc < now:
            when = f"expired on {one.not_valid_after_utc:%Y-%m-%d}"
        elif one.not_valid_before_utc > now + CLOCKS_DIFFER:
            when = f"is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        else:
            continue
        problems.append(
            PreflightError(
                f"{_place(found, index)} {when}",
                where=str(path),
                next_step=f"replace {path}, or correct this computer's clock ({now:%Y-%m-%d %H:%M} UTC)",
            )
        )
    return problems


def _broken_chain(path: Path, own: "Sequence[x509.Certificate]") -> list[PreflightError]:
    from cryptography.exceptions import InvalidSignature

    for index in range(len(own) - 1):
        try:
            own[index].verify_directly_issued_by(own[index + 1])
        except (ValueError, TypeError, InvalidSignature):
            return [
                PreflightError(
                    f"{_place(own, index + 1)} did not sign {_place(own, index)}",
                    where=str(path),
                    next_step=f"order {path}: the board's own certificate first, then who signed it, "
                    "and so on",
                )
            ]
    return []


def _not_its_key(
    certificate: Path, own: "Sequence[x509.Certificate]", key: Path, private: "ec.EllipticCurvePrivateKey"
) -> list[PreflightError]:
    public = private.public_key()
    if own[0].public_key() == public:
        return []
    at = next((index for index, one in enumerate(own) if one.public_key() == public), None)
    if at is not None:
        what, next_step = f"the key belongs to {_place(own, at)}", f"put that one first in {certificate}"
    else:
        what, next_step = (
            "the key is not that of the certificate",
            "give the key that the certificate was made for",
        )
    return [PreflightError(what, where=f"{key}, {certificate}", next_step=next_step)]


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
    except TypeError:
        raise PreflightError(
            "the key is encrypted, and a board cannot ask for its passphrase",
            where=str(path),
            next_step=f"openssl pkey -in {path} -out {path}.plain, mode 0600, and name that file",
        ) from None
    except ValueError:
        raise _other_content("no private key", data, path) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        name = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
        size = [str(key.key_size)] if hasattr(key, "key_size") else []
        raise PreflightError(
            f"the key is {' '.join([name, *size])}, not EC P-256",
            where=str(path),
            cause="its handshake does not fit into a board's memory" if name == "RSA" else "",
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
