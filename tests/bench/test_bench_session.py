"""The port of a board is the bench's as long as the board is there, and only then."""

import contextlib
import os
import tty

import pytest

from buoyfleet.bench import session as bench_session
from buoyfleet.bench.session import Patience, Session
from buoyfleet.model.board_names import parse_name
from buoyfleet.model.errors import BoardError, PreflightError
from buoyfleet.serial.lock import PortLock
from buoyfleet.serial.probe import Found
from buoyfleet.serial.trouble import Unanswered

GONE = PreflightError("the port is gone")


@contextlib.contextmanager
def plugged(link):
    """A device behind a link, as udev makes them; gives the name that the system chose."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.fixture
def link(tmp_path):
    return tmp_path / "board"


@pytest.fixture
def session(link):
    with contextlib.closing(Session(parse_name(str(link)), patience=Patience(reappear_s=0.0))) as session:
        yield session


def test_a_board_that_is_there_is_locked_until_the_end(link, session):
    with plugged(link) as device:
        session.open()
        session.reappear(GONE)
        with pytest.raises(PreflightError, match="in use by bench"):
            PortLock(device)
        session.close()
        PortLock(device).release()


def test_a_session_that_could_not_open_keeps_no_port(link, session, monkeypatch):
    def unplugged(_):
        raise FileNotFoundError(2, "No such file or directory", str(link))

    monkeypatch.setattr(bench_session, "list_ports", unplugged)
    with plugged(link) as device:
        with pytest.raises(FileNotFoundError):
            session.open()
        PortLock(device).release()


def test_the_name_of_a_port_that_is_gone_is_left_to_others(link, session):
    with plugged(link) as device:
        session.open()
    with pytest.raises(BoardError, match="did not come back"):
        session.reappear(GONE)
    PortLock(device).release()


def test_a_board_that_comes_back_is_locked_under_its_new_name(link, session):
    with plugged(link) as before:
        session.open()
        with plugged(link) as now:
            assert now != before
            session.reappear(GONE)
            with pytest.raises(PreflightError, match="in use by bench"):
                PortLock(now)
            PortLock(before).release()


def test_a_board_that_comes_back_under_a_name_that_somebody_has_is_not_taken(link, session):
    with plugged(link):
        session.open()
    with pytest.raises(BoardError, match="did not come back"):
        session.reappear(GONE)
    with (
        plugged(link) as device,
        PortLock(device, "somebody else"),
        pytest.raises(BoardError, match="did not come back"),
    ):
        session.reappear(GONE)


def test_a_chip_that_does_not_tell_its_mac_is_asked_again_and_never_taken_for_known(
    link, session, monkeypatch
):
    answers = [Found("p", "empty", detail="noise"), Found("p", "empty", mac="240ac4000081", chip="ESP32")]
    monkeypatch.setattr(bench_session, "probe_locked", lambda *_, **__: answers.pop(0))
    with plugged(link):
        session.open()
        assert session.persevere(session.look).mac == "240ac4000081"
        answers.append(Found("p", "empty", detail="noise"))
        with pytest.raises(Unanswered, match="does not tell its MAC"):
            session.look()
