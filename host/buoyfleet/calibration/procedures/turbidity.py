"""Turbidity: DFRobot SEN0189 in clear water, optionally a formazin curve. The raw signal is mV at the part.

`clear_v` scales the voltages to the maker's 4.2 V (`clear_method: scale`, which corrects the supply) or
shifts them (`offset`: LED and lens); the certificate says which. With three or more formazin points a
square is fitted to the scaled volts and replaces the maker's.
"""

from typing import ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import Procedure, flag_objections, rectangular
from buoyfleet.calibration.solutions import with_lot
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.model.errors import UsageError
from sensors.calibration import CalibrationError, polynomial
from sensors.rows import limits_of
from sensors.transfer import TURBIDITY_CLEAR_V, TURBIDITY_SQUARE, horner, turbidity_ntu

FORMAZIN = (100.0, 400.0, 800.0)
CLEAR_NTU = 0.3
CONVERTER_MV = 12.0
"""Half width at the part (6 mV at the pin, 1:2) of an ESP32's converter near 2.1 V, after eFuse correction:
its slow error is calibrated away in clear water, this is what differs over 0.3 V."""
LEAST_V = 3.7
CURVE_POINTS = 3


class Turbidity(Procedure):
    """See the module."""

    key = "tbd"
    place = 5
    interval_days = 30
    bands: ClassVar[dict[str, Band]] = {
        "clear": same(
            *limits_of("tbd", "clear_v"),
            "V",
            "output in clear water",
            "a fouled lens, daylight, or a wrong divider ratio",
        ),
        "as_found": Band(
            (-30, 60),
            (-100, 100),
            "NTU",
            "reading in clear water before calibration",
            "a fouled or scratched lens, which calibration would only hide: wipe it and start again",
        ),
        "fit": same(-1, 1, "× limit", "worst residual of the curve", "a badly mixed or settled dilution"),
        "check": same(-30, 30, "NTU", "error in clear water", "bubbles, daylight, or a dirty vessel"),
    }
    ages: ClassVar[dict[str, str]] = {"clear_v": "clear"}
    needs = ("clear",)
    raw_unit = "mV"
    rule = StabilityRule(window_s=30, drift_per_min=8.0, noise=2.5, min_s=30, max_s=300)
    points_help = "clear, and formazin in NTU such as 100,400,800"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        chosen = self.bench.points or ("clear",)
        amounts = []
        for name in chosen:
            if name == "clear":
                continue
            try:
                amounts.append(float(name))
            except ValueError:
                amounts.append(-1.0)
            if not 10.0 <= amounts[-1] <= 2500.0:
                raise UsageError(f"tbd has no point {name}", next_step=f"use {self.points_help}")
        if "clear" not in chosen or len(set(amounts)) != len(amounts):
            raise UsageError(
                f"--points {','.join(chosen)}", next_step="use clear once, and each formazin once"
            )
        if amounts and len(amounts) < CURVE_POINTS:
            raise UsageError(
                f"--points {','.join(chosen)}: a curve needs at least {CURVE_POINTS} formazin points",
                next_step="use clear,100,400,800, or clear alone",
            )
        return [self._clear(), *(self._formazin(ntu) for ntu in sorted(amounts))]

    def _clear(self, verify: bool = False) -> Step:
        return Step(
            "check" if verify else "clear",
            "clear water, again" if verify else "clear water (< 0.5 NTU)",
            "clear-water",
            (
                "Wipe the lens with a soft cloth and rinse it.",
                "Hang the probe into clear water in a dark vessel, its top "
                "dry, nothing within 5 cm of the lens; "
                "no bubbles, no daylight.",
            ),
            self.stability,
            verify=verify,
        )

    def _formazin(self, ntu: float) -> Step:
        return Step(
            f"formazin-{ntu:g}",
            f"formazin {ntu:g} NTU",
            f"formazin-{ntu:g}",
            (
                f"Shake the {ntu:g} NTU dilution, pour it into the dark vessel, let bubbles rise.",
                "Hang the probe in.",
            ),
            self.stability,
            solution="formazin",
            amount=ntu,
            optional=True,
        )

    def verify_steps(self) -> list[Step]:
        """See `Procedure.verify_steps`."""
        return [self._clear(verify=True)]

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """NTU."""
        lot = self.bench.lots.get("formazin") if step.solution else None
        if not step.solution:
            return Reference(
                CLEAR_NTU,
                "NTU",
                0.3,
                temperature_c=plateau.temperature_c,
                label=step.title,
                source="filtered water",
            )
        half_width = (
            0.05 * step.amount
            if lot is None or lot.tolerance is None
            else lot.tolerance / 100.0 * step.amount
        )
        reference = Reference(
            step.amount, "NTU", half_width, label=step.title, source="dilution of 4000 NTU stock"
        )
        return with_lot(reference, lot)

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "bubbles or daylight: a dark vessel, and patience" if state.noisy else "particles settle: stir"

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        found = (
            [] if step.solution else flag_objections(point) if point.plateau.raw < 1000.0 * LEAST_V else []
        )
        volts = point.plateau.raw / 1000.0
        if not step.solution and volts < LEAST_V:
            found.append(f"{volts:.2f} V is far from clear water's 4.2 V: lens covered, or not clear water")
        if step.solution and earlier and point.plateau.raw >= min(one.plateau.raw for one in earlier):
            before = min(earlier, key=lambda one: one.plateau.raw)
            found.append(
                f"{step.title} gives {point.plateau.raw:.0f} mV, not less than {before.step.title} with "
                f"{before.plateau.raw:.0f} mV: dilutions swapped, or the probe not in it"
            )
        return found

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        limits = self.bench.limits
        clear = next((point for point in points if not point.step.solution), None)
        if clear is None:
            raise CalibrationError("the clear water point is missing")
        clear_v = round(clear.plateau.raw / 1000.0, 4)
        method = str(self.bench.options.get("method") or self.before.get("clear_method", "scale"))
        checks = [limits.check("tbd.clear", clear_v)]
        if self.before.get("clear_v") is not None:
            checks.append(limits.check("tbd.as_found", self._as_found(clear)))

        def scaled(point: Point) -> float:
            volts = point.plateau.raw / 1000.0
            if method == "scale":
                return volts * TURBIDITY_CLEAR_V / clear_v
            return volts + TURBIDITY_CLEAR_V - clear_v

        settings: dict[str, object] = {"clear_v": clear_v, "clear_method": method, "coefficients": None}
        coefficients: tuple[float, ...] = TURBIDITY_SQUARE
        pairs = [(scaled(point), point.reference.value) for point in points]
        model = f"clear water {method}s the volts to 4.2 V; the maker's square"
        curve = len(points) > CURVE_POINTS
        if curve:
            coefficients = tuple(float(f"{c:.7g}") for c in polynomial(pairs, 2).coefficients)
            settings["coefficients"] = list(coefficients)
            model = f"clear water {method}s the volts to 4.2 V; a square fitted to formazin"
        residuals = [
            Residual(point.step.name, volts, true, true - horner(coefficients, volts))
            for point, (volts, true) in zip(points, pairs, strict=True)
        ]
        if curve:
            share = max(abs(one.residual) / max(30.0, 0.1 * one.reference) for one in residuals)
            checks.append(limits.check("tbd.fit", share))
        slope = abs(horner(coefficients, TURBIDITY_CLEAR_V) - horner(coefficients, TURBIDITY_CLEAR_V - 0.001))
        values = [point.reference.value for point in points]
        fitted = Fitted(
            settings=settings,
            commands=(),
            checks=checks,
            components=[
                Component(
                    "clear water",
                    rectangular(clear.reference.half_width),
                    "B",
                    "what is left in it, rectangular",
                ),
                Component(
                    "converter",
                    rectangular(CONVERTER_MV) * slope,
                    "B",
                    "ESP32 after eFuse correction, rectangular",
                ),
                *self.shared_components([clear], slope, 0.0),
            ],
            unit="NTU",
            at=CLEAR_NTU,
            residuals=residuals,
            x_unit="V, scaled",
            y_unit="NTU",
            model=model,
            health={"clear_v": clear_v},
            valid=(0.0, max(values)) if curve else None,
        )
        if not curve:
            fitted.warnings.append("clear water only: above it the maker's curve holds as well as it does")
        else:
            fitted.warnings.append(f"above {max(values):g} NTU the curve is extrapolated")
        return fitted

    def _as_found(self, clear: Point) -> float:
        """NTU in clear water with the coefficients that were in force, below zero too (drivers
        publish none).
        """
        clear_v, volts = float(self.before["clear_v"]), clear.plateau.raw / 1000.0
        if self.before.get("clear_method", "scale") == "scale":
            volts *= TURBIDITY_CLEAR_V / clear_v
        else:
            volts += TURBIDITY_CLEAR_V - clear_v
        return turbidity_ntu(volts, self.before.get("coefficients") or TURBIDITY_SQUARE)

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        return self.bench.limits.check("tbd.check", (point.plateau.value or 0.0) - point.reference.value)
