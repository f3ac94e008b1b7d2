"""Salt in water: conductivity, salinity and density.

Sources: Practical Salinity Scale 1978 (PSS-78, UNESCO technical papers 36 and 44) with the low-salinity
correction of Hill, Dauphinee & Woods 1986; EOS-80 density at one atmosphere (UNESCO technical paper 44);
temperature coefficient of natural water after Hayashi 2004.
"""

from math import sqrt

# PSS-78, practical salinity from the conductivity ratio Rt, in powers of sqrt(Rt).
_A = (0.0080, -0.1692, 25.3851, 14.0941, -7.0261, 2.7081)
_B = (0.0005, -0.0056, -0.0066, -0.0375, 0.0636, -0.0144)
_K = 0.0162
# PSS-78, ratio of the conductivities C(35, T, 0) / C(35, 15, 0), in powers of T.
_C = (0.6766097, 2.00564e-2, 1.104259e-4, -6.9698e-7, 1.0031e-9)
C_35_15_MS_CM = 42.914
"""Conductivity of standard sea water, S = 35, 15 °C, at atmospheric pressure (PSS-78), in mS/cm."""

_LINEAR_UNDER = 0.05
NATURAL_ALPHA = 0.0187
"""Rise of a fresh natural water's conductivity per kelvin, relative to 25 °C (Hayashi 2004, mean)."""


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def _salinity_of_ratio(root: float, temp_c: float) -> float:
    """Salinity from sqrt(Rt), with the low-salinity correction of Hill et al. 1986."""
    warmth = (temp_c - 15.0) / (1.0 + _K * (temp_c - 15.0))
    scale_1978 = _polynomial(_A, root) + warmth * _polynomial(_B, root)
    x = 400.0 * root * root
    y = 10.0 * root  # sqrt(100 Rt)
    return scale_1978 - _A[0] / (1.0 + 1.5 * x + x * x) - _B[0] * warmth / (1.0 + y + y * y + y * y * y)


def salinity(conductivity_us_cm: float, temp_c: float) -> float:
    """Practical salinity of sea-salt water.

    Args:
        conductivity_us_cm: at the water's own temperature, in µS/cm.
        temp_c: temperature in °C. Valid for S 0–42 and −2–35 °C.
    """
    ratio = conductivity_us_cm / 1000.0 / C_35_15_MS_CM / _polynomial(_C, temp_c)
    return max(0.0, _salinity_of_ratio(sqrt(max(0.0, ratio)), temp_c))


def sea_conductivity_us_cm(salinity_psu: float, temp_c: float) -> float:
    """Conductivity of sea-salt water at its own temperature, in µS/cm: the inverse of `salinity`."""
    if salinity_psu < _LINEAR_UNDER:
        # Ions of so thin a solution do not feel each other, and the scale's correction is flat there.
        return max(0.0, salinity_psu) / _LINEAR_UNDER * sea_conductivity_us_cm(_LINEAR_UNDER, temp_c)
    root = sqrt(salinity_psu / 35.0)
    for _ in range(8):  # Newton's method; the curve is smooth and nearly linear in Rt
        step = 1e-6 * max(root, 1e-3)
        miss = _salinity_of_ratio(root, temp_c) - salinity_psu
        slope = (_salinity_of_ratio(root + step, temp_c) - salinity_psu - miss) / step
        change = miss / slope
        root = max(1e-6, root - change)
        if abs(change) < 1e-9 * root:
            break
    return 1000.0 * C_35_15_MS_CM * root * root * _polynomial(_C, temp_c)


def at_temperature(ec25_us_cm: float, temp_c: float, alpha: float = NATURAL_ALPHA) -> float:
    """Conductivity at `temp_c` of a water known at 25 °C: EC(T) = EC25 · (1 + α (T − 25))."""
    return ec25_us_cm * (1.0 + alpha * (temp_c - 25.0))


def density_kg_m3(salinity_psu: float, temp_c: float) -> float:
    """Density at one atmosphere, EOS-80, in kg/m³; valid for S 0–42 and −2–40 °C."""
    t, s = temp_c, salinity_psu
    pure = _polynomial((999.842594, 6.793952e-2, -9.095290e-3, 1.001685e-4, -1.120083e-6, 6.536332e-9), t)
    linear = _polynomial((0.824493, -4.0899e-3, 7.6438e-5, -8.2467e-7, 5.3875e-9), t)
    curved = _polynomial((-5.72466e-3, 1.0227e-4, -1.6546e-6), t)
    return pure + s * linear + s * sqrt(max(0.0, s)) * curved + 4.8314e-4 * s * s
