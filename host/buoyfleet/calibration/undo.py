"""Puts the calibration before the last one of a sensor back into force, from what the board itself keeps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.calibration.board import BenchBoard, Clock
from buoyfleet.calibration.config import BenchConfig
from buoyfleet.calibration.history import History, new_folder
from buoyfleet.calibration.record import SCHEMA, Record, RecordWriter
from buoyfleet.model.errors import BoardError, UsageError

CIRCUITS = ("ph", "ec")


@dataclass(slots=True)
class Undo:
    """What an undo will do."""

    board: BenchBoard
    key: str
    note: dict[str, Any]
    """What the board keeps: date, record, previous."""
    record: Record | None
    """Of the calibration that goes, if it was made on this bench."""

    @property
    def previous(self) -> dict[str, Any]:
        """Coefficients that come back; None: the driver's own."""
        return dict(self.note.get("previous", {}))


def prepare_undo(board: BenchBoard, key: str, config: BenchConfig) -> Undo:
    """Look what there is to undo.

    Raises:
        UsageError: nothing.
    """
    note = board.settings().get("calibration", {}).get(key)
    if not note:
        raise UsageError(
            f"{key} has no calibration to undo",
            where=board.where,
            cause="it was never calibrated, or the last calibration was undone already: a board keeps one",
            next_step=f"buoy calibration show {board.identity.name}/{key} shows what this bench knows",
        )
    history = History(config.records)
    known = [
        record for record in history.records if record.identifier == note.get("record") and record.key == key
    ]
    return Undo(board, key, note, known[-1] if known else None)


def undo(plan: Undo, config: BenchConfig, clock: Clock, operator: str) -> Path:
    """Do it, read it back and record it; gives the record's folder.

    Raises:
        BoardError: the board did not follow; what is in force is told.
    """
    board, key = plan.board, plan.key
    now = clock.utc()
    folder = new_folder(config.records, board.identity.name, f"{key}-undo", now)
    with RecordWriter(folder) as record:
        record.event(
            "begin", now, schema=SCHEMA, key=key, operator=operator or config.operator,
            board={"name": board.identity.name, "buoy": board.identity.buoy, "mac": board.identity.mac},
            undoes=plan.note.get("record", ""),
        )  # fmt: skip
        record.event("before", clock.utc(), found={"settings": board.sensor_settings(key), "note": plan.note})
        board.enter()
        try:
            if key in CIRCUITS:
                board.keep(key, "restore")
            board.calibrate(key, "revert")
            board.restart()
            now_there = board.sensor_settings(key)
            wrong = [name for name, value in plan.previous.items() if now_there.get(name) != value]
            if wrong:
                raise BoardError(
                    f"{key}: {', '.join(wrong)} did not come back",
                    where=board.where,
                    next_step="calibrate the sensor anew",
                )
        except BoardError as error:
            record.event("trouble", clock.utc(), text=str(error))
            record.event("end", clock.utc(), outcome="interrupted", reason=error.what)
            raise
        finally:
            board.leave()
        record.event("end", clock.utc(), outcome="undone", reason="")
    return folder
