"""Times of ISO 8601: every form is read as the moment that it names, and what is no time is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.simulation.water.iso_time import read_iso_time

NOON = datetime(2026, 7, 30, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 7, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-30T12:00:00Z",
        "2026-07-30t12:00z",
        "20260730T12",
        "2026-W31-4T12:00",
        "2026W314T1200",
        "2026-211T12",
        "2026211T120000.000",
        "2026-07-30T14:00+02",
        "2026-07-30T1730+0530",
        "2026-07-30T11:59:60Z",
        "2026-07-30T11.999999999999Z",
        "2026-07-30T12:00:00,0Z",
        "2026-07-30 07:00:00 \N{MINUS SIGN}05:00",
    ],
)
def test_noon_in_many_forms_is_noon(text):
    assert read_iso_time(text) == NOON


@pytest.mark.parametrize(
    ("text", "after_noon"),
    [
        ("2026-07-30T12.5Z", timedelta(minutes=30)),
        ("2026-07-30T12,25", timedelta(minutes=15)),
        ("2026-07-30T12:30.5Z", timedelta(minutes=30, seconds=30)),
        ("2026-07-30T1230,25", timedelta(minutes=30, seconds=15)),
        ("2026-07-30T12:00:00.25Z", timedelta(milliseconds=250)),
    ],
)
def test_a_fraction_belongs_to_the_last_figure(text, after_noon):
    assert read_iso_time(text) == NOON + after_noon


@pytest.mark.parametrize(
    "text", ["2026-07-30T24:00", "20260730T24Z", "2026-07-30T24:00:00.0", "2026-07-30T23:59:60"]
)
def test_the_end_of_a_day_is_the_start_of_the_next(text):
    assert read_iso_time(text) == MIDNIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T12:00",
        "2026-02-29",
        "2026-366",
        "2026-000",
        "2026-W54-1",
        "2026-07-30T",
        "2026-07-30T24:01",
        "2026-07-30T24:00:00.1",
        "2026-07-30T25",
        "2026-07-30T12:60",
        "2026-07-30T12:30:60",
        "2026-07-30T12:00:00.Z",
        "2026-07-30T12:00+24:00",
        "2026-07-30T12:00+01:60",
        "9999-12-31T24:00",
        "1785400000",
    ],
)
def test_what_is_no_time_is_refused(text):
    assert read_iso_time(text) is None


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 3), datetime(2099, 12, 29), timezones=OFFSETS))
def test_what_python_writes_is_read_back(moment):
    year, week, weekday = moment.isocalendar()
    clock = moment.isoformat().partition("T")[2]
    days = (
        moment.date().isoformat(),
        f"{moment:%Y%m%d}",
        f"{moment:%Y-%j}",
        f"{year:04}-W{week:02}-{weekday}",
    )
    for day in days:
        assert read_iso_time(f"{day}T{clock}") == moment
