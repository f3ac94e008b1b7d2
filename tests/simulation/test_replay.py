"""Replay of real series from CSV files."""

import pytest

from buoyfleet.model.errors import ConfigurationError
from buoyfleet.simulation.water.environment import Environment
from buoyfleet.simulation.water.medium import truth
from buoyfleet.simulation.water.place import Place
from buoyfleet.simulation.water.replay import ReplayPlace, read_series


def write(tmp_path, text):
    path = tmp_path / "series.csv"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path, text):
    with pytest.raises(ConfigurationError) as caught:
        read_series(write(tmp_path, text))
    return [(p.line, p.path, p.message) for p in caught.value.problems]


def test_a_series_is_followed_between_its_rows_and_held_at_its_ends(tmp_path):
    series = read_series(
        write(
            tmp_path,
            "time,temp,ec,liqlev\n2026-08-01T00:00:00Z,17,100,true\n"
            "2026-08-01T01:00:00Z,18,,true\n2026-08-01T03:00:00+01:00,19,400,false\n",
        )
    )
    assert series.start.isoformat() == "2026-08-01T00:00:00+00:00"
    assert (series.length_s, series.rows) == (7200, 3)
    place = ReplayPlace(series, Place(Environment("calm", 1), 100))
    assert truth(place.sample(1800))["temp"] == pytest.approx(17.5)
    assert truth(place.sample(3600))["ec"] == pytest.approx(250)  # the empty cell, from its neighbours
    assert truth(place.sample(3600))["tds"] == pytest.approx(125)
    assert truth(place.sample(7199))["liqlev"] is True
    assert truth(place.sample(1e6))["liqlev"] is False
    assert truth(place.sample(1e6))["temp"] == 19
    # what the file lacks is the simulated water's
    background = Place(Environment("calm", 1), 100)
    assert truth(place.sample(1800))["do"] == truth(background.sample(1800))["do"]


def test_seconds_serve_as_times_and_probes_feel_the_temperature_of_the_file(tmp_path):
    series = read_series(write(tmp_path, "time,temp,tds\n100,5,50\n200,5,50\n"))
    sample = ReplayPlace(series, Place(Environment("calm", 1), 100)).sample(50)
    assert series.start is None
    assert sample.ec25_us_cm == pytest.approx(100)
    assert sample.ec_us_cm == pytest.approx(100 * (1 - 0.0187 * 20))


def test_a_tds_column_beside_ec_is_left_out_and_said(tmp_path):
    series = read_series(write(tmp_path, "time,ec,tds\n0,100,64\n60,100,64\n"))
    assert "tds" not in series.columns
    assert "tds is not used" in series.notes[0]


def test_every_mistake_is_reported_with_its_line(tmp_path):
    found = problems(
        tmp_path,
        "time,temp,do\n0,17,95\n60,-9999,96\n60,17,97\nnoon,17,97\n240,17\n300,warm,97\n2026-08-01,17,97\n",
    )
    assert found == [
        (4, "time", "'60' is not after the row before it"),
        (5, "time", "'noon' is no time"),
        (6, "", "2 cells, but the first row names 3 columns"),
        (8, "time", "'2026-08-01': dates and seconds are mixed in one column"),
        (3, "temp", "-9999 is outside -5…60 °C"),
        (7, "temp", "'warm' is no number"),
    ]


def test_wrong_columns_are_named(tmp_path):
    assert problems(tmp_path, "when,temp,temp\n0,1,1\n") == [
        (1, "", "unknown column 'when'"),
        (1, "", "column 'temp' is there twice"),
        (1, "", "no column 'time'"),
    ]
    assert problems(tmp_path, "time\n1\n2\n") == [(1, "", "no measure in the file")]


def test_a_file_without_data_is_refused(tmp_path):
    assert problems(tmp_path, "")[0][2] == "the file is empty"
    assert problems(tmp_path, "time,temp\n0,17\n")[0][2] == "1 row(s) of data; a series needs at least two"


def test_a_missing_file_says_so_without_a_traceback(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.csv: cannot read the series: No such file"):
        read_series(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "times",
    [
        ("20260730", "20260731"),
        ("2026-W31-4", "2026-W31-5"),
        ("2026W314", "2026W315"),
        ("2026-211", "2026-212"),
        ("2026211", "2026212"),
        ("20260730T000000Z", "20260731T0000Z"),
        ("2026-07-30 00:00", "2026-07-31 00:00"),
        ("2026-07-30T02:00+02:00", "20260731T020000+0200"),
        ("2026-211T00:00:00,0Z", "2026-W31-5T00Z"),
    ],
)
def test_dates_of_iso_8601_are_read_in_all_their_forms(tmp_path, times):
    path = tmp_path / "river.csv"
    path.write_text(f'time,temp\n"{times[0]}",17.2\n"{times[1]}",17.9\n')
    series = read_series(path)
    assert series.length_s == 86_400
    assert str(series.start) == "2026-07-30 00:00:00+00:00"


def test_a_column_that_begins_as_seconds_counts_seconds(tmp_path):
    path = tmp_path / "river.csv"
    path.write_text("time,temp\n0,17.2\n2026211,17.9\n20260730,18\n")
    series = read_series(path)
    assert (series.start, series.length_s) == (None, 20260730)


@pytest.mark.parametrize("time", ["1785369600000", "20260730120000", "202607301200"])
def test_numbers_that_make_no_sense_as_seconds_are_asked_about(tmp_path, time):
    path = tmp_path / "river.csv"
    path.write_text(f"time,temp\n{time},17.2\n{int(time) + 1},17.9\n")
    with pytest.raises(ConfigurationError, match="makes no sense as seconds"):
        read_series(path)


@pytest.mark.parametrize("first", [46_233.5, 2_461_252.25])
def test_days_of_a_spreadsheet_are_not_taken_for_seconds(tmp_path, first):
    path = tmp_path / "river.csv"
    rows = "".join(f"{first + row / 96:.5f},17.{row}\n" for row in range(9))
    path.write_text("time,temp\n" + rows)
    with pytest.raises(ConfigurationError, match="days of a spreadsheet"):
        read_series(path)


def test_seconds_that_begin_late_are_seconds(tmp_path):
    path = tmp_path / "river.csv"
    path.write_text("time,temp\n46233.5,17.2\n46234.5,17.9\n46235.5,18\n")
    assert read_series(path).length_s == 2
