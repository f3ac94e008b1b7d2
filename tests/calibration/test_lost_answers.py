"""A cable that goes between what a board does and what it says: the record tells what the board has."""

import pytest

from host.calibration.board import BenchBoard
from host.serial.trouble import Unanswered


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
