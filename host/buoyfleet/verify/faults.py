"""The table of everything that is wrong with a store, one row per measure, filled by the reconcilers."""

from dataclasses import dataclass

from buoyfleet.model.result import StoreResult
from buoyfleet.verify.database import Database, column, text


@dataclass(frozen=True, slots=True)
class Window:
    """The time that belongs to a run: what `Target.collect` was asked for. UTC nanoseconds."""

    since_ns: int
    until_ns: int


def create_faults(db: Database) -> None:
    """Create the empty tables `fault`, and `located` for what buoyfleet.verify.locate finds out about them.

    `subject` is what evidence is looked up for: the message's id where identity is known, else a negative
    number of its own. `weight` is the number of measures (or copies) that the row stands for.
    """
    db.run("CREATE SEQUENCE fault_number")
    db.run("CREATE SEQUENCE anonymous_subject INCREMENT -1 MAXVALUE -1 START -1")
    db.run("""
        CREATE TABLE fault (
            number BIGINT DEFAULT nextval('fault_number'),
            store VARCHAR, kind VARCHAR, subject BIGINT, buoy INTEGER, seq INTEGER, ts BIGINT,
            measure VARCHAR, expected VARCHAR, found VARCHAR, weight BIGINT, delay_s DOUBLE,
            sent_ns BIGINT, visible_ns BIGINT,
            acknowledged BOOLEAN, partial BOOLEAN, message BIGINT
        )
    """)
    db.run(
        "CREATE TABLE located(number BIGINT, stage VARCHAR, after VARCHAR, cause VARCHAR, detail VARCHAR, "
        "dwell_s DOUBLE)"
    )


def fault_kinds(db: Database) -> frozenset[str]:
    """Which kinds of faults there are."""
    return frozenset(str(kind) for (kind,) in db.rows("SELECT DISTINCT kind FROM fault"))


def store_result(
    db: Database, store: str, expected: int, redelivered: int, late_after_s: float, decidable: str = ""
) -> StoreResult:
    """Sum up the faults of one store."""
    weights = {
        kind: int(weight)
        for kind, weight in db.rows(
            f"SELECT kind, sum(weight) FROM fault WHERE store = {text(store)} GROUP BY kind"
        )
    }
    return StoreResult(
        name=store,
        expected=expected,
        found=expected - weights.get("missing", 0),
        missing=weights.get("missing", 0),
        duplicated=weights.get("duplicated", 0),
        redelivered=redelivered,
        altered=weights.get("altered", 0),
        late=weights.get("late", 0),
        unexpected=weights.get("unexpected", 0),
        late_after_s=late_after_s,
        decidable=decidable,
    )


def stored_view(store: str) -> str:
    """Name of the view of a store's rows, without what a rule adds."""
    return column(f"stored_{store}")
