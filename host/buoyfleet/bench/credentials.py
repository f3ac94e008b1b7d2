"""What one board needs for mutual TLS, as it goes onto the board."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from buoy.identity import CERTS

BOARD_CA, BOARD_CERTIFICATE, BOARD_KEY = (f"{CERTS}/{name}.der" for name in ("ca", "cert", "key"))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one board needs for mutual TLS. The key shows itself nowhere."""

    ca: bytes
    """DER, or PEM where there are several: Mbed TLS reads one certificate of DER, all of PEM."""
    certificate: bytes
    """The board's own, DER."""
    key: bytes = field(repr=False)
    """PKCS #8, DER."""
    chain: bytes = b""
    """The board's own and the intermediate ones up to its authority, PEM; empty where there are none."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hex: AWS's certificate id."""
        return hashlib.sha256(self.certificate).hexdigest()

    def files(self) -> dict[str, bytes]:
        """Path on the board → content. The certificate is last: where it is, the key is its own."""
        return {BOARD_KEY: self.key, BOARD_CA: self.ca, BOARD_CERTIFICATE: self.chain or self.certificate}

    def differing(self, files: Mapping[str, str]) -> list[str]:
        """Paths of the certificates that are not on a board with these files (path → SHA-256)."""
        own = self.files()
        return [
            path
            for path in (BOARD_CERTIFICATE, BOARD_CA)
            if files.get(path) != hashlib.sha256(own[path]).hexdigest()
        ]

    def __getstate__(self) -> object:
        raise TypeError("a key is not to be serialised")
