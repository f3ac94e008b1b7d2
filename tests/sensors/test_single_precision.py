"""An ESP32 has single-precision floats: the same mathematics in numpy.float32 keeps each part's accuracy.

The bar is a tenth of what the part itself may be wrong by.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from sensors import transfer
from sensors.calibration import tds_raw_ec_of, tds_volts, turbidity_volts
from sensors.fakes import make_fake
from sensors.parts import part

single = np.float32
TEMPERATURES_C = (0.0, 4.7, 10.0, 18.3, 25.0, 30.0)


def test_numpy_keeps_single_precision_beside_python_floats() -> None:
    assert type(single(1.5) * 2.1 + 7) is np.float32


def worst_error(
    double: Callable[..., float], arguments: Iterable[tuple[float, ...]], key: str
) -> tuple[float, tuple[float, ...]]:
    """Largest error of the single-precision result, in tenths of the part's accuracy, and where."""
    worst, where = 0.0, ()
    for given in arguments:
        exact = double(*given)
        result = double(*(single(number) for number in given))
        assert type(result) is np.float32, "the calculation left single precision"
        error = abs(float(result) - exact) / (part(key).accuracy(exact) / 10)
        if error > worst:
            worst, where = error, given
    return worst, where


def sweep(low: float, high: float, count: int = 400) -> list[float]:
    return [low + (high - low) * n / count for n in range(count + 1)]


def test_tds() -> None:
    def ppm(microvolts: float, temperature_c: float, k: float) -> float:
        # As the driver: µV at the pin to mV, to V.
        return transfer.tds_ppm(microvolts / 1000 * 1.0 / 1000, temperature_c, k)

    arguments = [
        (tds_volts(tds_raw_ec_of(wanted, celsius)) * 1e6, celsius, k)
        for wanted in sweep(45, 1100)
        for celsius in TEMPERATURES_C
        for k in (0.7, 1.0, 1.3)
    ]
    worst, where = worst_error(ppm, arguments, "tds")
    assert worst < 1, where


@pytest.mark.parametrize("clear_v", [3.9, 4.2, 4.5])
def test_turbidity(clear_v: float) -> None:
    def ntu(microvolts: float, clear: float) -> float:
        volts = microvolts / 1000 * 2.0 / 1000
        return transfer.turbidity_ntu(volts * (transfer.TURBIDITY_CLEAR_V / clear))

    arguments = [
        (turbidity_volts(wanted) * clear_v / 4.2 / 2 * 1e6, clear_v)
        for wanted in (*sweep(0, 150), *sweep(150, 3000))
    ]
    worst, where = worst_error(ntu, arguments, "tbd")
    assert worst < 1, where


def test_pressure() -> None:
    def kpa(microvolts: float, zero_v: float) -> float:
        return transfer.pressure_kpa(microvolts / 1000 * 2.0 / 1000, zero_v)

    arguments = [
        ((0.45 + pressure / 400) / 2 * 1e6, 0.45) for pressure in (*sweep(-10, 30), *sweep(30, 1600))
    ]
    worst, where = worst_error(kpa, arguments, "wp")
    assert worst < 1, where


def test_oxygen() -> None:
    def percent(microvolts: float, air_mv: float, zero_mv: float) -> float:
        return transfer.oxygen_percent(microvolts / 1000, air_mv, zero_mv)

    arguments = [
        (share / 100 * (air - zero) * 1000 + zero * 1000, air, zero)
        for share in sweep(20, 200)
        for air, zero in ((440.0, 0.0), (660.0, 12.3))
    ]
    worst, where = worst_error(percent, arguments, "do")
    assert worst < 1, where


def test_flow() -> None:
    arguments = [
        (float(pulses), float(window_us))
        for pulses in range(1, 1200, 7)
        for window_us in (1_999_983, 5_000_017, 60_000_111)
    ]
    worst, where = worst_error(transfer.flow_l_s, arguments, "wf")
    assert worst < 1, where


def test_temperature_is_exact() -> None:
    for raw in range(-55 * 16, 125 * 16 + 1):
        bits = raw & 0xFFFF
        exact = transfer.temperature_c(bits & 0xFF, bits >> 8)
        assert single(exact) == exact == raw / 16


@pytest.mark.parametrize(("key", "low", "high"), [("ph", 4.0, 10.5), ("ec", 0.07, 50000.0)])
def test_readings_of_circuits_survive_their_text(key: str, low: float, high: float) -> None:
    for value in sweep(low, high):
        text = f"{value:.3f}" if key == "ph" else f"{value:.4g}"
        exact = float(text)
        assert abs(float(single(exact)) - exact) < part(key).accuracy(exact) / 10


@pytest.mark.parametrize("key", ["do", "ec", "ph", "tds", "tbd", "wp", "temp"])
def test_a_cubic_correction(key: str) -> None:
    own = part(key)
    span = own.high - own.low
    # A bench's curve: near the identity, bent by a twentieth of the range.
    coefficients = (0.02 / span**2, -0.03 / span, 1.01, 0.005 * span)

    def corrected(value: float) -> float:
        return transfer.horner(coefficients, value)

    worst, where = worst_error(corrected, [(value,) for value in sweep(own.low, own.high)], key)
    assert worst < 1, where


def test_published_text_of_a_walk_is_the_same_in_single_precision() -> None:
    for key in ("do", "ec", "ph", "tds", "tbd", "wf", "wp", "temp"):
        sensor = make_fake(key, "walk", seed=42)
        for n in range(500):
            value = sensor.sample(n)
            assert f"{float(single(value)):.2f}" == f"{value:.2f}"
