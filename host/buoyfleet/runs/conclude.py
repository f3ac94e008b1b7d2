"""From what a run left behind to its result: compaction, verification, outcome."""

import platform
import time
from importlib.metadata import version
from typing import Literal

from buoyfleet.boards.report import BoardReport
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.model.result import Outcome, Result, RunInfo, StageResult
from buoyfleet.model.stage_count import StageCount
from buoyfleet.model.thresholds import BOARD_METRICS
from buoyfleet.runs.run_state import DOING, RunRecord
from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.ledger import compact_ledger
from buoyfleet.verify.verdict import Case, Verification, verify
from buoyfleet.verify.words import boards_text, count_text


def conclude(fleet: Fleet, plan: Plan, record: RunRecord) -> Result:
    """Verify a run and say how it ended.

    Raises:
        BuoyError: the run's files cannot be read.
    """
    began = time.monotonic()
    ledger = compact_ledger(record.run_folder)
    verification = verify(
        Case(
            run_folder=record.run_folder,
            fleet=fleet,
            stores=record.collected.stores,
            stages=record.collected.stages,
            since_ns=record.since_ns,
            until_ns=record.until_ns,
            ledger=ledger,
            boards=_facts(plan, record),
            interrupted=record.interrupted,
            unrecorded=record.collected.unrecorded,
        )
    )
    record.phases_s["verify"] = time.monotonic() - began
    return Result(
        run=RunInfo(
            run_id=plan.run_id,
            fleet=fleet.name,
            fleet_file=fleet.source,
            target=fleet.target.kind,
            payload=fleet.run.payload,
            qos=fleet.run.qos,
            seed=plan.seed,
            paced=any(board.interval_ms is not None for board in fleet.boards),
            started_ns=record.started_ns,
            ended_ns=record.ended_ns,
            collected_ns=record.collected_ns,
            interrupted=record.interrupted,
            tool_version=version("buoyfleet"),
            python_version=platform.python_version(),
            machine=f"{platform.system()} {platform.machine()}",
            cut_short=record.cut_short,
            unrecorded=record.collected.unrecorded,
            command=record.command,
            limits=record.limits,
        ),
        outcome=outcome_of(verification, record),
        boards=verification.boards,
        stores=verification.stores,
        stages=stage_results(record.collected.stages),
        losses=verification.losses,
        losses_total=verification.losses_total,
        diagnoses=verification.diagnoses,
        thresholds=verification.thresholds,
        ack_latency=verification.ack_latency,
        rate=verification.rate,
        rate_interval_s=verification.rate_interval_s,
        latencies=verification.latencies,
        witness=verification.witness,
        phases_s=dict(record.phases_s),
        warnings=record.warnings + verification.warnings,
    )


def stage_results(stages: list[StageCount]) -> list[StageResult]:
    """Stages as the result has them."""
    return [
        StageResult(
            name=stage.name,
            unit=stage.unit,
            entered=stage.entered,
            left=stage.left,
            rejected=stage.rejected,
            waiting=stage.waiting,
            metrics=stage.metrics,
            simulated_s=stage.simulated_s,
            wall_s=stage.wall_s,
            notes=stage.notes,
        )
        for stage in stages
    ]


def _facts(plan: Plan, record: RunRecord) -> dict[int, BoardFacts]:
    facts = {}
    for board in plan.boards:
        # A unit reports every board; one without a report was lost with its unit.
        report = record.reports.get(board.buoy_id) or _unreported(board.buoy_id, record)
        facts[board.buoy_id] = BoardFacts(
            planned=board.planned(),
            failed=report.errors[0] if report.crashed and report.errors else "",
            incomplete=report.incomplete,
            clock_drift_ppm=report.clock_drift_ppm,
            link_reason=report.link_reason,
            link_detail=report.link_detail,
            ever_connected=report.ever_connected,
            left_out=report.left_out,
            reconnects=report.reconnects,
            errors=report.errors[1:] if report.crashed else report.errors,
        )
    return facts


def _unreported(buoy: int, record: RunRecord) -> BoardReport:
    """A board that said nothing: its run ended first, or it was lost with its unit."""
    if record.cut_short:
        why = f"the run ended early, while {DOING[record.cut_short]}"
    elif record.interrupted:
        why = "the run was stopped before it sent"
    else:
        return BoardReport(buoy, 0, 0, 0, crashed=True, errors=["nothing was heard of it"])
    return BoardReport(buoy, 0, 0, 0, incomplete=why)


def _never_connected(verification: Verification) -> list[str]:
    """Why boards never sent: the first thing to say."""
    boards: dict[tuple[str, str], list[int]] = {}
    for board in verification.boards:
        if not board.ever_connected and not board.sent:
            boards.setdefault((board.link_reason, board.link_detail), []).append(board.buoy_id)
    return [
        f"{boards_text(ids)} never connected: {detail or 'no answer'}" for (_, detail), ids in boards.items()
    ]


def outcome_of(verification: Verification, record: RunRecord) -> Outcome:
    """How a run ended, from what was found and how it went."""
    lost = [threshold for threshold in verification.thresholds if not threshold.passed]
    about_data = [threshold for threshold in lost if threshold.metric not in BOARD_METRICS]
    troubled = [board for board in verification.boards if board.state in ("failed", "unproven")]
    affected = sum(board.state == "affected" for board in verification.boards)
    # A threshold with a value that nobody can know is missed, and yet it shows no loss.
    failed = (
        bool(record.failure)
        or not verification.data_complete
        or any(board.state == "failed" for board in troubled)
        or any(threshold.value is not None for threshold in about_data)
    )
    reasons = [*_never_connected(verification)]
    if record.failure:
        reasons.append(f"the target failed: {record.failure.splitlines()[0]}")
    if not verification.data_complete:
        reasons.append("data was lost or changed")
    if verification.unproven:
        reasons.append(f"nothing proves that {count_text(verification.unproven, 'measure')} arrived")
    if affected:
        reasons.append(f"{count_text(affected, 'board')} affected")
    if lost:
        reasons.append(f"{len(lost)} of {len(verification.thresholds)} thresholds missed")
    if troubled:
        reasons.append(f"{len(troubled)} of {len(verification.boards)} boards did not pass")
    verdict: Literal["passed", "failed", "unproven", "interrupted"] = "failed" if failed else "unproven"
    if record.interrupted:
        code, verdict = ExitCode.INTERRUPTED, "interrupted"
        if not any(board.sent for board in verification.boards):
            reasons = ["interrupted before the first message: nothing was sent"]
        elif record.cut_short:
            reasons.insert(0, f"ended early, while {DOING[record.cut_short]}; what was sent is verified")
        else:
            reasons.insert(0, "interrupted; what was sent is verified")
    elif record.failure or not verification.data_complete or verification.unproven or about_data:
        code = ExitCode.VERDICT_FAILED
    elif troubled or lost:
        code = ExitCode.BOARDS_FAILED
    else:
        code, verdict = ExitCode.OK, "passed"
        reasons.append("every board and every threshold passed")
    sentence = ", ".join(reasons)
    return Outcome(
        exit_code=int(code),
        name=code.name.lower(),
        sentence=sentence[0].upper() + sentence[1:] + ".",
        verdict=verdict,
    )
