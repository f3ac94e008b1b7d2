"""What the command line changes in a fleet file, checked by the same rules and with the same messages."""

from dataclasses import dataclass
from typing import Any

from buoyfleet.inventory.fields import Field, IdPiece, Ids, Invalid
from buoyfleet.inventory.format import FLAT_OUT, HIGHEST_ID, PaceSection, Rate, RunSection
from buoyfleet.inventory.limits_format import LIFTED, LIMITS
from buoyfleet.inventory.problems import Reporter, nearest
from buoyfleet.inventory.sections import field_of
from buoyfleet.inventory.target_format import TargetField
from buoyfleet.inventory.target_section import TargetSection
from buoyfleet.inventory.yaml_nodes import Scalar
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.limits import TwinLimits
from buoyfleet.model.twin import LimitSetting

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options of `buoy run` and `buoy check`, as typed; None or empty: as in the file."""

    count: str | int | None = None
    interval: str | None = None
    rate: str | None = None
    duration: str | None = None
    flat_out: bool = False
    boards: str | None = None
    """Ids: only these boards take part."""
    target: str | None = None
    seed: str | int | None = None
    limits: tuple[str, ...] = ()
    """`NAME=VALUE` each, names and values as under `target.twin.limits`."""


@dataclass(slots=True)
class Changes:
    """The options' values. `bad` holds the options that were refused: no more is to be said about those."""

    messages: int | None = None
    interval_ms: float | None = None
    duration_s: float | None = None
    boards: list[IdPiece] | None = None
    target: TargetSection | None = None
    target_is_word: bool = False
    seed: int | None = None
    limits: tuple[LimitSetting, ...] = ()
    bad: frozenset[str] = frozenset()

    def says(self, name: str) -> bool:
        """Whether the command line has something to say, be it good or bad."""
        return getattr(self, name) is not None or name in self.bad


def read_overrides(overrides: Overrides, report: Reporter) -> Changes:
    """Check the options; what is wrong is reported."""
    bad: set[str] = set()

    def read(option: str, name: str, text: str | int | None, field: Field) -> Any:
        if text is None:
            return None
        try:
            return field.read(Scalar(str(text).strip()), option, report)
        except Invalid:
            bad.add(name)
            return None

    paces = {
        "--interval": overrides.interval,
        "--rate": overrides.rate,
        "--flat-out": overrides.flat_out or None,
    }
    given = [option for option, value in paces.items() if value is not None]
    interval_ms = read("--interval", "interval_ms", overrides.interval, field_of(PaceSection, "interval"))
    by_rate = read("--rate", "interval_ms", overrides.rate, Rate())
    if len(given) > 1:
        report.add(0, " and ".join(given), "only one of these can set the pace", "leave the others out")
        bad.add("interval_ms")
    if overrides.flat_out:
        interval_ms = FLAT_OUT
    target = overrides.target
    return Changes(
        messages=read("--count", "messages", overrides.count, field_of(PaceSection, "messages")),
        interval_ms=by_rate if interval_ms is None else interval_ms,
        duration_s=read("--duration", "duration_s", overrides.duration, field_of(RunSection, "duration")),
        boards=read("--boards", "boards", overrides.boards, Ids(HIGHEST_ID)),
        target=read("--target", "target", target, TargetField()),
        target_is_word=target is not None and "://" not in target,
        seed=read("--seed", "seed", overrides.seed, field_of(RunSection, "seed")),
        limits=_limits(overrides.limits, report),
        bad=frozenset(bad),
    )


def limits_of(texts: tuple[str, ...]) -> tuple[LimitSetting, ...]:
    """Limits as options give them, without a fleet.

    Raises:
        ConfigurationError: with every mistake.
    """
    report = Reporter(COMMAND_LINE)
    settings = _limits(texts, report)
    try:
        TwinLimits.of(False, settings)
    except ValueError as error:
        report.add(0, "--limit", str(error))
    problems = report.finished()
    if problems:
        raise ConfigurationError(problems)
    return settings


def _limits(texts: tuple[str, ...], report: Reporter) -> tuple[LimitSetting, ...]:
    fields = {limit.key: limit for limit in LIMITS}
    settings = []
    for text in texts:
        name, found, value = (part.strip() for part in text.partition("="))
        if not found or name not in fields:
            close = nearest(name, tuple(fields))
            hint = f"did you mean `{close}=VALUE`?" if close else "write e.g. `--limit publishes_in=50/s`"
            report.add(0, "--limit", f"'{text}' is no limit; write NAME=VALUE", hint)
            continue
        try:
            read = fields[name].kind.read(Scalar(value), f"--limit {name}", report)
        except Invalid:
            continue
        settings.append(LimitSetting(fields[name].name, None if read == LIFTED else read))
    return tuple(settings)
