"""calibration.yaml: what a bench has (operator, instruments, bottles), its own limits, and plans to run
unattended.

Every mistake is told with its line, all at once. A bench without the file gets the defaults.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from buoyfleet.calibration.limits import BANDS, Band
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.solutions import KINDS, Lot
from buoyfleet.calibration.stability import StabilityRule
from buoyfleet.inventory.problems import Reporter, did_you_mean
from buoyfleet.inventory.values import Mistake, parse_duration
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Sequence, compose, plain_data
from buoyfleet.model.errors import ConfigurationError, UsageError

FILE = Path("calibration.yaml")
INTERVAL_DAYS: dict[str, int] = {key: one.interval_days for key, one in PROCEDURES.items()}
"""Days after which a sensor is due."""


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(parse_duration(value))
        except Mistake as mistake:
            raise ValueError(mistake.message) from None
    raise ValueError(f"{value} has no unit; write e.g. 30 s")


def _days(value: Any) -> Any:
    return _seconds(value) / 86400.0


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86400)]
Days = Annotated[float, BeforeValidator(_days), Field(gt=0, le=3660)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Rule(_Part):
    """Changes to a stability rule."""

    window: Seconds | None = None
    drift_per_min: float | None = Field(None, ge=0)
    noise: float | None = Field(None, ge=0)
    min: Seconds | None = None
    max: Seconds | None = None

    def over(self, rule: StabilityRule) -> StabilityRule:
        """The rule with these changes."""
        return StabilityRule(
            self.window or rule.window_s,
            rule.drift_per_min if self.drift_per_min is None else self.drift_per_min,
            rule.noise if self.noise is None else self.noise,
            self.min or rule.min_s,
            self.max or rule.max_s,
            rule.relative,
            rule.floor,
            rule.interval_s,
        )


Pair = tuple[float, float]


class Acceptance(_Part):
    """Limits of one figure: (low, high)."""

    passes: Pair = Field(alias="pass", strict=False)
    warns: Pair | None = Field(None, alias="warn", strict=False)

    @model_validator(mode="after")
    def _ordered(self) -> "Acceptance":
        warns = self.warns or self.passes
        if not warns[0] <= self.passes[0] <= self.passes[1] <= warns[1]:
            raise ValueError("warn must reach at least as far as pass, and low come before high")
        return self


class Bottle(_Part):
    """A lot of a solution."""

    lot: str = Field(min_length=1)
    kind: str
    expires: str | None = None
    opened: str | None = None
    maker: str = ""
    tolerance: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _known(self) -> "Bottle":
        if self.kind not in KINDS:
            raise ValueError(f"kind is '{self.kind}'; one of {', '.join(KINDS)}")
        for name in ("expires", "opened"):
            text = getattr(self, name)
            if text is not None:
                try:
                    date.fromisoformat(text)
                except ValueError:
                    raise ValueError(f"{name} is '{text}'; a date as 2027-03-31") from None
        return self

    def lot_of(self) -> Lot:
        """As the procedures take it."""
        return Lot(
            self.lot,
            self.kind,
            date.fromisoformat(self.expires) if self.expires else None,
            date.fromisoformat(self.opened) if self.opened else None,
            self.maker,
            self.tolerance,
        )


Program = list[str]
Number = float | int | Program
"""A number, or a program that prints it."""


class SensorPlan(_Part):
    """How one sensor is calibrated unattended."""

    points: list[str | int | float] | str | None = None
    values: dict[str, Number | dict[str, Number]] = {}
    """Answer by the name of its question (barometer, reference, litres), or by step."""
    seconds: Seconds | dict[str, Seconds] | None = None
    """How long a bucket runs."""


class Plan(_Part):
    """What an automated bench does."""

    move: Program = Field(default_factory=list)
    """Program that brings a probe into a vessel; {board} {key} {vessel} {step} are filled in, and {probes}
    becomes the probe and the thermometer that goes with it."""
    move_timeout: Seconds = 120.0
    attempts: int = Field(default=2, ge=1, le=10)
    sensors: dict[str, SensorPlan | None] = {}


LOGO_BYTES = 200_000
_LOGOS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""First bytes of a picture → its type."""


class Laboratory(_Part):
    """Who calibrates, for the head of the certificate."""

    name: str = ""
    address: str = ""
    logo: str = ""

    def content(self) -> dict[str, str]:
        """For the record: the logo is in it, as certificates are made from the record alone.

        Raises:
            ValueError: the logo cannot be read, is too large, or is neither PNG nor JPEG.
        """
        found = {"name": self.name, "address": self.address}
        if not self.logo:
            return found
        try:
            data = Path(self.logo).read_bytes()
        except OSError as error:
            raise ValueError(f"the logo cannot be read: {self.logo}: {error.strerror}") from None
        kind = next((kind for first, kind in _LOGOS.items() if data.startswith(first)), "")
        if not kind:
            raise ValueError(f"the logo is neither PNG nor JPEG: {self.logo}")
        if len(data) > LOGO_BYTES:
            raise ValueError(f"the logo has {len(data)} bytes, at most {LOGO_BYTES} are taken: {self.logo}")
        return {**found, "logo": f"data:{kind};base64,{b64encode(data).decode()}"}

    @model_validator(mode="after")
    def _readable(self) -> "Laboratory":
        self.content()
        return self


class _File(_Part):
    operator: str = ""
    laboratory: Laboratory = Laboratory()
    records: str = "calibrations"
    instruments: dict[str, str] = {}
    solutions: list[Bottle] = []
    stability: dict[str, Rule] = {}
    acceptance: dict[str, Acceptance] = {}
    intervals: dict[str, Days] = {}
    plan: Plan | None = None


@dataclass(slots=True)
class BenchConfig:
    """A bench, checked."""

    source: str = "built-in defaults"
    operator: str = ""
    laboratory: dict[str, str] = field(default_factory=dict)
    """Name, address and logo (as a data URL) for certificates."""
    records: Path = Path("calibrations")
    instruments: dict[str, str] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)
    rules: dict[str, StabilityRule] = field(default_factory=dict)
    bands: dict[str, Band] = field(default_factory=dict)
    intervals: dict[str, float] = field(
        default_factory=lambda: {k: float(v) for k, v in INTERVAL_DAYS.items()}
    )
    plan: Plan | None = None


def load_config(path: Path | None) -> BenchConfig:
    """Read a bench's file.

    Args:
        path: as given; None: `calibration.yaml` here, if there is one.

    Raises:
        ConfigurationError: with every mistake in it.
        UsageError: it cannot be read.
    """
    if path is None:
        if not FILE.exists():
            return BenchConfig()
        path = FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the bench's file cannot be read: {error}", where=str(path)) from error
    report = Reporter(str(path), text)
    node = compose(text, report) if text.strip() else None
    if node is not None and not isinstance(node, Mapping):
        report.add(1, "", "the file is no mapping", "write keys and values, e.g. `operator: M. Lee`")
        node = None
    parsed = _File() if node is None else _validated(node, report)
    if parsed is not None and node is not None:
        _check_names(parsed, node, report)
    if report.problems or parsed is None:
        raise ConfigurationError(report.finished())
    return _config(parsed, str(path))


def _validated(node: Mapping, report: Reporter) -> _File | None:
    try:
        return _File.model_validate(plain_data(node))
    except ValidationError as error:
        for detail in error.errors():
            place, line = _place(node, detail["loc"])
            if detail["type"] == "extra_forbidden":
                name = str(detail["loc"][-1])
                message, hint = "unknown key", did_you_mean(name, _siblings(detail["loc"]))
            else:
                message, hint = detail["msg"].removeprefix("Value error, "), ""
            report.add(line, place, message, hint)
        return None


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "laboratory": Laboratory,
        "solutions": Bottle, "stability": Rule, "acceptance": Acceptance, "plan": Plan,
    }  # fmt: skip
    model = _File if len(location) == 1 else models.get(str(location[0]), _File)
    if "sensors" in location:
        model = SensorPlan
    return [one.alias or name for name, one in model.model_fields.items()]


def _place(node: Node, location: tuple[int | str, ...]) -> tuple[str, int]:
    """Path and line of an error, as far as the document goes."""
    path, line = "", node.line
    for item in location:
        if isinstance(node, Mapping) and str(item) in node.items:
            key, node = node.items[str(item)]
            line = key.line
            path += f".{item}" if path else str(item)
        elif isinstance(node, Sequence) and isinstance(item, int) and item < len(node.items):
            node = node.items[item]
            line = node.line
            path += f"[{item}]"
        else:
            break
    return path, line


def _check_names(parsed: _File, node: Mapping, report: Reporter) -> None:
    groups: list[tuple[tuple[str, ...], list[str], list[str]]] = [
        (("stability",), list(parsed.stability), list(PROCEDURES)),
        (("intervals",), list(parsed.intervals), list(PROCEDURES)),
        (("acceptance",), list(parsed.acceptance), list(BANDS)),
        (("plan", "sensors"), list(parsed.plan.sensors) if parsed.plan else [], list(PROCEDURES)),
    ]
    for path, names, known in groups:
        for name in names:
            if name not in known:
                place, line = _place(node, (*path, name))
                report.add(line, place, f"`{name}` is none of {', '.join(known)}", did_you_mean(name, known))
    seen: set[str] = set()
    for index, bottle in enumerate(parsed.solutions):
        if bottle.lot in seen:
            place, line = _place(node, ("solutions", index))
            report.add(line, place, f"lot {bottle.lot} stands twice", "give each bottle its own lot")
        seen.add(bottle.lot)
    for key, rule in parsed.stability.items():
        if key in PROCEDURES:
            merged = rule.over(PROCEDURES[key].rule)
            if not merged.window_s <= merged.max_s or not merged.min_s <= merged.max_s:
                place, line = _place(node, ("stability", key))
                report.add(line, place, "the longest time is shorter than the window or the least time")


def _config(parsed: _File, source: str) -> BenchConfig:
    config = BenchConfig(
        source, parsed.operator, parsed.laboratory.content(), Path(parsed.records), dict(parsed.instruments)
    )
    config.lots = [bottle.lot_of() for bottle in parsed.solutions]
    config.rules = {key: rule.over(PROCEDURES[key].rule) for key, rule in parsed.stability.items()}
    for name, one in parsed.acceptance.items():
        default = BANDS[name]
        config.bands[name] = Band(
            one.passes, one.warns or one.passes, default.unit, default.name, default.meaning
        )
    config.intervals.update(parsed.intervals)
    config.plan = parsed.plan
    return config


def choose_lots(
    config: BenchConfig, kinds: list[str], chosen: list[str], today: date, force: bool
) -> dict[str, Lot]:
    """Bottle by kind: those named, else the only good one of its kind on the bench.

    Args:
        config: of the bench.
        kinds: of solutions that will be used.
        chosen: lots named on the command line.
        today: for expiry.
        force: expired ones may be used.

    Raises:
        UsageError: a lot that is not on the bench, of another kind, twice of one kind, or expired.
    """
    by_lot = {lot.lot: lot for lot in config.lots}
    found: dict[str, Lot] = {}
    troubles: list[str] = []
    for name in chosen:
        lot = by_lot.get(name)
        if lot is None:
            known = ", ".join(by_lot) or "none is listed"
            troubles.append(f"lot {name} is not in {config.source} ({known})")
        elif lot.kind not in kinds:
            continue  # for another sensor of the same session
        elif lot.kind in found:
            troubles.append(f"lots {found[lot.kind].lot} and {name} are both {lot.kind}")
        else:
            found[lot.kind] = lot
    for kind in kinds:
        if kind not in found:
            good = [lot for lot in config.lots if lot.kind == kind and not lot.trouble(today)]
            stale = [lot for lot in config.lots if lot.kind == kind]
            if len(good) == 1:
                found[kind] = good[0]
            elif len(good) > 1:
                troubles.append(f"{', '.join(lot.lot for lot in good)} are all {kind}: say which")
            elif stale:
                found[kind] = stale[0]
    if not force:
        troubles += [trouble for lot in found.values() if (trouble := lot.trouble(today))]
    if troubles:
        raise UsageError(
            "; ".join(troubles),
            where=config.source,
            cause="an old solution calibrates a good probe wrong"
            if any("expired" in t or "opened" in t for t in troubles)
            else "",
            next_step="open a fresh bottle and list it, choose with --solution LOT, "
            "or use --force, which the certificate shows",
        )
    return found
