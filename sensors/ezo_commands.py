"""Calibration of EZO circuits by their own on-chip commands, for both firmware spellings.

Source: the maker's EZO-pH and EZO-EC data sheets. Each function gives (command, processing time in ms) for
`Ezo.begin_command`; the circuit answers `*OK`.
"""

from sensors.calibration import CalibrationError

PH_MS = 900
EC_MS = 600
OTHER_MS = 300

CLEAR = ("Cal,clear", OTHER_MS)

PH_POINTS = ("mid", "low", "high")
# A label's value may differ from the buffer's by its temperature, not by more.
PH_SPANS = {"low": (1.0, 6.0), "mid": (6.0, 8.0), "high": (8.0, 14.0)}


def ph_point(point: str, ph: float, done: "tuple[str, ...]" = ()) -> "tuple[str, int]":
    """Calibrate one point of a pH circuit with the value the buffer truly has (sensors.buffers).

    Args:
        point: `mid`, `low` or `high`.
        ph: of the buffer at its temperature.
        done: points calibrated before, in this session.

    Raises:
        CalibrationError: unknown point, a pH that is not of that point, or not `mid` first, which erases the
            others.
    """
    if point not in PH_SPANS:
        raise CalibrationError("no pH point %r; mid, low or high" % (point,))
    low, high = PH_SPANS[point]
    if not low <= ph <= high:
        raise CalibrationError("pH %.2f is no %s point; from %g to %g" % (ph, point, low, high))
    if point != "mid" and "mid" not in done:
        raise CalibrationError("calibrate mid first: it erases low and high")
    if point == "mid" and done:
        raise CalibrationError("calibrating mid again erases %s" % " and ".join(done))
    return "Cal,%s,%.2f" % (point, ph), PH_MS


def ec_dry() -> "tuple[str, int]":
    """Calibrate zero with the dry probe in air; before any solution."""
    return "Cal,dry", EC_MS


def ec_point(
    us_cm: float, point: str = "", reading_us_cm: "float | None" = None, firmware: str = ""
) -> "tuple[str, int]":
    """Calibrate a conductivity circuit in a solution.

    Args:
        us_cm: of the solution.
        point: `low` or `high` of a pair, or "" for a single point. The reading does not move after `low`.
        reading_us_cm: what the circuit reads in the solution now, None if not asked.
        firmware: as the circuit's `i` tells, e.g. `2.10`; old ones spell the single point differently.

    Raises:
        CalibrationError: unknown point, or a probe that reads nothing.
    """
    if point not in ("", "low", "high"):
        raise CalibrationError("no conductivity point %r; low, high or none" % (point,))
    if not us_cm > 0:
        raise CalibrationError("%g µS/cm is no solution" % us_cm)
    if reading_us_cm is not None and reading_us_cm <= 0:
        raise CalibrationError(
            "the circuit reads 0.00 in the solution and cannot be calibrated: probe, cable"
        )
    value = "%g" % us_cm
    if point:
        return "Cal,%s,%s" % (point, value), EC_MS
    return ("Cal,one,%s" if is_old(firmware) else "Cal,%s") % value, EC_MS


def is_old(firmware: str) -> bool:
    """Whether an EC circuit's firmware is older than 2.10; False where it is not known."""
    major, _, minor = firmware.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        return False
    return (int(major), int(minor)) < (2, 10)
