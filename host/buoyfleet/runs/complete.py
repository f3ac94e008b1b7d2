"""A run completed later: unproven boards are asked for what they kept, stores are read again, and all is
verified again. A run that ended before its verdict gets one."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from buoyfleet.boards.board_settings import RunSettings
from buoyfleet.boards.later import Fetched, fetch_kept, fetch_kept_over_mqtt
from buoyfleet.cloud.target import Collected, Target
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BoardError, BuoyError, PreflightError, UsageError
from buoyfleet.model.fleet import BoardSpec, Fleet
from buoyfleet.model.ledger import STREAM_FOLDER, STREAM_SUFFIX
from buoyfleet.model.plan import BoardPlan
from buoyfleet.model.result import Result
from buoyfleet.model.stage_count import StageCount
from buoyfleet.runs.conclude import conclude, outcome_of, stage_results
from buoyfleet.runs.engine import WINDOW_SLACK_NS
from buoyfleet.runs.pacing import make_plan
from buoyfleet.runs.run_state import DOING, RunRecord, read_record
from buoyfleet.runs.targets import make_target
from buoyfleet.serial.find import Finder
from buoyfleet.serial.trouble import Unanswered
from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.ledger import compact_ledger, first_planned_ns, last_event_ns
from buoyfleet.verify.verdict import Case, verify

FLEET_FILE = "fleet.yaml"


def complete(run_folder: Path, result: Result, port: str, say: Callable[[str], None]) -> Result:
    """Fetch what boards of a run kept and have not told, and verify the run again.

    A board is asked on its cable; where that is away, over MQTT, if the run's broker is still there.

    Args:
        run_folder: of the run.
        result: as it is.
        port: of the board, where it is only one; empty: as in the fleet file.
        say: takes a line per board.

    Raises:
        UsageError: no board has more to tell, or nobody says where they are.
        BuoyError: none could be read.
    """
    fleet = load_fleet(run_folder / FLEET_FILE)
    plan = make_plan(fleet, result.run.run_id)
    still = _incomplete(result)
    # What ran on this computer left nothing that could be fetched.
    specs = [board for board in fleet.boards if board.buoy_id in still and board.kind != "virtual"]
    if not specs:
        raise UsageError(
            "no board of this run has more to tell",
            where=str(run_folder),
            next_step="buoy report, for the verdict; buoy verify, to read the stores again",
        )
    if port and len(specs) > 1:
        raise UsageError(
            f"--port names one board, and {len(specs)} have more to tell", next_step="leave it out"
        )
    errors: list[BuoyError] = []
    warnings: list[str] = []
    plans = {one.buoy_id: one for one in plan.boards}
    later = _Later(fleet, run_folder, result.run.started_ns)
    for spec in specs:
        try:
            fetched = later.fetch(spec, plans[spec.buoy_id], port or spec.port)
        except BuoyError as error:
            errors.append(error)
            still[spec.buoy_id] = f"not read: {error.what}"
            say(f"board {spec.buoy_id}: {error.what}")
            continue
        remarks = [text for text in (fetched.incomplete, fetched.remark) if text]
        say("; ".join([f"board {spec.buoy_id}: {fetched.events} events", *remarks]))
        if fetched.remark:
            warnings.append(f"board {spec.buoy_id}: {fetched.remark}")
        still[spec.buoy_id] = fetched.incomplete
        if not fetched.incomplete:
            warnings.append(f"board {spec.buoy_id}: its ledger was completed later")
    if len(errors) == len(specs):
        raise errors[0]
    return _verified(run_folder, result, fleet, still, None, warnings)


def verify_again(run_folder: Path, result: Result, say: Callable[[str], None]) -> Result:
    """Read the stores of a run again, where they outlive it, and verify it again.

    Args:
        run_folder: of the run.
        result: as it is; boards that have not told all stay so.
        say: takes what is done, in words.

    Raises:
        BuoyError: the stores cannot be read; nothing has changed.
    """
    fleet = load_fleet(run_folder / FLEET_FILE)
    target = _target(fleet, run_folder)
    buoys = frozenset(board.buoy_id for board in fleet.boards)
    # What has a time of its own may come late; without, only when it came tells one run from the next.
    # This computer's clock may have been set back since the run.
    until_ns = _until_ns(result)
    if result.run.payload == "stamped":
        until_ns = max(until_ns, time.time_ns())
    collected = asyncio.run(_collected(target, run_folder, result.run.started_ns, until_ns, buoys))
    if collected is None:
        say("nothing outlives a run at this target: the files in the run's folder are verified")
    else:
        say(f"read again: {', '.join(collected.stores) or 'no stores'}")
    warnings = [] if collected is None else list(collected.problems)
    return _verified(run_folder, result, fleet, _incomplete(result), collected, warnings)


def _incomplete(result: Result) -> dict[int, str]:
    """Boards that have not told all they sent, and why."""
    return {board.buoy_id: board.incomplete for board in result.boards if board.incomplete}


def verify_unfinished(run_folder: Path, say: Callable[[str], None]) -> Result:
    """The verdict of a run that ended without one: killed, stopped at once, or on a full disk.

    Ledgers are read up to their last whole batch, and the stores from where they are.

    Raises:
        BuoyError: the fleet, the ledger or the stores cannot be read.
    """
    fleet = load_fleet(run_folder / FLEET_FILE)
    # An earlier version wrote no record; the ledger has the times then.
    record = read_record(run_folder) or RunRecord(run_folder, run_id=run_folder.name, phase="send")
    plan = make_plan(fleet, record.run_id)
    say(f"the run ended early, while {DOING[record.phase]}")
    if not record.sending_ended:
        record.cut_short, record.interrupted = record.phase, True
    if not record.started_ns:
        record.started_ns = _first_planned_ns(run_folder)
    # Files have the time of the computer's clock, which may have been set back during the run.
    last_ns = max(_last_written_ns(run_folder), last_event_ns(run_folder))
    record.ended_ns = record.ended_ns or max(last_ns, record.started_ns)
    if not record.collected.stores:
        record.since_ns = record.started_ns - WINDOW_SLACK_NS
        # Without a time of their own measures count by when they came, and that may take a while.
        late_s = 0.0 if fleet.run.payload == "stamped" else fleet.run.drain_timeout_s
        record.until_ns = record.ended_ns + round(late_s * 1e9) + WINDOW_SLACK_NS
        target = _target(fleet, run_folder)
        buoys = frozenset(board.buoy_id for board in fleet.boards)
        record.collected = asyncio.run(_collected_late(target, record, buoys))
        record.collected_ns = time.time_ns()
        say(f"read: {', '.join(record.collected.stores) or 'no stores'}")
        record.reading_failure = record.collected.failure
        record.warnings += record.collected.problems
    return conclude(fleet, plan, record)


async def _collected_late(target: Target, record: RunRecord, buoys: frozenset[int]) -> Collected:
    folder, since_ns, until_ns = record.run_folder, record.since_ns, record.until_ns
    try:
        left = await target.collect_left(folder, since_ns, until_ns, buoys)
        if left is None:
            await target.reopen(record.started_ns)
            left = await target.collect(folder, since_ns, until_ns, buoys)
        return left
    finally:
        await target.stop()


def _first_planned_ns(run_folder: Path) -> int:
    return first_planned_ns(run_folder) or _last_written_ns(run_folder)


def _last_written_ns(run_folder: Path) -> int:
    """When the run's ledgers were written last, by the file system; of a run without any, its fleet."""
    streams = [*(run_folder / STREAM_FOLDER).glob(f"*{STREAM_SUFFIX}"), run_folder / FLEET_FILE]
    return max(path.stat().st_mtime_ns for path in streams)


class _Later:
    """Reads boards of a run that is over."""

    def __init__(self, fleet: Fleet, run_folder: Path, started_ns: int) -> None:
        self._fleet, self._folder, self._started_ns = fleet, run_folder, started_ns
        self._target: Target | None = None
        self._endpoint: Endpoint | None = None

    def fetch(self, spec: BoardSpec, plan: BoardPlan, port: str) -> Fetched:
        """At its cable, else over MQTT."""
        try:
            if not port:
                raise PreflightError(
                    f"board {spec.buoy_id} has no port in the fleet file", next_step="give --port"
                )
            where = Finder(self._fleet.bench.ports).port(port)
            return fetch_kept(spec, plan, where, self._folder, self._started_ns)
        except (PreflightError, Unanswered) as error:
            away = error
        endpoint = self._broker()
        if endpoint is None or self._target is None:
            raise away
        run = RunSettings(
            self._fleet.topic_prefix,
            self._fleet.run.payload,
            self._fleet.run.qos,
            None,
            self._target.manners.witness,
        )
        try:
            return fetch_kept_over_mqtt(spec, plan, run, endpoint, self._folder, self._started_ns)
        except BuoyError as error:
            raise BoardError(
                f"{away.what}; and over MQTT: {error.what}",
                where=away.where,
                cause="the board is off, or its network is away",
                next_step=away.next_step or "plug the board in, then the same command",
            ) from error

    def _broker(self) -> Endpoint | None:
        """Where boards of the run can still be; asked once."""
        if self._target is None:
            self._target = _target(self._fleet, self._folder)
            self._endpoint = asyncio.run(_reopened(self._target, self._started_ns))
        return self._endpoint


def _target(fleet: Fleet, run_folder: Path) -> Target:
    password = resolve_secret(fleet.target.password, fleet.source) if fleet.target.password else None
    return make_target(fleet, run_folder, "aws", password.reveal() if password else "")


def _until_ns(result: Result) -> int:
    """What was measured later is another run's, which may have begun at once."""
    return result.run.collected_ns or result.run.ended_ns


async def _reopened(target: Target, started_ns: int) -> Endpoint | None:
    try:
        return await target.reopen(started_ns)
    finally:
        await target.stop()


async def _collected(
    target: Target, run_folder: Path, started_ns: int, until_ns: int, buoys: frozenset[int]
) -> Collected | None:
    if await target.reopen(started_ns) is None:
        return None
    try:
        return await target.collect(run_folder, started_ns - WINDOW_SLACK_NS, until_ns, buoys)
    finally:
        await target.stop()


def _verified(
    run_folder: Path,
    result: Result,
    fleet: Fleet,
    still: dict[int, str],
    collected: Collected | None,
    warnings: list[str],
) -> Result:
    """Verified with what is in the run's folder; `still`: boards whose ledger is incomplete, and why."""
    facts = {}
    for board in result.boards:
        facts[board.buoy_id] = BoardFacts(
            planned=board.planned,
            failed=board.failed_itself,
            incomplete=still.get(board.buoy_id, ""),
            reconnects=board.reconnects,
            errors=board.quoted,
            clock_drift_ppm=board.clock_drift_ppm,
            link_reason=board.link_reason,
            link_detail=board.link_detail,
            ever_connected=board.ever_connected,
            left_out=board.left_out,
        )
    if collected is None:
        stores, stages = tuple(store.name for store in result.stores), []
    else:
        stores, stages = collected.stores, collected.stages
    if not stages:
        stages = [StageCount(**stage.model_dump()) for stage in result.stages]
    unrecorded = result.run.unrecorded if collected is None else collected.unrecorded
    verification = verify(
        Case(
            run_folder=run_folder,
            fleet=fleet,
            stores=stores,
            stages=stages,
            since_ns=result.run.started_ns - WINDOW_SLACK_NS,
            until_ns=_until_ns(result),
            ledger=compact_ledger(run_folder),
            boards=facts,
            interrupted=result.run.interrupted,
            unrecorded=unrecorded,
        )
    )
    record = RunRecord(run_folder, interrupted=result.run.interrupted)
    again = result.run.model_copy(
        update={
            "verified_again_ns": [*result.run.verified_again_ns, time.time_ns()],
            "unrecorded": unrecorded,
        }
    )
    return result.model_copy(
        update={
            "run": again,
            "outcome": outcome_of(verification, record),
            "boards": verification.boards,
            "stores": verification.stores,
            "stages": stage_results(stages),
            "losses": verification.losses,
            "losses_total": verification.losses_total,
            "diagnoses": verification.diagnoses,
            "thresholds": verification.thresholds,
            "ack_latency": verification.ack_latency,
            "rate": verification.rate,
            "rate_interval_s": verification.rate_interval_s,
            "latencies": verification.latencies,
            "witness": verification.witness,
            "warnings": list(dict.fromkeys([*result.warnings, *warnings, *verification.warnings])),
        }
    )
