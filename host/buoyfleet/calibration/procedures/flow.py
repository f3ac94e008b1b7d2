"""Water flow: DFRobot SEN0217, bucket test: pulses and litres at several flows. The raw signal is pulses
per second.

First the flow is steady, then the hose goes into the bucket and both counting and filling begin. K is the
sum of pulses over the sum of litres, so a long run weighs more; the spread between the runs says whether to
believe it.
"""

from typing import ClassVar

from buoyfleet.calibration.dialogue import Dialogue
from buoyfleet.calibration.limits import Band, same
from buoyfleet.calibration.model import (
    Check,
    Component,
    Fitted,
    Plateau,
    Point,
    Reference,
    Residual,
    Sample,
    Step,
)
from buoyfleet.calibration.procedure import Procedure, rectangular
from buoyfleet.calibration.stability import StabilityRule, State
from buoyfleet.model.errors import UsageError
from sensors.calibration import CalibrationError
from sensors.rows import limits_of

FLOWS = ("3", "10", "20")
LITRES = (1.0, 100.0)
LEAST_LITRES = 10.0
BUCKET_HALF_WIDTH_L = 0.03
"""Of a bucket on a scale of ±20 g, with what drips."""
GATE_HALF_WIDTH_S = 0.2
"""How well hose and key go together, at each end."""
NONLINEAR_L_MIN = 2.0
NOISE_HZ = 300.0


class Flow(Procedure):
    """See the module."""

    key = "wf"
    place = 7
    interval_days = 180
    bands: ClassVar[dict[str, Band]] = {
        "pulses_per_l": same(
            *limits_of("wf", "pulses_per_l"),
            "1/L",
            "pulses per litre",
            "debris on the rotor, air in the line, or a wrong volume",
        ),
        "spread": same(
            0, 5, "%", "spread between the runs", "a run went wrong, or the rotor rubs: clean it and repeat"
        ),
        "check": same(-5, 5, "%", "error of a further run", "a run went wrong: repeat the bucket test"),
    }
    ages: ClassVar[dict[str, str]] = {"pulses_per_l": "pulses_per_l"}
    raw_unit = "Hz"
    rule = StabilityRule(
        window_s=20,
        drift_per_min=10.0,
        noise=3.0,
        min_s=20,
        max_s=120,
        relative=True,
        floor=20.0,
        interval_s=2.0,
    )
    points_help = "flows in L/min, about 3,10,20"

    def steps(self) -> list[Step]:
        """See `Procedure.steps`."""
        found = []
        for name in self.bench.points or FLOWS:
            try:
                flow = float(name)
            except ValueError:
                flow = 0.0
            if not 1.0 <= flow <= 30.0:
                raise UsageError(
                    f"wf has no point {name}: 1 to 30 L/min", next_step=f"use {self.points_help}"
                )
            found.append(self._step(flow))
        if len(found) < 2 or len({step.amount for step in found}) != len(found):
            raise UsageError("a bucket test takes two or more different flows", next_step="use 3,10,20")
        return found

    def _step(self, flow: float, verify: bool = False) -> Step:
        return Step(
            f"check-{flow:g}" if verify else f"flow-{flow:g}",
            f"bucket at about {flow:g} L/min" + (", again" if verify else ""),
            f"flow-{flow:g}",
            (
                "Mount the meter level, arrow with the flow; let all air out.",
                f"Open the valve to about {flow:g} L/min, with the hose beside the bucket.",
            ),
            self.stability,
            amount=flow,
            verify=verify,
        )

    def verify_steps(self) -> list[Step]:
        """One more run at the middle flow."""
        flows = sorted(step.amount for step in self.steps())
        return [self._step(flows[len(flows) // 2], verify=True)]

    def begin(self) -> dict[str, object]:
        """No pulse is no fault here: the water may stand."""
        self.before = self.board.sensor_settings(self.key)
        self._last: tuple[int, float] | None = None
        self.board.pulses()
        return {"settings": self.before}

    def sample(self, t_s: float, now_s: float) -> Sample:
        """Pulses per second since the last look."""
        pulses, at_s = self.board.pulses()
        last, self._last = self._last, (pulses, at_s)
        if last is None or at_s <= last[1] or at_s - last[1] > 10.0 * self.stability.interval_s:
            return Sample(t_s, 0.0)
        hertz = (pulses - last[0]) / (at_s - last[1])
        return Sample(t_s, hertz, None, hertz / float(self.before.get("pulses_per_l") or 450.0))

    def reference(self, step: Step, plateau: Plateau, extra: dict[str, float]) -> Reference:
        """Litres per second of the bucket."""
        flow = extra["litres"] / extra["seconds"]
        return Reference(flow, "L/s", 0.01 * flow, label=step.title, source="bucket on a scale")

    def measure(self, step: Step, dialogue: Dialogue, clock_s: float) -> dict[str, float]:
        """The bucket."""
        dialogue.gate("start", "Hose into the bucket and key at the same moment")
        begin, begin_s = self.board.pulses()

        def so_far() -> str:
            now, now_s = self.board.pulses()
            return f"{now - begin} pulses in {now_s - begin_s:.0f} s"

        stop = f"Stop at {LEAST_LITRES:g} L or more: hose out and key at the same moment"
        dialogue.gate("stop", stop, so_far)
        end, end_s = self.board.pulses()
        dialogue.tell(f"  {end - begin} pulses in {end_s - begin_s:.2f} s")
        litres = dialogue.number("litres", "Litres in the bucket (kg of water)", "L", *LITRES)
        return {"pulses": float(end - begin), "litres": litres, "seconds": end_s - begin_s}

    def hint(self, state: State) -> str:
        """See `Procedure.hint`."""
        return "air in the line, or the pressure changes"

    def early_objections(self, step: Step, plateau: Plateau) -> list[str]:
        """See `Procedure.early_objections`."""
        if plateau.raw <= 0.0:
            return ["no pulse: rotor jammed, cable cut, or the water does not run"]
        if plateau.raw > NOISE_HZ:
            return [f"{plateau.raw:.0f} Hz is electrical noise: the meter ends at 225 Hz"]
        return []

    def objections(self, step: Step, point: Point, earlier: list[Point]) -> list[str]:
        """See `Procedure.objections`."""
        flow = 60.0 * point.extra["litres"] / point.extra["seconds"]
        found = []
        for one in earlier:
            other = 60.0 * one.extra["litres"] / one.extra["seconds"]
            if not step.verify and abs(flow - other) < 0.15 * other:
                found.append(f"{flow:.1f} L/min is the flow of {one.step.title} again: runs must differ")
        k = point.extra["pulses"] / point.extra["litres"]
        if not 225.0 <= k <= 900.0:
            found.append(
                f"{k:.0f} pulses per litre is off by half or double: were the litres or the run mistaken?"
            )
        return found

    def solve(self, points: list[Point]) -> Fitted:
        """See `Procedure.solve`."""
        if len(points) < 2:
            raise CalibrationError("one run says nothing of the spread: take two or more")
        pulses = sum(point.extra["pulses"] for point in points)
        litres = sum(point.extra["litres"] for point in points)
        k = round(pulses / litres, 1)
        each = [point.extra["pulses"] / point.extra["litres"] for point in points]
        spread = 100.0 * (max(each) - min(each)) / k
        limits = self.bench.limits
        flows = [point.extra["litres"] / point.extra["seconds"] for point in points]
        warnings = [
            f"{point.step.title}: {point.extra['litres']:.1f} L; {LEAST_LITRES:g} L or more make a good run"
            for point in points
            if point.extra["litres"] < 0.98 * LEAST_LITRES
        ]
        if 60.0 * min(flows) < NONLINEAR_L_MIN:
            warnings.append(f"under {NONLINEAR_L_MIN:g} L/min the meter is not linear")
        slowest = min(points, key=lambda p: p.extra["litres"])
        seconds = min(point.extra["seconds"] for point in points)
        return Fitted(
            settings={"pulses_per_l": k},
            commands=(),
            checks=[limits.check("wf.pulses_per_l", k), limits.check("wf.spread", spread)],
            components=[
                Component(
                    "spread", rectangular(spread / 2.0), "A", "half of what the runs differ, rectangular"
                ),
                Component(
                    "bucket",
                    rectangular(100.0 * BUCKET_HALF_WIDTH_L / slowest.extra["litres"]),
                    "B",
                    "scale and drips",
                ),
                Component(
                    "start and stop",
                    2.0**0.5 * rectangular(100.0 * GATE_HALF_WIDTH_S / seconds),
                    "B",
                    "hose against key",
                ),
                Component(
                    "counting", rectangular(100.0 / min(p.extra["pulses"] for p in points)), "B", "one pulse"
                ),
            ],
            unit="%",
            at=flows[-1],
            residuals=[
                Residual(
                    p.step.name,
                    p.extra["pulses"],
                    p.extra["litres"],
                    p.extra["litres"] - p.extra["pulses"] / k,
                )
                for p in points
            ],
            x_unit="pulses",
            y_unit="L",
            model="litres = pulses / (pulses per litre)",
            health={"pulses_per_l": k},
            valid=(min(flows), max(flows)),
            warnings=warnings,
        )

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """Litres by the K that is on the board against the bucket."""
        k = float(self.board.sensor_settings(self.key).get("pulses_per_l") or 450.0)
        litres = point.extra["pulses"] / k
        return self.bench.limits.check("wf.check", 100.0 * (litres / point.extra["litres"] - 1.0))
