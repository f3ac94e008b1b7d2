"""A session at one board: into maintenance, sensor after sensor, certificates, and back to being a buoy."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from buoyfleet.calibration.afterwards import complete_records
from buoyfleet.calibration.board import BenchBoard, Clock, Console
from buoyfleet.calibration.certificate.write import Files, write_certificate
from buoyfleet.calibration.config import BenchConfig, choose_lots
from buoyfleet.calibration.dialogue import Dialogue, Tone
from buoyfleet.calibration.driver_check import driver_refuses
from buoyfleet.calibration.guide import Guide, Result
from buoyfleet.calibration.history import History, due_of, new_folder
from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.procedure import Bench, Procedure
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.record import SCHEMA, RecordWriter
from buoyfleet.calibration.thermometer import Thermometer, thermometer
from buoyfleet.calibration.wording import outcome_text
from buoyfleet.model.errors import BoardError, BuoyError, UsageError
from buoyfleet.model.exit_codes import ExitCode

Say = Callable[[str, Tone], None]
CODES = {
    "passed": ExitCode.OK,
    "warned": ExitCode.OK,
    "failed": ExitCode.VERDICT_FAILED,
    "interrupted": ExitCode.BOARDS_FAILED,
    "aborted": ExitCode.INTERRUPTED,
}


METHODS = ("", "scale", "offset")


@dataclass(slots=True)
class CalibrationRequest:
    """Which sensors to calibrate, and how."""

    keys: list[str]
    """Sensors; empty: those that are due."""
    points: tuple[str, ...] = ()
    lots: list[str] = field(default_factory=list)
    temperature_c: float | None = None
    thermometer: str = ""
    operator: str = ""
    probe: str = ""
    force: bool = False
    by_key: bool = False
    method: str = ""
    """Of turbidity in clear water: scale or offset; empty: as the board has it."""
    command: str = ""
    """What was typed, for the record."""

    def check(self) -> None:
        """Refuse what cannot be meant, before a board is looked for.

        Raises:
            UsageError: an unknown sensor or method, or points for several sensors.
        """
        unknown = [key for key in self.keys if key not in PROCEDURES]
        if unknown:
            raise UsageError(f"no sensor `{unknown[0]}`", next_step=f"use one of {', '.join(PROCEDURES)}")
        if self.points and len(self.keys) != 1:
            raise UsageError(
                "--points belongs to one sensor", next_step="name the sensor, or write points into the plan"
            )
        if self.method not in METHODS:
            raise UsageError(f"--method {self.method}", next_step="use scale or offset")


@dataclass(slots=True)
class SensorOutcome:
    """How the calibration of one sensor ended."""

    key: str
    result: Result
    folder: Path
    files: Files | None


@dataclass(slots=True)
class Session:
    """See the module.

    Args:
        console: of the board, open.
        config: of the bench.
        clock: of the bench.
        dialogue: makes the dialogue for a sensor of a board (name, key).
        say: prints a line.
    """

    console: Console
    config: BenchConfig
    clock: Clock
    dialogue: Callable[[str, str], Dialogue]
    say: Say

    def run(self, request: CalibrationRequest) -> list[SensorOutcome]:
        """Calibrate; gives how each sensor ended, also of a session that was cut short.

        Raises:
            UsageError: nothing was begun: points, bottles or sensors are not as they should be.
            BoardError: the board did not follow before anything was begun.
        """
        board = BenchBoard(self.console)
        keys = request.keys or self._due(board)
        if not keys:
            self.say(f"no calibration is due on {board.where}", "good")
            return []
        procedures = self._benches(board, keys, request)
        self._check(procedures)
        self.say(
            f"{board.where}: goes into maintenance; it publishes no messages until the calibration ends",
            "plain",
        )
        for key in board.enter():
            self.say(f"{key}: an interrupted calibration was found; the old one is back in force", "warning")
        done: list[SensorOutcome] = []
        try:
            self._complete_records(board)
            for key, bench in procedures:
                done.append(self._one(board, key, bench, request))
                if done[-1].result.outcome in ("aborted", "interrupted"):
                    break
        finally:
            self._leave(board)
        return done

    def _complete_records(self, board: BenchBoard) -> None:
        for before in complete_records(board, History(self.config.records), self.clock):
            self.say(
                f"{before.key}: the board accepted the calibration {before.identifier} after this computer "
                "had stopped; the record now says that it is in force",
                "warning",
            )
            write_certificate(before.path.parent)

    def _due(self, board: BenchBoard) -> list[str]:
        settings = board.settings().get("sensors", {})
        fitted = [key for key in PROCEDURES if settings.get(key, {}).get("mode") == "hardware"]
        history = History(self.config.records)
        due = due_of(history, board.identity.name, fitted, self.config.intervals, self.clock.utc())
        return [one.key for one in due if one.overdue]

    def _benches(
        self, board: BenchBoard, keys: list[str], request: CalibrationRequest
    ) -> list[tuple[str, Bench]]:
        """What each sensor works with; mistakes of all of them are told at once."""
        found: list[tuple[str, Bench]] = []
        mistakes: list[UsageError] = []
        for key in keys:
            try:
                found.append((key, self._bench(board, key, request)))
            except UsageError as error:
                mistakes.append(error)
        if len(mistakes) > 1:
            texts = dict.fromkeys(error.what for error in mistakes)
            raise UsageError("; ".join(texts), where=board.where, next_step=mistakes[0].next_step)
        if mistakes:
            raise mistakes[0]
        return found

    def _bench(self, board: BenchBoard, key: str, request: CalibrationRequest) -> Bench:
        board.sensor_settings(key)  # a sensor that is not fitted is told before anything is moved
        bench = Bench(
            board,
            self._thermometer(board, request),
            Limits(self.config.bands),
            self.config.rules,
            points=request.points or self._planned_points(key),
            options={
                "method": request.method,
                "reference_thermometer": self.config.instruments.get(
                    "reference_thermometer", request.thermometer
                ),
            },
        )
        procedure = PROCEDURES[key](bench)
        if procedure.requires_temperature and not bench.thermometer.present:
            raise UsageError(
                f"{key} needs the temperature of its solutions, and {board.where} has no probe for it",
                next_step="give it: --temperature 21.4 --thermometer NAME",
            )
        kinds = list(dict.fromkeys(step.solution for step in procedure.steps() if step.solution))
        today = self.clock.utc().date()
        bench.lots = choose_lots(self.config, kinds, request.lots, today, request.force)
        return bench

    def _thermometer(self, board: BenchBoard, request: CalibrationRequest) -> Thermometer:
        name = request.thermometer or self.config.instruments.get("thermometer", "")
        return thermometer(board, request.temperature_c, name)

    def _planned_points(self, key: str) -> tuple[str, ...]:
        sensor = self.config.plan.sensors.get(key) if self.config.plan else None
        points = sensor.points if sensor else None
        return parse_points(points) if points else ()

    def _check(self, procedures: list[tuple[str, Bench]]) -> None:
        needed = {kind for _, bench in procedures for kind in bench.lots}
        for lot in (lot for _, bench in procedures for lot in bench.lots.values()):
            trouble = lot.trouble(self.clock.utc().date())
            if trouble and lot.kind in needed:
                self.say(f"by --force: {trouble}", "warning")
                needed.discard(lot.kind)

    def _one(self, board: BenchBoard, key: str, bench: Bench, request: CalibrationRequest) -> SensorOutcome:
        # Anew: the board's own probe may have been calibrated a moment ago.
        bench.thermometer = self._thermometer(board, request)
        procedure = PROCEDURES[key](bench)
        now = self.clock.utc()
        folder = new_folder(self.config.records, board.identity.name, key, now)
        with RecordWriter(folder) as record:
            record.event("begin", now, **self._begin(board, procedure, bench, request))
            guide = Guide(
                procedure,
                self.dialogue(board.identity.name, key),
                record,
                self.clock,
                request.force,
                driver_refuses,
                request.by_key,
            )
            result = guide.run()
        failed_and_held = result.outcome == "failed" and not result.reason
        tone: Tone = {"passed": "good", "warned": "warning"}.get(result.outcome, "bad")  # type: ignore[assignment]
        self.say(f"\n{key} {outcome_text(result.outcome, failed_and_held, result.unsure)}", tone)
        if result.error is not None:
            self.say(str(result.error), "bad")
        if result.reason and (result.error is None or result.reason != result.error.what):
            self.say(f"  {result.reason}", tone)
        self.say(f"  record       {folder}", "plain")
        files = None
        if result.outcome != "aborted":  # of a calibration that was given up there is nothing to certify
            files = write_certificate(folder)
            self.say(f"  certificate  {files.html}, {files.pdf.name}", "plain")
        return SensorOutcome(key, result, folder, files)

    def _begin(
        self, board: BenchBoard, procedure: Procedure, bench: Bench, request: CalibrationRequest
    ) -> dict[str, Any]:
        identity = board.identity
        today = self.clock.utc().date()
        stale = [trouble for lot in bench.lots.values() if (trouble := lot.trouble(today))]
        return {
            "schema": SCHEMA,
            "key": procedure.key,
            "board": {
                "name": identity.name,
                "buoy": identity.buoy,
                "mac": identity.mac,
                "port": identity.port,
            },
            "operator": request.operator or self.config.operator,
            "laboratory": self.config.laboratory,
            "due_after_days": self.config.intervals[procedure.key],
            "probe": request.probe,
            "instruments": self.config.instruments,
            "thermometer": bench.thermometer.name if procedure.needs_temperature else "",
            "raw_unit": procedure.raw_unit,
            "rule": procedure.stability.text(procedure.raw_unit),
            "points": list(bench.points),
            "lots": {kind: lot.lot for kind, lot in bench.lots.items()},
            "forced": request.force,
            "forced_solutions": "; ".join(stale),
            "limits": {
                name: bench.limits.bands[name].text()
                for name in bench.limits.bands
                if name.startswith(procedure.key)
            },
            "bench": self.config.source,
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


def exit_code(done: list[SensorOutcome]) -> ExitCode:
    """Of a session: the worst."""
    order = (ExitCode.OK, ExitCode.VERDICT_FAILED, ExitCode.BOARDS_FAILED, ExitCode.INTERRUPTED)
    return max((_code(one) for one in done), key=order.index, default=ExitCode.OK)


def _code(done: SensorOutcome) -> ExitCode:
    error = done.result.error
    if (
        done.result.outcome == "interrupted"
        and isinstance(error, BuoyError)
        and not isinstance(error, BoardError)
    ):
        return ExitCode.BOARDS_FAILED
    return CODES[done.result.outcome]


def parse_points(text: str) -> tuple[str, ...]:
    """`4,7,10` → ("4", "7", "10").

    Raises:
        UsageError: empty items.
    """
    items = tuple(item.strip() for item in text.split(","))
    if not all(items):
        raise UsageError(f"--points {text}", next_step="write points with commas, e.g. 4,7,10")
    return items
