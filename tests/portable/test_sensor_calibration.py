"""Mathematics of calibration: fits, tables, inverses, refusals."""

from support import approx, raises

from sensors import buffers, ezo_commands
from sensors.calibration import (
    CalibrationError,
    gain,
    inverse_line,
    invert,
    least_squares,
    offset,
    polynomial,
    tds_k,
    tds_raw_ec_of,
    tds_volts,
    turbidity_volts,
    two_point,
)
from sensors.parts import PARTS, part
from sensors.transfer import horner, tds_ppm, tds_raw_ec, turbidity_ntu


def test_offset_and_gain_of_one_point():
    assert horner(offset(0.3, 0.0).coefficients, 10.0) == approx(9.7)
    assert horner(gain(700.0, 707.0).coefficients, 350.0) == approx(353.5)


def test_gain_of_zero_or_across_zero_is_refused():
    for measured, reference in ((0, 5), (5, 0), (-5, 5)):
        with raises(CalibrationError, "zero"):
            gain(measured, reference)


def test_two_points_make_a_line():
    fit = two_point((4.0, 1.3), (5.9, 1.4))
    assert horner(fit.coefficients, 4.0) == approx(1.3)
    assert horner(fit.coefficients, 5.9) == approx(1.4)
    assert (fit.low, fit.high) == (4.0, 5.9)
    assert fit.worst < 1e-12


def test_two_points_at_the_same_place_are_refused():
    with raises(CalibrationError, "different points"):
        two_point((4.0, 1.0), (4.0, 2.0))
    with raises(CalibrationError, "no slope"):
        two_point((4.0, 1.0), (5.0, 1.0))


def test_least_squares_of_many_points_with_residuals():
    points = [(0, 1.1), (1, 2.9), (2, 5.1), (3, 6.9)]
    fit = least_squares(points)
    assert fit.coefficients == approx((1.96, 1.06), rel=1e-9)
    assert fit.residuals == approx((0.04, -0.12, 0.12, -0.04), rel=1e-6)
    assert fit.worst == approx(0.12)
    assert fit.rms == approx((0.032 / 4) ** 0.5)


def test_a_polynomial_is_found_again():
    for wanted in ((133.42, -255.86, 857.39, 0.0), (-1120.4, 5742.3, -4352.9)):
        points = [(2.5 + 0.2 * n, horner(wanted, 2.5 + 0.2 * n)) for n in range(9)]
        fit = polynomial(points, len(wanted) - 1)
        assert fit.coefficients == approx(wanted, rel=1e-6, abs=1e-6)


def test_a_polynomial_needs_more_different_points_than_its_degree():
    with raises(CalibrationError, "needs at least 3"):
        polynomial([(1, 1), (2, 2), (2, 2.1), (1, 0.9)], 2)
    with raises(CalibrationError, "degree"):
        polynomial([(1, 1), (2, 2)], 6)
    with raises(CalibrationError, "different points"):
        polynomial([], 1)
    with raises(CalibrationError, "no measurement"):
        polynomial([(float("nan"), 1), (2, 2)], 1)
    with raises(CalibrationError, "no measurement"):
        offset(1.0, float("inf"))


def test_a_line_is_inverted_and_a_flat_one_refused():
    inverse = inverse_line((2.0, -1.0))
    assert horner(inverse, horner((2.0, -1.0), 7.0)) == approx(7.0)
    for line in ((0.0, 1.0), (1.0, 2.0, 3.0)):
        with raises(CalibrationError, "slope"):
            inverse_line(line)


def test_invert_finds_and_refuses():
    assert invert(lambda x: x**3, 8.0, 0.0, 10.0) == approx(2.0)
    assert invert(lambda x: -x, -3.0, 0.0, 10.0) == approx(3.0)
    with raises(CalibrationError, "not reached"):
        invert(lambda x: x, 11.0, 0.0, 10.0)


def test_tds_inverse_follows_the_table_of_the_reference():
    for raw_ec, volts in (
        (50, 0.059),
        (84, 0.101),
        (100, 0.121),
        (150, 0.184),
        (200, 0.249),
        (500, 0.670),
        (1000, 1.328),
        (1413, 1.734),
        (2000, 2.158),
    ):
        assert tds_volts(raw_ec) == approx(volts, abs=0.001), raw_ec
        assert tds_raw_ec(tds_volts(raw_ec)) == approx(raw_ec, rel=1e-6)


def test_tds_inverse_takes_the_k_of_its_probe():
    assert tds_raw_ec(tds_volts(500.0, 1.2), 1.2) == approx(500.0, rel=1e-6)


def test_a_line_that_hardly_rises_is_refused_a_steep_or_falling_one_is_not():
    with raises(CalibrationError, "no slope"):
        least_squares([(0.0, 1.0), (1.0, 2.0), (0.0, 2.0), (1.0, 1.0)])
    assert least_squares([(0.0, 1.0), (1e-3, 2e6)]).coefficients[0] > 0
    assert least_squares([(10.0, 5.0), (20.0, -5.0)]).coefficients == approx((-1.0, 15.0), rel=1e-9)
    assert least_squares([(0.0, 1000.0), (1000.0, 1001.0)]).coefficients == approx((0.001, 1000.0), rel=1e-9)


def test_tds_compensation_is_inverted():
    volts = 0.8
    assert tds_raw_ec_of(tds_ppm(volts, 10.0), 10.0) == approx(tds_raw_ec(volts))


def test_turbidity_is_inverted_on_its_falling_side():
    assert turbidity_ntu(2.5626) == approx(3004.7, abs=0.1)
    for ntu in (0.0, 5.0, 150.0, 1000.0, 2900.0):
        volts = turbidity_volts(ntu)
        assert 2.56 < volts < 4.21
        assert turbidity_ntu(volts) == approx(ntu, abs=1e-6)


def test_k_of_a_tds_probe_is_known_over_measured():
    volts = tds_volts(1413 / 1.1)
    assert tds_k(volts, 25.0, 706.5) == approx(1.1)
    with raises(CalibrationError, "0.25 to 4"):
        tds_k(0.1, 25.0, 707.0)
    with raises(CalibrationError, "no signal"):
        tds_k(0.0, 25.0, 707.0)


def test_buffers_have_what_the_table_says_between_its_rows():
    assert buffers.buffer_ph("7.00", 25) == approx(7.00)
    assert buffers.buffer_ph("10.01", 0) == approx(10.32)
    assert buffers.buffer_ph("7.00", 12.5) == approx(7.05)
    assert buffers.buffer_ph("4.00", 30) == approx(4.01)
    assert buffers.standard_us_cm("1413", 20) == approx(1278)
    assert buffers.standard_us_cm("84", 7.5) == approx(56.65)
    assert buffers.standard_us_cm("12880", 30) == approx(14120)


def test_buffers_are_not_extrapolated_nor_guessed():
    with raises(CalibrationError, "from 5 to 30"):
        buffers.standard_us_cm("1413", 2)
    with raises(CalibrationError, "from 0 to 30"):
        buffers.buffer_ph("7.00", 31)
    with raises(CalibrationError, "10.01"):
        buffers.buffer_ph("9.18", 25)


def test_ph_is_calibrated_mid_first_with_the_true_value():
    assert ezo_commands.ph_point("mid", 7.02) == ("Cal,mid,7.02", 900)
    assert ezo_commands.ph_point("low", 4.0, ("mid",)) == ("Cal,low,4.00", 900)
    assert ezo_commands.ph_point("high", 10.06, ("mid", "low")) == ("Cal,high,10.06", 900)
    for arguments, words in (
        (("low", 4.0), "mid first"),
        (("mid", 7.0, ("low",)), "erases"),
        (("mid", 4.0), "no mid point"),
        (("top", 7.0), "mid, low or high"),
    ):
        with raises(CalibrationError, words):
            ezo_commands.ph_point(*arguments)


def test_conductivity_commands_follow_the_firmware():
    assert ezo_commands.ec_dry() == ("Cal,dry", 600)
    assert ezo_commands.ec_point(84, "low") == ("Cal,low,84", 600)
    assert ezo_commands.ec_point(1413, "high") == ("Cal,high,1413", 600)
    assert ezo_commands.ec_point(12880) == ("Cal,12880", 600)
    assert ezo_commands.ec_point(1413, firmware="1.6") == ("Cal,one,1413", 600)
    assert ezo_commands.ec_point(1413, firmware="2.10") == ("Cal,1413", 600)
    assert ezo_commands.ec_point(1413, firmware="2.9") == ("Cal,one,1413", 600)


def test_a_circuit_that_reads_nothing_in_solution_is_not_calibrated():
    with raises(CalibrationError, "0.00"):
        ezo_commands.ec_point(1413, reading_us_cm=0.0)
    with raises(CalibrationError, "no solution"):
        ezo_commands.ec_point(0)
    with raises(CalibrationError, "low, high"):
        ezo_commands.ec_point(84, "mid")


def test_there_are_nine_parts_with_pins_and_accuracy():
    assert [item.key for item in PARTS] == ["do", "ec", "liqlev", "ph", "tds", "tbd", "wf", "wp", "temp"]
    assert part("ec").pins() == (17, 16)
    assert part("wf").accuracy(0.4) == approx(0.02)
    with raises(KeyError):
        part("salt")
