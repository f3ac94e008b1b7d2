"""What holds for any bytes on the wire, any points of a fit, any settings of a fake."""

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors import buffers, pins
from sensors.calibration import CalibrationError, invert, least_squares, polynomial, two_point
from sensors.catalog import KEYS
from sensors.ezo_line import ANSWER, CODE, JUNK, MAX_LINE, READING, EzoLine, classify, parse_number
from sensors.fakes import make_fake
from sensors.settings import SettingsError, merged
from sensors.transfer import horner, temperature_c

finite = st.floats(-1e6, 1e6, allow_nan=False)


class PlayedUart:
    """Gives the next chunk at every read."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def any(self) -> int:
        return len(self.chunks[0]) if self.chunks else 0

    def read(self, count: int) -> bytes | None:
        chunk = self.chunks.pop(0)
        assert count == len(chunk)
        return chunk or None

    def write(self, data: bytes) -> None:
        raise AssertionError(f"wrote {data!r}")


def heard(chunks: list[bytes]) -> EzoLine:
    line = EzoLine(PlayedUart(list(chunks)))
    for _ in chunks:
        line.pump()
    return line


def split(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        yield data[begin:end]


@given(st.binary(max_size=80))
def test_any_line_has_a_class(line: bytes) -> None:
    kind, text = classify(line)
    assert kind in (CODE, ANSWER, READING, JUNK)
    if kind == READING:
        assert all(parse_number(field) is not None for field in text.split(","))


@given(st.floats(-2, 500000, allow_nan=False), st.integers(0, 3))
def test_a_printed_number_is_read_again(value: float, decimals: int) -> None:
    text = f"{value:.{decimals}f}"
    assert parse_number(text) == float(text)
    assert classify(text.encode()) == (READING, text)


@given(st.text(max_size=12))
def test_what_is_read_as_a_number_is_one(text: str) -> None:
    number = parse_number(text)
    if number is not None:
        assert math.isfinite(number)
        assert number == float(text)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_hostile_bytes_are_sorted_alike_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = heard([data] if data else [])
    pieces = heard(list(split(data, cuts)))
    for name in ("accepted", "refused", "answer", "reading", "junk", "unasked", "trouble", "skip"):
        assert getattr(whole, name) == getattr(pieces, name), name


@given(
    st.lists(st.binary(max_size=60).filter(lambda line: b"\r" not in line), max_size=5),
    st.floats(0, 14),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_a_reading_after_any_junk_is_found(junk: list[bytes], ph: float, cuts: list[int]) -> None:
    text = f"{ph:.3f}"
    data = b"".join(line + b"\r" for line in junk) + text.encode() + b"\r*OK\r"
    line = heard(list(split(data, cuts)))
    assert line.reading == text
    assert line.accepted


@given(st.binary(min_size=MAX_LINE + 1, max_size=2000).filter(lambda data: b"\r" not in data))
def test_a_line_without_end_takes_no_memory_and_is_junk(data: bytes) -> None:
    line = heard([data, b"\r"])
    stripped = data.replace(b"\n", b"")
    if len(stripped) > MAX_LINE:
        assert line.junk == 1
    assert line.reading == ""


@given(st.integers(-32768, 32767))
def test_every_scratchpad_decodes_to_a_sixteenth(raw: int) -> None:
    bits = raw & 0xFFFF
    assert temperature_c(bits & 0xFF, bits >> 8) * 16 == raw


@given(st.tuples(finite, finite), st.tuples(finite, finite))
def test_a_line_goes_through_its_two_points_or_is_refused(
    a: tuple[float, float], b: tuple[float, float]
) -> None:
    try:
        fit = two_point(a, b)
    except CalibrationError:
        # Refused only where the points do not carry a line.
        assert abs(a[0] - b[0]) <= 1e-6 * max(abs(a[0]), abs(b[0]), 1) or abs(a[1] - b[1]) <= 1e-6 * max(
            abs(a[1]), abs(b[1]), 1
        )
        return
    for x, y in (a, b):
        assert horner(fit.coefficients, x) == pytest.approx(
            y, rel=1e-6, abs=1e-6 * max(abs(a[1]), abs(b[1]), 1)
        )


@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=6),
    st.floats(-1000, 1000),
    st.floats(0.1, 1000),
    st.integers(0, 10),
)
def test_a_polynomial_is_found_from_its_own_points(
    scaled: list[float], middle: float, half: float, extra: int
) -> None:
    degree = len(scaled) - 1
    count = degree + 1 + extra

    def true(x: float) -> float:
        return horner(scaled, (x - middle) / half)

    xs = [middle + half * (2 * n / (count - 1) - 1) for n in range(count)]
    fit = polynomial([(x, true(x)) for x in xs], degree)
    # Judged where it is used: a coefficient may be off where powers cancel, the value may not.
    cancel = max(1.0, (abs(middle) / half) ** degree)
    for x in xs:
        assert horner(fit.coefficients, x) == pytest.approx(true(x), abs=1e-9 * cancel * 100)


@given(st.lists(st.tuples(finite, finite), min_size=3, max_size=12))
def test_no_other_line_is_nearer_than_least_squares(points: list[tuple[float, float]]) -> None:
    try:
        fit = least_squares(points)
    except CalibrationError:
        return
    scale = max(1.0, *(abs(y) for _, y in points))

    def cost(slope: float, zero: float) -> float:
        return sum((y - slope * x - zero) ** 2 for x, y in points)

    best = cost(*fit.coefficients)
    span = fit.high - fit.low
    for slope_step, zero_step in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        other = cost(fit.coefficients[0] + slope_step * scale / span, fit.coefficients[1] + zero_step * scale)
        assert best <= other * (1 + 1e-6) + 1e-9 * scale**2


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=8), st.integers(1, 5))
def test_too_few_different_points_are_always_refused(xs: list[float], degree: int) -> None:
    points = [(x, 2 * x) for x in xs]
    if len(set(xs)) <= degree:
        with pytest.raises(CalibrationError):
            polynomial(points, degree)
    else:
        assert polynomial(points, degree).worst < 1e-9


@given(st.floats(0.1, 5), st.floats(-5, 5), st.floats(-10, 10))
def test_invert_finds_what_a_monotonic_function_was_given(slope: float, zero: float, x: float) -> None:
    for sign in (1, -1):

        def function(u: float, sign: int = sign) -> float:
            return sign * slope * u**3 + sign * 0.1 * u + zero

        assert function(invert(function, function(x), -10, 10)) == pytest.approx(function(x), abs=1e-9)


@given(st.sampled_from(sorted(buffers.PH)), st.floats(0, 30))
def test_a_buffer_lies_between_its_neighbouring_rows(name: str, celsius: float) -> None:
    table = buffers.PH[name]
    below = [row for row in table if row[0] <= celsius][-1]
    above = next(row for row in table if row[0] >= celsius)
    value = buffers.buffer_ph(name, celsius)
    assert min(below[1], above[1]) - 1e-9 <= value <= max(below[1], above[1]) + 1e-9


@given(st.floats(-1e5, 1e5), st.integers(0, 100_000), st.integers(0, 4))
def test_a_counter_is_the_original_formula_for_any_base(base: float, n: int, decimals: int) -> None:
    base = round(base, decimals)
    assert make_fake("do", "counter", base=base).sample(n) == round(2 * base + n, 2)


@given(st.integers(), st.sampled_from([key for key in KEYS if key != "liqlev"]))
def test_a_walk_of_any_seed_keeps_two_decimals_and_its_band(seed: int, key: str) -> None:
    sensor = make_fake(key, "walk", seed=seed)
    for n in range(50):
        value = sensor.sample(n)
        assert value == round(value, 2)


@given(st.dictionaries(st.sampled_from(sorted(pins.DEFAULT)), st.integers(-5, 60), max_size=6))
def test_a_pin_map_without_problems_is_safe(given_pins: dict[str, int]) -> None:
    if pins.problems(given_pins):
        return
    used = list(given_pins.values())
    assert len(set(used)) == len(used)
    assert not set(used) & {0, 2, 5, 12, 15, 6, 7, 8, 9, 10, 11, 1, 3}
    assert all(32 <= given_pins[name] <= 39 for name in pins.ANALOG if name in given_pins)


@given(
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3))
    )
)
def test_settings_are_taken_or_refused_never_anything_else(given_settings: dict[str, object]) -> None:
    try:
        result = merged("ph", {"pin": 4, "k": 1.0, "rom": ""}, given_settings)
    except SettingsError:
        return
    assert set(result) == {"pin", "k", "rom"}
