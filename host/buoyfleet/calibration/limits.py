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


def _same(low: float, high: float, unit: str, name: str, meaning: str) -> Band:
    return Band((low, high), (low, high), unit, name, meaning)


_WORN_GLASS = "worn, fouled or dried-out glass, or a spoiled buffer: clean and soak the probe, fresh buffer"

BANDS: dict[str, Band] = {
    "ph.slope_acid": Band((95, 105), (90, 110), "%", "slope, acid side", _WORN_GLASS),
    "ph.slope_base": Band((95, 105), (90, 110), "%", "slope, base side", _WORN_GLASS),
    "ph.zero": Band(
        (-15, 15),
        (-30, 30),
        "mV",
        "zero offset",
        "poisoned reference or wrong buffer: fresh buffer, else new probe",
    ),
    "ph.circuit": _same(
        -3,
        3,
        "%",
        "slope of the circuit against the samples",
        "the circuit did not take the points as they were",
    ),
    "ph.check": _same(
        -0.05, 0.05, "pH", "error after calibration", "the probe had not settled, or the buffer is spoiled"
    ),
    "ec.dry": _same(0, 1, "µS/cm", "reading dry in air", "the probe is wet or salty: rinse, dry, shake"),
    "ec.cell": Band(
        (80, 120),
        (70, 130),
        "%",
        "cell against its nominal K",
        "fouled or half covered electrodes, bubbles, wrong K",
    ),
    "ec.linearity": Band(
        (-5, 5),
        (-10, 10),
        "%",
        "cell in high against low standard",
        "a contaminated standard, or fouled electrodes",
    ),
    "ec.check": _same(-3, 3, "%", "error after calibration", "bubbles, or a spoiled standard"),
    "ec.check_low": _same(-5, 5, "%", "error after calibration", "bubbles, or a spoiled standard"),
    "do.air": Band(
        (440, 660),
        (300, 900),
        "mV",
        "output in moist air",
        "spent electrolyte or a dry, torn or fouled membrane: service the probe",
    ),
    "do.zero": _same(
        0, 5, "%Sat", "reading without oxygen", "old sulfite, air bubbles, or a leaking membrane"
    ),
    "do.check": _same(
        -3, 3, "%Sat", "error in air-saturated water", "no flow past the membrane, or a bubble on it"
    ),
    "tds.k": Band(
        (0.7, 1.3), (0.25, 4.0), "", "K", "fouled pins, wrong standard, or a clone with another curve"
    ),
    "tds.check": _same(
        -5, 5, "%", "error after calibration", "bubbles between the pins, or a spoiled standard"
    ),
    "tbd.clear": _same(
        3.9, 4.5, "V", "output in clear water", "a fouled lens, daylight, or a wrong divider ratio"
    ),
    "tbd.as_found": Band(
        (-30, 60),
        (-100, 100),
        "NTU",
        "reading in clear water before calibration",
        "a fouled or scratched lens, which calibration would only hide: wipe it and start again",
    ),
    "tbd.fit": _same(-1, 1, "× limit", "worst residual of the curve", "a badly mixed or settled dilution"),
    "tbd.check": _same(-30, 30, "NTU", "error in clear water", "bubbles, daylight, or a dirty vessel"),
    "wp.zero": _same(
        0.40, 0.60, "V", "output in open air", "not in open air, a blocked port, or a damaged cell"
    ),
    "wp.scale": _same(
        380, 420, "kPa/V", "scale", "another part (250 kPa/V is the 1 MPa one), or a wrong depth"
    ),
    "wp.check": Band(
        (-2, 2), (-4, 4), "kPa", "error in open air", "the port was not open, or the cell drifts"
    ),
    "wf.pulses_per_l": _same(
        405, 495, "1/L", "pulses per litre", "debris on the rotor, air in the line, or a wrong volume"
    ),
    "wf.spread": _same(
        0, 5, "%", "spread between the runs", "a run went wrong, or the rotor rubs: clean it and repeat"
    ),
    "wf.check": _same(-5, 5, "%", "error of a further run", "a run went wrong: repeat the bucket test"),
    "temp.raw": _same(
        -0.5, 0.5, "°C", "error before correction", "not a genuine part, or the bath was not stirred"
    ),
    "temp.residual": _same(
        -0.2, 0.2, "°C", "error left after correction", "a bath was not stirred or not settled"
    ),
    "temp.check": _same(
        -0.2, 0.2, "°C", "error after calibration", "the bath changed, or the probe had not settled"
    ),
    "liqlev.states": _same(
        4,
        4,
        "of 4",
        "states seen as expected",
        "unplugged, stuck by a film or metallic paint, or too far from the liquid",
    ),
}
"""Limits by name."""


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
