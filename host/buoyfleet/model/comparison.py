"""What two runs have in common and where they differ: the result of `buoy compare`."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of both runs."""

    metric: str
    """A metric of thresholds (buoyfleet.model.thresholds), or `cpu.message`."""
    unit: str
    base: float | None
    """None: nothing to measure in that run."""
    other: float | None
    band: tuple[float, float] | None = None
    """95 % interval of the ratio, from how far boards differ from one another; None: a count, or too little
    to compare."""

    @property
    def ratio(self) -> float | None:
        """Other to base; infinite where only the base is 0, None where there is nothing to compare."""
        if self.base is None or self.other is None:
            return None
        if self.base == 0:
            return 1.0 if self.other == 0 else float("inf")
        return self.other / self.base


@dataclass(frozen=True, slots=True)
class CauseChange:
    """One cause of losses, in measures."""

    store: str
    kind: str
    cause: str
    base: int
    other: int


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One place of the fleet files in which they differ, as JSON; empty: not there."""

    place: str
    base: str
    other: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A condition of `--fail-if`."""

    text: str
    fails: bool
    """It holds over the whole band, or cannot be decided."""
    words: str
    """What was found."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs."""

    run_id: str
    folder: str
    verdict: str
    sentence: str
    messages: int
    errors: tuple[str, ...] = ()
    """What boards said of themselves, each once."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run held against another."""

    base: Side
    other: Side
    figures: list[Figure]
    causes: list[CauseChange]
    settings: list[SettingChange]
    judged: list[Judged] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no condition makes it fail."""
        return not any(one.fails for one in self.judged)
