"""What `buoy run` does, step by step: load, describe, preflight, run, verify, report."""

import asyncio
import errno
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from buoyfleet.boards.kinds import UnitOptions, make_units, remarks
from buoyfleet.boards.unit import Unit
from buoyfleet.cli.check import local_checks
from buoyfleet.cli.commission import BENCH
from buoyfleet.cli.consent import agree
from buoyfleet.cli.console import print_error
from buoyfleet.cli.progress import Progress
from buoyfleet.cloud.target import Manners, Target
from buoyfleet.fleet.engine import Engine, StopNow
from buoyfleet.fleet.pacing import make_plan
from buoyfleet.fleet.preflight import check_machine, require
from buoyfleet.fleet.run_folder import make_run_folder
from buoyfleet.fleet.run_state import DOING, RunRecord, folder_lost, under_way
from buoyfleet.fleet.targets import LimitMode, make_target
from buoyfleet.inventory.describe import describe_fleet
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.errors import BuoyError, PreflightError, UsageError, VerificationError, unwritable
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.mqtt.witness import MESSAGES_PER_CONNECTION, Witness

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOENT}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked on the command line."""

    fleet_file: Path
    overrides: Overrides
    limits: str | None
    out: Path
    as_json: bool
    quiet: bool
    command: str
    yes: bool = False
    """Agreed to what is at stake without being asked."""
    allow_live: bool = False
    """Signs of boards in service do not stop it."""


def execute(request: Request) -> int:
    """Carry out a run; returns the exit code.

    Raises:
        BuoyError: nothing was sent, or the run's files cannot be read.
    """
    began = time.monotonic()
    fleet = load_fleet(request.fleet_file, request.overrides, connects=True)
    if any(board.port for board in fleet.boards):
        from buoyfleet.bench.folder import BenchFolder
        from buoyfleet.bench.prepare import boards_authority  # the bench takes a while to import

        fleet = boards_authority(fleet, BenchFolder(BENCH))
    limits = _limits(request.limits, fleet)
    talkative = not (request.quiet or request.as_json)
    run_folder = make_run_folder(request.out, fleet.name)
    try:
        plan = make_plan(fleet, run_folder.name)
        password = resolve_secret(fleet.target.password, fleet.source) if fleet.target.password else None
        target = make_target(fleet, run_folder, limits, password.reveal() if password else "")
        checks = local_checks(fleet) + check_machine(fleet, run_folder, plan.planned())
        require(checks + asyncio.run(target.preflight()))
        stakes = asyncio.run(target.stakes(plan))
        if stakes is not None:
            from buoyfleet.cli.in_service import service_check

            in_service = service_check(fleet, BENCH)
            if not in_service.passed:
                stakes = replace(stakes, live=(*stakes.live, in_service))
            agree(stakes, yes=request.yes, allow_live=request.allow_live, quiet=not talkative)
    except BaseException:
        # Nothing was sent: an empty folder would only look like a run.
        run_folder.rmdir()
        raise
    import uvloop

    record = RunRecord(run_folder, run_id=plan.run_id, command=request.command)
    record.limits = list(target.changed_limits)
    with under_way(record):
        _keep(fleet, record)
        if talkative:
            _print_lines(describe_fleet(fleet, plan) + _limit_lines(target))
        if target.manners.enforced:
            limits = "aws"
        try:
            with Progress(quiet=not talkative) as progress:
                units = _units(fleet, plan, target, limits, run_folder)
                connects_per_s = None if limits == "lifted" else target.manners.connects_per_s
                witness = _witness(fleet, target.manners, run_folder, connects_per_s)
                engine = Engine(fleet, plan, units, target, witness, record, progress.show)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(engine.run())
            record.warnings += remarks(fleet)
            record.phases_s["before"] = max(0.0, record.began_s - began)
            return _concluded(fleet, plan, record, request)
        except (StopNow, KeyboardInterrupt):
            return _stopped_now(record)
        except (OSError, BuoyError) as error:
            if record.folder_lost:
                raise folder_lost(run_folder) from error
            if not isinstance(error, OSError) or error.errno not in _UNWRITABLE:
                raise
            raise VerificationError(
                f"the run's folder cannot be written: {error.strerror or error}",
                where=str(error.filename or run_folder),
                cause="a full disk, or a folder that you may not write to",
                next_step=f"make room, then: buoy verify {run_folder}",
            ) from error


def _concluded(fleet: Fleet, plan: Plan, record: RunRecord, request: Request) -> int:
    from buoyfleet.fleet.conclude import conclude
    from buoyfleet.report.terminal import print_verdict
    from buoyfleet.report.write import result_json, write_reports

    run_folder = record.run_folder
    record.note("verify")
    if record.folder_lost:
        raise folder_lost(run_folder)
    result = conclude(fleet, plan, record)
    record.note("report")
    code = result.outcome.exit_code
    try:
        write_reports(result, run_folder)
    except PreflightError as error:
        # A full disk: the verdict is known all the same, and must not be lost with the files.
        print_error(error)
        code = code or int(error.exit_code)
    if request.as_json:
        sys.stdout.write(result_json(result).decode())
    else:
        print_verdict(result, run_folder, quiet=request.quiet)
    return code


def _units(fleet: Fleet, plan: Plan, target: Target, limits: LimitMode, run_folder: Path) -> list[Unit]:
    lifted = limits == "lifted"
    connect_rate = None if lifted else target.manners.connects_per_s
    name = target.manners.witness
    return make_units(
        fleet, plan, UnitOptions(run_folder, connect_rate=connect_rate, lift_rate=lifted, witness=name)
    )


def _limits(asked: str | None, fleet: Fleet) -> LimitMode:
    unpaced = any(board.interval_ms is None for board in fleet.boards)
    default: LimitMode = "lifted" if unpaced else "aws"
    choices: dict[str | None, LimitMode] = {"aws": "aws", "lifted": "lifted", None: default}
    if asked not in choices:
        raise UsageError(f"--limits {asked!r} is not known", next_step="use --limits aws or --limits lifted")
    return choices[asked]


def _witness(fleet: Fleet, manners: Manners, run_folder: Path, connects_per_s: float | None) -> Witness:
    rates = {
        board.buoy_id: None if board.interval_ms is None else 1000 / board.interval_ms
        for board in fleet.boards
    }
    return Witness(
        fleet.topic_prefix,
        rates,
        folder=run_folder,
        limit=None if manners.delivers_per_s is None else MESSAGES_PER_CONNECTION,
        delivers_per_s=manners.delivers_per_s,
        client_id=manners.witness,
        settle_s=manners.settle_s,
        connects_per_s=connects_per_s,
    )


def _keep(fleet: Fleet, record: RunRecord) -> None:
    """Write down what is needed to verify the run, before anything is started."""
    from buoyfleet.inventory.document import FILE_NAME, fleet_yaml

    try:
        (record.run_folder / FILE_NAME).write_text(fleet_yaml(fleet), encoding="utf-8")
        record.write()
    except OSError as error:
        raise unwritable(record.run_folder, error) from None


def _limit_lines(target: Target) -> list[str]:
    changed = target.changed_limits
    lifted = [limit.replace(": lifted", "") for limit in changed if ": lifted (" in limit]
    others = [limit for limit in changed if ": lifted (" not in limit]
    lines = []
    for title, limits in (
        ("these are lifted (`--limits aws` keeps them):", lifted),
        ("these are not AWS's:", others),
    ):
        if limits:
            lines += [f"limits    {title}", *(f"          {limit}" for limit in limits)]
    return lines


def _print_lines(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def _stopped_now(record: RunRecord) -> int:
    # The process is about to end: one more Ctrl-C would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    record.note()
    folder = record.run_folder
    sys.stderr.write(
        f"stopped at once, while {DOING[record.phase]}: no verdict yet\n  next: buoy verify {folder}\n"
    )
    earlier = sorted((folder / "boards").glob("*.earlier.json"))
    if earlier:
        sys.stderr.write(
            f"  boards on cables keep the settings of this run ({len(earlier)} of them)\n"
            f"  what they were before is in {folder / 'boards'}\n"
        )
    return int(ExitCode.INTERRUPTED)
