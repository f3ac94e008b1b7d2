"""Temperature: DS18B20 in an ice bath and at one reference point; one offset is stored. The raw signal is °C.

The maker knows no calibration. The offset is the mean of both errors; what differs between them stays as
residual.
"""

from typing import ClassVar

from buoyfleet.calibration.board import Reading
from buoyfleet.calibration.dialogue import Dialogue
from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import Procedure, rectangular
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.model.errors import UsageError
from sensors.calibration import CalibrationError

ICE_HALF_WIDTH_C = 0.05
REFERENCE_HALF_WIDTH_C = 0.1
LSB_C = 0.0625
FAR_C = 5.0
"""A probe that is this far from its bath is not in it."""


class Temperature(Procedure):
    """See the module."""

    key = "temp"
    place = 0
    interval_days = 365
    bands: ClassVar[dict[str, Band]] = {
        "raw": same(
            -0.5, 0.5, "°C", "error before correction", "not a genuine part, or the bath was not stirred"
        ),
        "residual": same(
            -0.2, 0.2, "°C", "error left after correction", "a bath was not stirred or not settled"
        ),
        "check": same(
            -0.2, 0.2, "°C", "error after calibration", "the bath changed, or the probe had not settled"
        ),
    }
    ages: ClassVar[dict[str, str]] = {"offset_c": "raw"}
    raw_unit = "°C"
    rule = StabilityRule(window_s=30, drift_per_min=0.15, noise=0.06, min_s=60, max_s=600)
    points_help = "ice, reference"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        chosen = self.only(("ice", "reference"))
        known = {
            "ice": Step(
                "ice",
                "ice bath, 0.0 °C",
                "ice-bath",
                (
                    "Crushed ice with just enough distilled water to fill the "
                    "gaps, in a flask; stir for five minutes.",
                    "Put the probe into the middle, 5 cm deep, and keep stirring.",
                ),
                self.stability,
            ),
            "reference": self._bath(False),
        }
        return [known[name] for name in chosen]

    def _bath(self, verify: bool) -> Step:
        return Step(
            "check" if verify else "reference",
            "reference bath, again" if verify else "stirred bath with a reference thermometer, 20 to 25 °C",
            "bath",
            (
                "Stir a litre of water at room temperature, the reference thermometer in it.",
                "Put the probe beside it.",
            ),
            self.stability,
            verify=verify,
        )

    def verify_steps(self) -> list[Step]:
        """In the bath where the probe is already."""
        last = self.steps()[-1]
        if last.name == "ice":
            return [
                Step(
                    "check",
                    "ice bath, again",
                    "ice-bath",
                    ("Leave the probe in the ice bath; stir.",),
                    self.stability,
                    verify=True,
                )
            ]
        return [self._bath(True)]

    def signal(self, reading: Reading) -> float:
        """°C of the sixteenths."""
        return float(reading.raw or 0.0) / 16.0

    def measure(self, step: Step, dialogue: Dialogue, clock_s: float) -> dict[str, float]:
        """What the reference thermometer shows."""
        if step.vessel == "ice-bath":
            return {}
        return {
            "reference_c": dialogue.number("reference", "The reference thermometer shows", "°C", -5.0, 45.0)
        }

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """The melting point of ice, or what the reference thermometer showed."""
        if step.vessel == "ice-bath":
            return Reference(0.0, "°C", ICE_HALF_WIDTH_C, label=step.title, source="melting point of ice")
        celsius = extra["reference_c"]
        name = str(self.bench.options.get("reference_thermometer", "")) or "reference thermometer"
        return Reference(celsius, "°C", REFERENCE_HALF_WIDTH_C, 0.0, celsius, name, step.title, source=name)

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "the bath is not stirred, or the probe takes up its temperature" if state.drifts else ""

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        raw, true = point.plateau.raw, point.reference.value
        if abs(raw - true) > FAR_C:
            return [f"the probe reads {raw:.2f} °C where {true:.2f} °C is due: it is not in the {step.title}"]
        for one in earlier:
            if not step.verify and abs(one.reference.value - true) < FAR_C:
                return [
                    f"{true:.2f} °C is too near to {one.step.title}: two points must lie {FAR_C:g} °C apart"
                ]
        return []

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        if not points:
            raise CalibrationError("no point was taken")
        limits = self.bench.limits
        errors = [point.plateau.raw - point.reference.value for point in points]
        offset = round(-sum(errors) / len(errors), 4)
        checks = [limits.check("temp.raw", max(errors, key=abs))]
        checks.append(limits.check("temp.residual", max((error + offset for error in errors), key=abs)))
        tolerance = max(point.reference.half_width for point in points)
        spread = (max(errors) - min(errors)) / 2.0
        values = [point.reference.value for point in points]
        fitted = Fitted(
            settings={"correction": [1.0, offset]},
            commands=(),
            checks=checks,
            components=[
                Component("bath", rectangular(tolerance), "B", "reference thermometer or ice, rectangular"),
                Component("resolution", LSB_C / 2.0 / 3.0**0.5, "B", "12 bit, rectangular"),
                Component(
                    "one offset for all",
                    rectangular(spread),
                    "B",
                    "half of what the points differ, rectangular",
                ),
                *self.shared_components(points, 1.0, 0.0),
            ],
            unit="°C",
            at=values[-1],
            residuals=[
                Residual(
                    p.step.name, p.plateau.raw, p.reference.value, p.reference.value - p.plateau.raw - offset
                )
                for p in points
            ],
            x_unit="°C",
            y_unit="°C",
            model="temperature = reading + offset",
            health={"offset_c": offset},
            valid=(min(values), max(values)),
        )
        if len(points) == 1:
            fitted.warnings.append("one point only: the offset elsewhere is a guess")
            fitted.valid = None
        return fitted

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        value = point.plateau.value
        if value is None:
            raise UsageError("the board gives no temperature")
        return self.bench.limits.check("temp.check", value - point.reference.value)
