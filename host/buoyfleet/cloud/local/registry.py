"""The twin's registry: its own certificate authority, things with certificates, and their policies.

    certs/ca.pem  certs/server.pem  certs/<thing>.pem  certs/<thing>.key  certs/witness.pem …

A run enrols the boards of its fleet before they connect, as `buoy cloud enroll` does on an account. Every
board gets a certificate, attached to a thing with the attribute `buoy_id`, and one policy for all of them.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.cloud.certificates import CertificateAuthority, Issued
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser, Thing
from buoyfleet.cloud.local.broker.tls import SERVER_NAME, server_context
from buoyfleet.cloud.policies import BUOY_ATTRIBUTE, buoy_policy, witness_policy
from buoyfleet.model.errors import UsageError

WITNESS = "witness"
FOLDER = "certs"
_ARN = "arn:aws:iot:local:000000000000"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Files of TLS for clients; `{thing}` stands for the thing's name."""

    ca: Path
    certificate: str
    key: str


class Registry:
    """Who may connect to one twin, and what for.

    Raises:
        UsageError: the policy cannot be read, or IoT Core would refuse it.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, topic_prefix: str, policy: str = "", authority: str = "") -> None:
        self._folder = Path(authority) if authority else folder / FOLDER
        self._kept = bool(authority)
        usual = buoy_policy(topic_prefix, _ARN)
        self._policy = read_policy(policy) if policy else Policy.parse(usual, "buoy policy")
        self._authority = CertificateAuthority(self._folder, "buoyfleet twin CA", keep=self._kept)
        self._server = self._authority.issue_server("server", (SERVER_NAME, "127.0.0.1", "::1"))
        self._certificates: dict[str, Certificate] = {}
        self._things: dict[str, Issued] = {}
        witness = self._authority.issue_client(WITNESS)
        self._certificates[witness.certificate_id] = Certificate(
            (Thing(WITNESS),), (Policy.parse(witness_policy(topic_prefix, WITNESS, _ARN), "witness policy"),)
        )
        self.authorise = PolicyAuthoriser(self._certificates)

    def server_context(self, *, every_protocol: bool = False) -> ssl.SSLContext:
        """TLS of the broker's ports; `every_protocol`: of the one that is 443 in AWS."""
        server = self._server
        return server_context(
            server.certificate, server.key, self._authority.file, every_protocol=every_protocol
        )

    def enrol(self, things: Iterable[tuple[str, int]]) -> Enrolled:
        """Make things of (name, buoy id) with a certificate each; those that exist are kept.

        Raises:
            OSError: a file cannot be written.
        """
        for name, buoy in things:
            if name in self._things:
                continue
            issued = self._authority.find_client(name) if self._kept else None
            issued = self._things[name] = issued or self._authority.issue_client(name)
            self._certificates[issued.certificate_id] = Certificate(
                (Thing(name, attributes={BUOY_ATTRIBUTE: str(buoy)}),), (self._policy,)
            )
        folder = self._folder.resolve()
        return Enrolled(folder / "ca.pem", str(folder / "{thing}.pem"), str(folder / "{thing}.key"))

    def client_context(self, thing: str) -> ssl.SSLContext:
        """TLS of a client that has the thing's certificate.

        Raises:
            OSError: the thing was not enrolled, or its files are gone.
        """
        context = ssl.create_default_context(cafile=str(self._authority.file))
        context.load_cert_chain(self._folder / f"{thing}.pem", self._folder / f"{thing}.key")
        return context


def read_policy(path: str) -> Policy:
    """A policy document of a file.

    Raises:
        UsageError: it cannot be read, or IoT Core would refuse it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the policy cannot be read: {reason}", where=path) from None
    return Policy.parse(text, path)
