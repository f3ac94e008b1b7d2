"""Makes things, certificates and policies for a fleet: idempotent, resumable, within the account's rates.

Every call can be made again without harm but one: AWS makes a new certificate each time it is asked. So its
key and certificate are on disk before anything else is done with them, and a certificate on disk is used.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.bulk import Outcome, for_each
from buoyfleet.cloud.aws.enrolled import USE, USE_SERVICE, USE_TEST, read_enrolled
from buoyfleet.cloud.aws.journal import Journal
from buoyfleet.cloud.aws.pacer import Pacer
from buoyfleet.cloud.aws.quotas import RATES, Quotas
from buoyfleet.cloud.aws.root_ca import FILE as ROOT_CA_FILE
from buoyfleet.cloud.aws.root_ca import write_root_ca
from buoyfleet.cloud.certificates import CertificateAuthority, signing_request
from buoyfleet.cloud.policies import BUOY_ATTRIBUTE, buoy_policy, witness_policy
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.errors import PreflightError

Keys = Literal["csr", "aws-keys", "own-ca"]
"""`csr`: EC keys made here, certificates made by AWS; `aws-keys`: RSA keys and certificates made by AWS;
`own-ca`: EC keys and certificates made here, by a CA that AWS is told of."""
MAX_POLICY_VERSIONS = 5
"""Of one policy (IoT Core quotas)."""
_EXISTS = frozenset(("ResourceAlreadyExistsException", "ResourceConflictException"))
Step = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A thing that shall exist."""

    name: str
    policy: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """What there is to do."""

    wanted: list[Wanted]
    todo: list[Wanted]
    """Those that are not complete."""
    policies: dict[str, dict[str, Any]]
    """Name → document."""


def wanted_things(
    spec: AwsSpec, boards: Iterable[tuple[str, int]], *, in_service: bool = False
) -> list[Wanted]:
    """The things of a fleet, with its witness.

    Args:
        spec: the pipeline.
        boards: (thing name, buoy id).
        in_service: mark them as boards in service, which runs of test fleets refuse to use.
    """
    use = USE_SERVICE if in_service else USE_TEST
    things = [Wanted(name, spec.policy, {BUOY_ATTRIBUTE: str(buoy), USE: use}) for name, buoy in boards]
    return [*things, Wanted(spec.witness, spec.witness, {USE: USE_TEST})]


class Enrolment:
    """Enrols the things of one fleet in one account."""

    def __init__(
        self,
        account: Account,
        spec: AwsSpec,
        topic_prefix: str,
        keys: Keys = "csr",
        ingest_rule: str = "",
    ) -> None:
        self._account = account
        self._spec = spec
        self._prefix = topic_prefix
        self._ingest_rule = ingest_rule
        self._keys = keys
        self.folder = Path(spec.certificates)
        self._journal = Journal(self.folder)
        self._pacer = Pacer(Quotas({}))
        self._authority: CertificateAuthority | None = None
        self._registered: dict[str, dict[str, str]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        """The journal as it was before."""
        self._signing = threading.Lock()

    def plan(self, wanted: Sequence[Wanted]) -> Work:
        """Compare what is wanted with registry, journal and files; changes nothing.

        Raises:
            AwsError: the registry cannot be read.
            OSError: the folder cannot be read.
        """
        account = self._account
        registered = self._registered = read_enrolled(account, self._spec)
        done = self._known = self._journal.read()

        def complete(thing: Wanted) -> bool:
            entry = done.get(thing.name)
            return (
                entry is not None
                and entry.get("complete", False)
                and entry.get("account") == account.number
                and entry.get("policy") == thing.policy
                and registered.get(thing.name) == thing.attributes
                and all((self.folder / f"{thing.name}{suffix}").exists() for suffix in (".pem", ".key"))
            )

        arn = f"arn:{account.partition}:iot:{account.region}:{account.number}"
        spec = self._spec
        policies = {
            spec.policy: buoy_policy(self._prefix, arn, self._ingest_rule),
            spec.witness: witness_policy(self._prefix, spec.witness, arn),
        }
        todo = [thing for thing in wanted if not complete(thing)]
        return Work(list(wanted), todo, policies)

    def run(self, work: Work, progress: Step, stop: threading.Event) -> Outcome:
        """Do it.

        Raises:
            AwsError: type, group, policy or CA cannot be made.
            PreflightError: the folder cannot be written, or the CA's files are damaged.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_root_ca(self.folder / ROOT_CA_FILE)
        except OSError as error:
            raise PreflightError(
                f"the folder cannot be written: {error.strerror}",
                where=str(self.folder),
                next_step="give another with target.certificates",
            ) from None
        account, spec = self._account, self._spec
        self._pacer = Pacer(Quotas.ask(account, RATES.values()))
        self._made("create_thing_type", spec.thing_type, thingTypeName=spec.thing_type)
        self._made("create_thing_group", spec.thing_group, thingGroupName=spec.thing_group)
        for name, document in work.policies.items():
            self._policy(name, document)
        if self._keys == "own-ca":
            self._register_authority()
        return for_each(work.todo, lambda thing: thing.name, self._enrol, progress, stop)

    # -- one thing -----------------------------------------------------------------------------------------

    def _enrol(self, thing: Wanted) -> None:
        self._create(thing)
        certificate = self._certificate(thing)
        arn = self._arn(certificate)
        self._call("attach_policy", thing.name, policyName=thing.policy, target=arn)
        self._call("attach_thing_principal", thing.name, thingName=thing.name, principal=arn)
        self._call(
            "add_thing_to_thing_group",
            thing.name,
            thingName=thing.name,
            thingGroupName=self._spec.thing_group,
        )
        self._keep(thing.name, certificate, policy=thing.policy, complete=True)

    def _keep(self, thing: str, certificate: str, **more: Any) -> None:
        self._journal.append(thing=thing, account=self._account.number, certificate=certificate, **more)

    def _create(self, thing: Wanted) -> None:
        arguments = {
            "thingName": thing.name,
            "thingTypeName": self._spec.thing_type,
            "attributePayload": {"attributes": thing.attributes},
        }
        known = self._registered.get(thing.name)
        if known is None:
            try:
                self._call("create_thing", thing.name, **arguments)
                return
            except AwsError as error:
                if error.code not in _EXISTS:
                    raise
            # It exists with another type, or was made this moment by somebody else.
            known = self._call("describe_thing", thing.name, thingName=thing.name).get("attributes", {})
        if known != thing.attributes:
            if known.get(USE) == USE_SERVICE and thing.attributes.get(USE) == USE_TEST:
                raise AwsError(
                    "the thing is in service: it will not be made one for tests",
                    code="InService",
                    where=thing.name,
                    next_step="use other ids or another thing_name; --in-service keeps it as it is",
                ) from None
            self._call("update_thing", thing.name, **arguments)

    def _certificate(self, thing: Wanted) -> str:
        """The id of the thing's certificate, which is on disk and registered when this returns."""
        entry = self._known.get(thing.name, {})
        issued = self._issued(thing.name)
        if issued is not None and entry.get("account") == self._account.number:
            issued = entry.get("certificate", issued)
        if issued is not None and self._is_registered(issued):
            return issued
        if self._keys == "own-ca":
            return self._register_own(thing.name)
        key = self.folder / f"{thing.name}.key"
        # The key is on disk first: a certificate without its key is of no use to anybody.
        if self._keys == "aws-keys":
            answer = self._call("create_keys_and_certificate", thing.name, setAsActive=True)
            _write_secret(key, answer["keyPair"]["PrivateKey"])
        else:
            answer = self._call(
                "create_certificate_from_csr",
                thing.name,
                certificateSigningRequest=self._request(thing.name, key),
                setAsActive=True,
            )
        _write_whole(self.folder / f"{thing.name}.pem", answer["certificatePem"])
        certificate = str(answer["certificateId"])
        self._keep(thing.name, certificate)
        return certificate

    @staticmethod
    def _request(name: str, key: Path) -> str:
        try:
            return signing_request(name, key)
        except ValueError:
            # An RSA key of before, or a damaged one, whose certificate is of no use any more.
            key.unlink()
            return signing_request(name, key)

    def _issued(self, name: str) -> str | None:
        """Id of the certificate on disk, if there is one with its key."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        if not (certificate.exists() and key.exists()):
            return None
        try:
            return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()
        except ValueError:
            return None

    def _is_registered(self, certificate: str) -> bool:
        try:
            known = self._call("describe_certificate", certificate, certificateId=certificate)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return False
            raise
        return bool(known["certificateDescription"]["status"] == "ACTIVE")

    def _register_own(self, name: str) -> str:
        authority = self._authority
        if authority is None:
            raise LookupError("the authority is registered before the first thing")
        with self._signing:
            issued = authority.find_client(name) or authority.issue_client(name)
        try:
            answer = self._call(
                "register_certificate",
                name,
                certificatePem=issued.certificate.read_text(),
                caCertificatePem=authority.file.read_text(),
                status="ACTIVE",
            )
        except AwsError as error:
            if error.code not in _EXISTS:
                raise
            return issued.certificate_id
        return str(answer["certificateId"])

    # -- what all of them share ----------------------------------------------------------------------------

    def _register_authority(self) -> None:
        """Our own CA, without a verification certificate: with SNI_ONLY clients name the endpoint by SNI."""
        try:
            self._authority = CertificateAuthority(self.folder, f"{self._spec.name} virtual fleet", keep=True)
        except (OSError, ValueError) as error:
            raise PreflightError(f"the CA's files cannot be used: {error}", where=str(self.folder)) from None
        try:
            self._call(
                "register_ca_certificate",
                self._authority.file.name,
                caCertificate=self._authority.file.read_text(),
                setAsActive=True,
                certificateMode="SNI_ONLY",
            )
        except AwsError as error:
            if error.code not in _EXISTS:
                raise

    def _policy(self, name: str, document: dict[str, Any]) -> None:
        text = json.dumps(document)
        try:
            known = self._call("get_policy", name, policyName=name)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            self._call("create_policy", name, policyName=name, policyDocument=text)
            return
        if json.loads(known["policyDocument"]) == document:
            return
        versions = self._call("list_policy_versions", name, policyName=name)["policyVersions"]
        if len(versions) >= MAX_POLICY_VERSIONS:
            oldest = min(
                (one for one in versions if not one["isDefaultVersion"]),
                key=lambda one: int(one["versionId"]),
            )
            self._call("delete_policy_version", name, policyName=name, policyVersionId=oldest["versionId"])
        self._call("create_policy_version", name, policyName=name, policyDocument=text, setAsDefault=True)

    def _made(self, operation: str, on: str, **arguments: Any) -> None:
        try:
            self._call(operation, on, **arguments)
        except AwsError as error:
            if error.code not in _EXISTS:
                raise

    def _arn(self, certificate: str) -> str:
        account = self._account
        return f"arn:{account.partition}:iot:{account.region}:{account.number}:cert/{certificate}"

    def _call(self, operation: str, on: str, **arguments: Any) -> dict[str, Any]:
        self._pacer.wait(operation)
        return self._account.call("iot", operation, on=on, **arguments)


def _write_secret(file: Path, text: str) -> None:
    """Whole or not at all, and nobody else may read it at any moment."""
    temporary = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    os.replace(temporary, file)


def _write_whole(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(text)
    os.replace(temporary, file)
