"""The formulas of the water against the figures of the reference's tables."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.simulation.water import carbonate, oxygen, seawater, tide, weather

# Reference §11.1: mg/L at one atmosphere by temperature and S = 0, 5, 10, 20, 30.
SATURATION = {
    0: (14.62, 14.12, 13.64, 12.72, 11.86),
    5: (12.77, 12.35, 11.95, 11.18, 10.45),
    10: (11.29, 10.93, 10.59, 9.93, 9.32),
    15: (10.08, 9.78, 9.49, 8.92, 8.39),
    20: (9.09, 8.83, 8.57, 8.08, 7.62),
    25: (8.26, 8.03, 7.81, 7.38, 6.97),
}


@pytest.mark.parametrize("temp_c", SATURATION)
def test_oxygen_saturation_is_the_published_table(temp_c):
    for salinity, expected in zip((0, 5, 10, 20, 30), SATURATION[temp_c], strict=True):
        assert oxygen.saturation_mg_l(temp_c, salinity) == pytest.approx(expected, abs=0.011)
        assert oxygen.saturation_benson_krause_mg_l(temp_c, salinity) == pytest.approx(expected, abs=0.02)


def test_oxygen_saturation_meets_the_papers_own_check_value():
    assert oxygen.saturation_umol_kg(10.0, 35.0) == pytest.approx(274.61, abs=0.02)


def test_low_pressure_holds_less_oxygen():
    assert oxygen.pressure_factor(15.0, 980.0) == pytest.approx(0.967, abs=0.0005)
    assert oxygen.pressure_factor(15.0, 1035.0) == pytest.approx(1.022, abs=0.0005)
    assert oxygen.saturation_mg_l(15.0, 0.0, 980.0) == pytest.approx(0.967 * 10.08, abs=0.02)


def test_reaeration_meets_the_worked_rivers():
    assert oxygen.reaeration_per_day(0.5, 5.0, 20.0) == pytest.approx(0.25, abs=0.005)
    assert oxygen.reaeration_per_day(1.0, 8.0, 20.0) == pytest.approx(0.17, abs=0.005)


@pytest.mark.parametrize(
    ("salinity", "ms_cm"),
    [(0.07, 0.150), (0.5, 1.015), (1, 1.969), (2, 3.80), (5, 8.96), (10, 17.0), (20, 32.1), (30, 46.2)],
)
def test_salt_water_conducts_as_pss_78_with_the_low_salinity_correction_says(salinity, ms_cm):
    assert seawater.sea_conductivity_us_cm(salinity, 25.0) / 1000 == pytest.approx(ms_cm, rel=0.003)


def test_standard_sea_water_has_the_conductivity_that_defines_the_scale():
    assert seawater.sea_conductivity_us_cm(35.0, 15.0) == pytest.approx(42_914.0, rel=1e-4)
    assert seawater.sea_conductivity_us_cm(1.0, 10.0) == pytest.approx(1390, rel=0.005)
    assert seawater.sea_conductivity_us_cm(10.0, 10.0) == pytest.approx(12_100, rel=0.005)


@given(st.floats(0.05, 42.0), st.floats(-1.0, 34.0))
def test_salinity_and_conductivity_are_inverse_to_each_other(salinity, temp_c):
    conductivity = seawater.sea_conductivity_us_cm(salinity, temp_c)
    assert seawater.salinity(conductivity, temp_c) == pytest.approx(salinity, abs=1e-6)


@pytest.mark.parametrize("temp_c", [0.0, 13.05, 25.0])
def test_more_salt_conducts_more_down_to_none_at_all(temp_c):
    values = [seawater.sea_conductivity_us_cm(1e-4 * 1.02**n, temp_c) for n in range(640)]
    assert seawater.sea_conductivity_us_cm(0.0, temp_c) == 0.0
    assert all(1.01 < b / a < 1.03 for a, b in itertools.pairwise(values))


@pytest.mark.parametrize(("salinity", "kpa"), [(0, 9.80), (10, 9.88), (30, 10.03)])
def test_a_metre_of_water_weighs_what_the_reference_says(salinity, kpa):
    # 10.03 is what S = 30 rounds to with g = 9.81; ours is standard gravity.
    assert seawater.density_kg_m3(salinity, 15.0) * 9.80665 / 1000 == pytest.approx(kpa, abs=0.008)


@pytest.mark.parametrize(("pco2", "ph"), [(250, 8.21), (420, 7.98), (600, 7.83), (1000, 7.61), (2000, 7.31)])
def test_ph_follows_the_pressure_of_carbon_dioxide(pco2, ph):
    assert carbonate.ph_of_pco2(pco2, 750.0, 10.0) == pytest.approx(ph, abs=0.006)
    carbon = carbonate.carbon_of_pco2(pco2, 750.0, 10.0)
    assert carbonate.ph_of_carbon(carbon, 750.0, 10.0)[0] == pytest.approx(ph, abs=0.01)


@given(st.floats(100.0, 8000.0), st.floats(500.0, 1000.0), st.floats(0.0, 30.0))
def test_dissolved_gas_comes_back_from_carbon_and_alkalinity(pco2, alkalinity, temp_c):
    carbon = carbonate.carbon_of_pco2(pco2, alkalinity, temp_c)
    _, dissolved = carbonate.ph_of_carbon(carbon, alkalinity, temp_c)
    assert dissolved == pytest.approx(10 ** carbonate.log_kh(temp_c) * pco2, rel=1e-6)


def test_plummer_and_busenbergs_constants_have_their_values_at_25_degrees():
    assert carbonate.log_k1(25.0) == pytest.approx(-6.352, abs=0.002)
    assert carbonate.log_k2(25.0) == pytest.approx(-10.329, abs=0.002)
    assert carbonate.log_kh(25.0) == pytest.approx(-1.468, abs=0.002)


def test_the_tide_repeats_its_main_constituent_and_stays_within_its_amplitudes():
    levels = [tide.level_m(600.0 * i) for i in range(30 * 144)]
    assert max(levels) < sum(height for _, height, _ in tide.CONSTITUENTS.values())
    assert max(levels) - min(levels) > 3.0
    rises = [(tide.level_m(t + 1.0) - tide.level_m(t - 1.0)) / 2.0 for t in (0.0, 5e4, 9e5)]
    assert rises == pytest.approx([tide.rise_m_s(t) for t in (0.0, 5e4, 9e5)], abs=1e-7)


def test_the_wedge_follows_high_water_by_seventy_minutes_and_freshets_hold_it_back():
    minutes = range(0, 1500, 5)
    high = max(minutes, key=lambda m: tide.level_m(60.0 * m))
    wedge = max(minutes, key=lambda m: tide.wedge_share(60.0 * m, 1100.0))
    assert wedge - high == pytest.approx(70, abs=5)
    assert max(tide.wedge_share(600.0 * i, 1100.0) for i in range(4320)) > 0.9
    assert max(tide.wedge_share(600.0 * i, 7000.0) for i in range(4320)) < 0.01


def test_sediment_passes_through_the_two_measured_states():
    assert weather.sediment_mg_l(1500.0) == pytest.approx(21.0)
    assert weather.sediment_mg_l(7000.0) == pytest.approx(167.0)
    assert weather.season_discharge_m3_s(20.0) == pytest.approx(1100.0, rel=0.01)
    assert weather.season_discharge_m3_s(166.0) == pytest.approx(7000.0)


def test_the_season_swings_between_three_and_eighteen_degrees():
    temps = [weather.season_temp_c(day) for day in range(366)]
    assert (min(temps), max(temps)) == pytest.approx((3.0, 18.0), abs=0.01)
    assert temps.index(max(temps)) == 220


def test_a_burst_peaks_at_one_and_starts_at_nothing():
    values = [weather.burst(60.0 * m, 0.4, 6.0) for m in range(-5, 3000)]
    assert values[:6] == [0.0] * 6
    assert max(values) == pytest.approx(1.0, abs=1e-3)
    assert values[-1] < 0.01


def test_daylight_is_half_a_sine_with_mean_one():
    for day in (10, 172, 300):
        mean = sum(weather.daylight(day, h / 60) for h in range(1440)) / 1440
        assert mean == pytest.approx(1.0, abs=0.01)
        assert weather.daylight(day, 0.5) == 0.0
