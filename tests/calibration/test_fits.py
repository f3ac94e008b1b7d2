"""The fits find what the probe is, whatever it is within a working probe's bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.model import Plateau, Point, Reference, Step
from buoyfleet.calibration.procedure import Bench
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.procedures.ph import nernst_mv
from buoyfleet.calibration.thermometer import Thermometer
from sensors.buffers import buffer_ph
from sensors.calibration import CalibrationError


class NoBoard:
    """Nothing is asked while a fit is made."""

    where = "no board"


def procedure(key, before=None):
    board = NoBoard()
    made = PROCEDURES[key](Bench(board, Thermometer(board, 20.0), Limits()))
    made.before = before or {}
    made.commands = []
    made.firmware = "2.14"
    made.ask = lambda _command: "slope,100.0,100.0,0.0"
    return made


def point(name, raw, reference, unit="", celsius=None, solution="x", amount=0.0, **extra):
    step = Step(name, name, "", (), procedure("wp").stability, solution=solution, amount=amount)
    plateau = Plateau(raw, 0.1, 0.0, 30, 60.0, celsius, None, True)
    return Point(step, 1, Reference(reference, unit, 0.01, temperature_c=celsius), plateau, [], extra=extra)


@given(st.floats(-40, 40), st.floats(0.7, 1.15), st.floats(0.7, 1.15), st.floats(1, 29))
def test_zero_and_slopes_of_an_electrode(zero_mv, acid, base, celsius):
    def electrode(ph):
        return zero_mv - (acid if ph < 7.0 else base) * nernst_mv(celsius) * (ph - 7.0)

    points = []
    for name, label in (("mid", "7.00"), ("low", "4.00"), ("high", "10.01")):
        true = buffer_ph(label, celsius)
        points.append(point(name, electrode(true), true, "pH", celsius))
    fitted = procedure("ph").solve(points)
    # The 7 buffer is not pH 7 at every temperature: what lies between belongs to one side or the other.
    assert fitted.health["slope_acid"] == pytest.approx(100 * acid, abs=5.0 * abs(acid - base) + 1e-6)
    assert fitted.health["slope_base"] == pytest.approx(100 * base, abs=5.0 * abs(acid - base) + 1e-6)
    assert fitted.health["zero_mv"] == pytest.approx(zero_mv, abs=8.0 * abs(acid - base) + 1e-6)
    worn = not (90 <= fitted.health["slope_acid"] <= 110 and 90 <= fitted.health["slope_base"] <= 110)
    assert (fitted.verdict == "fail") >= worn


@given(st.floats(-0.4, 0.4), st.floats(-0.15, 0.15))
def test_one_offset_halves_what_two_errors_differ(error_c, half_c):
    points = [
        point("ice", error_c - half_c, 0.0, "°C"),
        point("reference", 22.0 + error_c + half_c, 22.0, "°C"),
    ]
    fitted = procedure("temp").solve(points)
    assert fitted.settings["correction"][1] == pytest.approx(-error_c, abs=1e-4)
    assert max(abs(one.residual) for one in fitted.residuals) == pytest.approx(abs(half_c), abs=1e-4)


@given(st.floats(0.41, 0.59), st.floats(382, 418))
def test_zero_and_scale_of_a_pressure_cell(zero_v, scale):
    def mv(kpa):
        return 1000.0 * (zero_v + kpa / scale)

    points = [
        point("zero", mv(0.0), 0.0, "kPa", solution=""),
        point("depth-100", mv(980.0), 980.0, "kPa", amount=100.0),
    ]
    fitted = procedure("wp").solve(points)
    assert fitted.settings["zero_v"] == pytest.approx(zero_v, abs=1e-4)
    assert fitted.settings.get("kpa_per_v", 400.0) == pytest.approx(scale, abs=2.0)
    assert fitted.verdict == "pass"


@given(st.floats(410, 490), st.lists(st.floats(8, 40), min_size=2, max_size=6))
def test_pulses_per_litre_whatever_the_buckets_were(k, litres):
    points = [
        point(f"flow-{n}", 1.0, 0.1, "L/s", litres=amount, pulses=k * amount, seconds=60.0 + n)
        for n, amount in enumerate(litres)
    ]
    fitted = procedure("wf").solve(points)
    assert fitted.settings["pulses_per_l"] == pytest.approx(k, abs=0.06)
    assert fitted.verdict == "pass"


@given(st.floats(0.75, 1.25))
def test_the_cell_of_a_conductivity_probe(cell):
    points = [
        point("low", 75.8 * cell, 75.8, "µS/cm", 20.0),
        point("high", 1278.0 * cell, 1278.0, "µS/cm", 20.0),
    ]
    fitted = procedure("ec").solve(points)
    assert fitted.health["cell_percent"] == pytest.approx(100 * cell)
    assert (fitted.verdict == "pass") == (80 <= 100 * cell <= 120)


@pytest.mark.parametrize("key", ["temp", "ec", "tbd", "wp", "wf", "liqlev"])
def test_no_points_make_no_calibration(key):
    with pytest.raises(CalibrationError):
        procedure(key).solve([])
