"""Undo: what the board itself keeps comes back, on any bench."""

import pytest
from bench_world import BenchBoard, Clock, SimulatedBoard, calibrate

from buoyfleet.calibration.config import BenchConfig
from buoyfleet.calibration.history import History
from buoyfleet.calibration.record import read_record
from buoyfleet.calibration.undo import prepare_undo, undo
from buoyfleet.model.errors import BoardError, UsageError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def whole(board, key):
    part = board.bench.part(key)
    numbers = part._calibration_numbers() if key in ("ph", "ec") else []
    return board.request("get")["sensors"][key], [float(f"{n:.5g}") for n in numbers]


@pytest.mark.parametrize("key", ["ph", "ec", "do", "temp", "liqlev"])
def test_the_calibration_before_the_last_is_in_force_again(key):
    board = SimulatedBoard(calibrated=True)
    before = whole(board, key)
    calibrate(board, key)
    config = BenchConfig()
    plan = prepare_undo(BenchBoard(board), key, config)
    assert plan.note["date"] == "2026-11-26"
    folder = undo(plan, config, Clock(board), "M. Lee")
    assert whole(board, key) == before
    assert board.board.maintenance_ms == 0
    record = read_record(folder)
    assert record.outcome == "undone"
    assert record.before["note"]["date"] == "2026-11-26"
    with pytest.raises(UsageError, match="no calibration to undo"):
        prepare_undo(BenchBoard(board), key, config)


def test_a_sensor_that_was_never_calibrated_has_nothing_to_undo():
    with pytest.raises(UsageError, match="no calibration to undo"):
        prepare_undo(BenchBoard(SimulatedBoard()), "wp", BenchConfig())


def test_the_status_knows_that_it_was_undone(tmp_path):
    board = SimulatedBoard(calibrated=True)
    calibrate(board, "wp", folder=tmp_path / "calibrations" / "130")
    assert History(tmp_path / "calibrations").in_force("130", "wp") is not None
    undo(prepare_undo(BenchBoard(board), "wp", BenchConfig()), BenchConfig(), Clock(board), "")
    assert History(tmp_path / "calibrations").in_force("130", "wp") is None


def test_a_circuit_that_does_not_take_it_back_is_told_and_recorded(tmp_path):
    board = SimulatedBoard(calibrated=True)
    calibrate(board, "ph")
    plan = prepare_undo(BenchBoard(board), "ph", BenchConfig())
    board.bench.inject("ph", "silent")
    with pytest.raises(BoardError):
        undo(plan, BenchConfig(), Clock(board), "")
    record = read_record(next((tmp_path / "calibrations" / "130").glob("*-undo")))
    assert record.outcome == "interrupted"
    assert "ph" in board.request("get")["calibration"]  # the note still says what is in force
