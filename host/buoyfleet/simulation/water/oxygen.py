"""Oxygen in water: saturation, barometric pressure, exchange with the air.

Sources: Garcia & Gordon 1992 (fit to Benson & Krause 1984), Limnol. Oceanogr. 37(6); Benson & Krause as in
USGS Office of Water Quality Technical Memorandum 2011.03; O'Connor & Dobbins 1958 for reaeration.
"""

from math import exp, log, pow

MG_PER_ML = 1.42905
"""Milligrams in a millilitre of oxygen gas at 0 °C and one atmosphere (Garcia & Gordon 1992)."""
UMOL_PER_MG = 1000.0 / 31.998
"""Micromoles in a milligram of O₂."""
STANDARD_HPA = 1013.25

_ML_TEMPERATURE = (2.00907, 3.22014, 4.05010, 4.94457, -0.256847, 3.88767)
_ML_SALT = (-6.24523e-3, -7.37614e-3, -1.03410e-2, -8.17083e-3)
_ML_SALT_SQUARED = -4.88682e-7
_UMOL_TEMPERATURE = (5.80871, 3.20291, 4.17887, 5.10006, -9.86643e-2, 3.80369)
_UMOL_SALT = (-7.01577e-3, -7.70028e-3, -1.13864e-2, -9.51519e-3)
_UMOL_SALT_SQUARED = -2.75915e-7


def _garcia_gordon(
    temp_c: float,
    salinity: float,
    temperature: tuple[float, ...],
    salt: tuple[float, ...],
    salt_squared: float,
) -> float:
    ts = log((298.15 - temp_c) / (273.15 + temp_c))
    exponent = 0.0
    for coefficient in reversed(temperature):
        exponent = exponent * ts + coefficient
    slope = 0.0
    for coefficient in reversed(salt):
        slope = slope * ts + coefficient
    return exp(exponent + salinity * slope + salt_squared * salinity * salinity)


def saturation_mg_l(temp_c: float, salinity: float = 0.0, pressure_hpa: float = STANDARD_HPA) -> float:
    """Oxygen of water in equilibrium with moist air, in mg/L (Garcia & Gordon 1992).

    Args:
        temp_c: −2…40 °C.
        salinity: 0…42.
        pressure_hpa: barometric pressure at the surface.
    """
    value = MG_PER_ML * _garcia_gordon(temp_c, salinity, _ML_TEMPERATURE, _ML_SALT, _ML_SALT_SQUARED)
    return value if pressure_hpa == STANDARD_HPA else value * pressure_factor(temp_c, pressure_hpa)


def saturation_umol_kg(temp_c: float, salinity: float = 0.0) -> float:
    """The same in µmol/kg at one atmosphere, by the paper's own set of constants for that unit."""
    return _garcia_gordon(temp_c, salinity, _UMOL_TEMPERATURE, _UMOL_SALT, _UMOL_SALT_SQUARED)


def saturation_benson_krause_mg_l(temp_c: float, salinity: float = 0.0) -> float:
    """The same in mg/L at one atmosphere after Benson & Krause, as the USGS publishes it; a cross-check."""
    k = temp_c + 273.15
    return exp(
        -139.34411
        + 1.575701e5 / k
        - 6.642308e7 / k**2
        + 1.2438e10 / k**3
        - 8.621949e11 / k**4
        - salinity * (1.7674e-2 - 10.754 / k + 2140.7 / k**2)
    )


def pressure_factor(temp_c: float, pressure_hpa: float) -> float:
    """How saturation changes with barometric pressure: (P − u)/(760 − u) in mmHg, u the vapour pressure."""
    vapour = pow(10.0, 8.10765 - 1750.286 / (235.0 + temp_c))
    pressure = pressure_hpa * 760.0 / STANDARD_HPA
    return (pressure - vapour) / (760.0 - vapour)


def reaeration_per_day(current_m_s: float, depth_m: float, temp_c: float) -> float:
    """Gas exchange of a river: 3.93 · U^0.5 / H^1.5 per day at 20 °C, × 1.024^(T − 20)."""
    return float(3.93 * abs(current_m_s) ** 0.5 / depth_m**1.5 * 1.024 ** (temp_c - 20.0))
