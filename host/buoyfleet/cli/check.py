"""`buoy check`: validate a fleet file, say what would run, look whether it could; sends nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.cli.console import print_checks, write_line
from buoyfleet.model.errors import BuoyError, ConfigurationError
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
    from buoyfleet.inventory.secrets import resolve_secret
    from buoyfleet.runs.preflight import check_machine
    from buoyfleet.runs.targets import make_target

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
    from buoyfleet.inventory.describe import describe_fleet, describe_plan
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.runs.pacing import make_plan

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
    from buoyfleet.runs.file_checks import check_files, failed_check

    checks = check_files(fleet)
    if all(check.passed for check in checks):
        # Without its files and secrets a target would only complain of what has been said.
        try:
            checks += preflight(fleet, plan)
        except BuoyError as error:
            checks.append(failed_check("preflight", error))
    return checks


def _print_json(document: dict[str, Any]) -> None:
    import json

    write_line(json.dumps(document, indent=2, ensure_ascii=False))
