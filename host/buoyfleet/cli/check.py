"""`buoy check`: validate a fleet file, say what would run, look whether it could; sends nothing."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.cli.console import print_checks, write_line
from buoyfleet.cli.options import FleetArgument, changes_what_runs
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.exit_codes import ExitCode

if TYPE_CHECKING:
    from buoyfleet.inventory.overrides import Overrides
    from buoyfleet.model.fleet import Fleet
    from buoyfleet.runs.check_fleet import FleetCheck, Preflight


@changes_what_runs
def check(
    changes: dict[str, Any],
    fleet_file: FleetArgument = Path("boards.yaml"),
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

    raise typer.Exit(show_check(fleet_file, Overrides(**changes), out, as_json=as_json))


def show_check(
    path: Path,
    overrides: "Overrides",
    out: Path = Path("runs"),
    preflight: "Preflight | None" = None,
    *,
    as_json: bool,
) -> ExitCode:
    """Check a fleet file and print what was found.

    Args:
        path: the fleet file.
        overrides: what the command line changes in it.
        out: where run folders would be made.
        preflight: see `check_fleet`.
        as_json: one JSON object instead of text, whatever was found.

    Raises:
        ConfigurationError: the file or the options are wrong (with `as_json` that is printed instead).
    """
    from buoyfleet.inventory.describe import describe_fleet, describe_plan
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.runs.check_fleet import check_fleet

    try:
        fleet = load_fleet(path, overrides, connects=True)
    except ConfigurationError as error:
        if not as_json:
            raise
        problems = [asdict(problem) for problem in error.problems]
        _print_json({"passed": False, "exit_code": int(error.exit_code), "problems": problems})
        return error.exit_code
    found = check_fleet(fleet, out, preflight)
    if as_json:
        _print_json(_report(fleet, found))
        return found.exit_code
    for line in describe_fleet(fleet, found.plan):
        write_line(line)
    write_line("\nplan")
    for line in describe_plan(fleet, found.plan):
        write_line(f"  {line}")
    write_line("\npreflight")
    print_checks(found.checks)
    failed = len(found.failed)
    verdict = f"{failed} of {len(found.checks)} checks failed" if failed else "ready"
    write_line(f"\n{verdict}; nothing was sent")
    return found.exit_code


def _report(fleet: "Fleet", found: "FleetCheck") -> dict[str, Any]:
    from buoyfleet.inventory.describe import totals_of
    from buoyfleet.inventory.document import fleet_document

    return {
        "passed": found.passed,
        "exit_code": int(found.exit_code),
        "problems": [],
        "totals": asdict(totals_of(fleet, found.plan)),
        "checks": [asdict(check) for check in found.checks],
        "notes": list(fleet.notes),
        "fleet": fleet_document(fleet),
    }


def _print_json(document: dict[str, Any]) -> None:
    import json

    write_line(json.dumps(document, indent=2, ensure_ascii=False))
