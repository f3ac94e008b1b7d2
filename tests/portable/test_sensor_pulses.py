"""Flow by pulses and the level switch."""

from sensor_doubles import Board
from support import approx, raises

from sensors import flags
from sensors.settings import SettingsError

FLOW, LEVEL = 27, 13


def flow(hertz, **settings):
    board = Board()
    board.pulses = lambda now_ms: 1000 + int(hertz * now_ms / 1000)
    sensor = board.driver("wf", **settings)
    board.read(sensor)
    return sensor


def test_75_hertz_are_ten_litres_a_minute():
    sensor = flow(75, pulses_per_l=450.0)
    assert sensor.value == approx(10 / 60, rel=0.005)
    assert sensor.flags == flags.OK
    assert sensor.raw == approx(75, rel=0.005)
    assert sensor.unit == "L/s"


def test_one_pulse_in_five_seconds_is_seen():
    assert flow(0.2, pulses_per_l=450.0).value == approx(1 / 450 / 5, rel=1e-5)


def test_no_pulse_is_zero_flow():
    sensor = flow(0, pulses_per_l=450.0)
    assert sensor.value == 0.0
    assert sensor.flags == flags.OK


def test_the_window_is_measured_not_assumed():
    board = Board()
    board.pulses = lambda now_ms: int(0.075 * now_ms)
    sensor = board.driver("wf", pulses_per_l=450.0)
    sensor.start(0)
    assert not sensor.poll(0)
    board.clock.now_ms = 8000  # the application was busy
    assert sensor.poll(8000)
    assert sensor.value == approx(10 / 60, rel=0.005)


def test_without_a_counter_an_interrupt_counts():
    board = Board(counter=False)
    sensor = board.driver("wf", pulses_per_l=450.0)
    handler, trigger = board.handlers[FLOW]
    assert trigger == board.modules("machine").Pin.IRQ_RISING
    sensor.start(0)
    assert not sensor.poll(0)
    for _ in range(375):
        handler(board.pins[FLOW])
    board.clock.now_ms = 5000
    assert sensor.poll(5000)
    assert sensor.value == approx(10 / 60, rel=1e-5)


def test_over_300_hertz_is_electrical_noise():
    sensor = flow(310)
    assert sensor.flags & flags.RANGE
    assert sensor.value is None
    assert "noise" in sensor.note


def test_more_than_the_meter_can_is_out_of_range():
    assert flow(240, pulses_per_l=450.0).value == approx(0.533, abs=0.002)
    assert flow(260, pulses_per_l=450.0).flags == flags.RANGE


def test_flow_without_bucket_test_is_uncal():
    assert flow(75).flags == flags.UNCAL
    with raises(SettingsError, "405"):
        flow(75, pulses_per_l=300.0)


def level(levels, **settings):
    """Read a switch that shows `levels`, one per 500 ms."""
    board = Board()
    board.levels[LEVEL] = lambda now_ms: levels[min(now_ms // 500, len(levels) - 1)]
    sensor = board.driver("liqlev", **settings)
    took_ms = board.read(sensor)
    return sensor, took_ms


def test_three_equal_samples_over_a_second_are_a_level():
    for pin, wet in ((1, True), (0, False)):
        sensor, took_ms = level([pin])
        assert sensor.value is wet
        assert took_ms == 1000
        assert sensor.flags == flags.OK


def test_a_splash_is_waited_out():
    sensor, took_ms = level([0, 1, 0, 0, 0])
    assert sensor.value is False
    assert took_ms == 2000


def test_an_inverted_switch_is_turned_round():
    sensor, _ = level([0], inverted=True)
    assert sensor.value is True
    assert sensor.raw is False


def test_a_flickering_switch_is_withheld():
    sensor, took_ms = level([0, 1] * 20)
    assert sensor.value is None
    assert sensor.flags == flags.RANGE
    assert took_ms == 5000


def test_the_pull_down_makes_an_unplugged_switch_dry():
    board = Board()
    board.driver("liqlev")
    pin = board.pins[LEVEL]
    assert pin.mode == pin.IN
    assert pin.pull == pin.PULL_DOWN
