"""Transfer functions of the parts: signal to published unit, evaluated on the board.

Polynomials are in Horner form and no large numbers are subtracted from each other, so that single precision
stays within a tenth of each part's accuracy (tests/sensors/test_single_precision.py).
"""

from sensors import seldom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCE_TEMPERATURE_C = 25.0

# TDS SEN0244, the maker's library: ECraw in µS/cm of volts, 2 % per °C, half of EC25 is ppm.
TDS_CUBIC = (133.42, -255.86, 857.39, 0.0)
TDS_PER_C = 0.02
TDS_FACTOR = 0.5

# Turbidity SEN0189, the maker's wiki: NTU of volts at the sensor, between 2.5 and 4.2 V.
TURBIDITY_SQUARE = (-1120.4, 5742.3, -4352.9)
TURBIDITY_CLEAR_V = 4.2
TURBIDITY_FULL_V = 2.5

# Pressure SEN0257: kPa per volt of the 1.6 MPa part, and the nominal output without pressure.
PRESSURE_KPA_PER_V = 400.0
PRESSURE_ZERO_V = 0.5

# Flow SEN0217: 7.5 Hz per L/min, which is 450 pulses per litre.
FLOW_PULSES_PER_L = 450.0

# Dissolved oxygen, Gravity analog board: 40 mV of a probe in air, times 11.
OXYGEN_AIR_MV = 440.0


def horner(coefficients: "Sequence[float]", x: float) -> float:
    """A polynomial, coefficients from the highest power down."""
    result = coefficients[0]
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


@seldom
def temperature_c(low: int, high: int) -> float:
    """°C of the first two bytes of a DS18B20's scratchpad (data sheet, table 1)."""
    raw = high << 8 | low
    return (raw - 65536 if raw & 0x8000 else raw) / 16


def tds_raw_ec(volts: float, k: float = 1.0, coefficients: "Sequence[float]" = TDS_CUBIC) -> float:
    """Conductivity in µS/cm at the water's own temperature."""
    return horner(coefficients, volts) * k


@seldom
def tds_ppm(
    volts: float, temperature_c: float, k: float = 1.0, coefficients: "Sequence[float]" = TDS_CUBIC
) -> float:
    """ppm referred to 25 °C, compensated after the polynomial as the maker's library does."""
    shift_c = temperature_c - REFERENCE_TEMPERATURE_C
    return TDS_FACTOR * tds_raw_ec(volts, k, coefficients) / (1.0 + TDS_PER_C * shift_c)


@seldom
def turbidity_ntu(volts: float, coefficients: "Sequence[float]" = TURBIDITY_SQUARE) -> float:
    """NTU; negative above the voltage of clear water, for the driver to judge."""
    return horner(coefficients, volts)


@seldom
def pressure_kpa(
    volts: float, zero_v: float = PRESSURE_ZERO_V, kpa_per_v: float = PRESSURE_KPA_PER_V
) -> float:
    """Gauge pressure in kPa."""
    return (volts - zero_v) * kpa_per_v


@seldom
def oxygen_percent(millivolts: float, air_mv: float = OXYGEN_AIR_MV, zero_mv: float = 0.0) -> float:
    """% saturation."""
    return 100.0 * (millivolts - zero_mv) / (air_mv - zero_mv)


@seldom
def flow_l_s(pulses: int, window_us: int, pulses_per_l: float = FLOW_PULSES_PER_L) -> float:
    """L/s of pulses counted in a window."""
    return (pulses / pulses_per_l) * (1000000 / window_us)
