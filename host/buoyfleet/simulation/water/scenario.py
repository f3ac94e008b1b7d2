"""What happens to the water: six named scenarios, each a handful of figures.

Times are hours since the start of the simulation. Magnitudes are engineering choices that keep the nine
readings inside the reference's "normal" and "event" bands.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Mounting = Literal["floating", "fixed"]


@dataclass(frozen=True, slots=True)
class Rain:
    """A rain burst: turbidity rises at once and clears over hours, the first flush dilutes the salts."""

    start_h: float
    ntu: float
    """Rise at the peak."""
    rise_h: float = 0.4
    """τ1, 0.3–0.5 h."""
    fall_h: float = 6.0
    """τ2, 4–10 h."""
    dilution: float = 0.25
    """Share of the river's salts that is missing at the peak."""
    discharge_m3_s: float = 0.0
    """Rise of the discharge; it lags the turbidity and lasts four times as long."""


@dataclass(frozen=True, slots=True)
class Spill:
    """De-icing run-off: glycol that uses up oxygen, and salt."""

    start_h: float
    bod_mg_l: float
    """Oxygen demand at the peak."""
    ec_us_cm: float
    """Rise of EC25 at the peak."""
    rise_h: float = 1.5
    fall_h: float = 20.0


@dataclass(frozen=True, slots=True)
class Bloom:
    """Algae: production and respiration grow over days and vanish again."""

    start_h: float
    production_mg_l_day: float
    growth_h: float = 30.0
    length_h: float = 120.0


@dataclass(frozen=True, slots=True)
class Gale:
    """Wind: waves, low pressure, colder air, stirred sediment."""

    start_h: float
    length_h: float
    wave_m: float
    """Amplitude of the waves at the height of the gale."""
    pressure_drop_hpa: float
    cooling_c: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A piece of time with its weather. `start` fixes season and tide."""

    name: str
    summary: str
    start: datetime
    discharge_m3_s: float | None = None
    """None: the season's hydrograph."""
    mounting: Mounting = "floating"
    depth_m: float = 1.0
    """Of the sensors: under the surface (floating), or under mean level (fixed)."""
    sea_salinity: float = 28.0
    """Of the wedge's core."""
    surface_share: float = 0.05
    """How much of the bottom's sea water mixes up to the surface; keeps surface salinity ≤ 5."""
    outfall_us_cm: float = 0.0
    """What the airport's outfall adds to the river's EC25 at the site."""
    pco2_uatm: float = 600.0
    alkalinity_umol_kg: float = 750.0
    """Fraser River: 500–1000 (Moore-Maley et al. 2018)."""
    production_mg_l_day: float = 1.2
    diel_c: float = 0.4
    rains: tuple[Rain, ...] = ()
    spills: tuple[Spill, ...] = ()
    blooms: tuple[Bloom, ...] = ()
    gales: tuple[Gale, ...] = ()
    beached_after_h: float | None = None
    """From then on the buoy lies ashore and is afloat only around high water."""
    shore_level_m: float = 0.6
    """Height of the ground it lies on, above mean level."""


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "calm",
            "late summer: warm fresh water, gentle daily and tidal swings",
            datetime(2026, 8, 3, tzinfo=UTC),
            discharge_m3_s=3600.0,
            outfall_us_cm=45.0,
        ),
        Scenario(
            "storm",
            "October storm: three rain bursts, waves, low pressure, a rising river",
            datetime(2026, 10, 12, tzinfo=UTC),
            discharge_m3_s=3300.0,
            outfall_us_cm=25.0,
            production_mg_l_day=0.6,
            pco2_uatm=700.0,
            rains=(
                Rain(40.0, 110.0, discharge_m3_s=300.0),
                Rain(58.0, 260.0, rise_h=0.5, fall_h=8.0, dilution=0.4, discharge_m3_s=900.0),
                Rain(83.0, 90.0, fall_h=5.0, dilution=0.15, discharge_m3_s=300.0),
            ),
            gales=(Gale(36.0, 56.0, wave_m=0.35, pressure_drop_hpa=32.0, cooling_c=4.0),),
        ),
        Scenario(
            "salt-wedge",
            "winter low flow and spring tides: the sea comes up the river along the bottom twice a day",
            datetime(2026, 12, 21, tzinfo=UTC),
            discharge_m3_s=1100.0,
            mounting="fixed",
            depth_m=6.0,
            production_mg_l_day=0.2,
            pco2_uatm=650.0,
        ),
        Scenario(
            "deicing",
            "January: glycol and salt from a de-iced airfield, an oxygen sag that follows",
            datetime(2027, 1, 12, tzinfo=UTC),
            discharge_m3_s=2900.0,
            production_mg_l_day=0.15,
            pco2_uatm=650.0,
            diel_c=0.15,
            spills=(Spill(34.0, bod_mg_l=60.0, ec_us_cm=900.0), Spill(92.0, bod_mg_l=24.0, ec_us_cm=350.0)),
        ),
        Scenario(
            "bloom",
            "hot August: algae push oxygen and pH up by day and down by night",
            datetime(2026, 8, 16, tzinfo=UTC),
            discharge_m3_s=3600.0,
            outfall_us_cm=45.0,
            production_mg_l_day=1.5,
            pco2_uatm=950.0,
            alkalinity_umol_kg=1000.0,
            diel_c=0.8,
            blooms=(Bloom(20.0, production_mg_l_day=5.4),),
        ),
        Scenario(
            "beached",
            "the buoy drifts ashore on the second day and floats only around high water",
            datetime(2026, 9, 7, tzinfo=UTC),
            discharge_m3_s=3400.0,
            outfall_us_cm=45.0,
            beached_after_h=30.0,
        ),
    )
}


def scenario_named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        ValueError: no such scenario; names those there are.
    """
    try:
        return SCENARIOS[name]
    except KeyError:
        raise ValueError(f"unknown scenario {name!r}; one of {', '.join(SCENARIOS)}") from None
