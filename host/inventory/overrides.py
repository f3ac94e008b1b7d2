"""What the command line changes in a fleet file, checked by the same rules and with the same messages."""

from dataclasses import dataclass
from typing import Any

from host.inventory.fields import Field, IdPiece, Ids, Invalid
from host.inventory.format import FLAT_OUT, HIGHEST_ID, PaceSection, Rate, RunSection
from host.inventory.problems import Reporter
from host.inventory.sections import field_of
from host.inventory.target_format import TargetField
from host.inventory.target_section import TargetSection
from host.inventory.yaml_nodes import Scalar

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
        bad=frozenset(bad),
    )
