"""Conductivity: Atlas EZO-EC, dry and one or two standards on the circuit's chip.

The circuit is told 25 °C throughout, so that it compensates nothing, and gets the value that the standard
has at its own temperature. The raw signal is then the conductivity that the circuit makes of its nominal K.
"""

from typing import Any, ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import rectangular
from buoyfleet.calibration.procedures.circuit import STANDARD_C, CircuitProcedure
from buoyfleet.calibration.solutions import KINDS, nearest_kind, reference_of
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.model.errors import BoardError, UsageError
from sensors.calibration import CalibrationError, gain
from sensors.ezo_commands import EC_MS, ec_dry, ec_point
from sensors.ezo_line import parse_number

STANDARDS = ("84", "1413", "12880")
DECADE = (5.0, 20.0)
"""A cell that is off by a factor within these, up or down, has a wrong K."""
AGREES = (0.7, 1.3)
TWICE = (0.5, 2.0)
"""A cell that is off by more than this is no cell: what lies between is judged by its limits."""
CIRCUIT_PERCENT = 2.0
LOW_US_CM = 200.0
"""Standards under it keep worse: their check is wider."""


class Conductivity(CircuitProcedure):
    """See the module."""

    key = "ec"
    place = 2
    interval_days = 180
    bands: ClassVar[dict[str, Band]] = {
        "dry": same(0, 1, "µS/cm", "reading dry in air", "the probe is wet or salty: rinse, dry, shake"),
        "cell": Band(
            (80, 120),
            (70, 130),
            "%",
            "cell against its nominal K",
            "fouled or half covered electrodes, bubbles, wrong K",
        ),
        "linearity": Band(
            (-5, 5),
            (-10, 10),
            "%",
            "cell in high against low standard",
            "a contaminated standard, or fouled electrodes",
        ),
        "check": same(-3, 3, "%", "error after calibration", "bubbles, or a spoiled standard"),
        "check_low": same(-5, 5, "%", "error after calibration", "bubbles, or a spoiled standard"),
    }
    ages: ClassVar[dict[str, str]] = {"cell_percent": "cell"}
    raw_unit = "µS/cm"
    rule = StabilityRule(
        window_s=15, drift_per_min=2.0, noise=1.0, min_s=20, max_s=180, relative=True, floor=50.0
    )
    needs_temperature = requires_temperature = True
    reading_ms = EC_MS
    points_help = "dry, and one or two of 84, 1413, 12880"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        chosen = self.only(("dry", *STANDARDS)) if self.bench.points else ("dry", "84", "1413")
        standards = [name for name in chosen if name != "dry"]
        if not 1 <= len(standards) <= 2:
            raise UsageError(
                f"--points {','.join(chosen)}: conductivity takes one or two standards",
                next_step="use dry,84,1413, or dry,1413",
            )
        names = ["one"] if len(standards) == 1 else ["low", "high"]
        found = [self._step(f"ec-{value}", name) for value, name in zip(standards, names, strict=True)]
        return ([self._dry()] if "dry" in chosen else []) + found

    def _dry(self) -> Step:
        return Step(
            "dry",
            "dry probe in air",
            "air",
            (
                "Rinse the probe with distilled water, shake it and dry it, inside the slot too.",
                "Hold it in air.",
            ),
            self.stability,
        )

    def _step(self, kind: str, name: str, verify: bool = False) -> Step:
        label = KINDS[kind].label
        return Step(
            f"check-{kind[3:]}" if verify else name,
            f"{label}, again" if verify else f"{label} ({name})",
            kind,
            (
                "Rinse the probe with a little of the standard and throw that away.",
                f"Put it into fresh {label}, the electrodes fully covered, with the thermometer beside it; "
                "tap it until no bubble is left. No pH probe in the same beaker.",
            ),
            self.stability,
            solution=kind,
            optional=verify,
            verify=verify,
        )

    def verify_steps(self) -> list[Step]:
        """The last standard first: the probe is still in it."""
        kinds = [step.solution for step in self.steps() if step.solution]
        return [self._step(kind, "check", verify=True) for kind in reversed(kinds)]

    def told(self) -> dict[str, Any]:
        """The circuit's K."""
        return {"k": self.ask("K,?")}

    def prepare_circuit(self) -> None:
        """The cell constant of the probe that is fitted."""
        wanted = float(self.before.get("k", 0.1))
        told = parse_number(self.ask("K,?").split(",")[1])
        if told is None or abs(told - wanted) > 0.005 * wanted:
            self.command(f"K,{wanted:g}", 300)
            told = parse_number(self.ask("K,?").split(",")[1])
        if told is None or abs(told - wanted) > 0.005 * wanted:
            raise BoardError(
                f"the ec circuit does not take K = {wanted:g}; it has {told}",
                where=self.board.where,
                cause="readings would be wrong by a decade",
                next_step="look at the circuit; the old calibration is in force",
            )

    def compensation_c(self, celsius: float | None) -> float:
        """See `CircuitProcedure.compensation_c`."""
        return STANDARD_C

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """See `Procedure.reference`."""
        if not step.solution:
            return Reference(0.0, "µS/cm", 0.0, label="air", source="no liquid between the electrodes")
        celsius, name = self.celsius_of(plateau), self.bench.thermometer.name
        return reference_of(step.solution, celsius, name, self.bench.lots.get(step.solution))

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "bubbles or half covered electrodes" if state.noisy else "the solution is not mixed"

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        raw = point.plateau.raw
        if not step.solution:
            band = self.bench.limits.bands["ec.dry"]
            if raw > band.passes[1]:
                return [
                    f"{raw:.4g} µS/cm is not dry (at most "
                    f"{band.passes[1]:g}): wet, salty, or still in a solution"
                ]
            return []
        true = point.reference.value
        if raw <= 0.01 * true:
            return [
                f"the circuit reads {raw:.2f} in "
                f"{KINDS[step.solution].label}: probe still in air, or its cable open"
            ]
        ratio = raw / true
        if AGREES[0] <= ratio <= AGREES[1]:
            return self._against_earlier(step, point, earlier)
        found = []
        celsius = point.celsius
        looks_like = nearest_kind("ec", raw, celsius)
        if looks_like != step.solution and AGREES[0] <= raw / KINDS[looks_like].value(celsius) <= AGREES[1]:
            found.append(
                f"{raw:.4g} µS/cm is what {KINDS[looks_like].label} gives, not {KINDS[step.solution].label}: "
                "are the bottles swapped?"
            )
        if DECADE[0] <= max(ratio, 1.0 / ratio) <= DECADE[1]:
            found.append(
                f"{raw:.4g} µS/cm for {true:.4g} is off by a decade: the probe's K is not "
                f"{float(self.before.get('k', 0.1)):g} as set"
            )
        if not found and not TWICE[0] <= ratio <= TWICE[1]:
            found.append(
                f"{raw:.4g} µS/cm for {true:.4g}: a short or salt bridge, bubbles, or no standard at all"
            )
        return found

    def _against_earlier(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        if step.verify:
            return []
        for one in earlier:
            if (
                one.step.solution
                and one.plateau.raw >= point.plateau.raw
                and one.reference.value < point.reference.value
            ):
                return [f"{step.title} reads no more than {one.step.title}: the same standard twice?"]
        return []

    def accept(self, step: Step, point: Point) -> None:
        """See `Procedure.accept`."""
        if step.verify:
            return
        if not step.solution:
            self.command(*ec_dry())
            return
        name = "" if step.name == "one" else step.name
        self.command(*ec_point(round(point.reference.value, 2), name, point.plateau.raw, self.firmware))

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        wet = [point for point in points if point.step.solution]
        if not wet:
            raise CalibrationError("no standard was taken")
        limits = self.bench.limits
        cells = [100.0 * point.plateau.raw / point.reference.value for point in wet]
        checks = [limits.check("ec.dry", p.plateau.raw) for p in points if not p.step.solution]
        checks += [
            limits.check("ec.cell", cell, f"cell in {point.reference.label}, of nominal")
            for cell, point in zip(cells, wet, strict=True)
        ]
        if len(cells) == 2:
            checks.append(limits.check("ec.linearity", 100.0 * (cells[1] / cells[0] - 1.0)))
        last = wet[-1]
        slope = gain(last.plateau.raw, last.reference.value).coefficients[0]
        low = min(p.reference.value for p in wet)
        fitted = Fitted(
            settings={},
            commands=tuple(self.commands),
            checks=checks,
            components=self._components(wet),
            unit="%",
            at=last.reference.value,
            residuals=[
                Residual(
                    p.step.name, p.plateau.raw, p.reference.value, p.reference.value - slope * p.plateau.raw
                )
                for p in wet
            ],
            x_unit="µS/cm",
            y_unit="µS/cm",
            model="conductivity = reading · label / reading in the standard, piecewise between the standards",
            health={"cell_percent": cells[-1]},
            # A single point holds for about 1 to 400 % of itself (maker).
            valid=(0.01 * low if len(wet) == 1 else 0.5 * low, 4.0 * last.reference.value),
        )
        if len(wet) == len(points):
            fitted.warnings.append("the dry point was left out: low readings keep the circuit's own zero")
        if len(wet) == 1:
            fitted.warnings.append("one standard only: linearity was not looked at")
        return fitted

    def _components(self, wet: list[Point]) -> list[Component]:
        """In % of the reading."""
        last = wet[-1]
        true = last.reference.value
        tolerance = max(100.0 * point.reference.half_width / point.reference.value for point in wet)
        return [
            Component("standard", rectangular(tolerance), "B", "tolerance of the bottle, rectangular"),
            Component("circuit", rectangular(CIRCUIT_PERCENT), "B", "±2 % in the maker's sheet, rectangular"),
            *self.shared_components([last], 100.0 / last.plateau.raw, 100.0 * last.reference.per_c / true),
        ]

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        percent = 100.0 * (point.plateau.raw / point.reference.value - 1.0)
        name = "ec.check" if point.reference.value > LOW_US_CM else "ec.check_low"
        return self.bench.limits.check(name, percent, f"error in {point.reference.label}")
