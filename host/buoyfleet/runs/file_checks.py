"""Checks of what a fleet file refers to: secrets, ports, the files of TLS. Nothing is opened or sent."""

from pathlib import Path

from buoyfleet.boards.kinds import remarks, unready
from buoyfleet.cloud.target import Check
from buoyfleet.inventory.secrets import resolve_secret, secrets_of
from buoyfleet.model.errors import BuoyError, PreflightError
from buoyfleet.model.fleet import Fleet


def check_files(fleet: Fleet) -> list[Check]:
    """A check per secret and file of TLS, and one for the boards on cables."""
    checks = []
    for key, reference in secrets_of(fleet):
        name = f"{key} (${{{reference.source}:{reference.name}}})"
        try:
            resolve_secret(reference, fleet.source)
        except PreflightError as error:
            checks.append(failed_check(name, error))
        else:
            checks.append(Check(name, True, "set"))
    return checks + _board_checks(fleet) + _tls_checks(fleet)


def failed_check(name: str, error: BuoyError) -> Check:
    """A check that failed with an error."""
    detail = f"{error.where}: {error.what}" if error.where else error.what
    return Check(name, False, f"{detail} ({error.cause})" if error.cause else detail, error.next_step)


def _board_checks(fleet: Fleet) -> list[Check]:
    wanting = sum(board.kind != "virtual" for board in fleet.boards)
    if not wanting:
        return []
    failed = [failed_check("boards on cables", error) for error in unready(fleet)]
    there = ". ".join([f"{wanting}: ports and interpreter are there", *remarks(fleet)])
    return failed or [Check("boards on cables", True, there)]


def _tls_checks(fleet: Fleet) -> list[Check]:
    tls = fleet.target.tls
    if tls is None:
        return []
    things = [board.thing_name for board in fleet.boards]
    checks = []
    for name, template in (("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)):
        if not template:
            continue
        files = dict.fromkeys(template.replace("{thing}", thing) for thing in things)
        missing = [file for file in files if not Path(file).is_file()]
        detail = f"{template}: {len(files) - len(missing)} of {len(files)} there"
        next_step = f"put {missing[0]} there, or change target.tls.{name}" if missing else ""
        checks.append(Check(f"target.tls.{name}", not missing, detail, next_step))
    if all(check.passed for check in checks):
        checks += _pair_checks(fleet)
    return checks


def _pair_checks(fleet: Fleet) -> list[Check]:
    """Certificates and keys that boards on cables can use: EC P-256, one pair, for nobody else to read."""
    from buoyfleet.bench.keys import CredentialFiles  # cryptography: not needed where all boards are virtual

    tls = fleet.target.tls
    cabled = [board for board in fleet.boards if board.kind != "virtual"]
    if tls is None or not cabled:
        return []
    folder = Path(fleet.source).resolve().parent
    failed = []
    for board in cabled:
        try:
            CredentialFiles(tls, folder).get(board.thing_name, "", lambda _: "")
        except PreflightError as error:
            failed.append(failed_check(f"certificate of {board.thing_name}", error))
    return failed or [Check("certificates of boards", True, f"{len(cabled)}: fit for boards on a cable")]
