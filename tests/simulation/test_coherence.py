"""The nine readings of a buoy belong together, as the drivers publish them (sensor reference §11.7)."""

import pytest
from rig import Rig

from buoyfleet.simulation.water.environment import Environment
from buoyfleet.simulation.water.oxygen import saturation_mg_l
from buoyfleet.simulation.water.place import Place

HOUR_S = 3600.0


def readings(scenario, hours, seed=2, **options):
    """(true sample, values published, flags) at each hour."""
    rows = []
    rig = Rig(seed, scenario=scenario, place=None, **options)
    reader = rig.reader()
    for hour in hours:
        rig.now_ms = max(rig.now_ms, int(hour * HOUR_S * 1000))
        rig.buoy.advance_to_ms(rig.now_ms)
        rig.drive(reader)
        flags = {key: rig.names(sensor) for key, sensor in reader.sensors.items()}
        rows.append((rig.buoy.sample(), dict(reader.values()), flags))
    return rows


def test_dissolved_solids_are_half_the_conductivity():
    for _, values, _ in readings("calm", range(1, 60, 7)):
        assert values["tds"] == pytest.approx(0.5 * values["ec"], rel=0.15)


def test_a_calm_week_is_published_whole_and_right():
    for sample, values, flags in readings("calm", range(1, 168, 11)):
        assert len(values) == 9
        assert {name for names in flags.values() for name in names} == {"ok"}
        assert values["temp"] == pytest.approx(sample.temp_c, abs=0.2)
        assert values["do"] == pytest.approx(sample.do_pct, abs=2.6)
        assert values["ph"] == pytest.approx(sample.ph, abs=0.05)
        assert values["ec"] == pytest.approx(sample.ec25_us_cm, rel=0.02)
        assert values["tbd"] == pytest.approx(sample.ntu, abs=30)
        assert values["wp"] == pytest.approx(sample.kpa, abs=16)


def test_a_beached_buoy_reads_air_in_all_of_its_sensors():
    ashore = [row for row in readings("beached", range(31, 90, 3)) if not row[0].wet]
    assert len(ashore) > 5
    for _, values, flags in ashore:
        assert values["liqlev"] is False
        assert values["do"] == pytest.approx(100, abs=5)
        assert values["wp"] == pytest.approx(0, abs=5)
        assert values["wf"] == 0
        # no ions: nothing to publish, and never a made-up zero
        assert "ec" not in values
        assert "tds" not in values
        assert flags["ec"] >= {"saturated-low"}
        assert flags["tds"] >= {"saturated-low"}


def test_the_salt_wedge_raises_conductivity_saturates_tds_and_brings_the_seas_temperature():
    rows = readings("salt-wedge", range(1, 60, 1))
    fresh = [row for row in rows if row[0].salinity < 0.5]
    salty = [row for row in rows if row[0].salinity > 20]
    assert fresh
    assert salty
    for sample, values, flags in salty:
        # the circuit compensates as for fresh water: some percent off in cold sea water
        assert values["ec"] == pytest.approx(sample.ec25_us_cm, rel=0.05)
        assert values["ec"] > 30_000
        assert "tds" not in values
        assert "saturated" in flags["tds"]
    warmth = [sum(row[1]["temp"] for row in part) / len(part) for part in (fresh, salty)]
    assert warmth[1] > warmth[0] + 2  # December: the sea is warmer


def test_rain_shows_in_turbidity_and_conductivity_at_once():
    before, rainy = readings("storm", (30, 60))
    assert rainy[1]["tbd"] > before[1]["tbd"] + 150
    assert rainy[1]["ec"] < 0.8 * before[1]["ec"]


def test_oxygen_and_ph_rise_and_fall_together_in_a_bloom():
    rows = readings("bloom", range(72, 120, 4))
    oxygen = [row[1]["do"] for row in rows]
    ph = [row[1]["ph"] for row in rows]
    assert max(oxygen) > 115
    assert ph.index(max(ph)) == pytest.approx(oxygen.index(max(oxygen)), abs=1)
    assert max(ph) - min(ph) > 0.6


def test_percent_saturation_means_fewer_milligrams_in_warm_and_salt_water():
    environment = Environment("salt-wedge", 1)
    place = Place(environment, 100)
    for hour in range(0, 50, 3):
        sample = place.sample(hour * HOUR_S)
        expected = 100 * sample.do_mg_l / saturation_mg_l(sample.temp_c, sample.salinity)
        assert sample.do_pct == pytest.approx(expected, rel=0.01)


def test_a_probe_of_the_wrong_k_stands_out_against_the_tds_probe():
    rig = Rig(2, scenario="calm", place=None)
    rig.bench.inject("ec", "wrong-k")
    reader = rig.reader()
    rig.drive(reader)
    assert reader.value("ec") < 0.15 * reader.value("tds") * 2
    assert "contradictory" in rig.names(reader.sensors["ec"]) | rig.names(reader.sensors["tds"])


def test_a_level_switch_that_lies_is_contradicted_by_the_others():
    rig = Rig(2, scenario="calm", place=None)
    rig.bench.inject("liqlev", "unplugged")
    reader = rig.reader()
    rig.drive(reader)
    assert "contradictory" in rig.names(reader.sensors["liqlev"])


def test_every_probe_is_told_the_same_temperature():
    rig = Rig(2, scenario="storm", place=None)
    reader = rig.reader()
    rig.drive(reader)
    given = {reader.sensors[key].temperature_c for key in ("ph", "ec", "tds")}
    assert given == {reader.value("temp")}
