"""The twin's registry: its own certificate authority, things with certificates, and their policies.

    certs/ca.pem  certs/server.pem  certs/<thing>.pem  certs/<thing>.key  certs/witness.pem …

A run enrols the boards of its fleet before they connect, as `buoy cloud enroll` does on an account. Every
board gets a certificate, attached to a thing with the attribute `buoy_id`, and one policy for all of them.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from buoyfleet.cloud.certificates import CertificateAuthority, Issued, new_rsa_key, read_request
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser, Thing
from buoyfleet.cloud.local.broker.policy_conditions import Values
from buoyfleet.cloud.local.broker.tls import SERVER_NAME, server_context
from buoyfleet.cloud.local.certificate_attributes import attributes_of
from buoyfleet.cloud.policies import BUOY_ATTRIBUTE, buoy_policy, claim_policy, witness_policy
from buoyfleet.model.errors import UsageError

WITNESS = "witness"
CLAIM = "claim"
"""Name of the certificate by which devices ask for one of their own."""
FOLDER = "certs"
_ARN = "arn:aws:iot:local:000000000000"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Files of TLS for clients; `{thing}` stands for the thing's name."""

    ca: Path
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A certificate on its way to a device."""

    certificate_id: str
    pem: str
    key: str
    """Its private key (PEM); "": the device has it."""


class Registry:
    """Who may connect to one twin, and what for.

    Raises:
        UsageError: the policy cannot be read, or IoT Core would refuse it.
        OSError: the folder cannot be written.
    """

    def __init__(
        self, folder: Path, topic_prefix: str, policy: str = "", authority: str = "", ingest_rule: str = ""
    ) -> None:
        self._folder = Path(authority) if authority else folder / FOLDER
        self._kept = bool(authority)
        usual = buoy_policy(topic_prefix, _ARN, ingest_rule)
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

    # Fleet provisioning

    arn = _ARN

    def policy_of(self, path: str) -> Policy:
        """The policy of a file; "": that of the boards.

        Raises:
            UsageError: it cannot be read, or IoT Core would refuse it.
        """
        return read_policy(path) if path else self._policy

    def make_claim(self, templates: tuple[str, ...]) -> None:
        """Make the claim certificate, which may provision by these templates and do nothing else.

        Raises:
            OSError: a file cannot be written.
        """
        issued = (self._authority.find_client(CLAIM) if self._kept else None) or self._authority.issue_client(
            CLAIM
        )
        policy = Policy.parse(claim_policy(templates, _ARN), "claim policy")
        self._certificates[issued.certificate_id] = Certificate(policies=(policy,))

    def issue_pending(self, request: str) -> Pending:
        """A certificate that nobody may use yet: for a signing request (PEM), or "" and a new key.

        Raises:
            ValueError: IoT Core takes no such request.
        """
        key = ""
        if request:
            subject, public = read_request(request)
        else:
            subject, public, key = new_rsa_key()
        pem, certificate_id = self._authority.sign(subject, public)
        read = partial(attributes_of, pem.encode())
        self._certificates[certificate_id] = Certificate(active=False, describe=read)
        return Pending(certificate_id, pem, key)

    def delete(self, certificate_id: str) -> None:
        """Forget a certificate."""
        self._certificates.pop(certificate_id, None)

    def thing(self, name: str) -> Thing | None:
        """A thing of the registry."""
        return next(
            (one for kept in self._certificates.values() for one in kept.things if one.name == name), None
        )

    def provision(
        self,
        certificate_id: str,
        name: str,
        type_name: str,
        attributes: Mapping[str, str],
        policies: tuple[Policy, ...],
        active: bool,
    ) -> None:
        """Attach a thing ("": none) and policies to a certificate, and activate it."""
        things = (Thing(name, type_name, attributes),) if name else ()
        read = self._certificates[certificate_id].describe
        self._certificates[certificate_id] = Certificate(things, policies, active, read)

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
                (Thing(name, attributes={BUOY_ATTRIBUTE: str(buoy)}),),
                (self._policy,),
                describe=partial(described, issued.certificate),
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


@lru_cache(maxsize=1000)
def described(file: Path) -> Values:
    """Attributes of a certificate (PEM) as policies name them.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    return attributes_of(file.read_bytes())


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
