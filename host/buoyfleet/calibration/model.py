"""What the parts of a calibration pass to each other."""

from dataclasses import dataclass, field
from typing import Literal

from buoyfleet.calibration.stability import StabilityRule

Verdict = Literal["pass", "warn", "fail"]
ORDER: tuple[Verdict, ...] = ("pass", "warn", "fail")


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of some verdicts; `pass` of none."""
    return max(verdicts, key=ORDER.index, default="pass")


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a probe."""

    t_s: float
    """Since the point was begun."""
    raw: float
    """The signal, in the procedure's raw unit, before every calibration."""
    temperature_c: float | None = None
    value: float | None = None
    """What the board made of it with the coefficients in force, in the published unit."""
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Plateau:
    """The stable end of a point: statistics of the samples of its window."""

    raw: float
    noise: float
    """Standard deviation of the samples about their trend, in the raw unit."""
    drift_per_min: float
    count: int
    elapsed_s: float
    temperature_c: float | None
    value: float | None
    """Mean of what the board made of the samples."""
    stable: bool
    reason: str = ""
    """Why it is not stable."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a point truly is, and how that is known."""

    value: float
    """In the published unit, or in that of the procedure's fit (see its docstring)."""
    unit: str
    half_width: float
    """Limits of a rectangular distribution about `value`, same unit: the maker's tolerance."""
    per_c: float = 0.0
    """How much it changes per °C."""
    temperature_c: float | None = None
    thermometer: str = ""
    label: str = ""
    lot: str = ""
    expires: str = ""
    opened: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: put the probe somewhere, wait until it is stable, take the point."""

    name: str
    title: str
    vessel: str
    """Name of what the probe goes into, as automated benches know it (`ph-7`, `air`, `formazin-400`)."""
    prepare: tuple[str, ...]
    rule: StabilityRule
    solution: str = ""
    """Kind of the bottled solution, if it is one (buoyfleet.calibration.solutions)."""
    amount: float = 0.0
    """What the number of a numbered vessel says: NTU, metres, L/min."""
    optional: bool = False
    verify: bool = False
    """After writing: the reading is compared, nothing is fitted."""


@dataclass(slots=True)
class Point:
    """A step that was carried out."""

    step: Step
    attempt: int
    reference: Reference
    plateau: Plateau
    samples: list[Sample]
    forced: bool = False
    """Taken although unstable, or against an objection."""
    objections: tuple[str, ...] = ()
    extra: dict[str, float] = field(default_factory=dict)
    """What only this procedure needs: pulses, litres, millivolts."""

    @property
    def celsius(self) -> float:
        """Temperature of the solution; 25 where the reference has none."""
        return 25.0 if self.reference.temperature_c is None else self.reference.temperature_c

    @property
    def as_found(self) -> float | None:
        """Error of the board's reading with the coefficients that were in force, published unit."""
        return None if self.plateau.value is None else self.plateau.value - self.reference.value


@dataclass(frozen=True, slots=True)
class Check:
    """A figure held against its limits."""

    name: str
    value: float
    unit: str
    verdict: Verdict
    limits: str
    """In words, e.g. `95 to 105, warn 90 to 110`."""
    reason: str = ""
    """What a bad figure means and what to do."""


@dataclass(frozen=True, slots=True)
class Component:
    """A contribution to the uncertainty of the calibrated reading."""

    name: str
    standard: float
    """Standard uncertainty, in the unit of the budget."""
    kind: Literal["A", "B"]
    """A: from the spread of samples; B: from anything else (GUM)."""
    source: str


@dataclass(frozen=True, slots=True)
class Residual:
    """One point of the fit."""

    step: str
    measured: float
    """What the fit takes, in `Fitted.x_unit`."""
    reference: float
    """What it should give, in `Fitted.y_unit`."""
    residual: float
    """Reference minus fitted, in `Fitted.y_unit`."""


@dataclass(slots=True)
class Fitted:
    """What was found."""

    settings: dict[str, object]
    """Changes to the settings of the driver: what is written to the board."""
    commands: tuple[str, ...]
    """What an EZO circuit was sent; its calibration is on its chip."""
    checks: list[Check]
    components: list[Component]
    unit: str
    """Of components and uncertainty."""
    at: float
    """Value the budget is made for, in the published unit."""
    residuals: list[Residual]
    x_unit: str
    y_unit: str
    model: str
    """The formula in words."""
    health: dict[str, float]
    """Figures whose history tells how the probe ages."""
    valid: tuple[float, float] | None = None
    """Published values between which points were taken; outside the calibration is extrapolated."""
    warnings: list[str] = field(default_factory=list)

    @property
    def standard_uncertainty(self) -> float:
        """Root of the sum of squares of the components."""
        return float(sum(component.standard**2 for component in self.components) ** 0.5)

    @property
    def uncertainty(self) -> float:
        """Expanded, k = 2."""
        return 2.0 * self.standard_uncertainty

    @property
    def verdict(self) -> Verdict:
        """The worst of its checks."""
        return worst([check.verdict for check in self.checks])
