"""Mathematics of calibration in pure Python: the host fits, the board evaluates (sensors.transfer.horner).

Every fit gives coefficients from the highest power down, ready for a driver's `correction`, and refuses
points that cannot carry it with a reason a person understands.
"""

from sensors.rows import limits_of
from sensors.transfer import (
    REFERENCE_TEMPERATURE_C,
    TDS_CUBIC,
    TDS_FACTOR,
    TDS_PER_C,
    TURBIDITY_SQUARE,
    horner,
    tds_ppm,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Points closer than this part of their span or size are one point measured twice: a board's single precision
# tells them apart no better.
SAME_POINT = 1e-6


class CalibrationError(ValueError):
    """Points or constants that make no calibration; the text says why."""


class Fit:
    """A fitted polynomial.

    `coefficients` from the highest power down; `residuals` reference minus fitted, per point; `rms` and
    `worst` of them, in the unit of the references; `low` and `high` the span of the measured points, outside
    which the polynomial is a guess.
    """

    def __init__(
        self, coefficients: "tuple[float, ...]", measured: "Sequence[float]", references: "Sequence[float]"
    ) -> None:
        self.coefficients = coefficients
        self.residuals = tuple([y - horner(coefficients, x) for x, y in zip(measured, references)])
        self.rms = (sum([r * r for r in self.residuals]) / len(self.residuals)) ** 0.5
        self.worst = max([abs(r) for r in self.residuals])
        self.low = min(measured)
        self.high = max(measured)


def offset(measured: float, reference: float) -> Fit:
    """y = x + offset, of one point."""
    _finite((measured, reference))
    return Fit((1.0, reference - measured), (measured,), (reference,))


def gain(measured: float, reference: float) -> Fit:
    """y = gain · x, of one point.

    Raises:
        CalibrationError: measured or reference is zero, or their signs differ.
    """
    _finite((measured, reference))
    if measured == 0 or reference == 0 or (measured > 0) != (reference > 0):
        raise CalibrationError(
            "a gain of %g for %g is none: both must be on the same side of zero" % (reference, measured)
        )
    return Fit((reference / measured, 0.0), (measured,), (reference,))


def two_point(first: "tuple[float, float]", second: "tuple[float, float]") -> Fit:
    """The line through two (measured, reference) points.

    Raises:
        CalibrationError: the points share a measured or a reference value.
    """
    return least_squares((first, second))


def least_squares(points: "Sequence[tuple[float, float]]") -> Fit:
    """The line nearest to two or more (measured, reference) points.

    Raises:
        CalibrationError: too few different points, or a line without slope.
    """
    fit = polynomial(points, 1)
    slope = fit.coefficients[0]
    span = max([y for _, y in points]) - min([y for _, y in points])
    if span == 0 or abs(slope) * (fit.high - fit.low) < 1e-6 * span:
        raise CalibrationError("the references do not change with what was measured: no slope")
    return fit


def polynomial(points: "Sequence[tuple[float, float]]", degree: int) -> Fit:
    """The polynomial of a degree nearest to (measured, reference) points, least squares.

    Householder reflections on measured values scaled to -1…1, in double precision: well conditioned up to the
    degrees a sensor deserves.

    Raises:
        CalibrationError: degree out of 1…5, fewer different points than degree + 1, numbers not finite.
    """
    if not 1 <= degree <= 5:
        raise CalibrationError("degree %s; from 1 to 5" % (degree,))
    measured = [float(x) for x, _ in points]
    references = [float(y) for _, y in points]
    _finite(measured)
    _finite(references)
    different = _different(measured)
    if different <= degree:
        raise CalibrationError(
            "%d different points; a polynomial of degree %d needs at least %d"
            % (different, degree, degree + 1)
        )
    middle = (max(measured) + min(measured)) / 2
    half = (max(measured) - min(measured)) / 2
    scaled = [(x - middle) / half for x in measured]
    rows = [[u**power for power in range(degree, -1, -1)] for u in scaled]
    return Fit(_unscale(_solve(rows, references), middle, half), measured, references)


def invert(function: "Callable[[float], float]", wanted: float, low: float, high: float) -> float:
    """x in low…high with function(x) = wanted, for a function that rises or falls all the way.

    Raises:
        CalibrationError: wanted is not between function(low) and function(high).
    """
    at_low = function(low)
    at_high = function(high)
    if not min(at_low, at_high) <= wanted <= max(at_low, at_high):
        raise CalibrationError(
            "%g is not reached between %g and %g, which give %g and %g" % (wanted, low, high, at_low, at_high)
        )
    rising = at_high > at_low
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if (function(middle) < wanted) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def inverse_line(coefficients: "Sequence[float]") -> "tuple[float, float]":
    """Coefficients of the inverse of a line.

    Raises:
        CalibrationError: no line, or one without slope.
    """
    if len(coefficients) != 2 or coefficients[0] == 0:
        raise CalibrationError("%s is no line with a slope" % (tuple(coefficients),))
    return 1 / coefficients[0], -coefficients[1] / coefficients[0]


# Constants of the single parts: what to store after a measurement in a known solution.


def tds_k(volts: float, temperature_c: float, known_ppm: float) -> float:
    """K of a TDS probe: known / measured (the maker's calibration), within the limits of the setting.

    Raises:
        CalibrationError: K outside what the maker accepts, or nothing measured.
    """
    measured = tds_ppm(volts, temperature_c)
    if measured <= 0:
        raise CalibrationError("%.3f V is no signal: is the probe in the solution?" % volts)
    k = known_ppm / measured
    least, most = limits_of("tds", "k")
    if not least <= k <= most:
        raise CalibrationError("K would be %.2f; a working probe has %g to %g" % (k, least, most))
    return k


def tds_volts(raw_ec: float, k: float = 1.0) -> float:
    """Volts of a TDS probe for a conductivity in µS/cm at the water's temperature (inverse of tds_raw_ec)."""
    return invert(lambda volts: horner(TDS_CUBIC, volts) * k, raw_ec, 0.0, 3.3)


def tds_raw_ec_of(ppm: float, temperature_c: float) -> float:
    """Conductivity in µS/cm at the water's temperature of a TDS value."""
    return ppm / TDS_FACTOR * (1 + TDS_PER_C * (temperature_c - REFERENCE_TEMPERATURE_C))


def turbidity_volts(ntu: float) -> float:
    """Volts of a turbidity part, on the falling side of its curve (inverse of turbidity_ntu)."""
    a, b, _ = TURBIDITY_SQUARE
    return invert(lambda volts: horner(TURBIDITY_SQUARE, volts), ntu, -b / (2 * a), 5.0)


def _finite(numbers: "Sequence[float]") -> None:
    for number in numbers:
        if not -1e30 < number < 1e30:
            raise CalibrationError("%r is no measurement" % (number,))


def _different(measured: "Sequence[float]") -> int:
    """How many points are not the same point measured again."""
    if not measured:
        return 0
    ordered = sorted(measured)
    least = SAME_POINT * max(ordered[-1] - ordered[0], abs(ordered[0]), abs(ordered[-1]), 1e-3)
    count = 1
    last = ordered[0]
    for x in ordered[1:]:
        if x - last > least:
            count += 1
            last = x
    return count


def _solve(rows: "list[list[float]]", right: "list[float]") -> "list[float]":
    """Least-squares solution by Householder reflections; `rows` has full rank."""
    rows = [list(row) for row in rows]
    right = list(right)
    size = len(rows)
    width = len(rows[0])
    for column in range(width):
        norm = sum([rows[i][column] ** 2 for i in range(column, size)]) ** 0.5
        if norm < 1e-12:
            raise CalibrationError("the points lie too close together for this degree")
        alpha = -norm if rows[column][column] > 0 else norm
        reflector = [rows[i][column] for i in range(column, size)]
        reflector[0] -= alpha
        length = sum([v * v for v in reflector])
        if length == 0:
            continue
        for other in range(column, width):
            scale = 2 * sum([reflector[i] * rows[column + i][other] for i in range(size - column)]) / length
            for i in range(size - column):
                rows[column + i][other] -= scale * reflector[i]
        scale = 2 * sum([reflector[i] * right[column + i] for i in range(size - column)]) / length
        for i in range(size - column):
            right[column + i] -= scale * reflector[i]
    solution = [0.0] * width
    for column in range(width - 1, -1, -1):
        rest = sum([rows[column][other] * solution[other] for other in range(column + 1, width)])
        solution[column] = (right[column] - rest) / rows[column][column]
    return solution


def _unscale(coefficients: "list[float]", middle: float, half: float) -> "tuple[float, ...]":
    """Coefficients in x of a polynomial in (x - middle) / half."""
    result = [coefficients[0]]
    for coefficient in coefficients[1:]:
        # result · (x - middle) / half + coefficient
        result = [value / half for value in result] + [0.0]
        for index in range(len(result) - 1, 0, -1):
            result[index] -= result[index - 1] * middle
        result[-1] += coefficient
    return tuple(result)
