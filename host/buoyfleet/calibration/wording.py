"""What a calibration says to people, the same at a terminal, in a log and in a certificate."""

from buoyfleet.calibration.dialogue import Tone
from buoyfleet.calibration.model import Check, Fitted
from buoyfleet.report.figures import significant

MARKS = {"pass": "✓", "warn": "!", "fail": "✗"}
TONES: dict[str, Tone] = {"pass": "good", "warn": "warning", "fail": "bad"}
OUTCOMES = {
    "passed": "passed: the new calibration is in force",
    "warned": "passed with warnings: the new calibration is in force",
    "failed": "failed: the old calibration is in force",
    "aborted": "aborted: the old calibration is in force",
    "interrupted": "interrupted: the old calibration is in force, or comes back when the board starts",
}
UNSURE = (
    "interrupted while the board was told that the new calibration holds: the next session with the board "
    "records which one is in force"
)
FORCED = "failed, and written by --force: the new calibration is in force"


def amount(value: float, unit: str, digits: int = 4) -> str:
    """A figure with its unit, without exponent."""
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{value:.0f}" if abs(value) >= 1 else f"{value:.6f}".rstrip("0").rstrip(".") or "0"
    return f"{text} {unit}".strip()


def setting_text(value: object) -> str:
    """A coefficient as people read it."""
    if value is None:
        return "the driver's own"
    if isinstance(value, list):
        return "[" + ", ".join(setting_text(one) for one in value) + "]"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def check_line(check: Check) -> str:
    """`✓ zero offset  -0.24 mV  (-15 to 15, warn -30 to 30)`."""
    limits = f"({check.limits})" if check.limits else ""
    text = (
        f"{MARKS[check.verdict]} {check.name:<42} {amount(check.value, check.unit, 3):>12}  {limits}".rstrip()
    )
    return f"{text}\n      {check.reason}" if check.reason else text


def verdict_lines(fitted: Fitted, checks: list[Check]) -> list[tuple[str, Tone]]:
    """The fit (or, once there are checks of the board's own readings, those)."""
    if checks:
        return [(f"  {check_line(check)}", TONES[check.verdict]) for check in checks]
    lines: list[tuple[str, Tone]] = [
        (f"  {check_line(check)}", TONES[check.verdict]) for check in fitted.checks
    ]
    lines += [(f"  {name} = {setting_text(value)}", "plain") for name, value in fitted.settings.items()]
    lines += [(f"  circuit: {command}", "plain") for command in fitted.commands]
    if fitted.components:
        lines.append((f"  uncertainty ±{significant(fitted.uncertainty)} {fitted.unit} (k = 2)", "plain"))
    lines += [(f"  ! {warning}", "warning") for warning in fitted.warnings]
    return lines


def outcome_text(outcome: str | None, written: bool, unsure: bool = False) -> str:
    """How it ended, in words; `unsure`: only the board knows."""
    if unsure:
        return UNSURE
    if outcome is None:
        return "broke off: the old calibration is in force, or comes back when the board starts"
    return FORCED if outcome == "failed" and written else OUTCOMES.get(outcome, outcome)
