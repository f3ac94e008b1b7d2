"""A run completed later: unproven boards are asked for what they kept, then it is verified again."""

from collections.abc import Callable
from pathlib import Path

from host.boards.later import fetch_kept
from host.fleet.conclude import outcome_of
from host.fleet.engine import RunRecord
from host.fleet.pacing import make_plan
from host.inventory.loader import load_fleet
from host.model.errors import BuoyError, UsageError
from host.model.result import Result
from host.model.stage_count import StageCount
from host.serial.find import Finder
from host.verify.boards import BoardFacts
from host.verify.ledger import compact_ledger
from host.verify.verdict import Case, verify

FLEET_FILE = "fleet.yaml"
# What a store showed was collected before the run ended; its clock may be a little ahead.
_SLACK_NS = 3600 * 1_000_000_000


def complete(run_folder: Path, result: Result, port: str, say: Callable[[str], None]) -> Result:
    """Fetch what the unproven boards of a run kept, and verify the run again.

    Args:
        run_folder: of the run.
        result: as it is.
        port: of the board, where only one is unproven; empty: as in the fleet file.
        say: takes a line per board.

    Raises:
        UsageError: no board is unproven, or nobody says where they are.
        BuoyError: none could be read.
    """
    fleet = load_fleet(run_folder / FLEET_FILE)
    plan = make_plan(fleet, result.run.run_id)
    unproven = {board.buoy_id for board in result.boards if board.state == "unproven"}
    specs = [board for board in fleet.boards if board.buoy_id in unproven]
    if not specs:
        raise UsageError("no board of this run is unproven", where=str(run_folder))
    if port and len(specs) > 1:
        raise UsageError(f"--port names one board, and {len(specs)} are unproven", next_step="leave it out")
    still: dict[int, str] = {}
    errors: list[BuoyError] = []
    plans = {one.buoy_id: one for one in plan.boards}
    for spec in specs:
        try:
            if not (port or spec.port):
                raise UsageError(
                    f"board {spec.buoy_id} has no port in the fleet file", next_step="give --port"
                )
            where = Finder(fleet.bench.ports).port(port or spec.port)
            fetched = fetch_kept(spec, plans[spec.buoy_id], where, run_folder, result.run.started_ns)
        except BuoyError as error:
            errors.append(error)
            still[spec.buoy_id] = f"not read: {error.what}"
            say(f"board {spec.buoy_id}: {error.what}")
            continue
        say(
            f"board {spec.buoy_id}: {fetched.events} events"
            + (f"; {fetched.incomplete}" if fetched.incomplete else "")
        )
        if fetched.incomplete:
            still[spec.buoy_id] = fetched.incomplete
    if len(errors) == len(specs):
        raise errors[0]
    return _verified(run_folder, result, still, unproven - still.keys())


def _verified(run_folder: Path, result: Result, still: dict[int, str], completed: set[int]) -> Result:
    fleet = load_fleet(run_folder / FLEET_FILE)
    facts = {}
    for board in result.boards:
        before = board.errors[0] if board.errors else ""
        facts[board.buoy_id] = BoardFacts(
            planned=board.planned,
            failed=before if board.state == "failed" else "",
            incomplete=still.get(board.buoy_id, ""),
            reconnects=board.reconnects,
            errors=board.errors[1:],
            clock_drift_ppm=board.clock_drift_ppm,
        )
    stages = [StageCount(**stage.model_dump()) for stage in result.stages]
    verification = verify(
        Case(
            run_folder=run_folder,
            fleet=fleet,
            stores=tuple(store.name for store in result.stores),
            stages=stages,
            since_ns=result.run.started_ns - 1_000_000_000,
            until_ns=result.run.ended_ns + _SLACK_NS,
            ledger=compact_ledger(run_folder),
            boards=facts,
            interrupted=result.run.interrupted,
            witness_connections=result.witness.connections if result.witness else 0,
        )
    )
    # A board that failed for other reasons than its data stays as it was reported.
    old = {board.buoy_id: board for board in result.boards if board.state == "failed"}
    verification.boards = [old.get(board.buoy_id, board) for board in verification.boards]
    record = RunRecord(run_folder, interrupted=result.run.interrupted)
    return result.model_copy(
        update={
            "outcome": outcome_of(verification, record),
            "boards": verification.boards,
            "stores": verification.stores,
            "losses": verification.losses,
            "losses_total": verification.losses_total,
            "diagnoses": verification.diagnoses,
            "thresholds": verification.thresholds,
            "ack_latency": verification.ack_latency,
            "rate": verification.rate,
            "rate_interval_s": verification.rate_interval_s,
            "witness": verification.witness,
            "warnings": [
                *result.warnings,
                *(f"board {buoy}: its ledger was completed later" for buoy in sorted(completed)),
                *verification.warnings,
            ],
        }
    )
