"""Verifies a run: the ledger against the stores, every difference explained as far as the evidence goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from buoyfleet.model.errors import VerificationError
from buoyfleet.model.evidence import StageCount
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.ledger import COMPACTED
from buoyfleet.model.ledger import SCHEMA as LEDGER_SCHEMA
from buoyfleet.model.result import (
    BoardResult,
    Diagnosis,
    Latency,
    LatencySeries,
    Loss,
    RatePoint,
    StoreResult,
    ThresholdResult,
    WitnessResult,
)
from buoyfleet.model.store import SCHEMA as STORE_SCHEMA
from buoyfleet.model.store import STORE_FOLDER
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.model.visibility import visibility
from buoyfleet.verify.boards import BoardFacts, blamed_boards, board_results, unreadable_warnings
from buoyfleet.verify.database import Database
from buoyfleet.verify.diagnose import diagnose, diagnose_late, diagnose_unsent
from buoyfleet.verify.faults import Window, create_faults, fault_kinds, stored_view
from buoyfleet.verify.latency import acknowledgement_latency, rate_series, visible_latency
from buoyfleet.verify.ledger import CompactedLedger
from buoyfleet.verify.links import create_board_trouble, create_trouble
from buoyfleet.verify.locate import locate, name_unrecorded
from buoyfleet.verify.losses import list_losses, no_losses
from buoyfleet.verify.messages import RULE_ATTRIBUTES, create_messages
from buoyfleet.verify.original import reconcile_original
from buoyfleet.verify.stamped import mark_clashes, reconcile_stamped
from buoyfleet.verify.subscriber import collect_subscriber, compact_observations
from buoyfleet.verify.thresholds import evaluate_thresholds, threshold_facts
from buoyfleet.verify.totals import Totals, message_totals
from buoyfleet.verify.unseen import Doubt, locate_unseen
from buoyfleet.verify.withheld import diagnose_withheld, sensor_reasons, withheld_measures
from buoyfleet.verify.witness import create_witness, witness_result
from buoyfleet.verify.words import count_text
from sensors.catalog import KEYS

# Where a fleet says nothing about a store (buoyfleet.model.fleet.RunSpec has the defaults of the known ones).
_LATE_AFTER_S = 900.0


@dataclass(frozen=True, slots=True)
class Case:
    """A run to be verified: its folder holds ledger, stores and evidence."""

    run_folder: Path
    fleet: Fleet
    stores: tuple[str, ...]
    """Names as collected; may be none (target `broker`)."""
    stages: list[StageCount]
    since_ns: int
    """Start of the run's window as given to `Target.collect`, UTC."""
    until_ns: int
    ledger: CompactedLedger | None = None
    """From `compact_ledger`; None: `ledger.parquet` is there already, and was complete."""
    boards: Mapping[int, BoardFacts] = field(default_factory=dict)
    """By buoy id."""
    interrupted: bool = False
    unrecorded: str = ""
    """Why the target's own records may be incomplete; empty: they are whole."""


@dataclass(slots=True)
class Verification:
    """The parts of a `Result` that follow from ledger, stores and evidence, under the same names."""

    boards: list[BoardResult]
    stores: list[StoreResult]
    losses: list[Loss]
    losses_total: int
    diagnoses: list[Diagnosis]
    thresholds: list[ThresholdResult]
    ack_latency: Latency | None
    rate: list[RatePoint]
    rate_interval_s: float
    latencies: list[LatencySeries]
    witness: WitnessResult | None
    warnings: list[str]
    strange: int = 0
    """Measures in stores that no message explains, of boards whose ledger is whole."""

    @property
    def data_complete(self) -> bool:
        """Whether every measure sent is in every store, once and as sent, and nothing else is.

        What an unproven board may have sent without telling is no such other, and what a store could not see
        is not known to be missing.
        """
        wrong = any(
            store.missing > store.unproven or store.altered or store.duplicated for store in self.stores
        )
        return not (wrong or self.strange)

    @property
    def unproven(self) -> int:
        """Measures of which nothing says whether they arrived, in the store with most of them."""
        return max((store.unproven for store in self.stores), default=0)

    @property
    def boards_passed(self) -> bool:
        """Whether every board passed; an unproven one did not."""
        return all(board.state == "passed" for board in self.boards)

    @property
    def thresholds_passed(self) -> bool:
        """Whether every threshold was measured and met."""
        return all(threshold.passed for threshold in self.thresholds)


def verify(case: Case) -> Verification:
    """Reconcile, diagnose and measure a run; writes `losses.parquet` into its folder.

    Raises:
        BuoyError: a file of the run cannot be read.
    """
    path = case.run_folder / COMPACTED
    if not path.exists():
        raise VerificationError(
            "the run has no ledger",
            where=str(path),
            cause="the run ended before its ledger was compacted, or the folder is no run",
            next_step=f"ls {case.run_folder}",
        )
    try:
        with Database() as db:
            return _verify(db, case, path)
    except duckdb.Error as error:
        raise VerificationError(
            f"the run cannot be evaluated: {str(error).splitlines()[0]}",
            where=str(case.run_folder),
            cause="memory or disk is full, or a file of the run is damaged or went away",
            next_step=f"make room, then: buoy verify {case.run_folder}",
        ) from error


def _verify(db: Database, case: Case, ledger: Path) -> Verification:
    warnings = [stream.sentence for stream in case.ledger.unfinished] if case.ledger else []
    db.files("ledger", [ledger], LEDGER_SCHEMA)
    create_messages(db, case.fleet)
    create_faults(db)
    create_trouble(db, case.run_folder)
    incomplete = _incomplete(db, case)
    create_board_trouble(db, case.boards, case.fleet, incomplete)
    warnings += compact_observations(case.run_folder)
    create_witness(db, case.run_folder)
    if SUBSCRIBER in case.stores:
        collect_subscriber(db, case.run_folder)
    for buoy, others in mark_clashes(db):
        warnings.append(
            f"board {buoy}: {count_text(others, 'message')} with the timestamp of an earlier one; "
            "no store can tell them apart"
        )
    warnings += unreadable_warnings(db)
    totals = message_totals(db, case.fleet.run.late_send_ms)
    stores, identified, latencies = _reconcile(db, case, totals, warnings)
    kinds = fault_kinds(db)
    diagnoses = []
    doubt = Doubt(0, {}, {})
    if SUBSCRIBER in case.stores:
        doubt = locate_unseen(db, case.run_folder, case.fleet.run.qos)
        for store in stores:
            if store.name == SUBSCRIBER:
                store.unproven = doubt.measures
    if kinds:
        traced = locate(db, case.run_folder, case.stores, identified, case.stages, case.fleet.run.qos, kinds)
        if case.stages and not traced:
            warnings.append("the target gave no trace of single messages: causes follow from counters alone")
        if case.unrecorded:
            name_unrecorded(db, case.unrecorded)
        diagnoses = diagnose(db, {store.name: store.late_after_s for store in stores}, case.stages)
    real = frozenset(board.buoy_id for board in case.fleet.boards if board.kind == "esp32")
    # A report opens with the first: what concerns most measures, and what was only late at the end.
    if totals.unsent:
        unsent, most = diagnose_unsent(db), max((one.measures for one in diagnoses), default=0)
        larger = totals.unsent * len(KEYS) >= most
        diagnoses = unsent + diagnoses if larger else diagnoses + unsent
    if totals.late_sends:
        diagnoses += diagnose_late(db, case.fleet.run.late_send_ms, totals.sent, real)
    withheld = withheld_measures(db, case.fleet, {buoy: fact.left_out for buoy, fact in case.boards.items()})
    diagnoses += diagnose_withheld(withheld, sensor_reasons(case.run_folder))
    kept_back = sum(sum(keys.values()) for keys in withheld.values())
    for store in stores:
        store.withheld = kept_back
        store.expected += kept_back
    boards = board_results(
        db,
        case.fleet,
        case.boards,
        incomplete,
        interrupted=case.interrupted,
        stores=case.stores,
        unread=frozenset(store.name for store in stores if store.unread),
        doubt=doubt,
        withheld=withheld,
        blamed=blamed_boards(db) if kinds else frozenset(),
    )
    proven = [board.buoy_id for board in boards if board.whole_ledger]
    strange = 0
    if "unexpected" in kinds:
        strange = db.number(
            "SELECT coalesce(sum(weight), 0)::BIGINT FROM fault WHERE kind = 'unexpected' "
            f"AND list_contains({proven}::INTEGER[], buoy)"
        )
    losses, losses_total = list_losses(db, case.run_folder) if kinds else no_losses(case.run_folder)
    latency, over_time = acknowledgement_latency(db, totals)
    latencies = [*([over_time] if over_time else []), *latencies]
    rate, rate_interval_s = rate_series(db, totals)
    witness = witness_result(db, case.run_folder)
    facts = threshold_facts(boards, stores, latency, totals.send_rate_per_s, witness)
    return Verification(
        boards=boards,
        stores=stores,
        losses=losses,
        losses_total=losses_total,
        diagnoses=diagnoses,
        thresholds=evaluate_thresholds(case.fleet.thresholds, facts),
        ack_latency=latency,
        rate=rate,
        rate_interval_s=rate_interval_s,
        latencies=latencies,
        witness=witness,
        warnings=warnings,
        strange=strange,
    )


def _reconcile(
    db: Database, case: Case, totals: Totals, warnings: list[str]
) -> tuple[list[StoreResult], frozenset[str], list[LatencySeries]]:
    """All stores; which of them could be reconciled by identity; and how long they took over the run."""
    window = Window(case.since_ns, case.until_ns)
    expected = db.number("SELECT sum(n) FROM wide WHERE regular") + db.number("SELECT count(*) FROM wide_odd")
    results: list[StoreResult] = []
    identified: set[str] = set()
    latencies: list[LatencySeries] = []
    for store in case.stores:
        folder = case.run_folder / STORE_FOLDER / store
        late_after_s = case.fleet.run.late_after_s.get(store, _LATE_AFTER_S)
        if not folder.is_dir():
            if expected:
                warnings.append(f"{store} could not be read: nothing proves what arrived there")
            results.append(_unread(store, expected, late_after_s))
            continue
        raw, rows = f"raw_{len(results)}", stored_view(store)
        db.files(raw, sorted(folder.glob("*.parquet")), STORE_SCHEMA)
        ignored = ", ".join(f"'{name}'" for name in RULE_ATTRIBUTES)
        db.run(f"CREATE VIEW {rows} AS SELECT * FROM {raw} WHERE measure NOT IN ({ignored})")
        by_identity = case.fleet.run.payload == "stamped" and _has_identity(db, rows)
        reconcile = reconcile_stamped if by_identity else reconcile_original
        result = reconcile(db, store, rows, late_after_s, expected, window)
        results.append(result)
        moment = visibility(case.fleet.target.kind, store)
        result.latency_words = moment.words
        if not by_identity:
            result.latency_words = "its rows do not say which message they came with"
        elif moment.known:
            result.latency, over_time = visible_latency(db, store, totals)
            latencies += [over_time] if over_time else []
        if by_identity:
            identified.add(store)
    return results, frozenset(identified), latencies


def _unread(store: str, expected: int, late_after_s: float) -> StoreResult:
    """The result of a store that could not be read: all of its measures are unproven."""
    return StoreResult(
        name=store,
        expected=expected,
        found=0,
        missing=expected,
        unproven=expected,
        duplicated=0,
        redelivered=0,
        altered=0,
        late=0,
        unexpected=0,
        late_after_s=late_after_s,
        unread=True,
    )


def _has_identity(db: Database, rows: str) -> bool:
    """A store that keeps no timestamp (a transform drops it, say) cannot be reconciled by identity."""
    some, stamped = db.row(f"SELECT count(*), count(timestamp_ms) FROM {rows}")
    return not some or bool(stamped)


def _incomplete(db: Database, case: Case) -> dict[int, str]:
    """Boards with a ledger that breaks off, and where.

    Boards without any row may have theirs in the part of a stream that cannot be read.
    """
    if case.ledger is None or not case.ledger.unfinished:
        return {}
    known = {int(buoy) for (buoy,) in db.rows("SELECT DISTINCT buoy FROM message")}
    first = case.ledger.unfinished[0].sentence
    return {
        **{board.buoy_id: first for board in case.fleet.boards if board.buoy_id not in known},
        **{buoy: stream.sentence for stream in case.ledger.unfinished for buoy in stream.boards},
    }
