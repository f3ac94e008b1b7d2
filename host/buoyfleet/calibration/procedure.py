# ruff: noqa: ARG002 - defaults of an interface take what its implementations need
"""What a calibration of one sensor is: its steps, its samples, its fit, and how it is written and taken back.

The guide (buoyfleet.calibration.guide) calls, in this order: `begin`, then for each step `sample` until
stable, `early_objections`, `measure`, `reference`, `objections`, `accept`; then `solve`, `write`, and for the
verifying steps the same with `verify`; at last `finish`. `give_up` may come at any moment after `begin` and
leaves the old calibration whole.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, ClassVar

from buoyfleet.calibration.board import BenchBoard, Reading
from buoyfleet.calibration.dialogue import Dialogue
from buoyfleet.calibration.limits import Band, Limits
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Sample, Step
from buoyfleet.calibration.solutions import Lot
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.calibration.thermometer import Thermometer
from buoyfleet.model.errors import BoardError, UsageError
from sensors import quality
from sensors.calibration import CalibrationError
from sensors.parts import part

ROOT3 = sqrt(3.0)


@dataclass(slots=True)
class Bench:
    """What a procedure works with."""

    board: BenchBoard
    thermometer: Thermometer
    limits: Limits
    rules: dict[str, StabilityRule] = field(default_factory=dict)
    """Rules of this bench in place of the defaults, by sensor."""
    lots: dict[str, Lot] = field(default_factory=dict)
    """Bottle by kind of solution."""
    points: tuple[str, ...] = ()
    """What `--points` says; empty: the usual ones."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further options of a procedure, e.g. `buckets`."""


class NoSignal(BoardError):
    """The board answers, the probe does not."""


class Procedure(ABC):
    """See the module."""

    key: ClassVar[str]
    place: ClassVar[int] = 100
    """In the order in which sensors are calibrated; temperature comes first, as others lean on it."""
    interval_days: ClassVar[int]
    """After which the sensor is due (sensor reference; wp and liqlev at each deployment, too)."""
    bands: ClassVar[dict[str, Band]] = {}
    """Acceptance limits of this sensor by name; a bench changes them under `acceptance` as `<key>.<name>`."""
    ages: ClassVar[dict[str, str]] = {}
    """Figure of `Fitted.health` that shows how the probe ages → the band that it must stay within."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Steps without which there is no calibration: they cannot be skipped."""
    raw_unit: ClassVar[str]
    rule: ClassVar[StabilityRule]
    needs_temperature: ClassVar[bool] = False
    """The temperature of the solution is noted with every sample."""
    requires_temperature: ClassVar[bool] = False
    """Without it the reference is not known."""
    points_help: ClassVar[str] = ""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.board = bench.board
        self.stability = bench.rules.get(self.key, self.rule)
        self.before: dict[str, Any] = {}
        self._begun_s: float | None = None

    # What the guide asks

    @abstractmethod
    def steps(self) -> list[Step]:
        """The points to take; raises UsageError where `--points` cannot be meant."""

    @abstractmethod
    def verify_steps(self) -> list[Step]:
        """What is measured again after writing."""

    def begin(self) -> dict[str, Any]:
        """Look at the probe and note what is in force; gives that for the record.

        Raises:
            BoardError: the probe is not there.
        """
        self.before = self.board.sensor_settings(self.key)
        reading = self.board.read(self.key)[self.key]
        if reading.missing:
            raise self.absent(reading)
        return {"settings": self.before}

    def sample(self, t_s: float, now_s: float) -> Sample:
        """One look at the probe.

        Raises:
            BoardError: it does not answer.
        """
        keys = (self.key,)
        celsius = self.bench.thermometer.celsius(now_s) if self.needs_temperature else None
        reading = self.board.read(*keys)[self.key]
        if reading.missing or reading.raw is None:
            raise self.absent(reading)
        return Sample(t_s, self.signal(reading), celsius, _number(reading.measured), reading.flags)

    def signal(self, reading: Reading) -> float:
        """The raw signal of a reading, in `raw_unit`."""
        return float(reading.raw or 0.0)

    @abstractmethod
    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """What the step truly is; raises CalibrationError where that is not known."""

    def early_objections(self, step: Step, plateau: Plateau) -> list[str]:
        """Why a stable signal cannot be one of this step, before anything is measured or typed."""
        return []

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """Why a point must not be taken: swapped, in air, the same again."""
        return []

    def measure(self, step: Step, dialogue: Dialogue, clock_s: float) -> dict[str, float]:
        """Whatever a stable signal is not enough for, e.g. litres of a bucket."""
        return {}

    def hint(self, state: State) -> str:
        """What an unstable signal of this probe usually means."""
        return ""

    def accept(self, step: Step, point: Point) -> None:
        """Take the point; a circuit is told here."""
        return

    @abstractmethod
    def solve(self, points: list[Point]) -> Fitted:
        """Coefficients, checks and uncertainty; raises CalibrationError where the points carry none."""

    def write(self, fitted: Fitted, note: dict[str, object]) -> None:
        """Put the coefficients into force and read them back.

        Raises:
            BoardError: the board has something else, or its driver refuses them.
        """
        self.board.calibrate(self.key, "write", fitted.settings, note)
        self.board.restart()
        kept = self.board.sensor_settings(self.key)
        wrong = [name for name, value in fitted.settings.items() if not _same(kept.get(name), value)]
        if wrong:
            raise BoardError(
                f"{self.key}: {', '.join(wrong)} read back differently from what was written",
                where=self.board.where,
                cause="the board's flash",
                next_step="the old calibration is put back; try again, else replace the board",
            )
        self.board.read(self.key)  # a driver that refuses them says so here

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """The board's own reading against the reference, after writing."""
        raise NotImplementedError

    def after(self) -> dict[str, Any]:
        """What is in force after writing, for the record."""
        return {"settings": self.board.sensor_settings(self.key)}

    def finish(self) -> str:
        """The new calibration holds; gives what did not go as it should, or ""."""
        self.board.calibrate(self.key, "accept")
        return ""

    def give_up(self, written: bool) -> None:
        """Take back what was written, if anything was."""
        if written:
            self.board.calibrate(self.key, "revert")
            self.board.restart()

    # What procedures share

    def absent(self, reading: Reading) -> NoSignal:
        """There is no signal."""
        return NoSignal(
            f"no signal of {self.key}: {reading.note or 'nothing comes from the part'}",
            where=self.board.where,
            cause="unplugged, unpowered, or a wire open or shorted",
            next_step=f"check cable and supply of the {part(self.key).name}, then start again",
        )

    def celsius_of(self, plateau: Plateau) -> float:
        """Temperature of the solution.

        Raises:
            CalibrationError: nothing told it.
        """
        if plateau.temperature_c is None:
            raise CalibrationError(
                "the temperature of the solution is not known: the board's probe does not answer; give it "
                "with --temperature, of another thermometer"
            )
        return plateau.temperature_c

    def only(self, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """What `--points` chose of some names; all of them if nothing."""
        chosen = self.bench.points
        wrong = [name for name in chosen if name not in allowed]
        if wrong:
            raise UsageError(
                f"{self.key} has no point {', '.join(wrong)}", next_step=f"use some of {', '.join(allowed)}"
            )
        if len(set(chosen)) != len(chosen):
            raise UsageError(f"--points {','.join(chosen)} names a point twice", next_step="name each once")
        return tuple(name for name in allowed if not chosen or name in chosen)

    def shared_components(
        self, points: list[Point], per_raw: float, temperature_sensitivity: float
    ) -> list[Component]:
        """Repeatability, drift over the window, and temperature of the solution.

        Args:
            points: taken.
            per_raw: published unit per raw unit near the point of the budget.
            temperature_sensitivity: published unit per °C.
        """
        repeat = max(point.plateau.noise / sqrt(point.plateau.count) for point in points)
        drift = max(abs(point.plateau.drift_per_min) * self.stability.window_s / 60.0 for point in points)
        found = [
            Component("repeatability", abs(per_raw) * repeat, "A", "spread of the samples of a point"),
            Component(
                "drift",
                abs(per_raw) * drift / 2 / ROOT3,
                "B",
                "what the signal moved in the window, rectangular",
            ),
        ]
        if temperature_sensitivity:
            found.append(
                Component(
                    "temperature",
                    abs(temperature_sensitivity) * self.bench.thermometer.standard_c,
                    "B",
                    f"of the solution, by {self.bench.thermometer.name}",
                )
            )
        return found


def rectangular(half_width: float) -> float:
    """Standard uncertainty of a value known to lie within ± half_width."""
    return half_width / ROOT3


def flag_objections(point: Point) -> list[str]:
    """What the flags of the last samples say against any point."""
    flags = point.samples[-1].flags
    found = []
    if flags & quality.SATURATED:
        found.append("the signal is at the upper end of the part or of the converter")
    if flags & quality.WARMING:
        found.append("the part is still warming up")
    return found


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _same(kept: object, wanted: object) -> bool:
    if isinstance(wanted, float | int) and isinstance(kept, float | int):
        return abs(float(kept) - float(wanted)) <= 1e-6 * max(1e-9, abs(float(wanted)))
    if isinstance(wanted, list) and isinstance(kept, list):
        return len(kept) == len(wanted) and all(map(_same, kept, wanted))
    return kept == wanted
