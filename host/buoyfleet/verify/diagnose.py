"""Turns located faults into diagnoses: one sentence per store, kind, stage and cause, with figures."""

from dataclasses import dataclass

from buoyfleet.model.evidence import StageCount
from buoyfleet.model.reasons import DropReason
from buoyfleet.model.result import Diagnosis
from buoyfleet.verify.cause import Figures
from buoyfleet.verify.causes import explain
from buoyfleet.verify.database import Database
from buoyfleet.verify.messages import STRING
from buoyfleet.verify.totals import late_send
from buoyfleet.verify.words import boards_text, count_text, keys_text, seconds_text
from sensors.catalog import KEYS

# Different sentences of a stage that are looked at for figures.
_MAX_DETAILS = 50

_SUBJECTS = {
    "missing": "{measures} of {messages} ({where}) {are} missing in {store}: {why}.",
    "altered": "{measures} of {messages} ({where}) {have} another value in {store} than was sent: {why}.",
    "duplicated": "{copies} of measures of {messages} ({where}) {are} in {store} without explanation: {why}.",
    "late": "{measures} of {messages} ({where}) came to {store} up to {delay} after sending; "
    "{late_after} are allowed: {why}.",
    "unexpected": "{measures} ({where}) {are} in {store} that no board of this run sent: {why}.",
}

_UNTOLD = ("untold", "cut-short")
"""Causes of boards with an incomplete ledger."""
_SUBJECTS_OF_CAUSES = {
    ("unexpected", cause): "{measures} ({where}) {are} in {store} and not in the ledger: {why}."
    for cause in _UNTOLD
}
"""Where a kind is another thing for one cause."""

# Reasons of boards for dropping that follow from a connection that is not there.
_FOR_WANT_OF_A_LINK = (DropReason.OUTBOX_FULL, DropReason.RUN_ENDED)

_ORDER = ("missing", "altered", "duplicated", "unexpected", "late")


@dataclass(frozen=True, slots=True)
class _Group:
    """Faults of one store, kind, stage and cause."""

    store: str
    kind: str
    stage: str
    after: str
    cause: str
    measures: int
    messages: int
    boards: list[int]
    keys: list[str]
    delay_s: float | None
    dwell_s: float | None
    detail: str
    details: list[str]


def diagnose(db: Database, late_after_s: dict[str, float], stages: list[StageCount]) -> list[Diagnosis]:
    """Diagnoses of everything in `fault` and `located`: what is missing first, and of that most measures.

    Messages are counted by identity, else by the target's number; 0 where neither is known.
    """
    groups = [
        _Group(*row)
        for row in db.rows(f"""
            SELECT f.store, f.kind, l.stage, l.after, l.cause, sum(f.weight)::BIGINT,
                count(DISTINCT CASE WHEN f.ts IS NOT NULL THEN hash(f.buoy, f.ts) ELSE hash(a.message) END)
                    FILTER (f.ts IS NOT NULL OR a.message IS NOT NULL),
                list_sort(list(DISTINCT f.buoy)), list_sort(list(DISTINCT f.measure)),
                max(f.delay_s), max(l.dwell_s), coalesce(min(l.detail), ''),
                list_sort(list(DISTINCT l.detail))[:{_MAX_DETAILS}]
            FROM fault AS f JOIN located AS l USING (number)
                LEFT JOIN (SELECT subject, min(message) AS message FROM arrival GROUP BY subject) AS a
                ON a.subject = f.subject AND f.ts IS NULL
            GROUP BY f.store, f.kind, l.stage, l.after, l.cause
        """)
    ]
    groups.sort(key=lambda group: (_ORDER.index(group.kind), -group.measures, group.store, group.cause))
    notes = {stage.name: stage.notes[0] for stage in stages if stage.notes}
    texts = {
        str(measure)
        for (measure,) in db.rows(f"SELECT DISTINCT measure FROM wide_odd WHERE class = '{STRING}'")
    }
    return [_diagnosis(group, late_after_s, notes, not texts.isdisjoint(group.keys)) for group in groups]


def _diagnosis(
    group: _Group, late_after_s: dict[str, float], notes: dict[str, str], sent_as_text: bool
) -> Diagnosis:
    why, change = explain(
        Figures(
            store=group.store,
            stage=group.stage,
            after=group.after,
            reason=group.cause,
            detail=group.detail.rstrip("."),
            details=tuple(filter(None, group.details)),
            dwell=seconds_text(group.dwell_s) if group.dwell_s is not None else "",
            note=notes.get(group.stage, ""),
            sent_as_text=sent_as_text,
        )
    )
    where = boards_text(group.boards)
    if group.keys != sorted(KEYS):
        where += f"; {keys_text(group.keys)}"
    one = group.measures == 1
    subject = _SUBJECTS_OF_CAUSES.get((group.kind, group.cause), _SUBJECTS[group.kind])
    sentence = subject.format(
        measures=count_text(group.measures, "measure"),
        copies=count_text(group.measures, "copy", "copies"),
        messages=count_text(group.messages, "message")
        if group.messages
        else "messages that cannot be told apart",
        where=where,
        are="is" if one else "are",
        have="has" if one else "have",
        store=group.store,
        delay=seconds_text(group.delay_s or 0.0),
        late_after=seconds_text(late_after_s.get(group.store, 0.0)),
        why=why,
    )
    return Diagnosis(
        store=group.store,
        kind=group.kind,
        stage=group.stage,
        cause=group.cause,
        measures=group.measures,
        messages=group.messages,
        sentence=sentence,
        change=change,
    )


def diagnose_unsent(db: Database) -> list[Diagnosis]:
    """What never left: no loss of a store, but a failed run all the same."""
    found = []
    for cause, detail, trouble, words, link, said, ever, messages, boards in db.rows("""
        SELECT CASE WHEN dropped IS NOT NULL THEN 'dropped' ELSE coalesce(u.gap, 'unaccounted') END AS cause,
            coalesce(dropped, ''), coalesce(t.reason, '') AS trouble, coalesce(min(t.detail), ''),
            coalesce(l.reason, '') AS link, coalesce(min(l.detail), ''), coalesce(l.ever, true) AS ever,
            count(*), list_sort(list(DISTINCT buoy))
        FROM message LEFT JOIN trouble AS t USING (buoy) LEFT JOIN link_trouble AS l USING (buoy)
            LEFT JOIN untold AS u USING (buoy)
        WHERE sent_ns IS NULL GROUP BY cause, dropped, trouble, link, ever ORDER BY 8 DESC, 2
    """):
        why, change = explain(Figures("", "board", "", cause, detail or "no reason given"))
        if trouble and cause not in _UNTOLD:
            reason, change = explain(Figures("", "broker", "", trouble, words.rstrip(".")))
            why = f"{why}; {reason}"
        elif link and detail in _FOR_WANT_OF_A_LINK:
            reason, change = explain(Figures("", "link", "", link, said.rstrip(".")))
            why = reason if not ever else f"{why}; {reason}"
            cause = cause if ever else link
        number = count_text(messages, "message")
        fate = "was never sent" if messages == 1 else "were never sent"
        if cause in _UNTOLD:
            fate = "may have been sent or not"
        found.append(
            Diagnosis(
                store="",
                kind="not-sent",
                stage="board",
                cause=cause,
                measures=0,
                messages=messages,
                sentence=f"{number} ({boards_text(boards)}) {fate}: {why}.",
                change=change,
            )
        )
    return found


def diagnose_late(db: Database, late_send_ms: float, sent: int, real: frozenset[int]) -> list[Diagnosis]:
    """Messages that left late. The time in a stamped payload shows whether they were made late (whoever runs
    the board was busy), or made in time and held back by the link.

    Boards in `real` do not run on this computer.
    """
    ending = "" if db.number("SELECT count(*) FROM fault") else " Nothing was lost."
    real_ids = f"list_contains({sorted(real)}::INTEGER[], m.buoy)"
    found = []
    for cause, messages, boards, latest_ns in db.rows(f"""
        SELECT CASE WHEN w.ts IS NULL THEN 'late-send'
                WHEN w.ts * 1000000 + m.offset_ns - m.planned_ns
                    <= {round(late_send_ms * 1e6 / 2)} + m.uncertainty_ns THEN 'held-back'
                WHEN {real_ids} THEN 'board-busy' ELSE 'computer-busy' END AS cause,
            count(*), list_sort(list(DISTINCT m.buoy)), max(m.sent_ns - m.planned_ns)
        FROM message AS m JOIN board USING (buoy) LEFT JOIN (SELECT id, ts FROM wide) AS w ON w.id = m.id
        WHERE {late_send(late_send_ms, "m.")} GROUP BY cause ORDER BY 2 DESC
    """):
        why, change = explain(Figures("", "board", "", cause, ""))
        share = f"{messages:,} of {count_text(sent, 'message')} ({100 * messages / sent:.1f} %)"
        found.append(
            Diagnosis(
                store="",
                kind="late-send",
                stage="board",
                cause=cause,
                measures=0,
                messages=messages,
                sentence=f"{share} of {boards_text(boards)} were sent more than {late_send_ms:g} ms late, "
                f"at worst {seconds_text(latest_ns / 1e9)}: {why}.{ending}",
                change=change,
            )
        )
    return found
