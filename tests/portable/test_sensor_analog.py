"""The four analog parts behind an ESP32's converter: dead zone, ceiling, open inputs, constants."""

from sensor_doubles import Board, Converter
from support import approx, raises

from sensors import flags
from sensors.power import Rail
from sensors.settings import SettingsError

DO, TDS, TBD, WP = 36, 39, 34, 35


def read(key, pin, pin_mv, temperature_c=None, **settings):
    board = Board()
    board.signals[pin] = pin_mv
    sensor = board.driver(key, **settings)
    board.read(sensor, temperature_c)
    return sensor


# What all four share


def test_attenuations_are_those_the_signals_need():
    board = Board()
    for key, attenuation in (("do", 1), ("tds", 0), ("tbd", 3), ("wp", 3)):
        assert board.driver(key)._adc.attenuation == attenuation, key


def test_single_disturbed_conversions_do_not_move_the_value():
    calm = read("do", DO, 440, air_mv=440.0)
    spikes = [0]

    def disturbed(_now_ms, _attenuation):
        spikes[0] += 1
        return 1200 if spikes[0] % 7 == 0 else 440

    spiky = read("do", DO, disturbed, air_mv=440.0)
    assert spiky.value == approx(calm.value)


def test_a_quarter_of_the_samples_may_be_bubbles():
    def bubbles(now_ms, _attenuation):
        return 900 if now_ms // 20 % 5 == 0 else 2000

    assert read("tbd", TBD, bubbles).raw == approx(4000)


def test_an_open_input_floats_and_is_missing():
    state = [1]

    def floating(_now_ms, _attenuation):
        state[0] = (state[0] * 1021 + 12345) & 0xFFFFF
        return state[0] % 2450

    for key, pin in (("do", DO), ("tds", TDS), ("tbd", TBD), ("wp", WP)):
        sensor = read(key, pin, floating)
        assert sensor.value is None
        assert sensor.flags & flags.MISSING, key
        assert "float" in sensor.note


def test_no_analog_reading_takes_one_long_step():
    board = Board()
    board.signals[WP] = 400
    sensor = board.driver("wp")
    sensor.start(0)
    before = 0
    while not sensor.poll(board.clock.now_ms):
        assert board.conversions - before <= 5  # some 0.1 ms each on an ESP32
        before = board.conversions
        board.clock.now_ms = sensor.due_ms


def test_a_converter_that_fails_is_missing():
    def broken(_now_ms, _attenuation):
        raise OSError("ADC2 is in use by Wi-Fi")

    sensor = read("wp", WP, broken)
    assert sensor.flags == flags.MISSING
    assert "Wi-Fi" in sensor.note


def test_impossible_settings_are_refused_by_name():
    board = Board()
    for key, settings, word in (
        ("do", {"air_mv": 200.0}, "air_mv"),
        ("tds", {"k": 5.0}, "k of tds"),
        ("tbd", {"clear_v": 3.0}, "clear_v"),
        ("tbd", {"clear_method": "screw"}, "scale, offset"),
        ("wp", {"zero_v": 1.0}, "zero_v"),
        ("wp", {"attenuation": "12"}, "2.5"),
        ("wp", {"ratioo": 2.0}, "ratioo"),
        ("wp", {"ratio": "2"}, "ratio"),
        ("do", {"limits": (5, 1)}, "limits"),
        ("do", {"correction": ()}, "correction"),
        ("do", {"correction": (1.0, "0")}, "coefficient"),
    ):
        with raises(SettingsError, word):
            board.driver(key, **settings)


# Dissolved oxygen


def test_oxygen_is_a_share_of_the_voltage_in_air():
    sensor = read("do", DO, 462, air_mv=462.0)
    assert sensor.value == approx(100.0)
    assert sensor.flags == flags.OK
    assert read("do", DO, 231, air_mv=462.0).value == approx(50.0)
    assert sensor.raw == approx(462)


def test_oxygen_zero_solution_moves_the_zero():
    assert read("do", DO, 231, air_mv=440.0, zero_mv=22.0).value == approx(100 * 209 / 418)


def test_oxygen_and_tds_behind_a_divider_take_its_ratio():
    assert read("do", DO, 220, air_mv=440.0, ratio=2.0).value == approx(100.0)
    assert read("tds", TDS, 250, 25.0, k=1.0, ratio=2.0).value == approx(191, abs=0.6)


def test_oxygen_without_calibration_is_uncal_and_published():
    sensor = read("do", DO, 440)
    assert sensor.value == approx(100.0)
    assert sensor.flags == flags.UNCAL


def test_oxygen_in_the_dead_zone_is_saturated_low_never_zero():
    # The converter reads a constant of about 78 mV there, whatever the probe gives.
    sensor = read("do", DO, 78, air_mv=440.0)
    assert sensor.value is None
    assert sensor.flags == flags.SATURATED_LOW


def test_oxygen_over_200_percent_is_a_fault():
    assert read("do", DO, 660, air_mv=440.0).value == approx(150)
    sensor = read("do", DO, 900, air_mv=440.0)
    assert sensor.value is None
    assert sensor.flags == flags.RANGE


def test_oxygen_over_the_converter_is_saturated():
    sensor = read("do", DO, 1255, air_mv=440.0)
    assert sensor.flags == flags.SATURATED
    assert sensor.value is None


def test_oxygen_erratic_over_150_percent_is_a_torn_membrane():
    def jumping(now_ms, _attenuation):
        return 700 + 80 * (now_ms // 10 % 3)

    sensor = read("do", DO, jumping, air_mv=440.0)
    assert sensor.flags == flags.RANGE
    assert "membrane" in sensor.note


def test_oxygen_that_is_a_little_noisy_in_a_bloom_is_published():
    # 30 mV are 6.8 % of 440 mV: under the 10 % that only a torn membrane shows.
    sensor = read("do", DO, lambda now_ms, _attenuation: 700 + 30 * (now_ms // 10 % 2), air_mv=440.0)
    assert sensor.flags == flags.OK


# Total dissolved solids


def test_tds_follows_the_makers_table_at_25_degrees():
    for volts, ppm in ((0.1, 42), (0.2, 81), (0.5, 191), (1.0, 367), (1.5, 580), (2.0, 879)):
        sensor = read("tds", TDS, volts * 1000, 25.0, k=1.0)
        assert sensor.value == approx(ppm, abs=0.6), volts
        assert sensor.flags == flags.OK


def test_tds_is_compensated_after_the_polynomial():
    assert read("tds", TDS, 800, 10.0, k=1.0).value == approx(421.8, abs=0.1)


def test_tds_without_temperature_takes_25_degrees_and_says_so():
    sensor = read("tds", TDS, 800, k=1.0)
    assert sensor.flags == flags.UNCOMP
    assert sensor.value == approx(read("tds", TDS, 800, 25.0, k=1.0).value)


def test_tds_without_k_is_uncal():
    assert read("tds", TDS, 800, 25.0).flags == flags.UNCAL


def test_tds_k_multiplies():
    assert read("tds", TDS, 500, 25.0, k=1.1).value == approx(1.1 * read("tds", TDS, 500, 25.0, k=1.0).value)


def test_tds_in_the_dead_zone_is_saturated_low_never_zero():
    for pin_mv in (75, 99):
        sensor = read("tds", TDS, pin_mv, 10.0, k=1.0)
        assert sensor.flags == flags.SATURATED_LOW
        assert sensor.value is None


def test_tds_over_0_9_volt_is_taken_with_11_db():
    attenuations = []

    def signal(_now_ms, attenuation):
        attenuations.append(attenuation)
        return 1500 if attenuation == Converter.ATTN_11DB else 950

    sensor = read("tds", TDS, signal, 25.0, k=1.0)
    assert sensor.value == approx(580, abs=0.6)
    assert attenuations[0] == Converter.ATTN_0DB
    assert attenuations[-1] == Converter.ATTN_11DB


def test_tds_goes_back_to_the_sensitive_range():
    board = Board()
    board.signals[TDS] = 1500
    sensor = board.driver("tds", k=1.0)
    board.read(sensor, 25.0)
    board.signals[TDS] = lambda _now_ms, attenuation: 142 if attenuation else 120
    board.read(sensor, 25.0)
    assert sensor.raw == approx(120)


def test_tds_over_2_3_volt_is_saturated_not_averaged_away():
    sensor = read("tds", TDS, 2310, 25.0, k=1.0)
    assert sensor.flags == flags.SATURATED
    assert sensor.value is None


def test_tds_takes_the_coefficients_of_a_clone():
    sensor = read("tds", TDS, 1000, 25.0, k=1.0, coefficients=(308.2 * 2, 400.7 * 2, -5.8 * 2))
    assert sensor.value == approx(308.2 + 400.7 - 5.8)


def test_tds_takes_the_median_of_at_least_a_second():
    board = Board()
    board.signals[TDS] = 500
    assert board.read(board.driver("tds"), 25.0) == 29 * 40


# Turbidity


def test_turbidity_follows_the_makers_table():
    for volts, ntu in (
        (3.0, 2790),
        (3.5, 2020),
        (3.9, 1001),
        (4.0, 690),
        (4.1, 357),
        (4.15, 182),
        (4.2, 0.9),
    ):
        assert read("tbd", TBD, volts * 500).value == approx(ntu, abs=1.0), volts


def test_turbidity_without_calibration_is_uncal():
    assert read("tbd", TBD, 2050).flags == flags.UNCAL
    assert read("tbd", TBD, 2050, clear_v=4.2).flags == flags.OK


def test_turbidity_scale_corrects_the_supply_and_offset_the_lens():
    scaled = read("tbd", TBD, 2000, clear_v=4.0)
    assert scaled.value == approx(0.9, abs=0.1)
    shifted = read("tbd", TBD, 1900, clear_v=4.0, clear_method="offset")
    assert shifted.value == approx(690, abs=1)


def test_turbidity_beyond_clear_water_is_saturated():
    sensor = read("tbd", TBD, 4.3 * 500, clear_v=4.2)
    assert sensor.flags == flags.SATURATED
    assert sensor.value is None


def test_turbidity_of_a_part_that_was_never_calibrated_is_clear_up_to_what_parts_give_in_clear_water():
    sensor = read("tbd", TBD, 4.45 * 500)
    assert (sensor.value, sensor.flags) == (0.0, flags.UNCAL)
    sensor = read("tbd", TBD, 4.55 * 500)
    assert (sensor.value, sensor.flags) == (None, flags.UNCAL | flags.SATURATED)


def test_turbidity_within_its_uncertainty_of_clear_is_zero():
    sensor = read("tbd", TBD, 4.205 * 500, clear_v=4.2)
    assert sensor.value == 0.0
    assert sensor.flags == flags.OK


def test_turbidity_under_2_5_volt_is_saturated():
    sensor = read("tbd", TBD, 2.4 * 500, clear_v=4.2)
    assert sensor.flags == flags.SATURATED
    assert sensor.value is None
    assert sensor.measured == 3000


def test_turbidity_of_a_curve_that_rises_too_far_is_saturated():
    for level, flag in ((3020.0, flags.OK), (3040.0, flags.SATURATED)):
        assert read("tbd", TBD, 1500, coefficients=(0.0, level)).flags == flag


def test_turbidity_unplugged_is_missing():
    # 0.04 V at the part is under the converter's floor, which reads about 142 mV.
    for pin_mv in (20, 142):
        sensor = read("tbd", TBD, pin_mv)
        assert sensor.flags == flags.MISSING
        assert sensor.value is None


def test_turbidity_over_4_6_volt_is_a_wrong_divider():
    sensor = read("tbd", TBD, 2350)
    assert sensor.flags == flags.RANGE
    assert "divider" in sensor.note


def test_turbidity_takes_a_measured_curve():
    sensor = read("tbd", TBD, 2000, coefficients=(-1000.0, 4200.0))
    assert sensor.value == approx(200.0)
    assert sensor.flags == flags.OK


def test_turbidity_waits_for_its_lamp_and_is_switched_off_again():
    board = Board()
    board.signals[TBD] = lambda now_ms, _attenuation: 2050 if now_ms >= 500 else 142
    rail = Rail(board.modules("machine").Pin(19, 1), switched=True)
    sensor = board.driver("tbd", rail)
    assert board.read(sensor) >= 500
    assert sensor.value == approx(357, abs=1)
    assert [(number, level) for _, number, level in board.switched] == [(19, 0), (19, 1), (19, 0)]


# Pressure


def test_pressure_is_400_kpa_per_volt_over_its_zero():
    sensor = read("wp", WP, 0.5245 * 500, zero_v=0.5)
    assert sensor.value == approx(9.8, abs=0.01)
    assert sensor.flags == flags.OK
    assert read("wp", WP, 0.4745 * 500, zero_v=0.45).value == approx(9.8, abs=0.01)


def test_pressure_without_zero_is_uncal():
    assert read("wp", WP, 262).flags == flags.UNCAL


def test_pressure_of_the_1_mpa_part_is_250():
    assert read("wp", WP, 500, zero_v=0.5, kpa_per_v=250.0).value == approx(125.0)


def test_pressure_under_a_quarter_volt_is_missing():
    for pin_mv in (120, 142):
        assert read("wp", WP, pin_mv).flags == flags.MISSING


def test_pressure_over_4_7_volt_is_saturated():
    sensor = read("wp", WP, 2360, zero_v=0.5)
    assert sensor.flags == flags.SATURATED
    assert sensor.value is None


def test_pressure_more_than_10_kpa_under_its_zero_is_out_of_range():
    assert read("wp", WP, 0.48 * 500, zero_v=0.5).value == approx(-8.0)
    sensor = read("wp", WP, 0.46 * 500, zero_v=0.5)
    assert sensor.flags == flags.RANGE
    assert sensor.value is None
    assert sensor.measured == approx(-16.0)


def test_divider_ratio_is_a_setting():
    assert read("wp", WP, 200, zero_v=0.5, ratio=2.5).value == approx(0.0, abs=1e-6)
