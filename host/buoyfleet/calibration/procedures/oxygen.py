"""Dissolved oxygen: one point in moist air, optionally a look at zero. The raw signal is mV at the board's
output.

% saturation is relative to the air of the day: the barometer goes into the record, with the factor that
refers a reading to 1013.25 hPa. The classic ESP32's converter sees nothing under 100 mV, so zero oxygen is
a test that the signal is gone, not a number.
"""

from typing import ClassVar

from buoyfleet.calibration.dialogue import Dialogue
from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import Procedure, flag_objections, rectangular
from buoyfleet.calibration.solutions import with_lot
from buoyfleet.calibration.stability import StabilityRule, State
from sensors import quality
from sensors.calibration import CalibrationError
from sensors.rows import limits_of

CONVERTER_MV = 3.0
"""Half width of what an ESP32's converter may be off in the middle of its 2.5 dB range, after eFuse
correction.
"""
STANDARD_HPA = 1013.25
LOW_MV = 150.0


class Oxygen(Procedure):
    """See the module."""

    key = "do"
    place = 3
    interval_days = 30
    bands: ClassVar[dict[str, Band]] = {
        "air": Band(
            (440, 660),
            limits_of("do", "air_mv"),
            "mV",
            "output in moist air",
            "spent electrolyte or a dry, torn or fouled membrane: service the probe",
        ),
        "zero": same(
            0, 5, "%Sat", "reading without oxygen", "old sulfite, air bubbles, or a leaking membrane"
        ),
        "check": same(
            -3, 3, "%Sat", "error in air-saturated water", "no flow past the membrane, or a bubble on it"
        ),
    }
    ages: ClassVar[dict[str, str]] = {"air_mv": "air"}
    needs = ("air",)
    raw_unit = "mV"
    rule = StabilityRule(window_s=30, drift_per_min=2.0, noise=1.5, min_s=60, max_s=600)
    needs_temperature = True
    points_help = "air, zero"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        chosen = self.only(("air", "zero")) if self.bench.points else ("air",)
        known = {
            "air": Step(
                "air",
                "moist air",
                "air",
                (
                    "Rinse the probe, wet the membrane and shake off the drops.",
                    "Hold it in moist air, just above clean water, out of sun and wind.",
                ),
                self.stability,
            ),
            "zero": Step(
                "zero",
                "solution without oxygen",
                "zero-oxygen",
                (
                    "Dissolve 2 g of sodium sulfite in 100 mL of water, now: it keeps for hours.",
                    "Put the probe in, no bubble on the membrane; stir slowly.",
                ),
                self.stability,
                solution="zero-oxygen",
                optional=True,
            ),
        }
        if "air" not in chosen:
            raise CalibrationError("the air point cannot be left out: it is the calibration")
        return [known[name] for name in chosen]

    def verify_steps(self) -> list[Step]:
        """See `Procedure.verify_steps`."""
        return [
            Step(
                "check",
                "air-saturated water",
                "air-saturated",
                (
                    "Bubble air through tap water for ten minutes, or pour it to and fro twenty times.",
                    "Put the probe in and stir: without flow past the membrane it reads low.",
                ),
                self.stability,
                verify=True,
            )
        ]

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """% saturation."""
        zero = step.name == "zero"
        reference = Reference(
            0.0 if zero else 100.0,
            "%Sat",
            2.0 if step.verify or zero else 0.5,
            temperature_c=plateau.temperature_c,
            thermometer=self.bench.thermometer.name if plateau.temperature_c is not None else "",
            label=step.title,
            source="definition: the partial pressure of oxygen in the air of the day",
        )
        return with_lot(reference, self.bench.lots.get(step.solution))

    def measure(self, step: Step, dialogue: Dialogue, clock_s: float) -> dict[str, float]:
        """The barometer, once."""
        if step.name != "air":
            return {}
        hpa = dialogue.number(
            "barometer", "Air pressure at this place (not reduced to sea level)", "hPa", 600, 1100
        )
        return {"barometer_hpa": hpa, "to_standard_pressure": STANDARD_HPA / hpa}

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        if state.noisy:
            return "a bubble or drop on the membrane, or a torn membrane"
        return "the probe still takes up the temperature of the air"

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        raw = point.plateau.raw
        found = flag_objections(point)
        if step.name == "air" and raw < LOW_MV:
            found.append(
                f"{raw:.0f} mV in air is no signal: probe unplugged, in the "
                "solution without oxygen, or wholly spent"
            )
        if step.name == "zero":
            air = next(one.plateau.raw for one in earlier if one.step.name == "air")
            if raw > 0.5 * air:
                found.append(
                    f"{raw:.0f} mV is more than half of what air gave: still in air, a "
                    "bubble on the membrane, or the sulfite is spent"
                )
        return found

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        by_name = {point.step.name: point for point in points}
        air = by_name["air"]
        limits = self.bench.limits
        air_mv = round(air.plateau.raw, 1)
        checks = [limits.check("do.air", air_mv)]
        zero = by_name.get("zero")
        if zero is not None:
            checks.append(self._zero(zero, air_mv))
        # mV per % of saturation
        per_raw = 100.0 / air_mv
        components = [
            Component("air", rectangular(air.reference.half_width), "B", "moisture of the air, rectangular"),
            Component(
                "converter",
                rectangular(CONVERTER_MV) * per_raw,
                "B",
                "ESP32 after eFuse correction, rectangular",
            ),
            *self.shared_components([air], per_raw, 0.0),
        ]
        fitted = Fitted(
            settings={"air_mv": air_mv, "zero_mv": 0.0},
            commands=(),
            checks=checks,
            components=components,
            unit="%Sat",
            at=100.0,
            residuals=[Residual("air", air.plateau.raw, 100.0, 100.0 - air.plateau.raw * per_raw)],
            x_unit="mV",
            y_unit="%Sat",
            model="% saturation = 100 · mV / mV in air",
            health={"air_mv": air_mv},
            valid=(100.0 * 100.0 / air_mv, 200.0),
        )
        fitted.warnings.append(
            f"under {100.0 * 100.0 / air_mv:.0f} %Sat the signal is under 100 mV, where an ESP32 sees nothing"
        )
        return fitted

    def _zero(self, zero: Point, air_mv: float) -> Check:
        if zero.samples[-1].flags & quality.SATURATED_LOW:
            return Check(
                "signal without oxygen",
                zero.plateau.raw,
                "mV",
                "pass",
                "under what the converter can see (100 mV)",
            )
        return self.bench.limits.check("do.zero", 100.0 * zero.plateau.raw / air_mv)

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        return self.bench.limits.check("do.check", (point.plateau.value or 0.0) - 100.0)
