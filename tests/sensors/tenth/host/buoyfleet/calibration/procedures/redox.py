"""Redox potential: Atlas EZO-ORP, one point on the circuit's chip: pH 7 buffer saturated with quinhydrone."""

from typing import ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedures.circuit import CircuitProcedure
from buoyfleet.calibration.stability import StabilityRule

QUINHYDRONE_MV = 86.0
"""At pH 7 and 25 °C against Ag/AgCl; ± 3 mV."""
CALIBRATION_MS = 900


class Redox(CircuitProcedure):
    """See the module."""

    key = "orp"
    interval_days = 180
    bands: ClassVar[dict[str, Band]] = {
        "offset": Band(
            (-20, 20), (-40, 40), "mV", "offset", "a fouled electrode: clean and polish the platinum"
        ),
        "check": same(-5, 5, "mV", "error after calibration", "the electrode had not settled"),
    }
    ages: ClassVar[dict[str, str]] = {"offset_mv": "offset"}
    needs = ("one",)
    raw_unit = "mV"
    rule = StabilityRule(window_s=20, drift_per_min=2.0, noise=1.0, min_s=20, max_s=300)
    reading_ms = 900

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        return [self._step("one")]

    def verify_steps(self) -> list[Step]:
        """See `Procedure.verify_steps`."""
        return [self._step("check", verify=True)]

    def _step(self, name: str, verify: bool = False) -> Step:
        prepare = ("Saturate fresh pH 7 buffer with quinhydrone.", "Rinse the probe and put it in.")
        return Step(name, "quinhydrone in pH 7 buffer", "ph-7", prepare, self.stability, verify=verify)

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """See `Procedure.reference`."""
        del step, plateau, extra
        return Reference(
            QUINHYDRONE_MV, "mV", 1.7, label="quinhydrone at pH 7", source="the maker's data sheet"
        )

    def accept(self, step: Step, point: Point) -> None:
        """See `Procedure.accept`."""
        if not step.verify:
            self.command(f"Cal,{point.reference.value:.0f}", CALIBRATION_MS)

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        (point,) = points
        error = point.plateau.raw - point.reference.value
        return Fitted(
            settings={},
            commands=tuple(self.commands),
            checks=[self.bench.limits.check("orp.offset", error)],
            components=self.shared_components(points, 1.0, 0.0),
            unit="mV",
            at=point.reference.value,
            residuals=[Residual(point.step.name, point.plateau.raw, point.reference.value, 0.0)],
            x_unit="mV",
            y_unit="mV",
            model="potential = reading - offset",
            health={"offset_mv": error},
            valid=(-1020.0, 1020.0),
        )

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        del step, fitted
        return self.bench.limits.check("orp.check", point.plateau.raw - point.reference.value)
