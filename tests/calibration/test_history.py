"""What records tell: status, due dates, drift and the probes to take out first."""

from datetime import UTC, datetime, timedelta

import pytest
from bench_world import SimulatedBoard, calibrate

from buoyfleet.calibration.drift import forecast, forecasts
from buoyfleet.calibration.history import History, due_of, new_folder
from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.record import RecordWriter
from buoyfleet.calibration.status import rows, urgent
from buoyfleet.cli.main import invoke
from buoyfleet.model.errors import UsageError

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVALS = {"ph": 180.0, "do": 30.0, "wp": 180.0, "tbd": 30.0}
FITTED = {
    "settings": {}, "commands": [], "checks": [], "components": [], "unit": "pH", "at": 7.0, "residuals": [],
    "x_unit": "mV", "y_unit": "pH", "model": "", "valid": None, "warnings": [],
}  # fmt: skip


def write_record(folder, board, key, day, health, outcome="passed", **begin):
    """A record of a day after START, with these health figures."""
    when = START + timedelta(days=day)
    path = new_folder(folder, board, key, when)
    with RecordWriter(path) as record:
        record.event("begin", when, schema=1, key=key, board={"name": board, "buoy": int(board)}, **begin)
        if health is not None:
            record.event("fit", when, fitted={**FITTED, "health": health})
        if outcome in ("passed", "warned"):
            record.event("written", when)
        if outcome:
            record.event("end", when, outcome=outcome, reason="")
    return path


def at(day):
    return START + timedelta(days=day)


def test_the_last_calibration_that_holds_counts(tmp_path):
    write_record(tmp_path, "130", "ph", 0, {"slope_acid": 98.0})
    write_record(tmp_path, "130", "ph", 100, {"slope_acid": 80.0}, outcome="failed")
    write_record(tmp_path, "130", "ph", 101, None, outcome=None)
    history = History(tmp_path)
    assert history.in_force("130", "ph").started == at(0)
    (row,) = rows(history, INTERVALS, at(102))
    assert row.note == "last try 2026-04-12: broke off"
    assert "slope_acid 98" in row.health
    assert row.state == "pass"


def test_due_dates(tmp_path):
    write_record(tmp_path, "130", "do", 0, {"air_mv": 500.0})
    write_record(tmp_path, "130", "ph", 0, {"slope_acid": 98.0})
    history = History(tmp_path)
    states = {row.key: row.state for row in rows(history, INTERVALS, at(31))}
    assert states == {"do": "fail", "ph": "pass"}
    assert {row.key: row.state for row in rows(history, INTERVALS, at(20))}["do"] == "warn"
    due = due_of(history, "130", ["ph", "do", "wp"], INTERVALS, at(31))
    assert [one.key for one in due if one.overdue] == ["do", "wp"]


def test_an_undone_calibration_does_not_count(tmp_path):
    path = write_record(tmp_path, "130", "wp", 0, {"zero_v": 0.5})
    write_record(tmp_path, "130", "wp", 1, None, outcome="undone", undoes=path.name)
    history = History(tmp_path)
    assert history.in_force("130", "wp") is None
    assert rows(history, INTERVALS, at(2))[0].due == "now"


def test_a_record_is_found_by_board_and_key_or_the_beginning_of_its_name(tmp_path):
    first = write_record(tmp_path, "130", "ph", 0, {"slope_acid": 98.0})
    last = write_record(tmp_path, "130", "ph", 10, {"slope_acid": 98.0})
    history = History(tmp_path)
    assert history.find("130/ph").path.parent == last
    assert history.find(first.name[:8]).path.parent == first
    with pytest.raises(UsageError, match="2 calibrations"):
        history.find("2026")
    with pytest.raises(UsageError, match="no calibration"):
        history.find("131/ph")


def test_a_damaged_record_does_not_hide_the_others(tmp_path):
    write_record(tmp_path, "130", "ph", 0, {"slope_acid": 98.0})
    bad = tmp_path / "130" / "x-ph"
    bad.mkdir()
    (bad / "record.jsonl").write_text("nothing\n")
    history = History(tmp_path)
    assert len(history.records) == 1
    assert history.damaged[0].path == bad / "record.jsonl"


def test_the_forecast_of_a_straight_decline_is_its_end():
    points = [(at(30 * n), 100.0 - 1.0 * n) for n in range(5)]
    one = forecast("130", "ph", "slope_acid", points, Limits())
    assert one.per_month == pytest.approx(-1.0 * 30.44 / 30)
    assert abs((one.leaves - at(300)).total_seconds()) < 86400  # 90 % is where it fails
    assert one.significant


def test_scatter_is_no_drift():
    points = [(at(30 * n), 98.0 + (0.5 if n % 2 else -0.5)) for n in range(8)]
    one = forecast("130", "ph", "slope_acid", points, Limits())
    assert not one.significant
    assert one.earliest is None or one.earliest > at(400)


@pytest.mark.parametrize(
    "points", [[], [(at(0), 98.0), (at(30), 97.0)], [(at(n), 98.0 - n) for n in range(4)]]
)
def test_too_little_history_gives_no_forecast(points):
    assert forecast("130", "ph", "slope_acid", points, Limits()) is None


def test_the_probe_that_leaves_its_limits_first_is_at_the_top(tmp_path):
    for n in range(4):
        write_record(tmp_path, "130", "ph", 30 * n, {"slope_acid": 99.0 - 0.5 * n})
        write_record(tmp_path, "131", "ph", 30 * n, {"slope_acid": 97.0 - 1.5 * n})
        write_record(tmp_path, "132", "do", 30 * n, {"air_mv": 520.0 + (-1) ** n})
    found = forecasts(History(tmp_path), Limits())
    assert [one.board for one in found] == ["131", "130", "132"]
    assert [one.board for one in urgent(History(tmp_path), Limits())] == ["131", "130"]


def test_another_probe_begins_another_history(tmp_path):
    for n in range(3):
        write_record(tmp_path, "130", "ph", 30 * n, {"slope_acid": 99.0 - n}, probe="A")
    write_record(tmp_path, "130", "ph", 100, {"slope_acid": 100.0}, probe="B")
    found = forecasts(History(tmp_path), Limits())
    assert [one.key for one in found] == ["ph A"]


def test_status_and_drift_at_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke(["calibration", "status"]) == 0
    assert "no calibrations" in capsys.readouterr().out
    for n in range(4):
        write_record(tmp_path / "calibrations", "131", "ph", 30 * n, {"slope_acid": 97.0 - 1.5 * n})
    assert invoke(["calibration", "status"]) == 5  # overdue, by now
    out = capsys.readouterr().out
    assert "overdue" in out
    assert "take out first:\n  131 ph slope_acid" in out
    assert invoke(["calibration", "drift"]) == 0
    assert "leaves 95 to 105" in capsys.readouterr().out
    assert invoke(["calibration", "status", "--json"]) == 5
    assert '"key": "ph"' in capsys.readouterr().out


def test_sensors_of_the_fleet_that_were_never_calibrated_are_listed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boards.yaml").write_text(
        "fleet: shore\ntarget: local\nrun: {messages: 1, rate: 1/s}\n"
        "boards:\n  - {kind: esp32, ids: 7, port: /dev/ttyUSB0, sensors: {ph: hardware, temp: walk}}\n"
    )
    assert invoke(["calibration", "status"]) == 5
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["✗", "7", "ph", "never", "now"] in [row[:5] for row in rows]
    assert not any("temp" in row for row in rows)


def test_show_certificate_and_export_at_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calibrate(SimulatedBoard(), "wp", folder=tmp_path / "calibrations" / "130")
    assert invoke(["calibration", "show", "130/wp"]) == 0
    assert "Uncertainty budget" in capsys.readouterr().out
    assert invoke(["calibration", "certificate", "130/wp"]) == 0
    assert invoke(["calibration", "export", "130/wp", "--csv", "-"]) == 0
    assert '"board","key","point"' in capsys.readouterr().out
    assert invoke(["calibration", "export", "130/wp", "--json", "wp.json"]) == 0
    assert (tmp_path / "wp.json").exists()
    assert invoke(["calibration", "export", "130/wp"]) == 2
    assert invoke(["calibration", "show", "130/ph"]) == 2
