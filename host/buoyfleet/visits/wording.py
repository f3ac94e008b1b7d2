"""What a visit says to people, the same at a terminal and in a page."""

from buoyfleet.calibration.dialogue import Tone
from buoyfleet.calibration.wording import amount
from buoyfleet.visits.evaluate import Evaluation
from buoyfleet.visits.limits import LIMITS, Rating
from buoyfleet.visits.record import Visit
from sensors.catalog import NAMES, UNITS

MARKS = {
    Rating.EXCELLENT: "✓",
    Rating.GOOD: "✓",
    Rating.FAIR: "!",
    Rating.POOR: "!",
    Rating.UNUSABLE: "✗",
    Rating.UNRATED: "–",
}
TONES: dict[str, Tone] = {"✓": "good", "!": "warning", "✗": "bad", "–": "warning"}


def evaluation_lines(one: Evaluation) -> list[tuple[str, Tone]]:
    """The rating of one sensor, how it comes about, and the correction that follows."""
    unit = UNITS[one.key]
    mark = MARKS[one.rating]
    head = f"{mark} {NAMES[one.key]}: {one.rating}"
    parts = [
        f"{name} {signed(value, unit)}"
        for name, value in (("fouling", one.fouling), ("drift", one.drift))
        if value is not None
    ]
    lines: list[tuple[str, Tone]] = [(f"{head}  ({', '.join(parts)})" if parts else head, TONES[mark])]
    if one.limit is not None and one.total is not None:
        relation = "within" if one.total <= one.limit + 1e-9 else "over"
        lines.append(
            (
                f"    sum {amount(one.total, unit, 3)}, {relation} the {amount(one.limit, unit, 3)} "
                f"above which data are corrected ({LIMITS[one.key].source})",
                "plain",
            )
        )
    lines += [(f"    {text}", "plain") for text in correction_lines(one)]
    if one.left is not None:
        lines.append((f"    left at {signed(one.left, unit)} against the field meter", "plain"))
    lines += [(f"    {reason}", "warning") for reason in one.reasons]
    return lines


def correction_lines(one: Evaluation) -> list[str]:
    """`add fouling: 0 at … rising to +0.21 pH at …`."""
    if one.correction is None:
        return []
    found = []
    unit = UNITS[one.key]
    for name, part in (("fouling", one.correction.fouling), ("drift", one.correction.drift)):
        if part is None:
            continue
        errors = ", ".join(
            f"{100.0 * shift.error / shift.at:+.2f} %" if shift.relative else signed(shift.error, unit)
            for shift in part.shifts
        )
        at = " and ".join(amount(shift.at, unit, 3) for shift in part.shifts)
        found.append(
            f"add for {name}: 0 at {part.begin:%Y-%m-%d %H:%M}, rising to {errors} "
            f"(at {at}) at {part.end:%Y-%m-%d %H:%M} UTC"
        )
    return found


def signed(value: float, unit: str) -> str:
    """`+0.21 pH`."""
    return f"{'+' if value >= 0 else '-'}{amount(abs(value), unit, 3)}"


def visit_lines(visit: Visit) -> list[str]:
    """A visit as text: who, when, and a row for each reading."""
    begin = visit.begin
    lines = [
        f"Visit to board {visit.board}, {visit.started:%Y-%m-%d %H:%M} UTC   "
        f"No. {visit.board}/{visit.identifier}",
        f"operator {begin['operator'] or 'not given'}, field meter {begin['meter'] or 'none'}",
        {"done": "done", "abandoned": "abandoned", None: "open"}[visit.outcome],
    ]
    for one in visit.readings.values():
        where = f"in standard {one.standard}" if one.standard else f"in water, {one.stage}"
        beside = "" if one.reference is None else f"   {one.reference_name}: {amount(one.reference, '', 5)}"
        settled = "" if one.stable else "   not settled"
        lines.append(f"  {one.key:<7} {where:<26} {amount(one.value, UNITS[one.key], 5)}{beside}{settled}")
    for (key, stage, standard), reason in visit.skipped.items():
        lines.append(f"  {key:<7} {standard or stage}: skipped: {reason or 'no reason given'}")
    lines += [f"  {key}: calibrated, record {record}" for key, record in visit.calibrated.items()]
    for key, body in visit.evaluated.items():
        lines.append(f"  {key:<7} {body['rating']}")
    lines += [f"  paused: {reason}" for reason in visit.pauses]
    if visit.broken:
        lines.append(f"  THE RECORD WAS CHANGED: {visit.broken}")
    return lines
