"""Enrolling and retiring against moto's registry: idempotent, resumable, nothing secret shown."""

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import ACCOUNT, NAME, PREFIX, REGION, AccountStandIn
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from run_bench import fleet_text

from buoyfleet.cli.main import invoke
from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.bulk import Outcome
from buoyfleet.cloud.aws.enroll import Enrolment, Keys, Wanted, wanted_things
from buoyfleet.cloud.aws.retire import Retirement
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.exit_codes import ExitCode

BOARDS = [(f"{NAME}-{number}", number) for number in (100, 101)]
THINGS = [name for name, _ in BOARDS]
WITNESS = f"{NAME}-witness"


@pytest.fixture
def spec(tmp_path: Path) -> AwsSpec:
    return AwsSpec(certificates=str(tmp_path / "certs"))


def silent(_done: int, _failed: int, _total: int) -> None:
    """Nobody looks at progress."""


def enrol(spec: AwsSpec, *, keys: Keys = "csr", prefix: str = PREFIX, **options: Any) -> tuple[Outcome, int]:
    """Enrol the boards; returns the outcome and how many things were not complete before."""
    enrolment = Enrolment(Account(spec), spec, prefix, keys)
    work = enrolment.plan(wanted_things(spec, BOARDS, **options))
    return enrolment.run(work, silent, threading.Event()), len(work.todo)


def certificates_of(here: AccountStandIn, thing: str) -> list[str]:
    found: list[str] = here.client("iot").list_thing_principals(thingName=thing)["principals"]
    return found


def test_enrolled_things_are_complete_safe_and_not_made_twice(here: AccountStandIn, spec: AwsSpec) -> None:
    outcome, todo = enrol(spec)
    assert (outcome.done, outcome.failed, todo) == (3, {}, 3)
    _assert_registered(here)
    _assert_least_privilege(here)
    _assert_files_are_safe(Path(spec.certificates))
    before = {name: certificates_of(here, name) for name in THINGS}
    again, todo = enrol(spec)
    assert (again.done, todo) == (0, 0)
    assert {name: certificates_of(here, name) for name in THINGS} == before


def _assert_registered(here: AccountStandIn) -> None:
    iot = here.client("iot")
    thing = iot.describe_thing(thingName=THINGS[0])
    assert thing["thingTypeName"] == NAME
    assert thing["attributes"] == {"buoy_id": "100", "use": "test"}
    grouped = iot.list_things_in_thing_group(thingGroupName=NAME)["things"]
    assert sorted(grouped) == sorted([*THINGS, WITNESS])
    for name, policy in ((THINGS[0], f"{NAME}-buoy"), (WITNESS, f"{NAME}-witness")):
        (certificate,) = certificates_of(here, name)
        attached = iot.list_attached_policies(target=certificate)["policies"]
        assert [one["policyName"] for one in attached] == [policy]


def _assert_least_privilege(here: AccountStandIn) -> None:
    text = here.client("iot").get_policy(policyName=f"{NAME}-buoy")["policyDocument"]
    arn = f"arn:aws:iot:{REGION}:{ACCOUNT}"
    own = f"{PREFIX}/${{iot:Connection.Thing.Attributes[buoy_id]}}"
    allowed = {one["Action"]: one["Resource"] for one in json.loads(text)["Statement"]}
    assert allowed == {
        "iot:Connect": [f"{arn}:client/${{iot:Connection.Thing.ThingName}}"],
        "iot:Publish": [f"{arn}:topic/{own}/data/*", f"{arn}:topic/{own}/error/*"],
        "iot:Subscribe": [f"{arn}:topicfilter/{own}/config/*"],
        "iot:Receive": [f"{arn}:topic/{own}/config/*"],
    }


def _assert_files_are_safe(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in [*THINGS, WITNESS]:
        assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
        x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
    root = x509.load_pem_x509_certificate((folder / "AmazonRootCA1.pem").read_bytes())
    assert "Amazon Root CA 1" in root.subject.rfc4514_string()
    assert "PRIVATE" not in (folder / "enrolled.jsonl").read_text()


@pytest.mark.parametrize("operation", ["create_thing", "attach_thing_principal"])
def test_what_failed_is_done_the_next_time_with_the_same_certificate(
    here: AccountStandIn, spec: AwsSpec, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    call = Account.call

    def failing(self: Account, service: str, name: str, *, on: str = "", **arguments: Any) -> dict[str, Any]:
        if name == operation and on == THINGS[1]:
            raise AwsError("AWS throttles these calls", code="ThrottlingException", where=name)
        return call(self, service, name, on=on, **arguments)

    monkeypatch.setattr(Account, "call", failing)
    outcome, _ = enrol(spec)
    assert list(outcome.failed) == [THINGS[1]]
    assert outcome.done == 2
    made = len(here.client("iot").list_certificates()["certificates"])
    monkeypatch.setattr(Account, "call", call)
    again, todo = enrol(spec)
    assert (again.done, again.failed, todo) == (1, {}, 1)
    assert len(here.client("iot").list_certificates()["certificates"]) == max(made, 3)
    assert len(certificates_of(here, THINGS[1])) == 1


def test_a_crash_after_the_certificate_was_made_costs_no_second_one(
    here: AccountStandIn, spec: AwsSpec
) -> None:
    enrol(spec)
    journal = Path(spec.certificates) / "enrolled.jsonl"
    lines = journal.read_text().splitlines()
    kept = [line for line in lines if not (THINGS[0] in line and "complete" in line)]
    assert len(kept) == len(lines) - 1
    journal.write_text("\n".join(kept) + '\n{"thing": "buoyte')
    before = certificates_of(here, THINGS[0])
    outcome, todo = enrol(spec)
    assert (outcome.done, todo) == (1, 1)
    assert certificates_of(here, THINGS[0]) == before


def test_what_somebody_deleted_in_the_account_is_made_again(here: AccountStandIn, spec: AwsSpec) -> None:
    enrol(spec)
    iot = here.client("iot")
    for certificate in certificates_of(here, THINGS[0]):
        iot.detach_thing_principal(thingName=THINGS[0], principal=certificate)
    iot.delete_thing(thingName=THINGS[0])
    outcome, todo = enrol(spec)
    assert (outcome.done, todo) == (1, 1)
    assert len(certificates_of(here, THINGS[0])) == 1


@pytest.mark.usefixtures("here")
def test_after_ctrl_c_nothing_more_is_begun_and_the_rest_is_left(spec: AwsSpec) -> None:
    boards = [(f"{NAME}-{number}", number) for number in range(100, 120)]
    enrolment = Enrolment(Account(spec), spec, PREFIX)
    work = enrolment.plan(wanted_things(spec, boards))
    stop = threading.Event()

    def interrupt(done: int, _failed: int, _total: int) -> None:
        if done:
            stop.set()

    outcome = enrolment.run(work, interrupt, stop)
    assert outcome.interrupted
    assert 0 < outcome.done < 21
    assert outcome.left == 21 - outcome.done
    assert len(Enrolment(Account(spec), spec, PREFIX).plan(wanted_things(spec, boards)).todo) == outcome.left


@pytest.mark.usefixtures("here")
def test_keys_of_an_own_authority_never_leave_the_machine(
    spec: AwsSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    call = Account.call

    def watched(self: Account, service: str, name: str, *, on: str = "", **arguments: Any) -> dict[str, Any]:
        asked.append((name, arguments))
        return call(self, service, name, on=on, **arguments)

    monkeypatch.setattr(Account, "call", watched)
    outcome, _ = enrol(spec, keys="own-ca")
    assert (outcome.done, outcome.failed) == (3, {})
    names = [name for name, _ in asked]
    assert not {"create_keys_and_certificate", "create_certificate_from_csr"} & set(names)
    (registered,) = [arguments for name, arguments in asked if name == "register_ca_certificate"]
    assert registered["certificateMode"] == "SNI_ONLY"
    assert "verificationCertificate" not in registered
    assert "PRIVATE KEY" not in str(asked)
    folder = Path(spec.certificates)
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    board = x509.load_pem_x509_certificate((folder / f"{THINGS[0]}.pem").read_bytes())
    board.verify_directly_issued_by(authority)
    again, todo = enrol(spec, keys="own-ca")
    assert (again.done, todo) == (0, 0)


@pytest.mark.usefixtures("here")
def test_the_key_is_made_here_and_only_a_request_is_sent(
    spec: AwsSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    call = Account.call

    def watched(self: Account, service: str, name: str, *, on: str = "", **arguments: Any) -> dict[str, Any]:
        asked.append({"operation": name, **arguments})
        return call(self, service, name, on=on, **arguments)

    monkeypatch.setattr(Account, "call", watched)
    enrol(spec)
    assert "PRIVATE KEY" not in str(asked)
    request = next(one for one in asked if one["operation"] == "create_certificate_from_csr")
    signed = x509.load_pem_x509_csr(request["certificateSigningRequest"].encode())
    name = signed.subject.rfc4514_string().removeprefix("CN=")
    text = (Path(spec.certificates) / f"{name}.key").read_bytes()
    key = serialization.load_pem_private_key(text, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == signed.public_key()


@pytest.mark.soak
def test_keys_made_by_aws_are_kept_like_any_others(here: AccountStandIn, spec: AwsSpec) -> None:
    outcome, _ = enrol(spec, keys="aws-keys")
    assert (outcome.done, outcome.failed) == (3, {})
    for name in THINGS:
        file = Path(spec.certificates) / f"{name}.key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        serialization.load_pem_private_key(file.read_bytes(), None)
        assert len(certificates_of(here, name)) == 1


@pytest.mark.soak
def test_another_topic_prefix_makes_a_new_version_of_the_policy_and_keeps_to_five(
    here: AccountStandIn, spec: AwsSpec
) -> None:
    for number in range(8):
        enrolment = Enrolment(Account(spec), spec, f"{NAME}/{number}")
        enrolment.run(enrolment.plan([]), silent, threading.Event())
    iot = here.client("iot")
    versions = iot.list_policy_versions(policyName=f"{NAME}-buoy")["policyVersions"]
    assert len(versions) == 5
    assert f"{NAME}/7/" in iot.get_policy(policyName=f"{NAME}-buoy")["policyDocument"]


def test_a_board_in_service_is_not_made_a_board_for_tests(here: AccountStandIn, spec: AwsSpec) -> None:
    enrol(spec, in_service=True)
    outcome, _ = enrol(spec)
    assert sorted(outcome.failed) == THINGS
    assert "in service" in outcome.failed[THINGS[0]]
    thing = here.client("iot").describe_thing(thingName=THINGS[0])
    assert thing["attributes"]["use"] == "service"


@pytest.mark.usefixtures("here")
def test_without_permission_it_stops_at_once_and_names_what_to_attach(
    spec: AwsSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ClientError

    account = Account(spec)
    client = account.client("iot")

    def denied(**_: Any) -> None:
        raise ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "CreateThing"
        )

    monkeypatch.setattr(client, "create_thing", denied)
    boards = [(f"{NAME}-{number}", number) for number in range(100, 200)]
    enrolment = Enrolment(account, spec, PREFIX)
    outcome = enrolment.run(enrolment.plan(wanted_things(spec, boards)), silent, threading.Event())
    assert outcome.done == 0
    assert outcome.left > 50
    assert outcome.stopped_by is not None
    assert "iot:CreateThing on buoytest-" in outcome.stopped_by.what
    assert "buoy cloud policy --for enroll" in outcome.stopped_by.next_step


def test_retiring_leaves_nothing_but_the_type(here: AccountStandIn, spec: AwsSpec) -> None:
    enrol(spec)
    retirement = Retirement(Account(spec), spec)
    doomed = retirement.plan([*THINGS, WITNESS, "buoytest-999"])
    assert (sorted(doomed.things), doomed.absent, doomed.last) == (
        sorted([*THINGS, WITNESS]),
        ["buoytest-999"],
        True,
    )
    outcome = retirement.run(doomed, silent, threading.Event())
    assert (outcome.done, outcome.failed) == (3, {})
    iot = here.client("iot")
    assert iot.list_things()["things"] == []
    assert iot.list_certificates()["certificates"] == []
    assert iot.list_policies()["policies"] == []
    assert iot.list_thing_groups()["thingGroups"] == []
    folder = Path(spec.certificates)
    assert not list(folder.glob("*.key"))
    assert any("thing type buoytest stays" in note for note in retirement.notes)
    # And back again: nothing of the first time is in the way.
    again, todo = enrol(spec)
    assert (again.done, again.failed, todo) == (3, {}, 3)


@pytest.mark.soak
def test_retiring_some_keeps_what_the_others_need(here: AccountStandIn, spec: AwsSpec) -> None:
    enrol(spec)
    retirement = Retirement(Account(spec), spec)
    doomed = retirement.plan(THINGS[:1])
    assert not doomed.last
    retirement.run(doomed, silent, threading.Event())
    iot = here.client("iot")
    assert len(iot.list_things()["things"]) == 2
    assert len(iot.list_policies()["policies"]) == 2


@pytest.mark.usefixtures("here")
def test_retiring_leaves_boards_in_service_alone(spec: AwsSpec) -> None:
    enrol(spec, in_service=True)
    retirement = Retirement(Account(spec), spec)
    doomed = retirement.plan(None)
    assert sorted(doomed.in_service) == THINGS
    assert doomed.things == [WITNESS]
    assert sorted(retirement.plan(THINGS, in_service=True).things) == THINGS


def test_a_certificate_that_other_things_use_is_kept(here: AccountStandIn, spec: AwsSpec) -> None:
    enrol(spec)
    iot = here.client("iot")
    (certificate,) = certificates_of(here, THINGS[0])
    iot.attach_thing_principal(thingName=THINGS[1], principal=certificate)
    retirement = Retirement(Account(spec), spec)
    outcome = retirement.run(retirement.plan(THINGS[:1]), silent, threading.Event())
    assert (outcome.done, outcome.failed) == (1, {})
    assert certificate in certificates_of(here, THINGS[1])
    identifier = certificate.rpartition("/")[2]
    known = iot.describe_certificate(certificateId=identifier)["certificateDescription"]
    assert known["status"] == "ACTIVE"
    assert len(iot.list_attached_policies(target=certificate)["policies"]) == 1


def test_the_command_enrols_says_what_it_does_and_shows_no_key(
    here: AccountStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "boards.yaml"
    certificates = tmp_path / "certs"
    section = {"kind": "aws", "certificates": str(certificates)}
    fleet.write_text(fleet_text(ids="100", target="aws", target_section=section))
    assert invoke(["cloud", "enroll", str(fleet), "--dry-run"]) == ExitCode.OK
    assert "would be enrolled: buoytest-100, buoytest-witness\ndry run" in capsys.readouterr().out
    assert here.client("iot").list_things()["things"] == []
    assert not certificates.exists()
    assert invoke(["cloud", "enroll", str(fleet)]) == ExitCode.USAGE
    assert "--yes" in capsys.readouterr().err
    assert invoke(["cloud", "enroll", str(fleet), "--yes"]) == ExitCode.OK
    told = capsys.readouterr()
    assert "2 enrolled, 0 failed, 0 left" in told.out
    secret = (certificates / "buoytest-100.key").read_text().splitlines()[1]
    assert secret not in told.out + told.err
    assert invoke(["cloud", "retire", str(fleet), "--yes"]) == ExitCode.OK
    assert here.client("iot").list_things()["things"] == []


def test_a_wanted_thing_says_which_buoy_it_is_and_what_it_is_for(spec: AwsSpec) -> None:
    assert wanted_things(spec, [("a-7", 7)]) == [
        Wanted("a-7", spec.policy, {"buoy_id": "7", "use": "test"}),
        Wanted(spec.witness, spec.witness, {"use": "test"}),
    ]
