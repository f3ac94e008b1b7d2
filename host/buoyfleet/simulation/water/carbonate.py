"""The carbonate system of fresh water: pH from alkalinity and carbon, and back.

Constants: Plummer & Busenberg 1982 (K1, K2, KH; pCO₂ in atm, concentrations in mol/kg). Total alkalinity is
taken as HCO₃⁻ + 2 CO₃²⁻, which holds within 1 % between pH 6.5 and 9 at the river's 500–1000 µmol/kg
(Moore-Maley et al. 2018).
"""

from math import log10, pow, sqrt


def log_k1(temp_c: float) -> float:
    """log10 of the first dissociation constant."""
    k = temp_c + 273.15
    return -356.3094 - 0.06091964 * k + 21834.37 / k + 126.8339 * log10(k) - 1684915.0 / (k * k)


def log_k2(temp_c: float) -> float:
    """log10 of the second dissociation constant."""
    k = temp_c + 273.15
    return -107.8871 - 0.03252849 * k + 5151.79 / k + 38.92561 * log10(k) - 563713.9 / (k * k)


def log_kh(temp_c: float) -> float:
    """log10 of Henry's constant of CO₂, mol/kg per atm."""
    k = temp_c + 273.15
    return 108.3865 + 0.01985076 * k - 6919.53 / k - 40.45154 * log10(k) + 669365.0 / (k * k)


def ph_of_pco2(pco2_uatm: float, alkalinity_umol_kg: float, temp_c: float) -> float:
    """pH of water in equilibrium with a CO₂ pressure, carbonate ion neglected (as the reference's table)."""
    return -(log_k1(temp_c) + log_kh(temp_c) + log10(pco2_uatm * 1e-6)) + log10(alkalinity_umol_kg * 1e-6)


def carbon_of_pco2(pco2_uatm: float, alkalinity_umol_kg: float, temp_c: float) -> float:
    """Dissolved inorganic carbon, µmol/kg, of water in equilibrium with a CO₂ pressure."""
    k1, k2 = pow(10.0, log_k1(temp_c)), pow(10.0, log_k2(temp_c))
    dissolved = pow(10.0, log_kh(temp_c)) * pco2_uatm  # µmol/kg
    # TA·H² − K1·CO2·H − 2·K1·K2·CO2 = 0
    b = k1 * dissolved
    h = (b + sqrt(b * b + 8.0 * alkalinity_umol_kg * k1 * k2 * dissolved)) / (2.0 * alkalinity_umol_kg)
    return dissolved * (1.0 + k1 / h + k1 * k2 / (h * h))


def ph_of_carbon(carbon_umol_kg: float, alkalinity_umol_kg: float, temp_c: float) -> tuple[float, float]:
    """pH and dissolved CO₂ (µmol/kg) from inorganic carbon and alkalinity.

    The positive root of TA·H² + K1(TA − DIC)·H + K1·K2(TA − 2·DIC) = 0. Carbon is bounded to 0.55–3 times
    the alkalinity (pH about 6 to 10.5), outside which the equation has no root or no meaning here.
    """
    k1, k2 = pow(10.0, log_k1(temp_c)), pow(10.0, log_k2(temp_c))
    ta = alkalinity_umol_kg
    dic = min(max(carbon_umol_kg, 0.55 * ta), 3.0 * ta)
    b = k1 * (ta - dic)
    h = (-b + sqrt(b * b + 4.0 * ta * k1 * k2 * (2.0 * dic - ta))) / (2.0 * ta)
    return -log10(h), dic / (1.0 + k1 / h + k1 * k2 / (h * h))
