"""`buoy water`: table, CSV and picture; mistakes of the command line said in a sentence."""

import csv

import pytest
import typer
from typer.testing import CliRunner

from buoyfleet.cli.water import water
from buoyfleet.model.errors import ConfigurationError, UsageError
from buoyfleet.simulation.buoy import simulated_buoy
from buoyfleet.simulation.record import Fault, record, summarise
from sensors.catalog import KEYS

app = typer.Typer()
app.command()(water)


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.soak
def test_a_week_of_storm_is_drawn(tmp_path):
    output = run("--scenario", "storm", "--days", "7", "--plot", tmp_path / "out.svg")
    picture = (tmp_path / "out.svg").read_text()
    for text in ("Buoy 100, storm", "three rain bursts", "true value", "saturated-low", "µS/cm", "rain"):
        assert text in picture
    assert all(f"{key}  " in picture for key in KEYS)
    assert "672 readings" in output
    assert f"wrote {tmp_path / 'out.svg'}" in output


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".pdf", b"%PDF"), pytest.param(".png", b"\x89PNG", marks=pytest.mark.soak)]
)
def test_other_formats_follow_the_suffix(tmp_path, suffix, magic):
    run("--days", "0.5", "--every", "60", "--plot", tmp_path / f"out{suffix}")
    assert (tmp_path / f"out{suffix}").read_bytes().startswith(magic)


@pytest.mark.soak
def test_the_same_water_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        run("--days", "0.5", "--plot", tmp_path / f"{name}.svg", "--csv", tmp_path / f"{name}.csv")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_table_and_the_csv_say_what_was_withheld_and_why(tmp_path):
    output = run(
        "--days", "1", "--every", "30", "--fault", "temp:short@6-12", "--fault", "wp:open",
        "--csv", tmp_path / "out.csv",
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(rows) == 48
    assert rows[0]["time"].startswith("2026-08-03T00:00:0")
    short = [row for row in rows if row["temp_flags"] == "missing"]
    assert len(short) == 12
    assert all(row["temp"] == "" and row["ec_flags"] == "uncomp" for row in short)
    assert all(row["wp"] == "" and row["wp_true"] for row in rows)
    assert rows[0]["liqlev"] == "true"
    table = {line.split()[0]: line for line in output.splitlines() if line and line.split()[0] in KEYS}
    assert "missing 12" in table["temp"]
    assert "missing 48" in table["wp"]


def test_a_real_series_is_replayed_with_its_dates(tmp_path):
    series = tmp_path / "series.csv"
    series.write_text("time,temp,do\n2025-06-01T00:00:00Z,12,90\n2025-06-02T00:00:00Z,14,100\n")
    output = run("--replay", series, "--every", "60", "--csv", tmp_path / "out.csv")
    assert "from 2025-06-01 00:00 UTC, 24 readings" in output
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert float(rows[12]["temp"]) == pytest.approx(13.0, abs=0.2)
    assert float(rows[12]["do"]) == pytest.approx(95.0, abs=2.6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "strom"], r"'strom' is unknown; there are calm, storm(.|\n)*--scenario storm\?"),
        (["--days", "0"], r"--days 0(.|\n)*up to 366"),
        (["--days", "366", "--every", "0.1"], "5270400 readings; from 2 to 200000"),
        (["--every", "0"], "--every 0 minutes"),
        (["--plot", "out.gif"], r"unknown format '.gif'(.|\n)*\.svg, \.pdf or \.png"),
        (["--csv", "/nowhere/at/all.csv"], "cannot write /nowhere/at/all.csv: its folder does not exist"),
        (["--mounting", "drifting"], r"'drifting'(.|\n)*--mounting floating"),
        (["--depth", "-1"], "--depth -1 m"),
        (["--fault", "salt:open"], "is not KEY:FAULT"),
        (["--fault", "temp:shrot"], "temp has no fault 'shrot'; it has open, short"),
    ],
)
def test_a_wrong_command_line_is_told_what_is_allowed(arguments, message):
    with pytest.raises(UsageError, match=message):
        run(*arguments)


def test_a_broken_series_is_refused_with_its_lines(tmp_path):
    series = tmp_path / "series.csv"
    series.write_text("time,temp\n0,17\n60,hot\n")
    with pytest.raises(ConfigurationError, match=r"series.csv:3: temp: 'hot' is no number"):
        run("--replay", series)


def test_faults_of_a_record_begin_and_end_at_their_hours():
    observed = record(simulated_buoy(100), 0.5, 1800.0, faults=[Fault("tbd", "covered", 3.0, 6.0)])
    covered = [i for i, row in enumerate(observed.rows) if row["tbd"].value is None]
    assert covered == [6, 7, 8, 9, 10, 11]
    line = next(one for one in summarise(observed) if one.key == "tbd")
    assert (line.withheld, line.published) == (6, 18)
    assert line.flags == {"saturated": 6}
    with pytest.raises(ValueError, match="no fault"):
        record(simulated_buoy(100), 0.5, 1800.0, faults=[Fault("tbd", "tired", 3.0, 6.0)])
