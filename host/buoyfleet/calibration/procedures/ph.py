"""pH: Atlas EZO-pH, one to three points on the circuit's chip. The raw signal is the electrode's millivolts.

With its calibration cleared the circuit reads 7 − mV / (Nernst slope at the temperature it was told); after
`mid` it reads that buffer plus the difference in millivolts over the Nernst slope. So the electrode's
millivolts are known throughout, and zero and slope are judged before the circuit is told a point.
"""

from typing import Any, ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import rectangular
from buoyfleet.calibration.procedures.circuit import CircuitProcedure
from buoyfleet.calibration.solutions import KINDS, nearest_kind, reference_of
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.model.errors import UsageError
from sensors.calibration import least_squares
from sensors.ezo_commands import PH_MS, is_old, ph_point
from sensors.ezo_line import parse_number

NERNST_MV_PER_K = 0.198416
"""R ln 10 / F, per kelvin."""
_WORN_GLASS = "worn, fouled or dried-out glass, or a spoiled buffer: clean and soak the probe, fresh buffer"
STEPS = {"7": ("mid", "ph-7"), "4": ("low", "ph-4"), "10": ("high", "ph-10")}
ALIKE_MV = 30.0
"""Two buffers that differ by less than half a pH are one buffer."""
RAILS = (0.0, 14.0)


def nernst_mv(celsius: float) -> float:
    """Slope of a perfect electrode, mV per pH."""
    return NERNST_MV_PER_K * (celsius + 273.15)


class Ph(CircuitProcedure):
    """See the module."""

    key = "ph"
    place = 1
    interval_days = 180
    bands: ClassVar[dict[str, Band]] = {
        "slope_acid": Band((95, 105), (90, 110), "%", "slope, acid side", _WORN_GLASS),
        "slope_base": Band((95, 105), (90, 110), "%", "slope, base side", _WORN_GLASS),
        "zero": Band(
            (-15, 15),
            (-30, 30),
            "mV",
            "zero offset",
            "poisoned reference or wrong buffer: fresh buffer, else new probe",
        ),
        "circuit": same(
            -3,
            3,
            "%",
            "slope of the circuit against the samples",
            "the circuit did not take the points as they were",
        ),
        "check": same(
            -0.05,
            0.05,
            "pH",
            "error after calibration",
            "the probe had not settled, or the buffer is spoiled",
        ),
    }
    ages: ClassVar[dict[str, str]] = {
        "slope_acid": "slope_acid",
        "slope_base": "slope_base",
        "zero_mv": "zero",
    }
    needs = ("mid",)
    raw_unit = "mV"
    rule = StabilityRule(window_s=30, drift_per_min=1.0, noise=0.8, min_s=60, max_s=300)
    needs_temperature = requires_temperature = True
    reading_ms = PH_MS
    points_help = "4, 7, 10; 7 is needed"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        chosen = self.only(tuple(STEPS))
        if "7" not in chosen:
            raise UsageError(
                f"--points {','.join(self.bench.points)}: pH needs the 7 buffer, which comes first",
                next_step="use 7, or 4,7 or 7,10 or 4,7,10",
            )
        return [self._step(name) for name in STEPS if name in chosen]

    def _step(self, name: str, verify: bool = False) -> Step:
        point, kind = STEPS[name]
        label = KINDS[kind].label
        return Step(
            "check" if verify else point,
            f"{label}, again" if verify else f"{label} ({point})",
            kind,
            (
                "Rinse the probe with distilled water and dab it dry; do not rub the glass.",
                f"Put it into fresh {label}, the bulb covered, with the thermometer beside it. Stir once.",
            ),
            self.stability,
            solution=kind,
            verify=verify,
        )

    def verify_steps(self) -> list[Step]:
        """See `Procedure.verify_steps`."""
        return [self._step("7", verify=True)]

    def told(self) -> dict[str, Any]:
        """Slope and zero as the circuit has them."""
        return {"slope": self.ask("Slope,?")}

    def look(self, told: dict[str, Any]) -> None:
        """See `CircuitProcedure.look`."""
        self._before = _numbers(told["slope"])
        self._mid: tuple[float, float] | None = None  # (pH, mV)
        self._shares = {"low": 1.0, "high": 1.0}
        self._written = False

    def raw_of(self, reading: float) -> float:
        """See `CircuitProcedure.raw_of`."""
        self._at_rail = reading in RAILS
        per_ph = nernst_mv(self._told_c if self._told_c is not None else 25.0)
        ph, mv = self._mid or (7.0, 0.0)
        share = self._shares["low" if reading < ph else "high"]
        return mv - (reading - ph) * per_ph * share

    def found_value(self, reading: float, celsius: float | None) -> float | None:
        """See `CircuitProcedure.found_value`."""
        if self._written:
            return reading
        if len(self._before) < 3:  # old firmware does not tell its zero
            return None
        acid, base, zero = self._before[:3]
        mv = self.raw_of(reading)
        share = (acid if mv > zero else base) / 100.0
        return 7.0 - (mv - zero) / (share * nernst_mv(25.0 if celsius is None else celsius))

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """See `Procedure.reference`."""
        celsius, name = self.celsius_of(plateau), self.bench.thermometer.name
        return reference_of(step.solution, celsius, name, self.bench.lots.get(step.solution))

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        if state.noise > 20.0:
            return "the signal wanders: probe unplugged, or an EC probe in the same beaker"
        return "a slow probe: dried out or fouled; soak it in storage solution" if state.drifts else ""

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        if self._at_rail:
            return [
                "the circuit reads its end, exactly 0 or 14: the probe is unplugged or its cable is broken"
            ]
        mv, celsius = point.plateau.raw, point.celsius
        mid = next((one for one in earlier if one.step.name == "mid"), None)
        if mid is not None and not step.verify and abs(mv - mid.plateau.raw) < ALIKE_MV:
            return [
                f"the signal moved by {abs(mv - mid.plateau.raw):.1f} mV "
                f"since {mid.step.title}, which is no other "
                "buffer: the same buffer twice, the probe still in air, or cracked glass"
            ]
        apparent = 7.0 - mv / nernst_mv(celsius)
        if self._written:
            apparent = point.plateau.value or apparent
        looks_like = nearest_kind("ph", apparent, celsius)
        if looks_like and looks_like != step.solution:
            return [
                f"the probe reads about pH {apparent:.1f}, as in {KINDS[looks_like].label}, not in "
                f"{KINDS[step.solution].label}: are the bottles swapped?"
            ]
        return []

    def accept(self, step: Step, point: Point) -> None:
        """See `Procedure.accept`."""
        if step.verify:
            return
        done = tuple(
            name for name in ("mid", "low", "high") if any(f"Cal,{name}," in c for c in self.commands)
        )
        if step.name == "mid":
            done = ()
        self.command(*ph_point(step.name, point.reference.value, done))
        if step.name == "mid":
            self._mid = (round(point.reference.value, 2), point.plateau.raw)
            self._shares = dict.fromkeys(self._shares, 1.0)
        elif self._mid is not None:  # from now on the circuit reads that side with this slope
            per_ph = nernst_mv(point.celsius) * (point.reference.value - self._mid[0])
            self._shares[step.name] = (self._mid[1] - point.plateau.raw) / per_ph

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        by_name = {point.step.name: point for point in points}
        mid = by_name["mid"]
        slopes = {name: _share(mid, by_name[name]) for name in ("low", "high") if name in by_name}
        near = slopes.get("low", slopes.get("high", 1.0))
        zero = mid.plateau.raw + near * nernst_mv(mid.celsius) * (mid.reference.value - 7.0)
        limits = self.bench.limits
        checks = [limits.check("ph.zero", zero)]
        health = {"zero_mv": zero}
        told = _numbers(self.ask("Slope,?"))
        for name, side, index in (("low", "acid", 0), ("high", "base", 1)):
            if name in slopes:
                percent = 100.0 * slopes[name]
                health[f"slope_{side}"] = percent
                checks.append(limits.check(f"ph.slope_{side}", percent))
                if len(told) > index:
                    off = told[index] - percent
                    checks.append(
                        limits.check("ph.circuit", off, f"circuit's {side} slope against the samples")
                    )
        values = [point.reference.value for point in points]
        fitted = Fitted(
            settings={},
            commands=tuple(self.commands),
            checks=checks,
            components=self._components(points),
            unit="pH",
            at=7.0,
            residuals=_residuals(points),
            x_unit="mV",
            y_unit="pH",
            model="mV = zero − slope · Nernst(T) · (pH − 7), slopes of acid and base side apart",
            health=health,
            valid=(min(values), max(values)),
        )
        if "low" not in slopes and "high" not in slopes:
            fitted.warnings.append("one point only: the slope was not looked at, and is taken as 100 %")
        elif len(slopes) == 1:
            side = "base" if "low" in slopes else "acid"
            fitted.warnings.append(f"no point on the {side} side: readings there are extrapolated")
        return fitted

    def _components(self, points: list[Point]) -> list[Component]:
        per_mv = 1.0 / nernst_mv(25.0)
        steepest = max(abs(point.reference.per_c) for point in points)
        tolerance = max(point.reference.half_width for point in points)
        circuit = 0.02 if is_old(self.firmware) else 0.002
        return [
            Component("buffers", rectangular(tolerance), "B", "tolerance of the bottles, rectangular"),
            Component("circuit", rectangular(circuit), "B", "accuracy in the maker's sheet, rectangular"),
            *self.shared_components(points, per_mv, steepest),
        ]

    def write(self, fitted: Fitted, note: dict[str, object]) -> None:
        """See `Procedure.write`."""
        super().write(fitted, note)
        self._written = True

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        return self.bench.limits.check("ph.check", (point.plateau.value or 0.0) - point.reference.value)


def _share(mid: Point, other: Point) -> float:
    """Slope between two points as a share of Nernst's."""
    per_ph = nernst_mv(other.celsius)
    return (mid.plateau.raw - other.plateau.raw) / (per_ph * (other.reference.value - mid.reference.value))


def _residuals(points: list[Point]) -> list[Residual]:
    """Against one straight line through all: what an electrode with two slopes leaves."""
    pairs = [(point.plateau.raw, point.reference.value) for point in points]
    if len(pairs) < 2:
        return [Residual(points[0].step.name, *pairs[0], 0.0)]
    fit = least_squares(pairs)
    return [Residual(p.step.name, x, y, r) for p, (x, y), r in zip(points, pairs, fit.residuals, strict=True)]


def _numbers(answer: str) -> list[float]:
    numbers = [parse_number(field) for field in answer.split(",")[1:]]
    return [number for number in numbers if number is not None]
