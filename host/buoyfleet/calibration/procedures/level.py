"""Liquid level: DFRobot SEN0204, a functional test: full and empty, each seen twice. The raw signal is the
pin.

There is nothing to fit. Where every state is seen the wrong way round, the setting `inverted` is turned.
"""

from typing import ClassVar

from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import Check, Fitted, Plateau, Point, Reference, Residual, Step
from buoyfleet.calibration.procedure import Procedure
from buoyfleet.calibration.stability import StabilityRule, State
from sensors.calibration import CalibrationError

ROUNDS = 2


class Level(Procedure):
    """See the module."""

    key = "liqlev"
    place = 8
    interval_days = 180
    bands: ClassVar[dict[str, Band]] = {
        "states": same(
            4,
            4,
            "of 4",
            "states seen as expected",
            "unplugged, stuck by a film or metallic paint, or too far from the liquid",
        ),
    }
    raw_unit = "level"
    rule = StabilityRule(window_s=6, drift_per_min=0.0, noise=0.0, min_s=6, max_s=60)
    points_help = "none: full and empty, twice each"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        self.only(())
        return [self._step(wet, number) for number in range(1, ROUNDS + 1) for wet in (True, False)]

    def _step(self, wet: bool, number: int, verify: bool = False) -> Step:
        name = "full" if wet else "empty"
        prepare = (
            "Fill the vessel over the switch." if wet else "Empty the vessel; wipe its wall under the switch."
        )
        return Step(
            "check" if verify else f"{name}-{number}",
            f"{name}, again" if verify else f"{name} ({number} of {ROUNDS})",
            "full" if wet else "empty",
            (prepare,),
            self.stability,
            amount=float(wet),
            verify=verify,
        )

    def verify_steps(self) -> list[Step]:
        """The published state, once more with liquid."""
        return [self._step(True, 1, verify=True)]

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """1 with liquid, 0 without."""
        return Reference(step.amount, "", 0.0, label=step.title, source="seen by the operator")

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "it flickers: splashes, a film of water, or a loose wire"

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        if earlier and not step.verify and earlier[-1].plateau.raw == point.plateau.raw:
            stuck = (
                "wet: a film of water, metallic paint, too high a sensitivity"
                if point.plateau.raw
                else ("dry: unplugged, or too far from the liquid")
            )
            return [f"the switch reads the same as in {earlier[-1].step.title}; as wired it says {stuck}"]
        return []

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        if len(points) < 2 * ROUNDS:
            raise CalibrationError("full and empty must both be seen twice")
        inverted = bool(self.before.get("inverted", False))
        right = sum(((p.plateau.raw > 0.5) != inverted) == (p.reference.value > 0.5) for p in points)
        warnings = []
        if right == 0:
            inverted, right = not inverted, len(points)
            warnings.append(
                f"every state was seen the wrong way round: `inverted` is now {str(inverted).lower()}"
            )
        return Fitted(
            settings={"inverted": inverted},
            commands=(),
            checks=[self.bench.limits.check("liqlev.states", float(right))],
            components=[],
            unit="",
            at=1.0,
            residuals=[
                Residual(
                    p.step.name,
                    p.plateau.raw,
                    p.reference.value,
                    p.reference.value - float((p.plateau.raw > 0.5) != inverted),
                )
                for p in points
            ],
            x_unit="level",
            y_unit="",
            model="liquid where the level is high" + (", inverted" if inverted else ""),
            health={},
            warnings=warnings,
        )

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        seen = point.plateau.value == step.amount
        return Check(
            "published with liquid",
            float(point.plateau.value or 0.0),
            "",
            "pass" if seen else "fail",
            "1",
            "" if seen else "the switch or its setting changed: start again",
        )
