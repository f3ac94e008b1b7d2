"""Fouling, drift, ratings and corrections: the arithmetic of TM 1-D3."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buoyfleet.visits.errors import Correction, Part, Shift, between, drift_error, fouling_error, shift
from buoyfleet.visits.evaluate import Since, Stage, Taken, evaluate
from buoyfleet.visits.limits import LIMITS, ORDER, Rating
from sensors.catalog import KEYS

numbers = st.floats(-1e4, 1e4)
sizes = st.floats(0.01, 1e4)
shifts = st.builds(Shift, sizes, st.floats(-100, 100), st.booleans())
BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
END = BEGIN + timedelta(days=30)


def reading(key, stage, value, reference=None, standard="", celsius=20.0):
    return Taken(key, stage, standard, value, reference, "", celsius, True, END.isoformat())


KNOWN = Since(BEGIN, BEGIN)


def visited(key, found, cleaned, meter, standards, celsius=20.0, since=KNOWN):
    readings = [
        reading(key, Stage.FOUND, found, meter[0], celsius=celsius),
        reading(key, Stage.CLEANED, cleaned, meter[1], celsius=celsius),
    ]
    for number, (read, true) in enumerate(standards):
        readings.append(reading(key, Stage.STANDARD, read, true, f"s{number}", celsius))
    return evaluate(key, readings, since, END)


@settings(max_examples=25)
@given(found=numbers, fouled=numbers, river=numbers, offset=numbers)
def test_a_change_of_the_river_while_the_sensor_is_cleaned_is_no_fouling(found, fouled, river, offset):
    cleaned = found + fouled + river
    assert fouling_error(found, cleaned, found + offset, found + offset + river) == pytest.approx(
        fouled, abs=1e-6
    )


@settings(max_examples=25)
@given(true=numbers, short=numbers)
def test_errors_are_what_has_to_be_added(true, short):
    assert (true - short) + drift_error(true, true - short) == pytest.approx(true, abs=1e-6)


@settings(max_examples=25)
@given(parts=st.lists(shifts, min_size=1, max_size=3), value=sizes)
def test_an_error_between_standards_lies_between_theirs(parts, value):
    errors = [one.of(value) for one in parts]
    assert min(errors) - 1e-6 <= between(parts, value) <= max(errors) + 1e-6


@settings(max_examples=25)
@given(low=st.floats(1, 100), gap=st.floats(0.1, 100), one=st.floats(-5, 5), two=st.floats(-5, 5))
def test_two_standards_make_a_sensor_right_at_both(low, gap, one, two):
    drift = (shift(low, one, None), shift(low + gap, two, None))
    correction = Correction(None, Part(BEGIN, END, drift))
    assert correction.corrected(low, END) == pytest.approx(low + one)
    assert correction.corrected(low + gap, END) == pytest.approx(low + gap + two)


@settings(max_examples=25)
@given(parts=st.lists(shifts, min_size=1, max_size=3), value=sizes, share=st.floats(0, 1))
def test_a_correction_grows_in_proportion_from_nothing(parts, value, share):
    correction = Correction(Part(BEGIN, END, tuple(parts)), None)
    when = BEGIN + share * (END - BEGIN)
    whole = correction.corrected(value, END) - value
    exact = (when - BEGIN) / (END - BEGIN)
    assert correction.corrected(value, BEGIN) == value
    assert correction.corrected(value, when) - value == pytest.approx(exact * whole, rel=1e-6, abs=1e-6)
    assert correction.corrected(value, END + timedelta(seconds=1)) == value
    assert correction.corrected(value, BEGIN - timedelta(seconds=1)) == value


@settings(max_examples=25)
@given(key=st.sampled_from(KEYS), value=sizes, errors=st.tuples(sizes, sizes))
def test_a_greater_error_is_never_rated_better(key, value, errors):
    small, great = sorted(errors)
    limits = LIMITS[key]
    assert ORDER.index(limits.rate(small, value, 15.0)) <= ORDER.index(limits.rate(great, value, 15.0))


@pytest.mark.parametrize("key", KEYS)
def test_every_sensor_has_a_row_and_its_limits_grow(key):
    limits = LIMITS[key]
    for value in (0.0, 1.0, 7.0, 100.0, 1000.0):
        found = [
            limits.amount(one, value, 20.0)
            for one in (limits.excellent, limits.good, limits.fair, limits.most)
        ]
        assert found == sorted(found)
    assert limits.standards
    assert limits.source


# sensor, sum of the errors, reading, °C → rating; each limit of TM 1-D3 and just above it
RATED = [
    ("temp", 0.2, 15, None, Rating.EXCELLENT),
    ("temp", 0.21, 15, None, Rating.GOOD),
    ("temp", 0.51, 15, None, Rating.FAIR),
    ("temp", 0.81, 15, None, Rating.POOR),
    ("temp", 2.01, 15, None, Rating.UNUSABLE),
    ("ph", 0.2, 7.8, 15, Rating.EXCELLENT),
    ("ph", 0.5, 7.8, 15, Rating.GOOD),
    ("ph", 0.8, 7.8, 15, Rating.FAIR),
    ("ph", 2.0, 7.8, 15, Rating.POOR),
    ("ph", 2.01, 7.8, 15, Rating.UNUSABLE),
    ("ec", 30, 1000, 15, Rating.EXCELLENT),
    ("ec", 100, 1000, 15, Rating.GOOD),
    ("ec", 150, 1000, 15, Rating.FAIR),
    ("ec", 300, 1000, 15, Rating.POOR),
    ("ec", 301, 1000, 15, Rating.UNUSABLE),
    ("tbd", 0.5, 4, 15, Rating.EXCELLENT),
    ("tbd", 5.0, 100, 15, Rating.EXCELLENT),
    ("tbd", 1.0, 4, 15, Rating.GOOD),
    ("tbd", 1.5, 4, 15, Rating.FAIR),
    ("tbd", 3.0, 4, 15, Rating.POOR),
    ("tbd", 3.1, 4, 15, Rating.UNUSABLE),
    # 9.09 mg/L saturate water of 20 °C: 0.5 mg/L are 5.5 %, and 10 % of the reading is more.
    ("do", 4.7, 95, 20, Rating.EXCELLENT),
    ("do", 9.4, 95, 20, Rating.GOOD),
    ("do", 5.4, 40, 20, Rating.GOOD),
    ("do", 5.6, 40, 20, Rating.FAIR),
    # Without the temperature only the percentage counts.
    ("do", 5.4, 40, None, Rating.FAIR),
    ("do", 21.9, 40, 20, Rating.POOR),
    ("do", 22.1, 40, 20, Rating.UNUSABLE),
    ("liqlev", 0, 1, None, Rating.EXCELLENT),
    ("liqlev", 1, 1, None, Rating.UNUSABLE),
]


@pytest.mark.parametrize(("key", "error", "value", "celsius", "rating"), RATED)
def test_errors_are_rated_by_their_limits(key, error, value, celsius, rating):
    assert LIMITS[key].rate(error, value, celsius) is rating


def test_fouling_and_drift_add_up_even_where_they_cancel():
    one = visited("ph", 7.6, 7.9, (7.9, 7.9), [(7.2, 7.0), (10.2, 10.0)])
    assert (one.fouling, one.drift) == (pytest.approx(0.3), pytest.approx(-0.2))
    assert one.total == pytest.approx(0.5)
    assert one.rating is Rating.GOOD
    assert one.correction is not None
    assert one.correction.corrected(7.6, END) == pytest.approx(7.7)


def test_conductivity_is_corrected_by_a_percentage_where_that_counts():
    one = visited("ec", 900.0, 990.0, (1000.0, 1000.0), [(1413.0, 1413.0)])
    assert one.correction is not None
    assert one.correction.corrected(450.0, END) == pytest.approx(495.0)


def test_within_the_criteria_nothing_is_corrected():
    one = visited("ph", 7.6, 7.7, (7.7, 7.7), [(7.05, 7.0)])
    assert (one.rating, one.correction, one.calibrate) == (Rating.EXCELLENT, None, False)


def test_a_sensor_that_drifted_at_any_standard_is_to_be_calibrated():
    one = visited("ph", 7.6, 7.6, (7.6, 7.6), [(7.0, 7.0), (10.3, 10.0)])
    assert one.calibrate
    assert one.drift == pytest.approx(-0.3 * 0.6 / 3.3)


def test_beyond_the_maximum_nothing_is_corrected():
    one = visited("temp", 12.0, 14.5, (14.5, 14.5), [(20.0, 20.0)])
    assert (one.rating, one.correction) == (Rating.UNUSABLE, None)
    assert any("not to be used" in reason for reason in one.reasons)


@pytest.mark.parametrize("missing", [Stage.FOUND, Stage.CLEANED, Stage.STANDARD])
def test_what_was_not_read_is_not_rated(missing):
    readings = [
        reading("ph", stage, 7.0, 7.0, "s" if stage is Stage.STANDARD else "")
        for stage in (Stage.FOUND, Stage.CLEANED, Stage.STANDARD)
        if stage is not missing
    ]
    one = evaluate("ph", readings, Since(BEGIN, BEGIN), END)
    assert one.rating is Rating.UNRATED
    assert one.reasons


def test_a_standard_without_a_true_value_proves_nothing():
    one = visited("tds", 100.0, 100.0, (None, None), [(500.0, None)])
    assert one.rating is Rating.UNRATED


def test_without_a_field_meter_the_water_is_said_to_be_taken_as_unchanged():
    one = visited("ph", 7.6, 7.7, (None, None), [(7.0, 7.0)])
    assert one.rating is Rating.EXCELLENT
    assert any("unchanged" in reason for reason in one.reasons)


def test_without_a_visit_before_the_data_are_rated_and_not_corrected():
    one = visited("ph", 7.2, 7.7, (7.7, 7.7), [(7.0, 7.0)], since=Since(None, BEGIN))
    assert one.rating is Rating.GOOD
    assert one.correction is None
    assert any("last cleaning is not known" in reason for reason in one.reasons)
