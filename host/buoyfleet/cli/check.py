"""`buoy check`: validate a fleet file, say what would run, look whether it could; sends nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.cli.console import print_checks, write_line
from buoyfleet.model.errors import BuoyError, ConfigurationError, PreflightError
from buoyfleet.model.exit_codes import ExitCode

if TYPE_CHECKING:
    from buoyfleet.cloud.target import Check
    from buoyfleet.inventory.overrides import Overrides
    from buoyfleet.model.fleet import Fleet
    from buoyfleet.model.plan import Plan

Preflight = Callable[["Fleet", "Plan"], list["Check"]]


def check(
    fleet_file: Annotated[Path, typer.Argument(help="Fleet file.")] = Path("boards.yaml"),
    count: Annotated[str | None, typer.Option(help="Messages per board.")] = None,
    interval: Annotated[str | None, typer.Option(help="Between messages of a board, e.g. `100 ms`.")] = None,
    rate: Annotated[str | None, typer.Option(help="Messages of a board, e.g. `10/s`.")] = None,
    duration: Annotated[str | None, typer.Option(help="Length of the run, e.g. `2 min`.")] = None,
    flat_out: Annotated[bool, typer.Option("--flat-out", help="No pacing.")] = False,
    boards: Annotated[str | None, typer.Option(help="Only these ids, e.g. `100-109,115`.")] = None,
    target: Annotated[str | None, typer.Option(help="Target instead of the file's.")] = None,
    seed: Annotated[str | None, typer.Option(help="Seed of everything random.")] = None,
    out: Annotated[Path, typer.Option(help="Where run folders would be made.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with a fleet file, what it would run and whether that could start. Sends nothing.

    It takes the options of `buoy run` that change what would run.

    \b
    buoy check
    buoy check harbour.yaml --boards 100-109 --target local
    """  # fmt: skip
    from buoyfleet.inventory.overrides import Overrides

    overrides = Overrides(
        count=count,
        interval=interval,
        rate=rate,
        duration=duration,
        flat_out=flat_out,
        boards=boards,
        target=target,
        seed=seed,
    )

    def preflight(fleet: "Fleet", plan: "Plan") -> list["Check"]:
        return _machine_and_target(fleet, plan, out)

    raise typer.Exit(check_fleet(fleet_file, overrides, preflight, as_json=as_json))


def _machine_and_target(fleet: "Fleet", plan: "Plan", out: Path) -> list["Check"]:
    """What `buoy run` looks at before it starts."""
    from buoyfleet.fleet.preflight import check_machine
    from buoyfleet.fleet.targets import make_target
    from buoyfleet.inventory.secrets import resolve_secret

    password = resolve_secret(fleet.target.password, fleet.source).reveal() if fleet.target.password else ""
    target = make_target(fleet, out, "aws", password)
    return check_machine(fleet, out, plan.planned()) + asyncio.run(target.preflight())


def check_fleet(path: Path, overrides: "Overrides", preflight: Preflight, *, as_json: bool) -> ExitCode:
    """Check a fleet file and print what was found.

    Args:
        path: the fleet file.
        overrides: what the command line changes in it.
        preflight: looks at machine and target without starting or sending anything; may raise `BuoyError`.
        as_json: one JSON object instead of text, whatever was found.

    Raises:
        ConfigurationError: the file or the options are wrong (with `as_json` that is printed instead).
    """
    from buoyfleet.fleet.pacing import make_plan
    from buoyfleet.inventory.describe import describe_fleet, describe_plan
    from buoyfleet.inventory.loader import load_fleet

    try:
        fleet = load_fleet(path, overrides, connects=True)
    except ConfigurationError as error:
        if not as_json:
            raise
        problems = [asdict(problem) for problem in error.problems]
        _print_json({"passed": False, "exit_code": int(error.exit_code), "problems": problems})
        return error.exit_code
    plan = make_plan(fleet, "")
    if not as_json:
        for line in describe_fleet(fleet, plan):
            write_line(line)
        write_line("\nplan")
        for line in describe_plan(fleet, plan):
            write_line(f"  {line}")
        write_line("\npreflight")
    checks = _all_checks(fleet, plan, preflight)
    failed = sum(not check.passed for check in checks)
    code = ExitCode.PREFLIGHT if failed else ExitCode.OK
    if as_json:
        _print_json(_report(fleet, plan, checks, code))
        return code
    print_checks(checks)
    verdict = f"{failed} of {len(checks)} checks failed" if failed else "ready"
    write_line(f"\n{verdict}; nothing was sent")
    return code


def _report(fleet: "Fleet", plan: "Plan", checks: list["Check"], code: ExitCode) -> dict[str, Any]:
    from buoyfleet.inventory.describe import totals_of
    from buoyfleet.inventory.document import fleet_document

    return {
        "passed": code is ExitCode.OK,
        "exit_code": int(code),
        "problems": [],
        "totals": asdict(totals_of(fleet, plan)),
        "checks": [asdict(check) for check in checks],
        "notes": list(fleet.notes),
        "fleet": fleet_document(fleet),
    }


def _all_checks(fleet: "Fleet", plan: "Plan", preflight: Preflight) -> list["Check"]:
    checks = local_checks(fleet)
    if all(check.passed for check in checks):
        # Without its files and secrets a target would only complain of what has been said.
        try:
            checks += preflight(fleet, plan)
        except BuoyError as error:
            checks.append(_failed("preflight", error))
    return checks


def local_checks(fleet: "Fleet") -> list["Check"]:
    """What the fleet file refers to: secrets and the files of TLS."""
    from buoyfleet.cloud.target import Check
    from buoyfleet.inventory.secrets import resolve_secret, secrets_of

    checks = []
    for key, reference in secrets_of(fleet):
        name = f"{key} (${{{reference.source}:{reference.name}}})"
        try:
            resolve_secret(reference, fleet.source)
        except PreflightError as error:
            checks.append(_failed(name, error))
        else:
            checks.append(Check(name, True, "set"))
    return checks + _board_checks(fleet) + _tls_checks(fleet)


def _board_checks(fleet: "Fleet") -> list["Check"]:
    from buoyfleet.boards.kinds import remarks, unready
    from buoyfleet.cloud.target import Check

    wanting = sum(board.kind != "virtual" for board in fleet.boards)
    if not wanting:
        return []
    failed = [_failed("boards on cables", error) for error in unready(fleet)]
    there = ". ".join([f"{wanting}: ports and interpreter are there", *remarks(fleet)])
    return failed or [Check("boards on cables", True, there)]


def _tls_checks(fleet: "Fleet") -> list["Check"]:
    from buoyfleet.cloud.target import Check

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


def _pair_checks(fleet: "Fleet") -> list["Check"]:
    """Certificates and keys that boards on cables can use: EC P-256, one pair, for nobody else to read."""
    from buoyfleet.bench.keys import CredentialFiles
    from buoyfleet.cloud.target import Check

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
            failed.append(_failed(f"certificate of {board.thing_name}", error))
    return failed or [Check("certificates of boards", True, f"{len(cabled)}: fit for boards on a cable")]


def _failed(name: str, error: BuoyError) -> "Check":
    from buoyfleet.cloud.target import Check

    detail = f"{error.where}: {error.what}" if error.where else error.what
    return Check(name, False, f"{detail} ({error.cause})" if error.cause else detail, error.next_step)


def _print_json(document: dict[str, Any]) -> None:
    import json

    write_line(json.dumps(document, indent=2, ensure_ascii=False))
