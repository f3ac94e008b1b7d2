"""Value of the water → part → bus → driver → value, within the part's accuracy over its range and 0–30 °C."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Rig

from buoyfleet.simulation.parts.solutions import water
from sensors.parts import part
from sensors.tds import FULL_V, MAX_PPM

boards = st.integers(1, 50)
temperatures = st.floats(0.0, 30.0)
CONVERTER_V = 0.03  # what an ESP32's converter may be off near the end of its range
few = settings(max_examples=40, deadline=None)


def read(key, board, medium, temperature_c=None, **driver_settings):
    """Settle a clean, calibrated board in a medium and read it once."""
    rig = Rig(board, place=medium)
    sensor = rig.drive(rig.driver(key, **driver_settings), temperature_c)
    assert rig.names(sensor) <= {"ok", "uncomp"}, sensor.note
    return sensor.value


def solids(board, temp_c, ppm):
    """Read a calibrated board in water of so many ppm; also the volts that its own part gives there."""
    medium = water(temp_c=temp_c, ec25_us_cm=2.0 * ppm)
    rig = Rig(board, place=medium)
    sensor = rig.drive(rig.driver("tds"), temp_c)
    return sensor.value, rig.names(sensor), rig.bench.part("tds").volts_in(medium)


def accept(key, reading, true):
    assert reading == pytest.approx(true, abs=part(key).accuracy(true))


@few
@given(boards, st.floats(-2.0, 40.0))
def test_temperature(board, temp_c):
    accept("temp", read("temp", board, water(temp_c=temp_c), correction=None, limits=(-5.0, 50.0)), temp_c)
    # after the one-point correction of the bench
    assert read("temp", board, water(temp_c=temp_c), limits=(-5.0, 50.0)) == pytest.approx(temp_c, abs=0.2)


@few
@given(boards, temperatures, st.floats(4.0, 10.0))
def test_ph(board, temp_c, ph):
    accept("ph", read("ph", board, water(temp_c=temp_c, ph=ph), temp_c, limits=(0.0, 14.0)), ph)


@few
@given(boards, temperatures, st.floats(10.0, 45_000.0))
def test_conductivity(board, temp_c, ec25):
    accept("ec", read("ec", board, water(temp_c=temp_c, ec25_us_cm=ec25), temp_c), ec25)


@few
@given(boards, temperatures, st.floats(32.0, 150.0))
def test_oxygen(board, temp_c, percent):
    accept("do", read("do", board, water(temp_c=temp_c, do_pct=percent)), percent)


@few
@given(boards, temperatures, st.floats(85.0, 1000.0))
def test_dissolved_solids(board, temp_c, ppm):
    # Warm water drives a sensitive probe to the end of its output at less than 1000 ppm: it may say so there.
    value, names, volts = solids(board, temp_c, ppm)
    assert names <= ({"ok"} if volts < FULL_V - CONVERTER_V else {"ok", "saturated"})
    accept("tds", value, ppm)


@few
@given(boards, temperatures, st.floats(1000.0, 3000.0))
def test_dissolved_solids_beyond_the_output_are_flagged(board, temp_c, ppm):
    _, names, volts = solids(board, temp_c, ppm)
    if volts > FULL_V + CONVERTER_V or ppm > 1.1 * MAX_PPM:
        assert names == {"saturated"}


@few
@given(boards, temperatures, st.floats(0.0, 2900.0))
def test_turbidity(board, temp_c, ntu):
    accept("tbd", read("tbd", board, water(temp_c=temp_c, ntu=ntu)), ntu)


@few
@given(boards, temperatures, st.floats(0.0, 1550.0))
def test_pressure(board, temp_c, kpa):
    accept("wp", read("wp", board, water(temp_c=temp_c, kpa=kpa)), kpa)


@few
@given(boards, st.floats(2.0, 30.0))
def test_flow(board, litres_min):
    reading = read("wf", board, water(flow_l_s=litres_min / 60.0))
    # one pulse of the window besides the part's own ±5 %
    assert reading == pytest.approx(litres_min / 60.0, abs=part("wf").accuracy(litres_min / 60.0) + 0.0005)


@pytest.mark.parametrize("wet", [True, False])
def test_level(wet):
    assert read("liqlev", 1, water(wet=wet)) is wet


@pytest.mark.parametrize("flavour", ["new", "old"])
def test_both_firmware_flavours_of_the_circuits_read_alike(flavour):
    rig = Rig(3, place=water(temp_c=8.0, ph=6.4, ec25_us_cm=812.0), flavour=flavour)
    ph = rig.drive(rig.driver("ph"), 8.0)
    ec = rig.drive(rig.driver("ec"), 8.0)
    assert (ph.value, ec.value) == (pytest.approx(6.4, abs=0.05), pytest.approx(812.0, rel=0.02))
    assert rig.names(ph) | rig.names(ec) == {"ok"}
    assert ph.circuit == ("ph", "2.14" if flavour == "new" else "1.98")


def test_the_flow_meter_is_read_by_interrupts_where_there_is_no_counter():
    rig = Rig(1, place=water(flow_l_s=0.2))
    from buoyfleet.simulation.buses.modules import Modules
    from sensors.build import make_driver

    settings = {**rig.buoy.settings["sensors"]["wf"]}
    settings.pop("mode")
    sensor = make_driver("wf", settings, Modules(rig.bench, version=(1, 25)))
    assert not hasattr(Modules(rig.bench, version=(1, 25))("machine"), "Counter")
    rig.drive(sensor)
    assert sensor.value == pytest.approx(0.2, rel=0.05)


def test_nine_sensors_take_no_longer_together_than_the_slowest():
    rig = Rig(5, place=water(temp_c=11.0, flow_l_s=0.15, kpa=12.0, ntu=60.0, ec25_us_cm=240.0))
    reader = rig.reader()
    rig.drive(reader)
    rig.drive(reader)  # the first one sets the circuits up
    assert rig.took_ms <= 5000
    assert {rig.names(sensor).pop() for sensor in reader.sensors.values()} == {"ok"}
    values = dict(reader.values())
    true = rig.buoy.truth()
    assert set(values) == set(true)
    for key, value in values.items():
        assert value == pytest.approx(true[key], abs=part(key).accuracy(float(true[key]))), key


def test_switched_rails_feed_their_parts_for_a_reading_only():
    rig = Rig(5, place=water(temp_c=11.0, kpa=12.0, ntu=60.0), switched=True)
    reader = rig.reader()
    assert not rig.bench.part("tbd").powered
    assert rig.bench.part("ph").powered  # needs minutes to recover, so it stays on
    rig.drive(reader)
    assert (reader.value("tbd"), reader.value("wp")) == (
        pytest.approx(60.0, abs=36.0),
        pytest.approx(12.0, abs=16.0),
    )
    assert not rig.bench.part("tbd").powered
    rig.wait(70)  # the driver cannot know how long the circuit had been on
    rig.drive(reader)
    assert reader.value("ph") == pytest.approx(7.4, abs=0.05)


def test_a_circuit_that_was_without_power_is_not_believed_before_it_has_recovered():
    rig = Rig(5, place=water(ph=7.9), switched=True)
    ph = rig.reader(power={"ezo": {"switched": False}}).sensors["ph"]
    rig.drive(ph, 20.0)
    rig.wait(70)
    rig.drive(ph, 20.0)
    assert rig.names(ph) == {"ok"}
    rig.bench.part("ph").power(False, rig.bench.t_s)
    rig.drive(ph, 20.0)
    assert rig.names(ph) == {"missing"}
    rig.wait(30)
    rig.bench.part("ph").power(True, rig.bench.t_s)
    rig.wait(2)
    rig.drive(ph, 20.0)
    assert "warming" in rig.names(ph)
    assert ph.value is None
    assert abs(rig.drive(ph, 20.0).measured - 7.9) > 0.05
    rig.wait(180)
    rig.drive(ph, 20.0)
    assert rig.names(ph) == {"ok"}
    assert ph.value == pytest.approx(7.9, abs=0.05)
