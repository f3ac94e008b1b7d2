"""Every failure of a part as its driver sees it on the bus, and that it passes when the fault is gone."""

import pytest
from rig import Rig

from buoyfleet.simulation.parts.solutions import water

RIVER = {
    "temp_c": 12.0, "ph": 7.6, "ec25_us_cm": 300.0, "do_pct": 95.0, "ntu": 40.0, "kpa": 12.0, "flow_l_s": 0.2,
}  # fmt: skip
TRUE = {"temp": 12.0, "ph": 7.6, "ec": 300.0, "do": 95.0, "tds": 150.0, "tbd": 40.0, "wp": 12.0, "wf": 0.2}

# key, fault, flags of the next reading, a word of the note
SEEN = [
    ("temp", "open", "missing", "presence"),
    ("temp", "short", "missing", "shorted"),
    ("temp", "stuck-high", "crc", "3 tries"),
    ("temp", "crc", "crc", "3 tries"),
    ("temp", "crc-once", "ok", ""),
    ("temp", "exchanged", "ok", ""),
    ("temp", "second", "ok", ""),
    ("temp", "brownout", "range", "85"),
    ("temp", "brownout-once", "ok", ""),
    ("temp", "counterfeit", "range", "faster than"),
    ("do", "unplugged", "saturated-low", "unplugged"),
    ("do", "torn", "range", "torn"),
    ("do", "floating", "missing", "floats"),
    ("tds", "unplugged", "saturated-low", "unplugged"),
    ("tds", "short", "saturated", ""),
    ("tds", "floating", "missing", "floats"),
    ("tbd", "unplugged", "missing", "unplugged"),
    ("tbd", "daylight", "saturated", "clearer"),
    ("tbd", "covered", "saturated", "covered"),
    ("wp", "open", "missing", "open"),
    ("wp", "short", "saturated", "short"),
    ("wf", "noise", "range", "noise"),
    ("liqlev", "flicker", "range", "flickers"),
    ("ph", "silent", "missing", "silent"),
    ("ph", "continuous-mode", "ok", ""),
    ("ph", "junk", "ok", ""),
    ("ph", "no-ok", "ok", ""),
    ("ph", "undervolt", "warming", "*UV"),
    ("ph", "overvolt", "warming", "*OV"),
    ("ph", "brownout", "warming", ""),
    ("ph", "chatter", "warming", "woken"),
    ("ph", "rail", "range", "14.000"),
    ("ec", "silent", "missing", "silent"),
    ("ec", "continuous-mode", "ok", ""),
    ("ec", "open", "saturated-low", "0.00"),
    ("ec", "short", "range", "salt bridge"),
]
# key, fault, how the reading compares to the truth: what only cross-checks and the bench can see
UNSEEN = [
    ("temp", "stuck", 1.0),
    ("do", "depleted", 0.5),
    ("do", "stagnant", 0.8),
    ("tds", "bubble", 0.6),
    ("tbd", "bubble", 4.5),
    ("wp", "blocked", 0.0),
    ("wf", "stuck", 0.0),
    ("wf", "unplugged", 0.0),
    ("wf", "debris", 0.8),
    ("ec", "wrong-k", 0.1),
    ("ec", "k-lost", 10.0),
    ("ec", "bubble", 0.7),
    ("ph", "cracked", 7.0 / 7.6),
    ("ph", "offset", 6.89 / 7.6),
    ("ph", "low-slope", 7.49 / 7.6),
]


def rig_and_driver(key, flavour="new"):
    rig = Rig(7, place=water(**RIVER), flavour=flavour)
    sensor = rig.driver(key)
    rig.drive(sensor, 12.0)
    assert rig.names(sensor) == {"ok"}
    rig.wait(2)
    return rig, sensor


@pytest.mark.parametrize(("key", "fault", "flag", "word"), SEEN)
def test_a_failing_part_is_flagged_as_the_reference_says(key, fault, flag, word):
    for flavour in ("new", "old") if key in ("ph", "ec") else ("new",):
        rig, sensor = rig_and_driver(key, flavour)
        rig.bench.inject(key, fault)
        rig.drive(sensor, 12.0)
        assert rig.names(sensor) == {flag}, sensor.note
        assert word in sensor.note
        rig.bench.clear(key)
        for _ in range(6):  # discarded readings after a wake-up, warm-up after a restart
            rig.wait(80)
            rig.drive(sensor, 12.0)
        assert rig.names(sensor) == {"ok"}, sensor.note
        if key in TRUE and fault != "brownout":
            assert sensor.value == pytest.approx(TRUE[key], rel=0.03, abs=0.2 if key == "temp" else 8.0)


@pytest.mark.parametrize(("key", "fault", "factor"), UNSEEN)
def test_a_part_that_lies_quietly_lies_by_as_much_as_its_fault_says(key, fault, factor):
    rig, sensor = rig_and_driver(key)
    rig.bench.inject(key, fault)
    rig.wait(5)
    rig.drive(sensor, 12.0)
    assert sensor.measured == pytest.approx(factor * TRUE[key], rel=0.08, abs=1.0 if key == "wp" else 0.005)


def test_a_probe_that_is_exchanged_under_way_is_found_at_once_and_ph_stays_compensated():
    rig, sensor = rig_and_driver("temp")
    old = sensor.probes
    for _ in range(3):
        rig.bench.inject("temp", "exchanged")
        rig.drive(sensor)
        assert rig.names(sensor) == {"ok"}
        assert sensor.value == pytest.approx(12.0, abs=0.3)
        assert sensor.probes[0][0] != old[0][0]
        old = sensor.probes


@pytest.mark.parametrize(("fault", "flags"), [("rom-once", {"ok"}), ("rom", {"missing"})])
def test_a_wrong_bit_in_a_rom_code_is_seen_by_its_crc(fault, flags):
    rig = Rig(7, place=water(**RIVER))
    rig.bench.inject("temp", fault)
    sensor = rig.driver("temp")
    rig.drive(sensor)
    assert rig.names(sensor) == flags
    if flags == {"missing"}:
        assert "CRC" in sensor.note
    rig.bench.clear("temp")
    rig.drive(sensor)
    assert rig.names(sensor) == {"ok"}


def test_of_several_probes_the_first_by_rom_code_is_published_and_the_note_says_so():
    rig = Rig(7, place=water(**RIVER))
    rig.bench.inject("temp", "second")
    sensor = rig.driver("temp")
    rig.drive(sensor)
    roms = [rom for rom, _ in sensor.probes]
    assert len(roms) == 2
    assert roms == sorted(roms)
    assert "first of 2 probes" in sensor.note
    assert roms[0] in sensor.note
    other = rig.driver("temp", rom=roms[1])
    rig.drive(other)
    assert other.probes[0][0] == roms[1]
    assert other.note == ""


def test_a_second_probe_that_is_pulled_out_leaves_the_first():
    rig = Rig(7, place=water(**RIVER))
    rig.bench.inject("temp", "second")
    sensor = rig.driver("temp")
    rig.drive(sensor)
    assert len(sensor.probes) == 2
    rig.bench.clear("temp", "second")
    for _ in range(3):
        rig.wait(60)
        rig.drive(sensor)
        assert rig.names(sensor) == {"ok"}
    assert len(sensor.probes) == 1


def test_a_circuit_at_another_baud_rate_sends_what_nobody_reads():
    rig, sensor = rig_and_driver("ph")
    rig.bench.inject("ph", "wrong-baud")
    rig.drive(sensor, 12.0)
    assert rig.names(sensor) <= {"missing", "parse"}
    assert sensor.value is None


def test_an_unplugged_ph_probe_wanders_until_the_driver_notices():
    rig, sensor = rig_and_driver("ph")
    rig.bench.inject("ph", "unplugged")
    seen = set()
    for _ in range(8):
        rig.wait(0.5)
        rig.drive(sensor, 12.0)
        seen |= rig.names(sensor)
    assert "range" in seen


def test_a_circuit_that_refuses_its_k_is_not_believed():
    rig = Rig(7, place=water(**RIVER))
    rig.bench.inject("ec", "k-lost")
    rig.bench.inject("ec", "k-refused")
    sensor = rig.drive(rig.driver("ec"), 12.0)
    assert rig.names(sensor) == {"range"}
    assert "decade" in sensor.note


def test_a_lost_k_is_set_again_at_the_next_set_up():
    rig = Rig(7, place=water(**RIVER))
    rig.bench.inject("ec", "k-lost")
    assert rig.drive(rig.driver("ec"), 12.0).value == pytest.approx(300, rel=0.02)


def test_an_uncalibrated_board_says_so():
    rig = Rig(7, place=water(**RIVER), calibrated=False)
    for key in ("ph", "ec", "do", "tds", "tbd", "wp", "wf"):
        assert "uncal" in rig.names(rig.drive(rig.driver(key), 12.0)), key


def test_a_salt_saturated_tds_probe_is_flagged_and_not_averaged():
    rig = Rig(7, place=water(temp_c=10.0, ec25_us_cm=15_000.0))
    assert rig.names(rig.drive(rig.driver("tds"), 10.0)) == {"saturated"}


def test_very_fresh_cold_water_is_invisible_to_the_tds_probe_and_never_a_silent_zero():
    rig = Rig(7, place=water(temp_c=3.0, ec25_us_cm=80.0))
    sensor = rig.drive(rig.driver("tds"), 3.0)
    assert rig.names(sensor) == {"saturated-low"}
    assert sensor.value is None


def test_without_power_every_switched_part_is_missed():
    rig = Rig(7, place=water(**RIVER), switched=True)
    for key, flag in (("ph", "missing"), ("ec", "missing"), ("tbd", "missing"), ("wp", "missing")):
        sensor = rig.driver(key)
        rig.bench.part(key).power(False, rig.bench.t_s)
        assert rig.names(rig.drive(sensor, 12.0)) == {flag}, key


def test_faults_and_parts_that_do_not_exist_are_refused_by_name():
    rig = Rig(7)
    with pytest.raises(ValueError, match=r"temp has no fault 'shrot'; it has open, short"):
        rig.bench.inject("temp", "shrot")
    with pytest.raises(ValueError, match=r"no part 'salt' on this board; it has do, ec"):
        rig.bench.inject("salt", "open")


@pytest.mark.parametrize("key", ["do", "tds", "tbd", "ph"])
def test_fouling_moves_a_reading_the_way_the_reference_says(key):
    clean, sensor = rig_and_driver(key)
    before = sensor.value
    clean.bench.part(key).fouling = 0.5
    clean.wait(600)
    after = clean.drive(sensor, 12.0).measured
    assert {"do": after < 0.8 * before, "tds": after < 0.9 * before, "tbd": after > before + 80}.get(
        key, after < before
    )


def test_a_drifting_zero_shows_after_a_month():
    rig, sensor = rig_and_driver("ph")
    rig.bench.part("ph").drift_per_day = 0.03 / 30
    rig.wait(30 * 86400)
    assert rig.drive(sensor, 12.0).value == pytest.approx(7.63, abs=0.01)
