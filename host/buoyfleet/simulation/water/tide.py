"""The tide at the river's mouth and the salt wedge it pushes upriver.

A coherent synthetic tide, not a prediction: no nodal factors, astronomical phases zero at the Unix epoch.
Amplitudes and phases: Sandheads, SalishSeaCast (after Foreman et al.); those of S2, O1, N2 and P1 are
engineering choices, typical ratios of the Strait of Georgia.
"""

from math import cos, exp, radians, sin

# name → (degrees per hour, amplitude in m, phase g in degrees)
CONSTITUENTS: dict[str, tuple[float, float, float]] = {
    "M2": (28.984106, 0.869, 30.9),
    "K1": (15.041069, 0.837, 286.5),
    "S2": (30.0, 0.23, 55.0),
    "O1": (13.943036, 0.48, 262.0),
    "N2": (28.439730, 0.18, 5.0),
    "P1": (14.958931, 0.27, 284.0),
}
_TERMS = tuple((radians(speed) / 3600.0, height, radians(g)) for speed, height, g in CONSTITUENTS.values())

WEDGE_LAG_S = 70.0 * 60.0
"""Greatest intrusion of salt lags high water by 60–80 minutes (Hodgins; Kostaschuk & Atwood)."""


def level_m(unix_s: float) -> float:
    """Water level above mean: η(t) = Σ A cos(ω t − g)."""
    level = 0.0
    for omega, height, g in _TERMS:
        level += height * cos(omega * unix_s - g)
    return level


def rise_m_s(unix_s: float) -> float:
    """Rate of the level, m/s; positive on the flood."""
    rise = 0.0
    for omega, height, g in _TERMS:
        rise -= height * omega * sin(omega * unix_s - g)
    return rise


def wedge_threshold_m(discharge_m3_s: float) -> float:
    """Level that the tide must exceed to push salt to the site: f(Q) of the wedge rule.

    Engineering choice that meets the two known facts: at a winter discharge of 1100 m³/s large tides push the
    wedge past the site, and freshet discharge keeps it seaward.
    """
    return 0.6 + 0.9 * (discharge_m3_s - 1100.0) / 1000.0


def wedge_share(unix_s: float, discharge_m3_s: float) -> float:
    """Share of sea water near the bottom, 0–1: logistic((η(t − 70 min) − f(Q)) / 0.3 m)."""
    excess = (level_m(unix_s - WEDGE_LAG_S) - wedge_threshold_m(discharge_m3_s)) / 0.3
    return 1.0 / (1.0 + exp(-min(max(excess, -40.0), 40.0)))
