"""What a certificate says, as sections of rows: the one source of the HTML page and of the PDF."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from buoyfleet.calibration.model import Verdict
from buoyfleet.calibration.record import Record
from buoyfleet.calibration.wording import MARKS, amount, outcome_text, setting_text
from buoyfleet.report.figures import significant
from sensors.catalog import NAMES, UNITS
from sensors.parts import part


@dataclass(slots=True)
class Table:
    """Rows of texts under a title; `verdicts` belongs to the rows where there are any."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    verdicts: list[Verdict | None] = field(default_factory=list)
    note: str = ""
    half: bool = False
    """Stands beside the next one where there is room."""

    def add(self, *cells: str, verdict: Verdict | None = None) -> None:
        """One row."""
        self.rows.append(cells)
        self.verdicts.append(verdict)


@dataclass(slots=True)
class Certificate:
    """A certificate."""

    title: str
    number: str
    outcome: str
    sentence: str
    tone: Verdict
    tables: list[Table]
    remarks: list[str]
    laboratory: dict[str, str]
    """Name, address, logo."""
    operator: str


def certificate_of(record: Record) -> Certificate:
    """Everything the certificate of a record says."""
    key = record.key
    tone: Verdict = {"passed": "pass", "warned": "warn"}.get(record.outcome or "", "fail")  # type: ignore[assignment]
    tables = [
        _what(record),
        _checks(record),
        _results(record),
        _points(record),
        _solutions(record),
        _budget(record),
        _repeated(record),
    ]
    return Certificate(
        title=f"Calibration of {NAMES[key]}",
        number=f"{record.board}/{record.identifier}",
        outcome=record.outcome or "broke off",
        sentence=outcome_text(record.outcome, record.written, record.unsure)
        + (f" ({record.reason})" if record.reason else ""),
        tone=tone,
        tables=[table for table in tables if table.rows],
        remarks=_remarks(record),
        laboratory=record.begin.get("laboratory") or {},
        operator=record.begin.get("operator") or "",
    )


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def _what(record: Record) -> Table:
    begin, board = record.begin, record.begin["board"]
    table = Table("What was calibrated", ("", ""))
    table.add(
        "Sensor",
        f"{record.key}: {part(record.key).name}"
        + (f", probe {begin['probe']}" if begin.get("probe") else ""),
    )
    table.add("Board", f"buoy {board.get('buoy', '–')}, MAC {board.get('mac', '–')}")
    table.add("Date", _when(begin["time"]) + (f" to {_when(record.ended)}" if record.ended else ""))
    table.add("Operator", begin.get("operator") or "not given")
    table.add("Next due", _due(record))
    for name, what in begin.get("instruments", {}).items():
        table.add(name.capitalize(), str(what))
    table.add("Temperature by", begin.get("thermometer") or "–")
    table.add("Stability rule", begin.get("rule") or "–")
    versions = begin.get("versions", {})
    table.add("Versions", ", ".join(f"{name} {value}" for name, value in versions.items()) or "–")
    return table


def _due(record: Record) -> str:
    """When the sensor is to be calibrated again; a calibration that is not in force has no such date."""
    if not record.in_force:
        return "now: this calibration is not in force"
    days = record.begin.get("due_after_days")
    if days is None:
        return "not stated"
    return f"{record.started + timedelta(days=days):%Y-%m-%d}, after {days:g} days"


def _points(record: Record) -> Table:
    unit = record.begin.get("raw_unit", "")
    table = Table(
        "Points",
        ("point", f"signal, {unit}", "noise", "drift/min", "time", "°C", "reference", "as found"),
        note="Signal: mean over the window of "
        "the stability rule. As "
        "found: error of the board's reading before.",
    )
    published = UNITS[record.key]
    for point in record.points:
        plateau, reference = point.plateau, point.reference
        mark = " (forced)" if point.forced else ""
        table.add(
            f"{point.title}{mark}" + (f", attempt {point.attempt}" if point.attempt > 1 else ""),
            amount(plateau.raw, "", 5),
            amount(plateau.noise, "", 2),
            f"{plateau.drift_per_min:+.2g}",
            f"{plateau.elapsed_s:.0f} s",
            "–" if plateau.temperature_c is None else f"{plateau.temperature_c:.2f}",
            amount(reference.value, reference.unit),
            "–" if point.as_found is None else f"{point.as_found:+.3g} {published}".strip(),
            verdict="warn" if point.forced else None,
        )
    return table


def _solutions(record: Record) -> Table:
    table = Table(
        "References and solutions", ("what", "value", "±", "at °C", "lot", "expires", "opened", "source")
    )
    for point in record.points:
        one = point.reference
        row = (
            one.label or point.title,
            amount(one.value, one.unit),
            amount(one.half_width, one.unit, 2),
            "–" if one.temperature_c is None else f"{one.temperature_c:.1f}",
            one.lot or "–",
            one.expires or "–",
            one.opened or "–",
            one.source,
        )
        if row not in table.rows:  # a solution that was measured again stands once
            table.add(*row)
    return table


def _results(record: Record) -> Table:
    table = Table("Result", ("", "before", "now"), half=True)
    fitted = record.fitted
    before, after = record.before.get("settings", {}), record.after.get("settings", {})
    if fitted is not None:
        table.note = f"Model: {fitted.model}."
        for name, value in fitted.settings.items():
            now = setting_text(after.get(name) if after else value) + (
                "" if record.written else ", not written"
            )
            table.add(name, setting_text(before.get(name)), now)
        if fitted.commands:
            table.add("On the circuit's chip", "", ", ".join(fitted.commands))
        if fitted.valid is not None:
            low, high = fitted.valid
            table.add("Points between", "", f"{amount(low, '', 4)} and {amount(high, UNITS[record.key], 4)}")
        if fitted.components:
            table.add(
                "Uncertainty",
                "",
                f"±{significant(fitted.uncertainty)} {fitted.unit} at "
                f"{amount(fitted.at, UNITS[record.key])} (k = 2)",
            )
    was, now = record.before.get("circuit", {}), record.after.get("circuit", {})
    for name in ("firmware", "points", "slope", "k"):
        if name in was:
            table.add(f"circuit: {name}", str(was[name]), str(now.get(name, "–")))
    return table


def _checks(record: Record) -> Table:
    table = Table("Acceptance", ("", "figure", "found", "limits", ""), half=True)
    for check in [*(record.fitted.checks if record.fitted else []), *record.checks]:
        table.add(
            MARKS[check.verdict],
            check.name,
            amount(check.value, check.unit, 4),
            check.limits,
            check.reason,
            verdict=check.verdict,
        )
    return table


def _budget(record: Record) -> Table:
    fitted = record.fitted
    unit = fitted.unit if fitted else ""
    table = Table(
        "Uncertainty budget",
        ("component", f"u, {unit}", "type", "where from"),
        note="Standard uncertainties, type A from "
        "the spread of samples, "
        "type B otherwise; their root sum of squares "
        "times k = 2 is stated (GUM). It is "
        "that of the calibrated "
        "reading on this bench, not of water in the field.",
    )
    for one in fitted.components if fitted else []:
        table.add(one.name, significant(one.standard), one.kind, one.source)
    if table.rows and fitted:
        table.add("combined", significant(fitted.standard_uncertainty), "", "")
        table.add("expanded, k = 2", significant(fitted.uncertainty), "", "")
    return table


def _repeated(record: Record) -> Table:
    """What was refused, skipped or taken more than once; a row that says so where nothing was."""
    table = Table("Refused, skipped and repeated", ("step", "what happened"))
    for one in record.rejected:
        reasons = "; ".join(one.get("reasons", []))
        what = f"refused: {reasons}" if reasons else f"skipped: {one.get('reason') or 'no reason given'}"
        table.add(one["title"], what, verdict="warn")
    for point in record.points:
        if point.attempt > 1:
            table.add(point.title, f"taken at attempt {point.attempt}", verdict="warn")
    if not table.rows:
        table.add("none", "every point was taken at the first attempt")
    return table


def _remarks(record: Record) -> list[str]:
    found = []
    if record.forced:
        found.append("Something was let through by --force; the marked rows say what.")
    if record.begin.get("forced_solutions"):
        found.append(f"By --force: {record.begin['forced_solutions']}.")
    found += record.fitted.warnings if record.fitted else []
    for point in record.points:
        found += [f"{point.title}, by --force: {objection}" for objection in point.objections]
        if "barometer_hpa" in point.extra:
            found.append(
                f"Air pressure {point.extra['barometer_hpa']:g} hPa: a reading times "
                f"{1.0 / point.extra['to_standard_pressure']:.4f} refers to 1013.25 hPa."
            )
    nameless = {
        one.label: None
        for one in (point.reference for point in record.points)
        if one.label and not one.lot and "buffer" in one.label
    }
    if nameless:
        found.append(f"No lot was given: {', '.join(nameless)}.")
    found += record.trouble
    if record.broken:
        found.append(f"THE RECORD WAS CHANGED: {record.broken}.")
    return found
