"""What a board kept, told again in pieces: over a line that spoils some, from a ring that dropped some."""

import pytest

from buoyfleet.boards.later import TRIES, told_again
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.records import BoardEvent


class ScriptedConsole:
    """Stands for a console; `spoiled` says how often each number is told in vain."""

    port = "scripted"

    def __init__(self, kept, last, at_once=4, spoiled=None):
        self._kept, self._last, self._at_once = kept, last, at_once
        self._spoiled = dict(spoiled or {})
        self.requests = 0

    def wait_until_ready(self, _timeout_s):
        return {"buoy": 7, "events": self._last}

    def add_listener(self, listener):
        self._listener = listener

    def request(self, do, first, last, tries):
        assert (do, tries) == ("tell", TRIES)
        self.requests += 1
        told = [number for number in self._kept if first <= number <= last][: self._at_once]
        for number in told:
            if self._spoiled.get(number):
                self._spoiled[number] -= 1
            else:
                self._listener(BoardEvent(0, number, {"what": "sent", "seq": number}))
        return {"told": told}


@pytest.mark.parametrize("at_once", [1, 4, 20])
def test_all_that_is_kept_is_told_however_few_come_at_once(at_once):
    kept, last = told_again(ScriptedConsole(range(5, 31), 30, at_once), 7, set())
    assert (sorted(kept), last) == (list(range(5, 31)), 30)


def test_what_noise_took_is_asked_for_again_but_not_for_ever():
    console = ScriptedConsole(range(1, 11), 10, spoiled={3: 1, 4: 2, 10: 1, 6: 1000})
    kept, _ = told_again(console, 7, set())
    assert sorted(kept) == [1, 2, 3, 4, 5, 7, 8, 9, 10]


def test_what_is_known_already_is_not_asked_for():
    console = ScriptedConsole(range(1, 101), 100)
    kept, _ = told_again(console, 7, set(range(1, 97)))
    assert sorted(kept) == [97, 98, 99, 100]
    assert console.requests == 1


def test_another_board_and_a_board_that_keeps_nothing_are_refused():
    with pytest.raises(BoardError, match="buoy 7, not 8"):
        told_again(ScriptedConsole(range(1, 3), 2), 8, set())
    with pytest.raises(BoardError, match="keeps nothing"):
        told_again(ScriptedConsole((), 12), 7, set())
