"""What every report derives from a result: stores that are clean, boards in trouble, the run in a line."""

from dataclasses import dataclass

from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.result import BoardResult, Result, StoreResult
from buoyfleet.report import figures

# What makes a store differ from the ledger without an explanation. Redelivered copies are explained, and how
# late is too late is a threshold's business.
FAULTS = ("missing", "altered", "duplicated", "unexpected")


def store_faults(store: StoreResult) -> dict[str, int]:
    """The store's unexplained differences that are not zero, in measures."""
    return {name: number for name in FAULTS if (number := getattr(store, name))}


def boards_in_trouble(result: Result) -> list[BoardResult]:
    """Boards that did not pass, failed ones first."""
    troubled = [board for board in result.boards if board.state != "passed"]
    return sorted(troubled, key=lambda board: (board.state != "failed", board.buoy_id))


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict in one word and what it is about."""

    passed: bool
    word: str
    """`passed`, `failed`, `unproven` or `interrupted`."""
    sentence: str
    facts: tuple[str, ...]
    """What ran: fleet, target, boards, measures, duration, pace, payload."""


def headline(result: Result) -> Headline:
    """The first thing a report says."""
    run = result.run
    passed = result.outcome.exit_code == ExitCode.OK
    word = result.outcome.verdict or ("passed" if passed else "interrupted" if run.interrupted else "failed")
    sent = sum(board.sent for board in result.boards)
    measures = sum(sum(board.measures_expected.values()) for board in result.boards)
    facts = (
        f"fleet {run.fleet}",
        f"target {run.target}",
        figures.plural(len(result.boards), "board"),
        figures.plural(sent, "message"),
        figures.plural(measures, "measure"),
        figures.seconds(max(0, run.ended_ns - run.started_ns) / 1e9),
        "paced" if run.paced else "flat out",
        f"QoS {run.qos}",
        f"{run.payload} payload",
        f"seed {run.seed}",
        *([f"{figures.plural(len(run.limits), 'limit')} not as in AWS"] if run.limits else []),
    )
    return Headline(passed, word, result.outcome.sentence, facts)
