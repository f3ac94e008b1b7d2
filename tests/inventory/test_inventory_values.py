"""Durations, rates, sizes and ids: exact, with units, and a guess where one is missing."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.inventory.values import (
    Mistake,
    decimal_text,
    duration_text,
    ids_shown,
    ids_text,
    parse_duration,
    parse_ids,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100 ms", Fraction(1, 10)),
        ("100ms", Fraction(1, 10)),
        ("0.1 s", Fraction(1, 10)),
        ("2 min", Fraction(120)),
        ("1.5 h", Fraction(5400)),
        ("1 d", Fraction(86400)),
        ("0 s", Fraction(0)),
    ],
)
def test_durations_are_exact(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "per_second"), [("10/s", 10), ("10 /s", 10), ("30/min", 0.5), ("900/h", 0.25)]
)
def test_rates_are_per_second(text, per_second):
    assert parse_rate(text) == per_second


@pytest.mark.parametrize(("text", "megabytes"), [("1 MB", 1), ("500 kB", 0.5), ("2 GB", 2000)])
def test_sizes_are_in_megabytes(text, megabytes):
    assert parse_size(text) == megabytes


@pytest.mark.parametrize(
    ("parse", "text", "hint"),
    [
        (parse_duration, "5", "5 s"),
        (parse_duration, "5  s", "5 s"),
        (parse_duration, "5 S", "5 s"),
        (parse_duration, "5 m", "5 min"),
        (parse_duration, "2 hours", "2 h"),
        (parse_duration, "1_500 msec", "1500 ms"),
        (parse_duration, ".5 s", "0.5 s"),
        (parse_duration, "5 lightyears", ""),
        (parse_duration, "soon", ""),
        (parse_duration, "-5", ""),
        (parse_duration, "", ""),
        (parse_rate, "10", "10/s"),
        (parse_rate, "10 Hz", "10/s"),
        (parse_rate, "10 per second", "10/s"),
        (parse_rate, "10/minute", "10/min"),
        (parse_size, "5", "5 MB"),
        (parse_size, "5 mb", "5 MB"),
        (parse_size, "5 KiB", "5 kB"),
        (parse_ids, "103-100", "100-103"),
        (parse_ids, "100..103", "100-103"),
        (parse_ids, "100 to 103", "100-103"),
        (parse_ids, "a", ""),
        (parse_ids, "1,,2", ""),
        (parse_ids, "-1", ""),
    ],
)
def test_a_mistake_is_guessed_where_it_can_be(parse, text, hint):
    with pytest.raises(Mistake) as caught:
        parse(text)
    assert caught.value.hint == (f"did you mean `{hint}`?" if hint else "")


@given(text=st.text())
@pytest.mark.parametrize("parse", [parse_duration, parse_rate, parse_size, parse_ids])
def test_any_text_is_a_value_or_a_mistake(parse, text):
    try:
        parse(text)
    except Mistake as mistake:
        assert mistake.message  # noqa: PT017 (most texts are mistakes, and some are not)


@given(seconds=st.floats(1e-6, 1e9))
def test_a_duration_reads_as_it_was_written(seconds):
    assert float(parse_duration(duration_text(seconds))) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "100 ms"), (1.5, "1.5 s"), (60, "1 min"), (90, "90 s"), (86400, "1 d"), (0, "0 s")],
)
def test_a_duration_is_written_in_its_largest_whole_unit(seconds, text):
    assert duration_text(seconds) == text


@given(number=st.floats(-1e15, 1e15))
def test_a_number_is_written_without_exponent_and_exactly(number):
    text = decimal_text(number)
    assert "e" not in text.lower()
    assert float(text) == number


@given(ids=st.sets(st.integers(0, 60)))
def test_ids_read_as_they_were_written(ids):
    if not ids:
        assert ids_text(ids) == ""
        return
    ranges = parse_ids(ids_text(ids))
    assert {number for first, last in ranges for number in range(first, last + 1)} == ids


def test_many_scattered_ids_are_shown_with_an_end():
    assert ids_text([1, 2, 3, 5, 7, 8]) == "1-3,5,7,8"
    assert ids_shown(range(0, 1000, 2)).endswith(",…")
    assert len(ids_shown(range(0, 1000, 2))) < 90
