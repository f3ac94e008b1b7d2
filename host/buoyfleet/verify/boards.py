"""What every board did, and whether it passed."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from buoyfleet.model.fleet import Fleet
from buoyfleet.model.result import BoardResult
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.model.thresholds import FAULTS
from buoyfleet.verify.database import Database, column
from buoyfleet.verify.latency import WAITED_NS
from buoyfleet.verify.routes import BROKER
from buoyfleet.verify.totals import late_send
from buoyfleet.verify.unseen import Doubt
from buoyfleet.verify.words import count_text
from sensors.catalog import KEYS

_MAX_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """What only the fleet knows of a board; all of it optional."""

    planned: int | None = None
    """Messages by the plan; None: what the ledger shows."""
    failed: str = ""
    """Why the board failed whatever its data say, e.g. its process was killed."""
    incomplete: str = ""
    """Why its ledger may lack rows; such a board is unproven at best."""
    reconnects: int = 0
    errors: list[str] = field(default_factory=list)
    """To be quoted; they fail nothing by themselves."""
    clock_drift_ppm: float = 0.0
    link_reason: str = ""
    """`buoyfleet.model.reasons.LinkReason` of its last trouble with the connection."""
    link_detail: str = ""
    ever_connected: bool = True
    left_out: list[tuple[int, list[str]]] = field(default_factory=list)
    """From which message on a configuration left which keys out; each entry replaces the one before."""


@dataclass(slots=True)
class _Sending:
    """A board's messages in the ledger."""

    in_ledger: int = 0
    sent: int = 0
    acknowledged: int = 0
    dropped: int = 0
    late_sends: int = 0
    redelivered: int = 0
    unreadable: int = 0
    ack_p99_ms: float | None = None
    clock_offset_ms: float = 0.0
    clock_uncertainty_ms: float = 0.0


def board_results(
    db: Database,
    fleet: Fleet,
    facts: Mapping[int, BoardFacts],
    incomplete: Mapping[int, str],
    *,
    interrupted: bool,
    stores: tuple[str, ...],
    unread: frozenset[str],
    doubt: Doubt,
    withheld: Mapping[int, dict[str, int]],
    blamed: frozenset[int],
) -> list[BoardResult]:
    """Results of all boards of the fleet, and of any other with a ledger, by id.

    A board fails if it did not send what was planned (unless the run was interrupted) and get it acknowledged
    (QoS 1),
    or if measures of it are missing, altered, duplicated or unexpected in a store and no stage behind the
    broker did that: then the board is affected. It is unproven if it did
    not fail but its ledger is incomplete (then unexpected measures prove nothing against it either), or if
    only what the subscriber could not see is missing.

    Args:
        db: after reconciliation.
        fleet: kinds of the boards.
        facts: by buoy id.
        incomplete: buoy id → why its ledger is incomplete, as far as files tell.
        interrupted: messages not made because of that are no failure.
        stores: names.
        unread: those that could not be read.
        doubt: what the subscriber's word is worth.
        withheld: buoy → key → measures that a sensor withheld.
        blamed: boards with faults in a store that did not happen behind the broker (see `blamed_boards`).
    """
    sending = _sending(db, fleet.run.late_send_ms)
    expected = _measures_expected(db)
    missing, faults = _faults(db)
    kinds = {board.buoy_id: board.kind for board in fleet.boards}
    results = []
    for buoy in sorted(kinds.keys() | sending.keys()):
        mine, fact = sending.get(buoy, _Sending()), facts.get(buoy, BoardFacts())
        unfinished = fact.incomplete or incomplete.get(buoy, "")
        if mine.unreadable:
            unfinished = f"{count_text(mine.unreadable, 'payload')} in its ledger cannot be read"
        planned = max(mine.in_ledger, fact.planned or 0)
        wrong = dict(faults[buoy])
        unseen = wrong.pop((SUBSCRIBER, "missing"), 0)
        problems = _problems(
            planned, mine, fact, qos=fleet.run.qos, interrupted=interrupted, unproven=bool(unfinished)
        )
        if unseen and buoy not in doubt.boards:
            problems.append(doubt.lost[buoy])
        lost = _store_problems(wrong, unproven=bool(unfinished))
        if buoy in blamed:
            problems += lost
            lost = []
        reasons = [text for text in (unfinished, doubt.boards.get(buoy, "")) if text]
        if unread and mine.sent and not lost:
            reasons.append(f"{', '.join(sorted(unread))} could not be read")
        state: Literal["passed", "failed", "unproven", "affected"] = "passed"
        if problems:
            state = "failed"
        elif reasons:
            state = "unproven"
        elif lost:
            state = "affected"
        keys, kept_back = expected[buoy], withheld.get(buoy, {})
        results.append(
            BoardResult(
                buoy_id=buoy,
                kind=kinds.get(buoy, "unknown"),
                state=state,
                planned=planned,
                sent=mine.sent,
                acknowledged=mine.acknowledged if fleet.run.qos else None,
                dropped=mine.dropped,
                late_sends=mine.late_sends,
                redelivered=mine.redelivered,
                reconnects=fact.reconnects,
                errors=[*problems, *reasons, *lost, *fact.errors],
                failed_itself=fact.failed,
                whole_ledger=not unfinished,
                incomplete=fact.incomplete,
                quoted=fact.errors,
                link_reason=fact.link_reason,
                link_detail=fact.link_detail,
                ever_connected=fact.ever_connected,
                left_out=fact.left_out,
                measures={
                    store: {
                        key: 0 if store in unread else keys.get(key, 0) - missing[buoy, store, key]
                        for key in [*keys, *kept_back]
                    }
                    for store in stores
                },
                measures_expected={
                    key: keys.get(key, 0) + kept_back.get(key, 0) for key in [*keys, *kept_back]
                },
                withheld=kept_back,
                ack_p99_ms=mine.ack_p99_ms,
                clock_offset_ms=mine.clock_offset_ms,
                clock_uncertainty_ms=mine.clock_uncertainty_ms,
                clock_drift_ppm=fact.clock_drift_ppm,
            )
        )
    return results


def _problems(
    planned: int,
    mine: _Sending,
    fact: BoardFacts,
    *,
    qos: int,
    interrupted: bool,
    unproven: bool,
) -> list[str]:
    found = [fact.failed] if fact.failed else []
    if not fact.ever_connected and not mine.sent:
        # That nothing was sent follows from it.
        found.append(f"never connected: {fact.link_detail or 'no answer'}")
    elif not interrupted:
        if mine.dropped:
            found.append(f"{count_text(mine.dropped, 'message')} dropped")
        unaccounted = planned - mine.sent - mine.dropped
        # A ledger that lacks rows cannot tell what was not sent from what was not told.
        if unaccounted > 0 and not unproven:
            found.append(f"{count_text(unaccounted, 'planned message')} neither sent nor dropped")
    if qos and mine.sent > mine.acknowledged and not unproven:
        found.append(f"{count_text(mine.sent - mine.acknowledged, 'message')} not acknowledged")
    return found


def _store_problems(faults: dict[tuple[str, str], int], *, unproven: bool) -> list[str]:
    return [
        f"{count_text(count, 'measure')} {kind} in {store}"
        for (store, kind), count in faults.items()
        if kind in FAULTS and not (kind == "unexpected" and unproven)
    ]


def blamed_boards(db: Database) -> frozenset[int]:
    """Boards with faults in a store that happened on the board or before the broker, or at a place unknown.

    What a stage behind the broker lost is no failure of the boards that sent it.
    """
    kinds = ", ".join(f"'{kind}'" for kind in FAULTS)
    own = ", ".join(f"'{stage}'" for stage in ("", "board", BROKER, SUBSCRIBER))
    return frozenset(
        int(buoy)
        for (buoy,) in db.rows(f"""
            SELECT DISTINCT f.buoy FROM fault AS f LEFT JOIN located AS l USING (number)
            WHERE f.kind IN ({kinds}) AND coalesce(l.stage, '') IN ({own})
        """)
    )


def _sending(db: Database, late_send_ms: float) -> dict[int, _Sending]:
    rows = db.rows(f"""
        SELECT buoy, count(*), count(sent_ns),
            count(*) FILTER (sent_ns IS NOT NULL AND acknowledged_ns IS NOT NULL),
            count(*) FILTER (sent_ns IS NULL AND dropped IS NOT NULL),
            count(*) FILTER ({late_send(late_send_ms)}),
            count(*) FILTER (attempts > 1),
            count(*) FILTER (NOT coalesce(w.readable, true)),
            quantile_disc({WAITED_NS}, 0.99) FILTER (acknowledged_ns IS NOT NULL) / 1e6,
            coalesce(arg_max(offset_ns, sent_ns), 0) / 1e6, coalesce(max(uncertainty_ns), 0) / 1e6
        FROM message JOIN board USING (buoy)
            LEFT JOIN (SELECT id, readable FROM wide WHERE NOT readable) AS w USING (id)
        GROUP BY buoy
    """)
    return {row[0]: _Sending(*row[1:]) for row in rows}


def _measures_expected(db: Database) -> dict[int, dict[str, int]]:
    """Buoy → key → measures sent."""
    expected: dict[int, dict[str, int]] = defaultdict(dict)
    counts = ", ".join(f"count({column(key)})" for key in KEYS)
    for buoy, *numbers in db.rows(f"SELECT buoy, {counts} FROM wide WHERE regular GROUP BY buoy"):
        expected[buoy] = {key: number for key, number in zip(KEYS, numbers, strict=True) if number}
    for buoy, key, number in db.rows(
        "SELECT buoy, measure, count(*) FROM wide_odd JOIN wide USING (id) "
        "GROUP BY buoy, measure ORDER BY measure"
    ):
        expected[buoy][key] = expected[buoy].get(key, 0) + number
    return expected


def _faults(db: Database) -> tuple[dict[tuple[int, str, str], int], dict[int, dict[tuple[str, str], int]]]:
    """((buoy, store, key) → missing, buoy → (store, kind) → measures)."""
    missing: dict[tuple[int, str, str], int] = defaultdict(int)
    faults: dict[int, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for buoy, store, kind, key, weight in db.rows(
        "SELECT buoy, store, kind, measure, sum(weight)::BIGINT FROM fault GROUP BY ALL "
        "ORDER BY store, kind, measure"
    ):
        faults[buoy][store, kind] += weight
        if kind == "missing":
            missing[buoy, store, key] += weight
    return missing, faults


def unreadable_warnings(db: Database) -> list[str]:
    """Payloads in the ledger that are no JSON object: nothing can be said of their measures."""
    return [
        f"board {buoy}: {count_text(count, 'payload')} in the ledger cannot be read as a JSON object "
        f"(first: message {seq}); their measures are not in the count"
        for buoy, count, seq in db.rows(
            "SELECT buoy, count(*), min(seq) FROM wide WHERE NOT readable "
            f"GROUP BY buoy ORDER BY buoy LIMIT {_MAX_WARNINGS}"
        )
    ]
