"""The water as a whole: seeded, cheap, coherent, the same whatever the order of asking (§11.7)."""

import random

import pytest

from buoyfleet.simulation.water.environment import Environment
from buoyfleet.simulation.water.medium import truth
from buoyfleet.simulation.water.oxygen import saturation_mg_l
from buoyfleet.simulation.water.place import Place
from buoyfleet.simulation.water.scenario import SCENARIOS, scenario_named

HOUR = 3600.0
# Reference §11.7, fault bounds: beyond them a driver calls a reading broken, so true water must stay inside.
BOUNDS = {
    "temp": (-2, 40),
    "do": (0, 200),
    "ph": (5, 10),
    "ec": (0, 50_000),
    "tbd": (0, 3000),
    "wf": (0, 0.55),
    "wp": (-10, 1600),
}


def week(name, seed=1, buoy_id=100, step_s=1800.0):
    place = Place(Environment(name, seed), buoy_id)
    return [(t * step_s, place.sample(t * step_s)) for t in range(int(7 * 24 * HOUR / step_s))]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_stays_inside_what_the_parts_and_the_river_can_be(name):
    for _, sample in week(name):
        values = truth(sample)
        for key, (low, high) in BOUNDS.items():
            value = values[key]
            assert value is None or low <= value <= high, (name, key, value)
        assert values["tds"] == pytest.approx(0.5 * values["ec"])


def test_equal_seeds_give_equal_water_and_others_do_not():
    assert week("storm", 7) == week("storm", 7)
    assert week("storm", 7) != week("storm", 8)


def test_neighbours_in_the_same_water_differ_a_little():
    here, there = week("calm", buoy_id=100), week("calm", buoy_id=101)
    differences = [abs(a.temp_c - b.temp_c) for (_, a), (_, b) in zip(here, there, strict=True)]
    assert 0.0 < max(differences) < 0.8


def test_times_can_be_asked_in_any_order_without_changing_the_answer():
    times = [random.Random(3).uniform(0, 5 * 24 * HOUR) for _ in range(60)]
    forward = Environment("bloom", 3)
    rising = {t: forward.at(t) for t in sorted(times)}
    mixed = Environment("bloom", 3)
    assert {t: mixed.at(t) for t in times} == rising


def test_an_unknown_scenario_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"'stormy'.*calm, storm, salt-wedge, deicing, bloom, beached"):
        scenario_named("stormy")


def test_oxygen_saturation_rises_with_temperature_and_salt_at_the_same_milligrams():
    def percent(t, s):
        return 100 * 9.0 / saturation_mg_l(t, s)

    assert percent(5, 0) < percent(15, 0) < percent(15, 20)
    # and at fixed saturation the milligrams fall
    assert saturation_mg_l(5, 0) > saturation_mg_l(15, 0) > saturation_mg_l(15, 20)


def test_percent_and_milligrams_of_a_sample_belong_together():
    for name in ("calm", "salt-wedge", "bloom"):
        environment = Environment(name, 2)
        for hour in range(0, 168, 5):
            for depth in ("surface", "bottom"):
                water = environment.at(hour * HOUR, depth)
                expected = 100 * water.do_mg_l / saturation_mg_l(water.temp_c, water.salinity)
                assert water.do_pct == pytest.approx(expected, rel=1e-3)


def test_the_salt_wedge_brings_salt_and_the_temperature_of_the_sea_along_the_bottom():
    environment = Environment("salt-wedge", 1)
    bottom = [environment.at(600.0 * i, "bottom") for i in range(1000)]
    surface = [environment.at(600.0 * i, "surface") for i in range(1000)]
    salty = max(bottom, key=lambda w: w.salinity)
    fresh = min(bottom, key=lambda w: w.salinity)
    assert salty.salinity > 20
    assert salty.ec25_us_cm > 30_000
    assert fresh.ec25_us_cm < 1000
    assert salty.temp_c > fresh.temp_c + 3  # in December the sea is warmer than the river
    assert max(w.salinity for w in surface) <= 5


def test_a_floating_buoy_sees_no_tide_and_a_fixed_one_does():
    environment = Environment("calm", 1)
    floating = Place(environment, 100, "floating", 1.0)
    fixed = Place(environment, 100, "fixed", 6.0)
    times = [1800.0 * i for i in range(96)]
    at_surface = [floating.sample(t).kpa for t in times]
    at_bottom = [fixed.sample(t).kpa for t in times]
    assert max(at_surface) - min(at_surface) < 0.5
    assert max(at_bottom) - min(at_bottom) > 20.0
    levels = [environment.level_m(t) for t in times]
    assert times[at_bottom.index(max(at_bottom))] == pytest.approx(times[levels.index(max(levels))], abs=3600)


def test_a_beached_buoy_reads_air_and_floats_again_at_high_water():
    samples = week("beached")
    before = [s for t, s in samples if t < 29 * HOUR]
    after = [s for t, s in samples if t > 31 * HOUR]
    assert all(s.wet for s in before)
    dry = [s for s in after if not s.wet]
    assert 0.4 < len(dry) / len(after) < 0.95
    for sample in dry:
        assert (sample.ec25_us_cm, sample.ec_us_cm, sample.kpa, sample.flow_l_s) == (0, 0, 0, 0)
        assert sample.do_pct == pytest.approx(100, abs=3)
        assert truth(sample)["ph"] is None


def test_a_bloom_swings_oxygen_and_ph_together():
    samples = [s for t, s in week("bloom") if 72 * HOUR < t < 120 * HOUR]
    oxygen = [s.do_pct for s in samples]
    ph = [s.ph for s in samples]
    assert max(oxygen) > 118
    assert min(oxygen) < 96
    assert 8.5 < max(ph) < 9.0
    assert min(ph) < 7.9
    high = [p for p, o in zip(ph, oxygen, strict=True) if o > 115]
    low = [p for p, o in zip(ph, oxygen, strict=True) if o < 98]
    assert min(high) > max(low)


def test_deicing_eats_the_oxygen_hours_after_the_salt_came():
    samples = week("deicing")
    salt = max(samples, key=lambda row: row[1].ec25_us_cm)
    sag = min(samples, key=lambda row: row[1].do_pct)
    assert 500 < salt[1].ec25_us_cm < 2000
    assert sag[1].do_pct < 65
    assert salt[0] + 4 * HOUR < sag[0] < salt[0] + 48 * HOUR


def test_rain_muddies_the_water_and_dilutes_its_salts():
    samples = week("storm")
    mud = max(samples, key=lambda row: row[1].ntu)
    assert mud[1].ntu > 250
    assert mud[0] == pytest.approx(59.5 * HOUR, abs=2 * HOUR)
    calm_ec = [s.ec25_us_cm for t, s in samples if t < 36 * HOUR]
    assert mud[1].ec25_us_cm < 0.75 * sum(calm_ec) / len(calm_ec)
