"""Ten thousand virtual things: enrolled in parallel with keys of their own, once, and retired again."""

import threading
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import NAME, PREFIX

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.bulk import WORKERS
from buoyfleet.cloud.aws.enroll import Enrolment, wanted_things
from buoyfleet.cloud.aws.quotas import RATES, Quotas
from buoyfleet.cloud.aws.retire import Retirement
from buoyfleet.model.aws import AwsSpec

THINGS = 10_000


class RegistryInMemory:
    """As much of IoT's registry as enrolling and retiring use, in place of `Account.call`; a stand-in."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, str]] = {}
        self.certificates: dict[str, set[str]] = {}
        """Certificate → things."""
        self.calls = 0
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._registry = threading.Lock()
        """Held while one request is answered: iterating, counting and changing are one step."""

    def call(self, _service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        arguments.pop("on", None)
        with self._lock:
            self.calls += 1
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = getattr(self, f"_{operation}", lambda **_: {})
            with self._registry:
                found: dict[str, Any] = answer(**arguments)
            return found
        finally:
            with self._lock:
                self._at_once -= 1

    def _get_caller_identity(self) -> dict[str, Any]:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/x", "UserId": "x"}

    def _get_service_quota(self, **asked: str) -> dict[str, Any]:
        assert asked["QuotaCode"] in {quota.code for quota in RATES.values()}
        return {"Quota": {"Value": 1e9}}

    def _list_things(self, nextToken: str = "0", **_: Any) -> dict[str, Any]:
        names = sorted(self.things)
        start = int(nextToken)
        page = [{"thingName": name, "attributes": self.things[name]} for name in names[start : start + 250]]
        more = {"nextToken": str(start + 250)} if start + 250 < len(names) else {}
        return {"things": page, **more}

    def _get_policy(self, **_: Any) -> dict[str, Any]:
        raise AwsError("none", code="ResourceNotFoundException")

    def _create_thing(self, thingName: str, attributePayload: dict[str, Any], **_: Any) -> dict[str, Any]:
        assert thingName not in self.things
        self.things[thingName] = attributePayload["attributes"]
        return {}

    def _register_certificate(self, **_: Any) -> dict[str, Any]:
        identifier = f"{len(self.certificates):064x}"
        self.certificates[identifier] = set()
        return {"certificateId": identifier}

    def _describe_certificate(self, certificateId: str) -> dict[str, Any]:
        if certificateId not in self.certificates:
            raise AwsError("none", code="ResourceNotFoundException")
        return {"certificateDescription": {"status": "ACTIVE"}}

    def _attach_thing_principal(self, thingName: str, principal: str) -> dict[str, Any]:
        self.certificates[principal.rpartition("/")[2]].add(thingName)
        return {}

    def _list_thing_principals(self, thingName: str, **_: Any) -> dict[str, Any]:
        known = list(self.certificates.items())
        return {"principals": [f"cert/{one}" for one, things in known if thingName in things]}

    def _detach_thing_principal(self, thingName: str, principal: str) -> dict[str, Any]:
        self.certificates[principal.rpartition("/")[2]].discard(thingName)
        return {}

    def _delete_certificate(self, certificateId: str, **_: Any) -> dict[str, Any]:
        del self.certificates[certificateId]
        return {}

    def _delete_thing(self, thingName: str) -> dict[str, Any]:
        del self.things[thingName]
        return {}

    def _list_policy_versions(self, **_: Any) -> dict[str, Any]:
        return {"policyVersions": [{"versionId": "1", "isDefaultVersion": True}]}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> RegistryInMemory:
    made = RegistryInMemory()
    monkeypatch.setattr(Account, "call", lambda _, *arguments, **named: made.call(*arguments, **named))
    monkeypatch.setattr(Quotas, "value", lambda *_: 1e9)
    return made


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_thousand_things_are_enrolled_once_and_retired(
    registry: RegistryInMemory, tmp_path: Path
) -> None:
    spec = AwsSpec(region="us-west-2", certificates=str(tmp_path / "certs"))
    boards = [(f"{NAME}-{number}", number) for number in range(THINGS)]
    wanted = wanted_things(spec, boards)
    told: list[tuple[int, int, int]] = []

    def progress(done: int, failed: int, total: int) -> None:
        told.append((done, failed, total))

    enrolment = Enrolment(Account(spec), spec, PREFIX, "own-ca")
    outcome = enrolment.run(enrolment.plan(wanted), progress, threading.Event())
    assert (outcome.done, outcome.failed, outcome.left) == (THINGS + 1, {}, 0)
    assert told[-1] == (THINGS + 1, 0, THINGS + 1)
    assert len(registry.things) == len(registry.certificates) == THINGS + 1
    assert all(len(things) == 1 for things in registry.certificates.values())
    assert registry.most_at_once <= WORKERS
    before = registry.calls
    assert Enrolment(Account(spec), spec, PREFIX, "own-ca").plan(wanted).todo == []
    assert registry.calls - before < 100
    retirement = Retirement(Account(spec), spec)
    doomed = retirement.plan([name for name, _ in boards[:50]])
    gone = retirement.run(doomed, progress, threading.Event())
    assert (gone.done, gone.failed) == (50, {})
    assert len(registry.things) == len(registry.certificates) == THINGS + 1 - 50
