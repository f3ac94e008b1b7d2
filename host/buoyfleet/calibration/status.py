"""`buoy calibration status`: a row for every sensor of every board that was ever calibrated here."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from buoyfleet.calibration.drift import Forecast, forecasts
from buoyfleet.calibration.history import History
from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.model import Verdict
from buoyfleet.calibration.record import Record
from buoyfleet.calibration.wording import amount
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.errors import BuoyError
from sensors.catalog import UNITS

SOON_DAYS = 14


@dataclass(frozen=True, slots=True)
class Row:
    """Where one sensor stands."""

    board: str
    key: str
    date: str
    points: str
    health: str
    drift: str
    due: str
    state: Verdict
    """warn: due within two weeks, or passed with warnings; fail: overdue, or not calibrated."""
    note: str


def rows(
    history: History,
    intervals: dict[str, float],
    now: datetime,
    board: str = "",
    expected: Collection[tuple[str, str]] = (),
) -> list[Row]:
    """Rows in the order of boards, overdue ones first within a board.

    Args:
        history: of the bench.
        intervals: days after which a sensor is due.
        now: for due dates.
        board: only this one; empty: all.
        expected: (board, key) of sensors that are to be calibrated, whether there are records or not.
    """
    found = []
    known = {(record.board, record.key) for record in history.of(board)}
    known |= {pair for pair in expected if board in ("", pair[0])}
    for name, own in sorted(known):
        if not any(history.of(name, own)):
            found.append(Row(name, own, "never", "–", "–", "–", "now", "fail", ""))
            continue
        held = history.in_force(name, own)
        last = [*history.of(name, own)][-1]
        found.append(_row(name, own, held, last, history, intervals[own], now))
    rank = {"fail": 0, "warn": 1, "pass": 2}
    return sorted(
        found,
        key=lambda row: (int(row.board) if row.board.isdigit() else 1 << 31, row.board, rank[row.state]),
    )


def _row(
    board: str,
    key: str,
    held: Record | None,
    last: Record,
    history: History,
    interval_d: float,
    now: datetime,
) -> Row:
    note = ""
    if last is not held and last.outcome != "undone":
        note = f"last try {last.started:%Y-%m-%d}: {last.outcome or 'broke off'}"
    if held is None:
        return Row(board, key, "–", "–", "–", "–", "now", "fail", note or "undone")
    due = held.started + timedelta(days=interval_d)
    days = (due - now).total_seconds() / 86400.0
    state: Verdict = (
        "fail" if days <= 0 or held.outcome == "failed" else "warn" if days <= SOON_DAYS else "pass"
    )
    if held.outcome == "failed":
        note = note or "failed, and written by --force"
    elif held.outcome == "warned" and state == "pass":
        state = "warn"
    fitted = held.fitted
    points = ", ".join(point.name for point in held.points if not point.verify)
    health = (
        ", ".join(f"{name} {amount(value, '', 4)}" for name, value in fitted.health.items()) if fitted else ""
    )
    due_text = f"{due:%Y-%m-%d}" + (" overdue" if days <= 0 else "")
    return Row(
        board,
        key,
        f"{held.started:%Y-%m-%d}",
        points,
        health or "–",
        _drift(key, held, history),
        due_text,
        state,
        note,
    )


def _drift(key: str, held: Record, history: History) -> str:
    """What the next look after this calibration found: the error with its coefficients."""
    later = [one for one in history.of(held.board, key) if one.started > held.started and one.points]
    source = later[0] if later else held
    errors = [point.as_found for point in source.points if point.as_found is not None]
    if not errors:
        return "–"
    worst = max(errors, key=abs)
    text = f"{worst:+.3g} {UNITS[key]}".strip()
    if later:
        days = (source.started - held.started).total_seconds() / 86400.0
        return f"{text} in {days:.0f} d"
    return f"{text} as found"


def urgent(history: History, limits: Limits, board: str = "", key: str = "") -> list[Forecast]:
    """Probes that move towards a limit, the first to leave it at the top."""
    return [
        one for one in forecasts(history, limits, board, key) if one.significant and one.leaves is not None
    ]


def fitted_sensors(fleet: Path) -> list[tuple[str, str]]:
    """(board, key) of every sensor that a board with a cable carries by the fleet file, if there is one."""
    try:
        boards = load_fleet(fleet).boards
    except BuoyError:  # a bench needs no fleet; `buoy check` says what is wrong with one
        return []
    return [
        (str(board.buoy_id), sensor.key)
        for board in boards
        if board.kind != "virtual"
        for sensor in board.sensors
        if sensor.mode == "hardware"
    ]
