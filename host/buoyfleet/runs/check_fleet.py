"""Whether a fleet could run: what its file refers to, this computer, the target. Sends nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.cloud.target import Check
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.errors import BuoyError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.runs.file_checks import check_files, failed_check
from buoyfleet.runs.pacing import make_plan
from buoyfleet.runs.preflight import check_machine
from buoyfleet.runs.targets import make_target

Preflight = Callable[[Fleet, Plan], list[Check]]


@dataclass(frozen=True, slots=True)
class FleetCheck:
    """What was found."""

    plan: Plan
    """What would run."""
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether the run could start."""
        return not self.failed

    @property
    def exit_code(self) -> ExitCode:
        """As `buoy check` ends with it."""
        return ExitCode.OK if self.passed else ExitCode.PREFLIGHT


def check_fleet(fleet: Fleet, out: Path = Path("runs"), preflight: Preflight | None = None) -> FleetCheck:
    """Check what `run_fleet` checks before it starts; sends nothing.

    Args:
        fleet: as `load_fleet(path, connects=True)` reads it.
        out: where the run's folder would be made.
        preflight: looks at machine and target in place of the real checks; may raise `BuoyError`.
    """
    plan = make_plan(fleet, "")
    checks = check_files(fleet)
    if all(check.passed for check in checks):
        # Without its files and secrets a target would only complain of what has been said.
        try:
            checks += preflight(fleet, plan) if preflight else _machine_and_target(fleet, plan, out)
        except BuoyError as error:
            checks.append(failed_check("preflight", error))
    return FleetCheck(plan, tuple(checks))


def _machine_and_target(fleet: Fleet, plan: Plan, out: Path) -> list[Check]:
    password = resolve_secret(fleet.target.password, fleet.source).reveal() if fleet.target.password else ""
    target = make_target(fleet, out, "aws", password)
    return check_machine(fleet, out, plan.planned()) + asyncio.run(target.preflight())
