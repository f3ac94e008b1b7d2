"""The river: one seeded environment in simulated time, shared by any number of buoys.

Most of it is closed form. Oxygen, its demand and dissolved carbon are integrated, once per environment, in
steps of ten minutes with the exact solution of the linear equations; the steps are kept, so that any time
can be asked for in any order and asking again is free. What a buoy reads is interpolated between whole
minutes, and the minutes are kept as long as they are in use: thousands of buoys cost little more than one.
"""

from array import array
from datetime import UTC, datetime
from math import exp, pow
from typing import Literal, NamedTuple

from buoyfleet.simulation.water import carbonate, oxygen, seawater, tide, weather
from buoyfleet.simulation.water.scenario import Scenario, scenario_named

Depth = Literal["surface", "bottom"]

STEP_S = 600.0
"""Integration step: short against the 1.3 h in which a spill rises."""
GRID_S = 60.0
_KEPT_MINUTES = 512

RIVER_DEPTH_M = 7.0
_EXCHANGE_PER_DAY = 0.9
"""The site's water is replaced by water from upriver about once a day [choice]."""
_UPSTREAM_SATURATION = 0.97
_PHOTOSYNTHETIC_QUOTIENT = 1.4
"""Mole O₂ per mole CO₂: ΔDIC ≈ −ΔO₂ / 1.0–1.4; the upper end, of algae fed on nitrate."""
_BREATHED_SHARE = 0.8
"""Of what is produced over a day, breathed again at the site; the rest grows or drifts away [choice]."""
_DEMAND_DECAY_PER_DAY = 0.45
"""kd at 20 °C; glycols are eaten faster than sewage (0.23) [choice]. Θ = 1.047."""
_SEA_PH = 7.75
_SEA_SATURATION = 0.78
_SEA_SSC_MG_L = 8.0


class Water(NamedTuple):
    """The water of one layer at one moment, and the weather above it."""

    temp_c: float
    salinity: float
    ec25_us_cm: float
    ec_us_cm: float
    do_mg_l: float
    do_pct: float
    ph: float
    ntu: float
    current_m_s: float
    """Along the river, positive seaward."""
    density_kg_m3: float
    level_m: float
    wave_m: float
    pressure_hpa: float
    air_c: float


class Environment:
    """Water at a site under a scenario.

    Args:
        scenario: a `Scenario` or the name of one of `SCENARIOS`.
        seed: the weather's small fluctuations; equal seeds give equal water on every machine.
        start: simulated UTC time of t = 0; the scenario's own by default.
    """

    def __init__(
        self, scenario: Scenario | str = "calm", seed: int = 1, start: datetime | None = None
    ) -> None:
        self.scenario = scenario_named(scenario) if isinstance(scenario, str) else scenario
        self.seed = seed
        self.start = (start or self.scenario.start).astimezone(UTC)
        self.start_unix_s = self.start.timestamp()
        name = f"{self.scenario.name}/{seed}"
        self._warm = weather.Wander(f"{name}/warm", (9.0, 31.0, 76.0))
        self._murk = weather.Wander(f"{name}/murk", (1.7, 5.3, 19.0, 50.0))
        self._salt = weather.Wander(f"{name}/salt", (7.0, 29.0, 90.0))
        self._glass = weather.Wander(f"{name}/pressure", (40.0, 110.0))
        # Oxygen, oxygen demand and carbon at t = i * STEP_S.
        upstream = self._upstream(0.0)
        self._oxygen = array("d", [upstream[0]])
        self._demand = array("d", [1.0])
        self._carbon = array("d", [upstream[1]])
        self._minutes: dict[tuple[int, Depth], Water] = {}

    def at(self, t_s: float, depth: Depth = "surface") -> Water:
        """The water at a time in seconds since the start (≥ 0), linear between whole minutes."""
        k, rest = divmod(t_s, GRID_S)
        minute = int(k)
        before = self._minute(minute, depth)
        if rest == 0.0:
            return before
        after = self._minute(minute + 1, depth)
        w = rest / GRID_S
        return Water._make([a + (b - a) * w for a, b in zip(before, after, strict=True)])

    def level_m(self, t_s: float) -> float:
        """Water level above mean, with the surge that low pressure brings (1 cm per hPa)."""
        surge = 0.01 * (oxygen.STANDARD_HPA - self._pressure_hpa(t_s))
        return tide.level_m(self.start_unix_s + t_s) + surge

    # The forcing, all closed form.

    def _gale(self, t_s: float) -> tuple[float, float, float]:
        """Wave amplitude, pressure drop and cooling of the gales at a time."""
        wave = drop = cooling = 0.0
        for gale in self.scenario.gales:
            position = (t_s / 3600.0 - gale.start_h) / gale.length_h
            if 0.0 < position < 1.0:
                strength = 16.0 * (position * (1.0 - position)) ** 2  # smooth, 1 in the middle
                wave += gale.wave_m * strength
                drop += gale.pressure_drop_hpa * strength
            if position > 0.0:  # the colder air stays for a day or two
                since_h = t_s / 3600.0 - gale.start_h
                cooling += (
                    gale.cooling_c * (1.0 - exp(-since_h / 8.0)) * exp(-max(0.0, since_h - 40.0) / 40.0)
                )
        return wave, drop, cooling

    def _pressure_hpa(self, t_s: float) -> float:
        return 1015.0 + 4.0 * self._glass.at(t_s) - self._gale(t_s)[1]

    def _rain(self, t_s: float) -> tuple[float, float, float]:
        """Turbidity (NTU), share of salts missing and extra discharge (m³/s) of the rains at a time."""
        ntu = dilution = discharge = 0.0
        for rain in self.scenario.rains:
            since = t_s - 3600.0 * rain.start_h
            strength = weather.burst(since, rain.rise_h, rain.fall_h)
            ntu += rain.ntu * strength
            dilution += rain.dilution * strength
            discharge += rain.discharge_m3_s * weather.burst(
                since, 4.0 * rain.rise_h + 3.0, 4.0 * rain.fall_h
            )
        return ntu, min(dilution, 0.8), discharge

    def _discharge(self, t_s: float, day: float) -> float:
        base = self.scenario.discharge_m3_s
        return (weather.season_discharge_m3_s(day) if base is None else base) + self._rain(t_s)[2]

    def _river_temp_c(self, t_s: float, day: float, hour: float) -> float:
        cooling = 0.25 * self._gale(t_s)[2]  # the river follows the air slowly and in part
        return (
            weather.season_temp_c(day)
            + weather.diel_temp_c(hour, self.scenario.diel_c)
            + 0.15 * self._warm.at(t_s)
            - cooling
        )

    def _current_m_s(self, t_s: float, discharge: float) -> float:
        """Positive seaward. Ebb surface currents reach 2–3 m/s in freshets [choice for the rest]."""
        river = 0.25 + 0.14 * discharge / 1000.0
        return river - 1800.0 * tide.rise_m_s(self.start_unix_s + t_s)

    def _production(self, t_s: float) -> float:
        """Mean of production over the day, mg/L per day."""
        total = self.scenario.production_mg_l_day
        for bloom in self.scenario.blooms:
            since_h = t_s / 3600.0 - bloom.start_h
            if since_h > 0.0:
                grown = 1.0 / (1.0 + exp(-(since_h - 1.5 * bloom.growth_h) / (0.25 * bloom.growth_h)))
                gone = 1.0 / (1.0 + exp((since_h - bloom.length_h) / 8.0))
                total += bloom.production_mg_l_day * grown * gone
        return total

    def _upstream(self, t_s: float) -> tuple[float, float]:
        """Oxygen (mg/L) and carbon (µmol/kg) of the water that comes down the river."""
        unix_s = self.start_unix_s + t_s
        temp = self._river_temp_c(t_s, weather.day_of_year(unix_s), weather.hour_of_day(unix_s))
        saturation = oxygen.saturation_mg_l(temp, 0.0, self._pressure_hpa(t_s))
        carbon = carbonate.carbon_of_pco2(self.scenario.pco2_uatm, self.scenario.alkalinity_umol_kg, temp)
        return _UPSTREAM_SATURATION * saturation, carbon

    # The three integrated quantities.

    def _integrate_to(self, index: int) -> None:
        while len(self._oxygen) <= index:
            self._step(len(self._oxygen) - 1)

    def _step(self, i: int) -> None:
        """From t = i * STEP_S one step on, with the forcing of the step's middle.

        dC/dt = ka (C* − C) + P(t) − R − kd·BOD + kx (C_up − C); all linear, so exact over the step.
        """
        t_s = (i + 0.5) * STEP_S
        step_days = STEP_S / weather.DAY_S
        unix_s = self.start_unix_s + t_s
        day, hour = weather.day_of_year(unix_s), weather.hour_of_day(unix_s)
        temp = self._river_temp_c(t_s, day, hour)
        pressure = self._pressure_hpa(t_s)
        current = self._current_m_s(t_s, self._discharge(t_s, day))
        wave = self._gale(t_s)[0]

        demand, carbon = self._demand[i], self._carbon[i]
        kd = _DEMAND_DECAY_PER_DAY * 1.047 ** (temp - 20.0)
        supply = 0.0
        for spill in self.scenario.spills:
            since = t_s - 3600.0 * spill.start_h
            # What keeps the demand near the burst's shape against exchange and decay.
            supply += spill.bod_mg_l * 6.0 * weather.burst(since, spill.rise_h, spill.fall_h)
        k_demand = kd + _EXCHANGE_PER_DAY + (5.0 if supply > 0.0 else 0.0)
        demand_goal = (_EXCHANGE_PER_DAY * 1.0 + supply) / k_demand
        demand_next = demand_goal + (demand - demand_goal) * exp(-k_demand * step_days)
        eaten = kd * 0.5 * (demand + demand_next)

        mean_production = self._production(t_s)
        production = mean_production * weather.daylight(day, hour)
        respiration = _BREATHED_SHARE * mean_production
        ka = oxygen.reaeration_per_day(current, RIVER_DEPTH_M, temp) * (1.0 + 8.0 * wave)
        saturation = oxygen.saturation_mg_l(temp, 0.0, pressure)
        oxygen_up, carbon_up = self._upstream(t_s)
        net = production - respiration - eaten
        k = ka + _EXCHANGE_PER_DAY
        goal = (ka * saturation + _EXCHANGE_PER_DAY * oxygen_up + net) / k
        oxygen_next = goal + (self._oxygen[i] - goal) * exp(-k * step_days)

        _, dissolved = carbonate.ph_of_carbon(carbon, self.scenario.alkalinity_umol_kg, temp)
        in_air = pow(10.0, carbonate.log_kh(temp)) * 420.0  # µmol/kg in equilibrium with air
        change = (
            _EXCHANGE_PER_DAY * (carbon_up - carbon)
            + 0.9 * ka * (in_air - dissolved)
            - net * oxygen.UMOL_PER_MG / _PHOTOSYNTHETIC_QUOTIENT
        )
        self._oxygen.append(max(0.0, oxygen_next))
        self._demand.append(demand_next)
        self._carbon.append(carbon + change * step_days)

    # Whole minutes.

    def _minute(self, minute: int, depth: Depth) -> Water:
        key = (minute, depth)
        kept = self._minutes
        state = kept.get(key)
        if state is None:
            if len(kept) >= _KEPT_MINUTES:
                for old in list(kept)[: _KEPT_MINUTES // 2]:
                    del kept[old]
            state = kept[key] = self._make(minute * GRID_S, depth)
        return state

    def _make(self, t_s: float, depth: Depth) -> Water:
        scenario = self.scenario
        unix_s = self.start_unix_s + t_s
        day, hour = weather.day_of_year(unix_s), weather.hour_of_day(unix_s)
        rain_ntu, dilution, _ = self._rain(t_s)
        wave, _, cooling = self._gale(t_s)
        discharge = self._discharge(t_s, day)
        current = self._current_m_s(t_s, discharge)
        pressure = self._pressure_hpa(t_s)

        position = t_s / STEP_S
        i = int(position)
        self._integrate_to(i + 1)
        w = position - i
        river_oxygen = self._oxygen[i] + (self._oxygen[i + 1] - self._oxygen[i]) * w
        carbon = self._carbon[i] + (self._carbon[i + 1] - self._carbon[i]) * w

        share = tide.wedge_share(unix_s, discharge)
        if depth == "surface":
            share *= scenario.surface_share
        salinity = scenario.sea_salinity * share
        river_temp = self._river_temp_c(t_s, day, hour)
        sea_temp = weather.sea_temp_c(day)
        temp = river_temp + (sea_temp - river_temp) * share

        salts = 60.0 + 75.0 * (1100.0 / discharge) ** 0.5 + scenario.outfall_us_cm
        fresh = salts * (1.0 - dilution) * (1.0 + 0.04 * self._salt.at(t_s))
        for spill in scenario.spills:
            since = t_s - 3600.0 * spill.start_h
            fresh += spill.ec_us_cm * weather.burst(since, spill.rise_h, spill.fall_h)
        fresh *= 1.0 - share
        ec25 = fresh + seawater.sea_conductivity_us_cm(salinity, 25.0)
        ec = seawater.at_temperature(fresh, temp) + seawater.sea_conductivity_us_cm(salinity, temp)

        sea_oxygen = _SEA_SATURATION * oxygen.saturation_mg_l(sea_temp, scenario.sea_salinity)
        do_mg_l = river_oxygen + (sea_oxygen - river_oxygen) * share
        do_pct = 100.0 * do_mg_l / oxygen.saturation_mg_l(temp, salinity)
        river_ph, _ = carbonate.ph_of_carbon(carbon, self.scenario.alkalinity_umol_kg, river_temp)
        ssc = weather.sediment_mg_l(discharge) * (1.0 + 0.18 * self._murk.at(t_s)) + 6.0 * current * current
        ssc += (_SEA_SSC_MG_L - ssc) * share
        return Water(
            temp_c=temp,
            salinity=salinity,
            ec25_us_cm=ec25,
            ec_us_cm=ec,
            do_mg_l=do_mg_l,
            do_pct=do_pct,
            ph=river_ph + (_SEA_PH - river_ph) * share,
            ntu=max(2.0, weather.NTU_PER_MG_L * ssc + rain_ntu * (1.0 - share) + 25.0 * wave),
            current_m_s=current,
            density_kg_m3=seawater.density_kg_m3(salinity, temp),
            level_m=self.level_m(t_s),
            wave_m=0.02 + wave,
            pressure_hpa=pressure,
            air_c=weather.air_temp_c(day, hour) - cooling,
        )
