"""Total dissolved solids: DFRobot SEN0244, one point in the 1413 µS/cm standard. The raw signal is mV.

K is the standard's conductivity at its own temperature over what the maker's cubic makes of the voltage; so
the probe's temperature compensation does not enter.
"""

from typing import ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Component, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import Procedure, flag_objections, rectangular
from buoyfleet.calibration.solutions import KINDS, reference_of
from buoyfleet.calibration.stability import StabilityRule, State
from sensors import quality
from sensors.calibration import CalibrationError, tds_k
from sensors.rows import limits_of
from sensors.transfer import TDS_CUBIC, TDS_FACTOR, tds_raw_ec

KIND = "ec-1413"
STANDARD_C = 25.0
CONVERTER_MV = 10.0
"""Half width of what an ESP32's converter may be off in its 11 dB range, after eFuse correction."""


class Solids(Procedure):
    """See the module."""

    key = "tds"
    place = 4
    interval_days = 90
    bands: ClassVar[dict[str, Band]] = {
        "k": Band(
            (0.7, 1.3),
            limits_of("tds", "k"),
            "",
            "K",
            "fouled pins, wrong standard, or a clone with another curve",
        ),
        "check": same(
            -5, 5, "%", "error after calibration", "bubbles between the pins, or a spoiled standard"
        ),
    }
    ages: ClassVar[dict[str, str]] = {"k": "k"}
    needs = ("1413",)
    raw_unit = "mV"
    rule = StabilityRule(window_s=20, drift_per_min=8.0, noise=1.5, min_s=20, max_s=180)
    needs_temperature = requires_temperature = True
    points_help = "1413"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        self.only(("1413",))
        return [self._step()]

    def _step(self, verify: bool = False) -> Step:
        label = KINDS[KIND].label
        return Step(
            "check" if verify else "1413",
            f"{label}, again" if verify else f"{label} (707 ppm)",
            KIND,
            (
                "Clean the pins with a soft brush; rinse with a little of the standard.",
                f"Put the probe into fresh {label}, pins covered, the thermometer beside it; tap it until "
                "no bubble is left. No EC probe beside it.",
            ),
            self.stability,
            solution=KIND,
            verify=verify,
        )

    def verify_steps(self) -> list[Step]:
        """See `Procedure.verify_steps`."""
        return [self._step(verify=True)]

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """ppm at 25 °C on the scale of the part, of the standard at its own temperature."""
        celsius, name = self.celsius_of(plateau), self.bench.thermometer.name
        found = reference_of(KIND, celsius, name, self.bench.lots.get(KIND))
        return Reference(
            TDS_FACTOR * KINDS[KIND].value(STANDARD_C),
            "ppm",
            TDS_FACTOR * found.half_width,
            TDS_FACTOR * found.per_c,
            found.temperature_c,
            found.thermometer,
            found.label,
            found.lot,
            found.expires,
            found.opened,
            found.source,
        )

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "bubbles between the pins, or an EC probe close by" if state.noisy else ""

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        if point.samples[-1].flags & quality.SATURATED_LOW:
            return [
                f"{point.plateau.raw:.0f} mV is under what the converter sees: "
                "probe in air, unplugged, or another standard"
            ]
        found = flag_objections(point)
        if found:
            return [f"{found[0]}: pins bridged, or a stronger standard"]
        if not step.verify:
            try:
                self._k(point)
            except CalibrationError as error:
                return [f"{error}: wrong standard, or bubbles"]
        return []

    def _k(self, point: Point) -> float:
        celsius = point.celsius
        # As if at 25 °C, so that the driver's own compensation stays out of it.
        known_ppm = TDS_FACTOR * KINDS[KIND].value(celsius)
        volts = point.plateau.raw / 1000.0
        coefficients = self.before.get("coefficients") or TDS_CUBIC
        if tuple(coefficients) != TDS_CUBIC:
            raw_ec = tds_raw_ec(volts, 1.0, coefficients)
            if raw_ec <= 0:
                raise CalibrationError(f"{volts:.3f} V is no signal by this board's own coefficients")
            return 2.0 * known_ppm / raw_ec
        return tds_k(volts, STANDARD_C, known_ppm)

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        (point,) = points
        k = round(self._k(point), 4)
        true = point.reference.value
        volts = point.plateau.raw / 1000.0
        per_mv = true * (tds_raw_ec(volts + 0.001) / tds_raw_ec(volts) - 1.0)
        return Fitted(
            settings={"k": k},
            commands=(),
            checks=[self.bench.limits.check("tds.k", k)],
            components=[
                Component(
                    "standard",
                    rectangular(point.reference.half_width),
                    "B",
                    "tolerance of the bottle, rectangular",
                ),
                Component(
                    "converter",
                    rectangular(CONVERTER_MV) * per_mv,
                    "B",
                    "ESP32 after eFuse correction, rectangular",
                ),
                *self.shared_components([point], per_mv, point.reference.per_c),
            ],
            unit="ppm",
            at=true,
            residuals=[Residual("1413", point.plateau.raw, true, 0.0)],
            x_unit="mV",
            y_unit="ppm",
            model="K = conductivity of the standard at its temperature / maker's cubic of the voltage",
            health={"k": k},
            valid=(0.05 * true, 1120.0),
            warnings=["one point only: the shape of the maker's curve was not looked at"],
        )

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """The board's K on its own voltage against the standard."""
        k = float(self.board.sensor_settings(self.key).get("k") or 1.0)
        return self.bench.limits.check("tds.check", 100.0 * (k / self._k(point) - 1.0))
