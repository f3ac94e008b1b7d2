"""A buoy's place in the water: where it hangs, and how its water differs a little from its neighbour's."""

import random
from math import pi, sin

from buoyfleet.simulation.water.environment import Depth, Environment, Water
from buoyfleet.simulation.water.medium import Sample
from buoyfleet.simulation.water.oxygen import STANDARD_HPA
from buoyfleet.simulation.water.scenario import Mounting

GRAVITY_M_S2 = 9.80665
DUCT_L_S_PER_M_S = 0.235
"""Flow through the meter's duct per current: Q = A·U·C with a bore of 20 mm (A = 3.14 cm²) and C = 0.75
(0.6–0.9)."""
METER_FULL_L_S = 0.52
"""The duct chokes a little above the meter's 30 L/min."""
TICK_S = 0.25
"""Parts that ask within the same quarter of a second get the same sample: probes are slower than that."""
_WAVE_PERIODS_S = (3.13, 4.37, 6.71)
"""No common multiple: waves look irregular however they are sampled."""


class Place:
    """The medium around one buoy: the environment at its depth, with the small differences of its spot.

    Args:
        environment: shared by all buoys of the same water.
        buoy_id: fixes the differences, together with the environment's seed.
        mounting: `floating` keeps the sensors `depth_m` under the surface and sees no tide; `fixed` keeps
            them `depth_m` under mean level, near the bottom, where the salt wedge comes.
        depth_m: see there. Both default to the scenario's.
    """

    __slots__ = (
        "_depth", "_gains", "_lag_s", "_last", "_tick", "_wave_phase", "depth_m", "environment", "mounting",
    )  # fmt: skip

    def __init__(
        self,
        environment: Environment,
        buoy_id: int = 100,
        mounting: Mounting | None = None,
        depth_m: float | None = None,
    ) -> None:
        self.environment = environment
        self.mounting: Mounting = mounting or environment.scenario.mounting
        self.depth_m = environment.scenario.depth_m if depth_m is None else depth_m
        self._depth: Depth = "surface" if self.mounting == "floating" else "bottom"
        draw = random.Random(f"{environment.seed}/place/{buoy_id}")
        # Up or down the river: what happens, happens some minutes earlier or later. Whole minutes, so that
        # buoys share the environment's grid.
        self._lag_s = 60.0 * draw.randint(0, 20)
        # temp offset in °C, then factors of salts, oxygen, turbidity, flow, and an offset of pH [choices]
        self._gains = (
            draw.uniform(-0.15, 0.15),
            draw.uniform(0.97, 1.03),
            draw.uniform(0.985, 1.015),
            draw.uniform(0.9, 1.1),
            draw.uniform(0.8, 1.1),
            draw.uniform(-0.03, 0.03),
        )
        self._wave_phase = draw.uniform(0.0, 2.0 * pi)
        self._tick = -1
        self._last: Sample | None = None

    def sample(self, t_s: float) -> Sample:
        """The medium at a time in seconds since the simulation's start."""
        tick = int(t_s / TICK_S)
        last = self._last
        if last is None or tick != self._tick:
            self._tick = tick
            last = self._last = self._make(tick * TICK_S)
        return last

    def _make(self, t_s: float) -> Sample:
        water = self.environment.at(t_s + self._lag_s, self._depth)
        wave = 0.0
        for period_s in _WAVE_PERIODS_S:
            wave += sin(2.0 * pi * t_s / period_s + self._wave_phase * period_s)
        wave *= 0.5 * water.wave_m
        depth = self._covered_m(t_s, water, wave)
        if depth <= 0.0:
            return _in_air(water)
        warmer, salts, oxygen, murk, flow, acid = self._gains
        return Sample(
            temp_c=water.temp_c + warmer,
            ph=water.ph + acid,
            ec25_us_cm=water.ec25_us_cm * salts,
            ec_us_cm=water.ec_us_cm * salts,
            do_pct=water.do_pct * oxygen,
            ntu=water.ntu * murk,
            kpa=water.density_kg_m3 * GRAVITY_M_S2 * depth / 1000.0,
            flow_l_s=min(METER_FULL_L_S, abs(water.current_m_s) * DUCT_L_S_PER_M_S * flow),
            wet=True,
            salinity=water.salinity,
            do_mg_l=water.do_mg_l * oxygen,
        )

    def _covered_m(self, t_s: float, water: Water, wave_m: float) -> float:
        """Water above the sensors, m; ≤ 0 means that they hang in air."""
        scenario = self.environment.scenario
        ashore = scenario.beached_after_h
        if ashore is not None and t_s >= 3600.0 * ashore:
            # Lying on the ground the sensors are where the water is thin: covered or not.
            return min(self.depth_m, water.level_m - scenario.shore_level_m)
        if self.mounting == "floating":
            return max(0.1, self.depth_m + 0.15 * wave_m)  # a buoy rides the waves and tilts a little
        return self.depth_m + water.level_m + wave_m


def _in_air(water: Water) -> Sample:
    """Probes in moist air: oxygen follows the barometer, ions and turbidity have nothing to see."""
    return Sample(
        temp_c=water.air_c,
        ph=7.0,
        ec25_us_cm=0.0,
        ec_us_cm=0.0,
        do_pct=100.0 * water.pressure_hpa / STANDARD_HPA,
        ntu=0.0,
        kpa=0.0,
        flow_l_s=0.0,
        wet=False,
    )
