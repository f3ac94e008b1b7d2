"""calibration.yaml: what a bench has (operator, instruments, bottles), its own limits, and plans to run
unattended.

Every mistake is told with its line, all at once. A bench without the file gets the defaults.
"""

# ruff: noqa: RUF009 (`entry` and `setting` make dataclass fields, which is what the rule wants)

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from buoyfleet.calibration.laboratory import Laboratory
from buoyfleet.calibration.limits import BANDS, Band
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.solutions import KINDS, Lot
from buoyfleet.calibration.stability import StabilityRule
from buoyfleet.inventory.collection_fields import Keyed, Many
from buoyfleet.inventory.fields import Field, Number, Schema, Text, Whole, Word
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Either, Nested, Section, entry, read_section, setting
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar, Sequence, compose
from buoyfleet.model.errors import ConfigurationError, UsageError

FILE = Path("calibration.yaml")
INTERVAL_DAYS: dict[str, int] = {key: one.interval_days for key, one in PROCEDURES.items()}
"""Days after which a sensor is due."""

Program = list[str]
Answer = float | Program
"""A number, or a program that prints it."""
Pair = tuple[float, float]

_MOST = 1e12
_ANY_TEXT = Text("a text", "")
_FROM_ZERO = Number(0, _MOST, "a number from 0")
_SECONDS = duration_field("1 ms", "1 d")


class _Word(Text):
    """A word of a program, which may have `${` in it."""

    def read(self, node: Node, path: str, report: Reporter) -> str:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.text
        return super().read(node, path, report)


_PROGRAM = Many(_Word("a text", ""), least=0)


class _Date(Text):
    def __init__(self) -> None:
        super().__init__("a date as `2027-03-31`", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        try:
            return date.fromisoformat(super().read(node, path, report))
        except ValueError:
            raise self.refuse(node, path, report) from None


class _Answer(Field):
    """A number, or a program that prints it."""

    expected = "a number, or a program as a list of words"
    _number = Number(-_MOST, _MOST, expected)
    _list: Field = _PROGRAM

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        return (self._list if isinstance(node, Sequence) else self._number).read(node, path, report)

    def schema(self) -> Schema:
        return {"anyOf": [self._number.schema(), self._list.schema()]}


class _Answers(Either):
    """One answer, or one for each step."""

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        return (self.mapping if isinstance(node, Mapping) else self.scalar).read(node, path, report)


class _Point(Number):
    """A number, or the name of a point."""

    def __init__(self) -> None:
        super().__init__(-_MOST, _MOST, "a point such as `7` or `'4,7,10'`")

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.text
        return super().read(node, path, report)


class _Points(Many):
    """A list of points, or one text with commas; gives the text."""

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        points = super().read(node, path, report)
        return ",".join(one if isinstance(one, str) else f"{one:g}" for one in points)

    def resolve(self, value: str, folder: Path) -> str:  # noqa: ARG002
        return value


class _Range(Many):
    """A pair of numbers."""

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        pair = super().read(node, path, report)
        if len(pair) != 2:
            raise self.refuse(
                node, path, report, "two numbers are needed, low and high", "write `[low, high]`"
            )
        return tuple(pair)


class _Acceptance(Keyed):
    """`pass`, and beyond it `warn`; gives both."""

    def __init__(self) -> None:
        super().__init__(_Range(Number(-_MOST, _MOST, "a number")), ("pass", "warn"), "key")

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        wrong = len(report.problems)
        pairs = super().read(node, path, report)
        if len(report.problems) > wrong:
            return None
        if "pass" not in pairs:
            raise self.refuse(node, path, report, "the key `pass` is missing; write `pass: [low, high]`")
        passes, warns = pairs["pass"], pairs.get("warn", pairs["pass"])
        if not warns[0] <= passes[0] <= passes[1] <= warns[1]:
            message = "warn must reach at least as far as pass, and low come before high"
            raise self.refuse(node, path, report, message)
        return passes, warns


class _SensorPlan(Nested):
    """A mapping, or nothing: then it has the usual plan."""

    def read(self, node: Node, path: str, report: Reporter) -> Section:
        if isinstance(node, Scalar) and node.value is None:
            return self.section()
        return super().read(node, path, report)


@dataclass
class RuleSection(Section, model=StabilityRule, layered=True):
    """Changes to a stability rule."""

    OF = " of a stability rule"

    window: float | None = setting(_SECONDS, "How long the signal is judged.")
    drift_per_min: float | None = setting(_FROM_ZERO, "Most drift.")
    noise: float | None = setting(_FROM_ZERO, "Most noise.")
    min: float | None = setting(_SECONDS, "Shortest time.")
    max: float | None = setting(_SECONDS, "Longest time.")

    def over(self, rule: StabilityRule) -> StabilityRule:
        """The rule with these changes."""
        return replace(rule, **self.model_values(Path()))


@dataclass
class BottleSection(Section, model=Lot):
    """A lot of a solution."""

    OF = " of a bottle"

    lot: str = setting(Text("the name of a lot", r"\S"), "What is on the bottle.")
    kind: str = setting(Word(tuple(KINDS), "kind of solution"), "What is in it.")
    expires: date | None = setting(_Date(), "Last day of use.")
    opened: date | None = setting(_Date(), "Day on which it was opened.")
    maker: str = setting(_ANY_TEXT, "Who made it.")
    tolerance: float | None = setting(
        Number(1e-12, _MOST, "a number above 0"), "Half width of its certificate, in the unit of its kind."
    )


@dataclass
class SensorPlan(Section):
    """How one sensor is calibrated unattended."""

    OF = " of a sensor's plan"

    points: str | None = entry(_Points(_Point(), alone=True), "Points of the calibration.")
    values: dict[str, Answer | dict[str, Answer]] = entry(
        Keyed(_Answers(_Answer(), Keyed(_Answer(), what="step"))),
        "Answer by the name of its question (barometer, reference, litres), or by step.",
        default_factory=dict,
    )
    seconds: float | dict[str, float] | None = entry(
        Either(_SECONDS, Keyed(_SECONDS, what="step")), "How long a bucket runs."
    )


@dataclass
class Plan(Section):
    """What an automated bench does."""

    OF = " of `plan`"

    move: Program = entry(
        _PROGRAM,
        "Program that brings a probe into a vessel; {board} {key} {vessel} {step} are filled in, and "
        "{probes} becomes the probe and the thermometer that goes with it.",
        default_factory=list,
    )
    move_timeout: float = entry(_SECONDS, "How long that may take.", default=120.0)
    attempts: int = entry(Whole(1, 10), "How often a step is tried.", default=2)
    sensors: dict[str, SensorPlan] = entry(
        Keyed(_SensorPlan(SensorPlan), tuple(PROCEDURES), "sensor"), "Plans of sensors.", default_factory=dict
    )


@dataclass
class BenchFile(Section):
    """A whole calibration.yaml."""

    operator: str = entry(_ANY_TEXT, "Who calibrates.", default="")
    laboratory: Laboratory | None = entry(Nested(Laboratory), "Head of the certificate.")
    records: str = entry(_ANY_TEXT, "Folder of records and certificates.", default="calibrations")
    instruments: dict[str, str] = entry(
        Keyed(_ANY_TEXT, what="instrument"), "Instruments by name.", default_factory=dict
    )
    solutions: list[BottleSection] = entry(
        Many(Nested(BottleSection, "a mapping with `lot` and `kind`"), least=0),
        "Bottles.",
        default_factory=list,
    )
    stability: dict[str, RuleSection] = entry(
        Keyed(Nested(RuleSection), tuple(PROCEDURES), "sensor"), "Rules of this bench.", default_factory=dict
    )
    acceptance: dict[str, tuple[Pair, Pair]] = entry(
        Keyed(_Acceptance(), tuple(BANDS), "limit"), "Limits of this bench.", default_factory=dict
    )
    intervals: dict[str, float] = entry(
        Keyed(duration_field("1 s", "3660 d"), tuple(PROCEDURES), "sensor"),
        "When a sensor is due.",
        default_factory=dict,
    )
    plan: Plan | None = entry(Nested(Plan), "What an automated bench does.")


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
    file = BenchFile() if node is None else read_section(BenchFile, node, "", report)
    _check(file, report)
    if report.problems:
        raise ConfigurationError(report.finished())
    return _config(file, str(path))


def _check(file: BenchFile, report: Reporter) -> None:
    seen: set[str] = set()
    for bottle in file.solutions:
        if bottle.lot in seen:
            report.add(
                bottle.line(), bottle.path, f"lot {bottle.lot} stands twice", "give each bottle its own lot"
            )
        seen.add(bottle.lot)
    for key, changes in file.stability.items():
        rule = changes.over(PROCEDURES[key].rule)
        if not rule.window_s <= rule.max_s or not rule.min_s <= rule.max_s:
            message = "the longest time is shorter than the window or the least time"
            report.add(changes.line(), changes.path, message)


def _config(file: BenchFile, source: str) -> BenchConfig:
    laboratory = (file.laboratory or Laboratory()).content()
    config = BenchConfig(source, file.operator, laboratory, Path(file.records), file.instruments)
    config.lots = [Lot(**bottle.model_values(Path())) for bottle in file.solutions]
    config.rules = {key: changes.over(PROCEDURES[key].rule) for key, changes in file.stability.items()}
    config.bands = {
        name: replace(BANDS[name], passes=passes, warns=warns)
        for name, (passes, warns) in file.acceptance.items()
    }
    config.intervals.update({key: seconds / 86400 for key, seconds in file.intervals.items()})
    config.plan = file.plan
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
