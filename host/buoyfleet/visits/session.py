"""A visit at one board: a record is opened, or one that stopped is gone on with; the readings are in `work`.

The board is in maintenance meanwhile. A visit that stops, by a pulled cable or by the technician, stays open:
the next one with the same board goes on with it, and every reading stays.
"""

import platform
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from buoyfleet.calibration.board import BenchBoard
from buoyfleet.calibration.dialogue import Aborted
from buoyfleet.calibration.history import new_folder
from buoyfleet.calibration.record import RecordWriter
from buoyfleet.model.errors import BoardError, BuoyError, UsageError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.visits.evaluate import Evaluation
from buoyfleet.visits.limits import LIMITS
from buoyfleet.visits.record import FILE_NAME, KEY, SCHEMA, Outcome, Visit, read_visit, visits_of
from buoyfleet.visits.request import VisitBench, VisitRequest
from buoyfleet.visits.work import Work

LONGEST_PAUSE = timedelta(hours=24)
"""An open visit older than this is closed: the water is another one."""


@dataclass(slots=True)
class VisitResult:
    """How a visit ended."""

    visit: Visit
    evaluations: list[Evaluation]
    paused: str = ""
    """Why it is still open."""
    error: BuoyError | None = None
    """What the board failed with."""

    @property
    def exit_code(self) -> ExitCode:
        """0 if it is done, whatever the ratings are; 4 if the board failed; 130 if it is paused."""
        if self.error is not None:
            return ExitCode.BOARDS_FAILED
        return ExitCode.INTERRUPTED if self.paused else ExitCode.OK


class VisitSession(VisitBench):
    """See the module."""

    def run(self, request: VisitRequest) -> VisitResult:
        """From the first reading to the ratings, or to the first thing that stops it.

        Raises:
            UsageError: a sensor that is not fitted, or nothing to visit.
            BoardError: the board did not answer before anything was begun.
        """
        board = BenchBoard(self.console)
        name = board.identity.name
        folder = self._open(board, request)
        visit = read_visit(folder / FILE_NAME)
        with RecordWriter.onto(folder, FILE_NAME) as writer:
            work = Work(self, board, visit, writer, self.dialogue(name, KEY), request)
            paused, error = "", None
            try:
                self.say(f"{board.where}: goes into maintenance; it publishes no messages meanwhile", "plain")
                for key in board.enter():
                    self.say(f"{key}: an interrupted calibration was found; the old one is back", "warning")
                work.run()
            except Aborted as abort:
                paused = str(abort) or "by the technician"
            except KeyboardInterrupt:
                paused = "by Ctrl-C"
            except BoardError as failure:
                paused, error = failure.what, failure
            finally:
                self._leave(board)
            if paused:
                writer.event("paused", self.clock.utc(), reason=paused)
                self.say(f"\nthe visit is open, its readings are kept ({paused})", "warning")
                self.say(f"  buoy visit {name} goes on with it", "plain")
        self.say(f"  record       {folder}", "plain")
        return VisitResult(read_visit(folder / FILE_NAME), work.evaluations, paused, error)

    def _open(self, board: BenchBoard, request: VisitRequest) -> Path:
        """Folder of the visit to go on with, or of a new one."""
        fitted = board.settings().get("sensors", {})
        have = [key for key in LIMITS if fitted.get(key, {}).get("mode") == "hardware"]
        absent = [key for key in request.keys if key not in have]
        if absent or not have:
            raise UsageError(
                f"{', '.join(absent) or 'no sensor'} is fitted here" if not absent else
                f"{', '.join(absent)}: not fitted here",
                where=board.where,
                next_step=f"fitted: {', '.join(have) or 'none'} (`buoy settings`)",
            )  # fmt: skip
        now = self.clock.utc()
        for one in visits_of(self.config.records, board.identity.name):
            if one.outcome is not None:
                continue
            with RecordWriter.onto(one.path.parent, FILE_NAME):
                visit = read_visit(one.path)  # without a last line that broke off
            if not request.new and now - visit.started <= LONGEST_PAUSE and not visit.broken:
                count = len(visit.readings)
                self.say(f"the visit of {visit.started:%Y-%m-%d %H:%M} UTC goes on: {count} readings", "good")
                return visit.path.parent
            with RecordWriter.onto(visit.path.parent, FILE_NAME) as writer:
                outcome: Outcome = "abandoned"
                writer.event("end", now, outcome=outcome)
            self.say(
                f"the open visit of {visit.started:%Y-%m-%d %H:%M} UTC is closed as abandoned", "warning"
            )
        folder = new_folder(self.config.records, board.identity.name, KEY, now)
        keys = request.keys or have
        with RecordWriter(folder, FILE_NAME) as writer:
            writer.event("begin", now, **self._begin(board, keys, request))
        return folder

    def _begin(self, board: BenchBoard, keys: list[str], request: VisitRequest) -> dict[str, Any]:
        identity = board.identity
        return {
            "visit_schema": SCHEMA,
            "board": {
                "name": identity.name,
                "buoy": identity.buoy,
                "mac": identity.mac,
                "port": identity.port,
            },
            "keys": keys,
            "operator": request.operator or self.config.operator,
            "meter": request.meter,
            "metered": request.metered,
            "since": request.since.isoformat() if request.since else "",
            "command": request.command,
            "versions": {
                "buoyfleet": version("buoyfleet"),
                "Python": platform.python_version(),
                "firmware": identity.firmware,
                "MicroPython": identity.micropython,
            },
        }

    def _leave(self, board: BenchBoard) -> None:
        try:
            board.leave()
        except BoardError as error:
            self.say(f"{board.where} could not be sent back to work: {error.what}", "bad")
            self.say("  it ends its maintenance by itself within four hours of its next start", "plain")
