"""Acceptance limits: what passes, what warns, what fails. Defaults are those of the sensor reference.

A bench changes them in its calibration.yaml under `acceptance`.
"""

from dataclasses import dataclass

from buoyfleet.calibration.model import Check, Verdict


@dataclass(frozen=True, slots=True)
class Band:
    """`passes` and `warns` are (low, high), both included; outside `warns` fails."""

    passes: tuple[float, float]
    warns: tuple[float, float]
    unit: str
    name: str
    meaning: str
    """What a figure outside means, and what to do."""

    def judge(self, value: float) -> Verdict:
        """The verdict on a figure."""
        if self.passes[0] <= value <= self.passes[1]:
            return "pass"
        return "warn" if self.warns[0] <= value <= self.warns[1] else "fail"

    def text(self) -> str:
        """The limits in words."""
        words = f"{self.passes[0]:g} to {self.passes[1]:g}"
        return words if self.warns == self.passes else f"{words}, warn {self.warns[0]:g} to {self.warns[1]:g}"


def same(low: float, high: float, unit: str, name: str, meaning: str) -> Band:
    """A band without a zone that warns."""
    return Band((low, high), (low, high), unit, name, meaning)


BANDS: dict[str, Band] = {}
"""Limits by name, `ph.zero`: each procedure brings those of its sensor (buoyfleet.calibration.procedures)."""


class Limits:
    """The limits of one bench.

    Args:
        changes: name → `Band` in place of the default.
    """

    def __init__(self, changes: dict[str, Band] | None = None) -> None:
        self.bands = {**BANDS, **(changes or {})}

    def check(self, name: str, value: float, title: str = "") -> Check:
        """A figure against its limits; `title` if its name says not enough."""
        band = self.bands[name]
        verdict = band.judge(value)
        reason = "" if verdict == "pass" else band.meaning
        return Check(title or band.name, value, band.unit, verdict, band.text(), reason)
