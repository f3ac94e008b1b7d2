"""A cable that goes between what a board does and what it says: the record tells what the board has."""

from pathlib import Path

import pytest
from bench_world import Clock, SimulatedBoard, Technician

from buoyfleet.calibration import session as session_module
from buoyfleet.calibration.board import BenchBoard
from buoyfleet.calibration.certificate.write import Files
from buoyfleet.calibration.config import load_config
from buoyfleet.calibration.history import History
from buoyfleet.calibration.record import read_record
from buoyfleet.calibration.session import CalibrationRequest, Session
from buoyfleet.serial.trouble import Unanswered


class CutConsole:
    """A board's console; the answer to `accept` is lost, before or after the board has done it."""

    port = "/dev/ttyUSB0"

    def __init__(self, done: bool, away: bool = False) -> None:
        self._done, self._away = done, away
        self._notes: dict[str, dict[str, object]] = {}
        self._cut = False

    def request(self, do, *_given, **fields):
        if self._cut and self._away:
            raise Unanswered("the port is gone", where=self.port)
        if do == "identify":
            return {"buoy": 131, "mac": "240ac4000083", "firmware": "1.0.0", "micropython": "1.26.1"}
        if do == "get":
            return {"calibration": self._notes}
        assert do == "calibrate"
        if fields["step"] == "write":
            self._notes["tds"] = {**fields["note"], "open": True}
            return "in force after reboot"
        if self._done:
            del self._notes["tds"]["open"]
        self._cut = True
        raise Unanswered("calibrate: no answer (the port is gone)", where=self.port)

    def restart(self, *_given):
        return self.request("identify")


def calibrated(console):
    board = BenchBoard(console)
    board.calibrate("tds", "write", {"k": 1.02}, {"record": "20261126-131-tds"})
    board.calibrate("tds", "accept")


def test_an_accepted_calibration_whose_answer_was_lost_holds():
    calibrated(CutConsole(done=True))


@pytest.mark.parametrize("console", [CutConsole(done=False), CutConsole(done=True, away=True)])
def test_one_that_was_not_accepted_or_cannot_be_asked_for_is_no_success(console):
    with pytest.raises(Unanswered):
        calibrated(console)


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """Folders whose certificates were made, by sessions in an empty folder."""
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr(
        session_module, "write_certificate", lambda folder: made.append(folder) or Files(folder, folder)
    )
    return made


def session(board, key):
    """Calibrate one sensor in a session; gives its result, what was said and its record's folder."""
    said = []
    own = Session(
        board,
        load_config(None),
        Clock(board),
        lambda _board, _key: Technician(board),
        lambda text, _tone: said.append(text),
    )
    (done,) = own.run(CalibrationRequest([key]))
    return done.result, "\n".join(said), done.folder


def cut_at(board, request, done):
    """The cable goes when the board is asked for `request`, before or after it has done it."""

    def asked(do, *given, **fields):
        if f"{do} {fields.get('step', '')}" != request or board.unplugged:
            return SimulatedBoard.request(board, do, *given, **fields)
        if done:
            SimulatedBoard.request(board, do, *given, **fields)
        board.unplugged = True
        raise Unanswered(f"{do}: no answer (the port is gone)", where=board.port)

    board.request = asked


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(("key", "request_"), [("wp", "calibrate accept"), ("ph", "keep accept")])
@pytest.mark.parametrize("power", ["stays", "goes"])
def test_a_cable_that_stays_away_leaves_a_doubt_that_the_next_session_ends(
    certified, key, request_, done, power
):
    board = SimulatedBoard(calibrated=True)
    cut_at(board, request_, done)
    result, said, folder = session(board, key)
    assert (result.outcome, result.unsure) == ("interrupted", True)
    assert "may have accepted the new calibration" in result.reason
    assert "the old calibration" not in said, "nobody knows"
    doubtful = read_record(folder)
    assert doubtful.unsure
    assert not doubtful.in_force
    del board.request
    if power == "goes":
        board.cut_power()
        board.power_again()
    board.unplugged = False
    before = [*certified]
    _, said, _ = session(board, "temp")
    record = read_record(folder)
    assert record.broken == ""
    note = board.request("get")["calibration"].get(key, {})
    assert (note.get("record") == folder.name) is done, "what the board has"
    assert (record.outcome, record.in_force) == (("passed", True) if done else ("interrupted", False))
    assert ("had stopped; the record now says" in said) is done
    assert (folder in certified[len(before) :]) is done
    held = History(Path("calibrations")).in_force("130", key)
    assert (held is not None and held.identifier == folder.name) is done


@pytest.mark.usefixtures("certified")
def test_a_record_that_somebody_changed_is_not_completed():
    board = SimulatedBoard(calibrated=True)
    cut_at(board, "calibrate accept", True)
    _, _, folder = session(board, "wp")
    path = folder / "record.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"test', b'"best', 1).replace(b'"wp"', b'"wp" ', 1))
    changed = path.read_bytes()
    assert read_record(folder).broken
    del board.request
    board.unplugged = False
    session(board, "temp")
    assert path.read_bytes() == changed
