"""A run from a fleet to its verdict: preflight, run, verify, report."""

import asyncio
import errno
import signal
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from buoyfleet.bench.folder import DEFAULT as BENCH
from buoyfleet.boards.kinds import UnitOptions, make_units, remarks
from buoyfleet.boards.unit import Unit
from buoyfleet.cloud.target import Manners, Target
from buoyfleet.inventory.describe import describe_fleet
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.errors import BuoyError, VerificationError, unwritable
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.mqtt.witness import MESSAGES_PER_CONNECTION, Witness
from buoyfleet.runs.engine import Engine, StopNow
from buoyfleet.runs.file_checks import check_files
from buoyfleet.runs.finished import FinishedRun, finish
from buoyfleet.runs.pacing import make_plan
from buoyfleet.runs.preflight import check_machine, require
from buoyfleet.runs.run_folder import make_run_folder
from buoyfleet.runs.run_state import DOING, RunRecord, folder_lost, under_way
from buoyfleet.runs.targets import LimitMode, make_target
from buoyfleet.runs.ui import RunUi, Silent

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOENT}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a fleet."""

    out: Path = Path("runs")
    """Where the run's folder is made."""
    limits: LimitMode | None = None
    """Rates of the twin; None: AWS's, and lifted where boards are not paced."""
    command: str = ""
    """What the user typed, for the report."""
    bench: Path = BENCH
    """The bench's folder: its records say which boards are in service."""


class StoppedAtOnce(BuoyError):
    """A second Ctrl-C: the run ended without a verdict, which `buoy verify` gives."""

    exit_code = ExitCode.INTERRUPTED


def run_fleet(fleet: Fleet, options: RunOptions | None = None, ui: RunUi | None = None) -> FinishedRun:
    """Run a fleet against its target and verify that every measure arrived.

    Ctrl-C once stops sending, waits for what is out, verifies and reports it; twice stops at once.

    Args:
        fleet: as `load_fleet(path, connects=True)` reads it.
        options: where and how; the defaults of `buoy run` if left out.
        ui: asks and shows; the default shows nothing and refuses a run against an account.

    Returns:
        The run with its result, whether it passed or not; reports are in its folder.

    Raises:
        PreflightError, UsageError: nothing was sent.
        StoppedAtOnce: there is no verdict yet.
        VerificationError: the run's files cannot be read or written.
    """
    options, ui = options or RunOptions(), ui or Silent()
    began = time.monotonic()
    if any(board.port for board in fleet.boards):
        from buoyfleet.bench.folder import BenchFolder
        from buoyfleet.bench.prepare import boards_authority  # the bench takes a while to import

        fleet = boards_authority(fleet, BenchFolder(options.bench))
    limits = options.limits or default_limits(fleet)
    run_folder = make_run_folder(options.out, fleet.name)
    try:
        plan = make_plan(fleet, run_folder.name)
        password = resolve_secret(fleet.target.password, fleet.source) if fleet.target.password else None
        target = make_target(fleet, run_folder, limits, password.reveal() if password else "")
        checks = check_files(fleet) + check_machine(fleet, run_folder, plan.planned())
        require(checks + asyncio.run(target.preflight()))
        stakes = asyncio.run(target.stakes(plan))
        if stakes is not None:
            from buoyfleet.bench.service_guard import service_check

            in_service = service_check(fleet, options.bench)
            if not in_service.passed:
                stakes = replace(stakes, live=(*stakes.live, in_service))
            ui.confirm(stakes)
    except BaseException:
        # Nothing was sent: an empty folder would only look like a run.
        run_folder.rmdir()
        raise
    import uvloop

    record = RunRecord(run_folder, run_id=plan.run_id, command=options.command)
    record.limits = list(target.changed_limits)
    with under_way(record):
        _keep(fleet, record)
        ui.describe(describe_fleet(fleet, plan) + _limit_lines(target))
        if target.manners.enforced:
            limits = "aws"
        try:
            with ui.progress() as progress:
                units = _units(fleet, plan, target, limits, run_folder)
                connects_per_s = None if limits == "lifted" else target.manners.connects_per_s
                witness = _witness(fleet, target.manners, run_folder, connects_per_s)
                engine = Engine(fleet, plan, units, target, witness, record, progress)
                threading.Thread(target=_load_ahead, name="load ahead", daemon=True).start()
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(engine.run())
            record.warnings += remarks(fleet)
            record.phases_s["before"] = max(0.0, record.began_s - began)
            return _concluded(fleet, plan, record, ui)
        except (StopNow, KeyboardInterrupt):
            raise _stopped_at_once(record) from None
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


def _load_ahead() -> None:
    """Load what the verdict needs while the twin and the packs start: afterwards it would be waited for."""
    import buoyfleet.report.write
    import buoyfleet.runs.conclude  # noqa: F401


def _concluded(fleet: Fleet, plan: Plan, record: RunRecord, ui: RunUi) -> FinishedRun:
    from buoyfleet.runs.conclude import conclude

    record.note("verify")
    if record.folder_lost:
        raise folder_lost(record.run_folder)
    result = conclude(fleet, plan, record)
    record.note("report")
    return finish(result, record.run_folder, ui.warn)


def _units(fleet: Fleet, plan: Plan, target: Target, limits: LimitMode, run_folder: Path) -> list[Unit]:
    lifted = limits == "lifted"
    connect_rate = None if lifted else target.manners.connects_per_s
    name = target.manners.witness
    return make_units(
        fleet, plan, UnitOptions(run_folder, connect_rate=connect_rate, lift_rate=lifted, witness=name)
    )


def default_limits(fleet: Fleet) -> LimitMode:
    """AWS's rates would only slow down what is meant to go as fast as it can."""
    return "lifted" if any(board.interval_ms is None for board in fleet.boards) else "aws"


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
        sees_data=not fleet.ingest_rule,
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


def _stopped_at_once(record: RunRecord) -> StoppedAtOnce:
    # The process is about to end: one more Ctrl-C would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    record.note()
    folder = record.run_folder
    next_step = f"buoy verify {folder}"
    earlier = sorted((folder / "boards").glob("*.earlier.json"))
    if earlier:
        next_step += (
            f"\n  boards on cables keep the settings of this run ({len(earlier)} of them)"
            f"\n  what they were before is in {folder / 'boards'}"
        )
    return StoppedAtOnce(f"stopped at once, while {DOING[record.phase]}: no verdict yet", next_step=next_step)
