"""What a cause is: the reason in words, and the advice, with the figures of what was lost."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of the losses of one cause, in words."""

    store: str
    stage: str
    after: str
    """The other stage where two matter; for delays the stage that came next."""
    reason: str
    detail: str
    """A stage's sentence about one of them, without its full stop."""
    details: tuple[str, ...] = ()
    """Different sentences, up to some dozens."""
    dwell: str = ""
    """Longest stay between the two stages, e.g. `95.0 s`."""
    note: str = ""
    """A log line of the stage."""
    sent_as_text: bool = False
    """Whether a board of this run sent one of the measures as text."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the table: the reason, and the advice."""

    why: str | Callable[[Figures], str]
    change: str | Callable[[Figures], str]

    def words(self, figures: Figures) -> tuple[str, str]:
        """(why, change) with the figures filled in."""
        fields = {name: getattr(figures, name) for name in Figures.__dataclass_fields__}
        why = self.why(figures) if callable(self.why) else self.why.format(**fields)
        change = self.change(figures) if callable(self.change) else self.change.format(**fields)
        return why, change
