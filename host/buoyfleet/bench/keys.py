"""Keys and certificates of boards: made for the twin's CA, or taken from files; keys stay 0600 and unseen."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from buoyfleet.bench.credentials import Credentials
from buoyfleet.bench.tls_files import Wrong, load, problems_of
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.fleet import TlsSpec

_MAKING = threading.Lock()
"""Boards in parallel, one authority."""


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
        from buoyfleet.cloud.certificates import CertificateAuthority

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

    def check(self, things: Iterable[str]) -> None:
        """See that the files of all things can be used.

        Raises:
            PreflightError: with every problem of every file.
        """
        wrong = Wrong()
        for thing in things:
            wrong.problems += problems_of(*self._paths(thing))
        wrong.refuse()

    def _paths(self, thing: str) -> tuple[Path, Path, Path]:
        names = (self.tls.ca, self.tls.certificate, self.tls.key)
        ca, certificate, key = (self.base / name.replace("{thing}", thing) for name in names)
        return ca, certificate, key

    def get(
        self,
        thing: str,
        mac: str,  # noqa: ARG002
        owner: Callable[[str], str],  # noqa: ARG002
        make: bool = True,  # noqa: ARG002
    ) -> Credentials:
        """The files of this thing."""
        return load(*self._paths(thing))
