"""Water pressure: DFRobot SEN0257, zero in open air, optionally depths in a standpipe. The raw signal is mV.

A metre of water is 24.5 mV: the scale of a short standpipe is uncertain by several per cent. It replaces the
nominal scale only where it differs from it by more than its own uncertainty; else the nominal one stays.
"""

from math import sqrt
from typing import ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import Procedure, flag_objections, rectangular
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.model.errors import UsageError
from sensors.calibration import CalibrationError, least_squares
from sensors.rows import limits_of
from sensors.transfer import PRESSURE_KPA_PER_V

KPA_PER_M = 9.80
"""Fresh water at 15 °C."""
DEPTH_HALF_WIDTH_M = 0.01
CONVERTER_MV = 4.0
"""Half width at the part of what an ESP32's converter errs between two voltages 0.1 V apart, after eFuse."""
ALL_BUT_NOTHING = 0.3


class Pressure(Procedure):
    """See the module."""

    key = "wp"
    place = 6
    interval_days = 180
    bands: ClassVar[dict[str, Band]] = {
        "zero": same(
            *limits_of("wp", "zero_v"),
            "V",
            "output in open air",
            "not in open air, a blocked port, or a damaged cell",
        ),
        "scale": same(
            380, 420, "kPa/V", "scale", "another part (250 kPa/V is the 1 MPa one), or a wrong depth"
        ),
        "check": Band(
            (-2, 2), (-4, 4), "kPa", "error in open air", "the port was not open, or the cell drifts"
        ),
    }
    ages: ClassVar[dict[str, str]] = {"zero_v": "zero"}
    needs = ("zero",)
    raw_unit = "mV"
    rule = StabilityRule(window_s=20, drift_per_min=6.0, noise=3.0, min_s=20, max_s=120)
    points_help = "0, and depths in metres such as 1,2"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        depths = []
        for name in self.bench.points or ("0",):
            try:
                depths.append(float(name.removesuffix("m")))
            except ValueError:
                depths.append(-1.0)
            if not 0.0 <= depths[-1] <= 160.0:
                raise UsageError(f"wp has no point {name}", next_step=f"use {self.points_help}")
        if 0.0 not in depths or len(set(depths)) != len(depths):
            raise UsageError(
                f"--points {','.join(self.bench.points)}",
                next_step="use 0 (open air) once, and each depth once",
            )
        return [self._air(), *(self._depth(metres) for metres in sorted(depths) if metres)]

    def _air(self, verify: bool = False) -> Step:
        return Step(
            "check" if verify else "zero",
            "open air, again" if verify else "open air",
            "pressure-zero",
            ("Take the sensor out of the water, port open and dry, and hold it still.",),
            self.stability,
            verify=verify,
        )

    def _depth(self, metres: float) -> Step:
        return Step(
            f"depth-{metres:g}",
            f"standpipe, {metres:g} m of water",
            f"standpipe-{metres:g}",
            (f"Fill the standpipe to {metres:g} m above the sensor's port; let bubbles out.",),
            self.stability,
            amount=metres,
            optional=True,
        )

    def verify_steps(self) -> list[Step]:
        """See `Procedure.verify_steps`."""
        return [self._air(verify=True)]

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """kPa gauge."""
        if not step.amount:
            return Reference(0.0, "kPa", 0.05, label=step.title, source="open to the air")
        return Reference(
            KPA_PER_M * step.amount,
            "kPa",
            KPA_PER_M * DEPTH_HALF_WIDTH_M,
            label=step.title,
            source="ρ g h, fresh water",
        )

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "water moves in the standpipe" if state.drifts else "a loose plug, or a bad supply"

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        found = flag_objections(point)
        if step.amount:
            zero = next(one for one in earlier if one.step.name == "zero")
            expected = point.reference.value / PRESSURE_KPA_PER_V * 1000.0
            moved = point.plateau.raw - zero.plateau.raw
            if moved < ALL_BUT_NOTHING * expected:
                found.append(
                    f"{moved:.1f} mV where {expected:.0f} mV are due: port "
                    "blocked, or the sensor is not under "
                    f"{step.amount:g} m of water"
                )
        return found

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        zero = next((point for point in points if point.step.name == "zero"), None)
        if zero is None:
            raise CalibrationError("the zero in open air is missing")
        limits = self.bench.limits
        zero_v = round(zero.plateau.raw / 1000.0, 4)
        nominal = float(self.before.get("kpa_per_v", PRESSURE_KPA_PER_V))
        scale = nominal
        checks = [limits.check("wp.zero", zero_v)]
        warnings = []
        settings: dict[str, object] = {"zero_v": zero_v}
        if len(points) > 1:
            pairs = [(point.plateau.raw / 1000.0, point.reference.value) for point in points]
            slope = least_squares(pairs).coefficients[0]
            checks.append(limits.check("wp.scale", slope))
            own = self._scale_uncertainty(points, slope)
            if abs(slope - nominal) > own:
                settings["kpa_per_v"] = scale = round(slope, 2)
            else:
                warnings.append(
                    f"the standpipe gives {slope:.0f} ± {own:.0f} kPa/V (k = 2), "
                    f"which agrees with {nominal:g}: that stays"
                )
        else:
            warnings.append(f"zero only: the scale of {nominal:g} kPa/V was not looked at")
        per_mv = scale / 1000.0
        deepest = max(point.reference.value for point in points)
        return Fitted(
            settings=settings,
            commands=(),
            checks=checks,
            components=[
                Component(
                    "converter",
                    rectangular(CONVERTER_MV) * per_mv,
                    "B",
                    "ESP32 after eFuse correction, rectangular",
                ),
                Component(
                    "air", rectangular(zero.reference.half_width), "B", "wind at the port, rectangular"
                ),
                *self.shared_components([zero], per_mv, 0.0),
            ],
            unit="kPa",
            at=0.0,
            residuals=[
                Residual(
                    p.step.name,
                    p.plateau.raw / 1000.0,
                    p.reference.value,
                    p.reference.value - (p.plateau.raw / 1000.0 - zero_v) * scale,
                )
                for p in points
            ],
            x_unit="V",
            y_unit="kPa",
            model="kPa = (V − zero) · scale",
            health={"zero_v": zero_v},
            valid=(0.0, deepest) if deepest else None,
            warnings=warnings,
        )

    def _scale_uncertainty(self, points: list[Point], slope: float) -> float:
        """Expanded (k = 2), of the two outermost points."""
        span_v = (max(p.plateau.raw for p in points) - min(p.plateau.raw for p in points)) / 1000.0
        u_v = sqrt(2.0 * max(p.plateau.noise**2 / p.plateau.count for p in points)) / 1000.0
        u_v = sqrt(u_v**2 + (rectangular(CONVERTER_MV) / 1000.0) ** 2)
        u_kpa = max(rectangular(point.reference.half_width) for point in points)
        return 2.0 * slope * sqrt((u_v / span_v) ** 2 + (u_kpa / max(p.reference.value for p in points)) ** 2)

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        value = point.plateau.value
        return self.bench.limits.check("wp.check", (0.0 if value is None else value) - point.reference.value)
