"""Season, day, river discharge, sediment and rain: closed forms that need no memory.

Sources are named at each function; "[choice]" marks engineering choices of this model.
"""

import random
from collections.abc import Sequence
from math import cos, exp, log, pi, sin

DAY_S = 86400.0
LOCAL_OFFSET_S = -8 * 3600.0
"""Solar time at the site (Vancouver, 123° W) against UTC."""


def day_of_year(unix_s: float) -> float:
    """Days since 1 January, from 0, in a year of 365.2425 days."""
    # 2000-01-01T00:00:00Z is 946684800.
    return ((unix_s - 946684800.0) / DAY_S) % 365.2425


def hour_of_day(unix_s: float) -> float:
    """Local solar hour, 0–24."""
    return ((unix_s + LOCAL_OFFSET_S) % DAY_S) / 3600.0


def season_temp_c(day: float) -> float:
    """T = 10.5 + 7.5 cos(2π (d − 220)/365): winter 3 °C, August 18 °C [choice].

    DFO's Fraser means at Qualark (16.1 °C on 12 July, 17.5 °C on 27 August) lie within 1.5 °C of it.
    """
    return 10.5 + 7.5 * cos(2.0 * pi * (day - 220.0) / 365.0)


def sea_temp_c(day: float) -> float:
    """The strait's deeper water, 8–11 °C, warmest in early October [choice]."""
    return 9.5 + 1.5 * cos(2.0 * pi * (day - 275.0) / 365.0)


def air_temp_c(day: float, hour: float) -> float:
    """Air: mean 11 °C, ±7.5 over the year, ±3.5 over the day with its maximum at 15 h [choice]."""
    return 11.0 + 7.5 * cos(2.0 * pi * (day - 205.0) / 365.0) + 3.5 * cos(2.0 * pi * (hour - 15.0) / 24.0)


def diel_temp_c(hour: float, amplitude_c: float) -> float:
    """Daily swing, maximum at 17 h local (large deep rivers: 16–18 h, 0.3–1 °C) [choice]."""
    return amplitude_c * cos(2.0 * pi * (hour - 17.0) / 24.0)


def daylight(day: float, hour: float) -> float:
    """Half-sine of daylight with mean 1 over the day; day length 8–16 h as at 49° N [choice]."""
    length = 12.0 + 4.0 * cos(2.0 * pi * (day - 172.0) / 365.0)
    since_sunrise = hour - (12.0 - length / 2.0)
    if not 0.0 < since_sunrise < length:
        return 0.0
    return 12.0 * pi / length * sin(pi * since_sunrise / length)


def season_discharge_m3_s(day: float) -> float:
    """Fraser hydrograph: 1100 m³/s in winter, freshet May–July with its peak of 7000 in mid-June [choice]."""
    return 1100.0 + 5900.0 * exp(-(((day - 166.0) / 38.0) ** 2))


# Two points of the rating curve (Attard, Venditti & Church 2014): 1500 m³/s ≈ 21, 7000 m³/s ≈ 167 mg/L.
_RATING_POWER = log(167.0 / 21.0) / log(7000.0 / 1500.0)


def sediment_mg_l(discharge_m3_s: float) -> float:
    """Suspended sediment, a power law through the two states measured at Mission."""
    return float(21.0 * (discharge_m3_s / 1500.0) ** _RATING_POWER)


NTU_PER_MG_L = 0.8
"""Turbidity per suspended sediment; site specific, 0.5–1.5 [choice]."""


def burst(since_s: float, rise_h: float, fall_h: float) -> float:
    """A pulse (1 − e^(−t/τ1)) · e^(−t/τ2), scaled to a peak of 1; zero before its start."""
    if since_s <= 0.0:
        return 0.0
    t = since_s / 3600.0
    peak_t = rise_h * log(1.0 + fall_h / rise_h)
    peak = (1.0 - exp(-peak_t / rise_h)) * exp(-peak_t / fall_h)
    return (1.0 - exp(-t / rise_h)) * exp(-t / fall_h) / peak


class Wander:
    """Slow, smooth, seeded fluctuation about 0 with standard deviation 1: a sum of sines, a closed form."""

    __slots__ = ("_terms",)

    def __init__(self, seed: str, periods_h: Sequence[float]) -> None:
        draw = random.Random(seed)
        size = (2.0 / len(periods_h)) ** 0.5
        # Periods are spread by up to 15 %, so that no two seeds and no two quantities beat alike.
        self._terms = tuple(
            (2.0 * pi / (3600.0 * period * draw.uniform(0.85, 1.15)), draw.uniform(0.0, 2.0 * pi), size)
            for period in periods_h
        )

    def at(self, t_s: float) -> float:
        """The fluctuation at a time in seconds."""
        total = 0.0
        for omega, phase, size in self._terms:
            total += size * sin(omega * t_s + phase)
        return total
