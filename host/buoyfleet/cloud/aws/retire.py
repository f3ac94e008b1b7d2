"""Undoes enrolling: detaches and deletes certificates and things, at last what they shared."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.bulk import Outcome, for_each
from buoyfleet.cloud.aws.enrolled import USE, USE_TEST, read_enrolled
from buoyfleet.cloud.aws.journal import Journal
from buoyfleet.cloud.aws.pacer import Pacer
from buoyfleet.cloud.aws.quotas import RATES, Quotas
from buoyfleet.model.aws import AwsSpec

_GONE = "ResourceNotFoundException"
Step = Callable[[int, int, int], None]


@dataclass(slots=True)
class Doomed:
    """What will be deleted."""

    things: list[str]
    in_service: list[str] = field(default_factory=list)
    """Asked for, but in service: left alone."""
    absent: list[str] = field(default_factory=list)
    """Asked for, but not in the registry."""
    last: bool = False
    """No thing of the type is left afterwards: policies and group go, too."""


class Retirement:
    """Retires things of one pipeline."""

    def __init__(self, account: Account, spec: AwsSpec) -> None:
        self._account = account
        self._spec = spec
        self._folder = Path(spec.certificates)
        self._journal = Journal(self._folder)
        self._pacer = Pacer(Quotas({}))
        self.notes: list[str] = []
        """What was left in the account, and why."""

    def plan(self, names: Sequence[str] | None, *, in_service: bool = False) -> Doomed:
        """What would be deleted; changes nothing.

        Args:
            names: things; None: every test thing of the pipeline's type.
            in_service: things in service may be deleted as well.

        Raises:
            AwsError: the registry cannot be read.
        """
        registered = read_enrolled(self._account, self._spec)
        asked = list(registered) if names is None else list(dict.fromkeys(names))
        doomed = Doomed([])
        for name in asked:
            attributes = registered.get(name)
            if attributes is None:
                doomed.absent.append(name)
            elif attributes.get(USE) == USE_TEST or in_service:
                doomed.things.append(name)
            else:
                doomed.in_service.append(name)
        doomed.last = bool(doomed.things) and set(registered) <= set(doomed.things)
        return doomed

    def run(self, doomed: Doomed, progress: Step, stop: threading.Event) -> Outcome:
        """Do it; what is gone already is no failure."""
        self._pacer = Pacer(Quotas.ask(self._account, RATES.values()))
        outcome = for_each(doomed.things, str, self._retire, progress, stop)
        if doomed.last and not outcome.failed and not outcome.left:
            self._delete_shared()
        return outcome

    def _retire(self, thing: str) -> None:
        for page in self._pages("list_thing_principals", thing, thingName=thing):
            for principal in page.get("principals", []):
                self._gone("detach_thing_principal", thing, thingName=thing, principal=principal)
                self._delete_certificate(principal)
        self._gone("delete_thing", thing, thingName=thing)
        for suffix in (".key", ".pem"):
            (self._folder / f"{thing}{suffix}").unlink(missing_ok=True)
        if self._folder.is_dir():
            self._journal.append(thing=thing, retired=True)

    def _delete_certificate(self, principal: str) -> None:
        """A certificate that other things use as well stays."""
        others = [
            thing
            for page in self._pages("list_principal_things", principal, principal=principal)
            for thing in page.get("things", [])
        ]
        if others:
            return
        attached = self._call("list_attached_policies", principal, target=principal).get("policies", [])
        for policy in attached:
            self._gone("detach_policy", principal, policyName=policy["policyName"], target=principal)
        certificate = principal.rpartition("/")[2]
        self._gone("update_certificate", certificate, certificateId=certificate, newStatus="INACTIVE")
        self._gone("delete_certificate", certificate, certificateId=certificate)

    def _delete_shared(self) -> None:
        spec = self._spec
        for policy in (spec.policy, spec.witness):
            try:
                self._delete_policy(policy)
            except AwsError as error:
                self.notes.append(f"policy {policy} is still there: {error.what}")
        try:
            self._gone("delete_thing_group", spec.thing_group, thingGroupName=spec.thing_group)
        except AwsError as error:
            self.notes.append(f"thing group {spec.thing_group} is still there: {error.what}")
        # A type can only be deleted five minutes after it was deprecated; it costs nothing and does no harm.
        self.notes.append(f"thing type {spec.thing_type} stays: AWS deletes types only five minutes later")
        self._delete_authority()

    def _delete_policy(self, policy: str) -> None:
        try:
            versions = self._call("list_policy_versions", policy, policyName=policy)["policyVersions"]
        except AwsError as error:
            if error.code == _GONE:
                return
            raise
        targets = self._call("list_targets_for_policy", policy, policyName=policy).get("targets", [])
        if targets:
            self.notes.append(f"policy {policy} stays: {len(targets)} certificates have it")
            return
        for version in versions:
            if not version["isDefaultVersion"]:
                self._gone(
                    "delete_policy_version", policy, policyName=policy, policyVersionId=version["versionId"]
                )
        self._gone("delete_policy", policy, policyName=policy)

    def _delete_authority(self) -> None:
        """The CA that enrolling with `--own-ca` registered; its files stay, as its key is ours."""
        file = self._folder / "ca.pem"
        if not file.exists():
            return
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        try:
            identifier = x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(hashes.SHA256()).hex()
            self._call("update_ca_certificate", identifier, certificateId=identifier, newStatus="INACTIVE")
            self._gone("delete_ca_certificate", identifier, certificateId=identifier)
        except ValueError as error:
            self.notes.append(f"the CA of {file} is not unregistered: {error}")
        except AwsError as error:
            if error.code != _GONE:
                self.notes.append(f"the CA of {file} is still registered: {error.what}")

    def _pages(self, operation: str, on: str, **arguments: Any) -> list[dict[str, Any]]:
        self._pacer.wait(operation)
        try:
            return list(
                self._account.pages("iot", operation, on=on, token=("nextToken", "nextToken"), **arguments)
            )
        except AwsError as error:
            if error.code == _GONE:
                return []
            raise

    def _gone(self, operation: str, on: str, **arguments: Any) -> None:
        """A call after which something is not there; that it was not there before is fine."""
        try:
            self._call(operation, on, **arguments)
        except AwsError as error:
            if error.code != _GONE:
                raise

    def _call(self, operation: str, on: str, **arguments: Any) -> dict[str, Any]:
        self._pacer.wait(operation)
        return self._account.call("iot", operation, on=on, **arguments)
