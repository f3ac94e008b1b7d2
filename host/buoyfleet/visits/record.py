"""The record of a visit: lines chained by hashes, as those of a calibration, in the same folder of a board.

    <records>/<board>/<time>-visit/visit.jsonl

Kinds, in their usual order: begin, reading (or skipped, withdrawn), evaluated, calibrated, end. A visit
without `end` is open: the next one goes on with it, and its readings stay. `paused` says why it stopped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from buoyfleet.calibration.record import chained_lines
from buoyfleet.model.errors import UsageError
from buoyfleet.visits.evaluate import Stage, Taken

SCHEMA = 1
FILE_NAME = "visit.jsonl"
KEY = "visit"
"""Stands in the folder's name where a calibration has its sensor."""
Outcome = Literal["done", "abandoned"]
Slot = tuple[str, Stage, str]
"""Sensor, stage, standard: of these a visit has one reading each."""


@dataclass(slots=True)
class Visit:
    """A visit, read back."""

    path: Path
    begin: dict[str, Any]
    readings: dict[Slot, Taken] = field(default_factory=dict)
    skipped: dict[Slot, str] = field(default_factory=dict)
    """With the reason."""
    calibrated: dict[str, str] = field(default_factory=dict)
    """Sensor → identifier of the calibration that was made at this visit and holds."""
    evaluated: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As it was judged when the visit ended."""
    pauses: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    """None: it is open."""
    ended: str = ""
    broken: str = ""
    """What is wrong with the chain; empty if it is whole."""

    @property
    def board(self) -> str:
        """Name of the board."""
        return str(self.begin["board"]["name"])

    @property
    def identifier(self) -> str:
        """Name of its folder."""
        return self.path.parent.name

    @property
    def started(self) -> datetime:
        """When it was begun, UTC."""
        return datetime.fromisoformat(self.begin["time"])

    def of(self, key: str) -> list[Taken]:
        """Readings of one sensor."""
        return [one for one in self.readings.values() if one.key == key]

    def cleaned(self, key: str) -> datetime | None:
        """When a sensor went back into the water clean; None: it did not."""
        last = self.readings.get((key, Stage.CLEANED, ""))
        return None if last is None else datetime.fromisoformat(last.time)


def read_visit(path: Path) -> Visit:
    """Read the record of a visit; a last line that broke off is left out.

    Raises:
        UsageError: no record, or of a version that this tool does not know.
    """
    visit: Visit | None = None
    for line in chained_lines(path):
        body = line.body
        if visit is None:
            if body is None or body.get("kind") != "begin" or body.get("visit_schema") != SCHEMA:
                raise UsageError(
                    f"no visit of version {SCHEMA}",
                    where=f"{path}:{line.number}",
                    cause="another program, a newer one, or a first line that broke off",
                )
            visit = Visit(path, body)
        visit.broken = line.broken
        if body is not None:
            _apply(visit, body)
    if visit is None:
        raise UsageError("the record holds nothing", where=str(path))
    return visit


def _apply(visit: Visit, body: dict[str, Any]) -> None:
    kind = body["kind"]
    if kind == "reading":
        taken = Taken(**{**body["reading"], "stage": Stage(body["reading"]["stage"])})
        visit.readings[(taken.key, taken.stage, taken.standard)] = taken
    elif kind == "skipped":
        visit.skipped[_slot(body)] = body["reason"]
    elif kind == "withdrawn":
        visit.readings.pop(_slot(body), None)
        visit.skipped.pop(_slot(body), None)
    elif kind == "calibrated":
        visit.calibrated[body["key"]] = body["record"]
    elif kind == "evaluated":
        visit.evaluated[body["key"]] = body["evaluation"]
    elif kind == "paused":
        visit.pauses.append(body["reason"])
    elif kind == "end":
        visit.outcome, visit.ended = body["outcome"], body["time"]


def _slot(body: dict[str, Any]) -> Slot:
    return body["key"], Stage(body["stage"]), body["standard"]


def visits_of(records: Path, board: str) -> Iterator[Visit]:
    """The visits to a board, oldest first.

    Raises:
        UsageError: one cannot be read.
    """
    for path in sorted((records / board).glob(f"*-{KEY}*/{FILE_NAME}")):
        yield read_visit(path)
