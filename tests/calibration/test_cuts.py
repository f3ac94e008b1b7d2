"""Cable and power cut at any step: the old calibration comes back, whole, whoever comes back first."""

import random

import pytest
from bench_world import BenchBoard, SimulatedBoard, Technician, calibrate

from buoyfleet.model.errors import BoardError

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def whole(board, key):
    part = board.bench.part(key)
    numbers = part._calibration_numbers() if key in ("ph", "ec") else []
    settings = board.request("get")
    return settings["sensors"][key], [float(f"{n:.5g}") for n in numbers], settings["calibration"].get(key)


def changing_requests(key):
    """Numbers of the requests of a calibration that change something, and the first of every other kind."""
    board = SimulatedBoard(calibrated=True)
    calibrate(board, key)
    seen, found = set(), []
    for number, request in enumerate(board.requests, 1):
        name = request.split(",")[0]
        if request.startswith(("calibrate", "keep", "reboot", "ezo Cal", "ezo K")) or name not in seen:
            found.append(number)
        seen.add(name)
    return found


def cut_and_back(board, key, act):
    """Cut as `act` says, power it again; gives the result of the calibration that was cut."""
    act(board)
    result, record = calibrate(board, key)
    if board.unplugged:
        # Cut after it was accepted, it has passed.
        assert result.outcome in ("interrupted", "passed"), result.reason
        board.power_again()
    return result, record


def leave_maintenance(board):
    """What the timer of the maintenance does at its end."""
    board.request("maintenance", seconds=0)
    board.restart()
    board.run(20.0)


@pytest.mark.parametrize("key", [*(pytest.param(key, marks=pytest.mark.soak) for key in ("ph", "ec")), "do"])
def test_cut_at_any_request_that_changes_something(key):
    for number in changing_requests(key):
        board = SimulatedBoard(calibrated=True)
        before = whole(board, key)
        act = lambda board, number=number: setattr(board, "cut_at_request", number)  # noqa: E731
        try:
            _, record = cut_and_back(board, key, act)
        except BoardError:  # before anything was begun: the session itself tells
            board.power_again()
            record = None
        leave_maintenance(board)
        settings, numbers, note = whole(board, key)
        if record is None or not record.in_force:
            assert (settings, numbers, note) == before, f"cut at request {number}"
        else:
            assert "open" not in note, f"cut at request {number}"
            assert (settings, numbers) != before[:2]


@pytest.mark.parametrize("key", [pytest.param("ph", marks=pytest.mark.soak), "wp"])
def test_cut_in_the_middle_of_anything(key):
    board = SimulatedBoard(calibrated=True)
    calibrate(board, key)
    length_ms = board.now_ms
    draw = random.Random(7)
    for _ in range(12):
        board = SimulatedBoard(calibrated=True)
        before = whole(board, key)
        at_ms = draw.randrange(3000, length_ms)
        try:
            act = lambda board, at_ms=at_ms: setattr(board, "cut_at_ms", at_ms)  # noqa: E731
            _, record = cut_and_back(board, key, act)
        except BoardError:
            board.power_again()
            record = None
        leave_maintenance(board)
        if record is None or record.outcome == "interrupted":
            assert whole(board, key) == before, f"cut at {at_ms} ms"


def test_cut_while_the_old_calibration_is_put_back():
    """The import into the circuit is broken off at any of its commands, and taken up at the next start."""
    clean = SimulatedBoard(calibrated=True)
    calibrate(clean, "ph", Technician(clean, swap={"low": "ph-10"}))
    restore = clean.requests.index("keep restore") + 1
    before = whole(SimulatedBoard(calibrated=True), "ph")
    for more_ms in range(300, 9000, 900):
        board = SimulatedBoard(calibrated=True)
        technician = Technician(board, swap={"low": "ph-10"})
        board.at_request = (restore, more_ms)
        calibrate_and_cut(board, technician, restore, more_ms)
        board.power_again()
        leave_maintenance(board)
        assert whole(board, "ph") == before, f"cut {more_ms} ms after the beginning"


def calibrate_and_cut(board, technician, number, more_ms):
    request = board.request

    def counting(do, *arguments, **fields):
        if len(board.requests) + 1 == number:
            board.cut_at_ms = board.now_ms + more_ms
        return request(do, *arguments, **fields)

    board.request = counting
    calibrate(board, "ph", technician)
    board.request = request
    if not board.unplugged:
        board.cut_power()


def test_circuits_whose_power_is_switched_stay_on_at_the_bench():
    board = SimulatedBoard(calibrated=True, switched=True)
    result, _ = calibrate(board, "ph")
    assert result.outcome == "passed", result.reason
    cut = SimulatedBoard(calibrated=True, switched=True)
    before = whole(cut, "ph")
    cut.cut_at_request = board.requests.index("keep accept")  # everything is done, but for that
    calibrate(cut, "ph")
    cut.power_again()
    leave_maintenance(cut)
    assert whole(cut, "ph") == before


def test_the_next_session_finds_what_was_interrupted_and_says_so():
    before = whole(SimulatedBoard(calibrated=True), "do")
    board = SimulatedBoard(calibrated=True)
    calibrate(board, "do")
    number = board.requests.index("calibrate accept") + 1
    again = SimulatedBoard(calibrated=True)
    again.cut_at_request = number
    calibrate(again, "do")
    again.power_again()
    assert again.request("get")["calibration"]["do"]["open"] is True
    own = BenchBoard(again)
    assert own.enter() == ["do"]
    own.leave()
    assert whole(again, "do") == before


def test_a_board_that_was_left_alone_in_maintenance_is_a_buoy_again_with_its_old_calibration():
    board = SimulatedBoard(calibrated=True)
    before = whole(board, "wp")
    number = 0

    def unplugged_host(do, *arguments, **fields):
        nonlocal number
        number += do == "calibrate"
        if number:
            board.unplugged = True  # the host dies; the board stays powered
        return SimulatedBoard.request(board, do, *arguments, **fields)

    board.request = unplugged_host
    result, _ = calibrate(board, "wp")
    assert result.outcome == "interrupted"
    board.unplugged = False
    del board.request
    leave_maintenance(board)
    assert whole(board, "wp") == before
