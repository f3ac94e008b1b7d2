"""Ports: opened without a reset, one program at a time, and errors that say what to do."""

import os
import subprocess
import sys

import pytest
from scripted_board import ScriptedBoard

from host.model.errors import PreflightError
from host.serial.console import Console
from host.serial.lock import PortLock, canonical_port
from host.serial.port import open_port

HOLDER = """
import sys
from host.serial.lock import PortLock
lock = PortLock(sys.argv[1], "commissioning")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def board(tmp_path):
    scripted = ScriptedBoard(tmp_path / "ttyUSB0")
    yield scripted
    scripted.unplug()


def test_who_holds_a_port_is_said_and_the_lock_goes_with_its_process(board, tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to(board.path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(board.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(PreflightError, match=f"in use by commissioning .process {holder.pid}") as error:
            Console(str(link))
        assert error.value.where == str(link)
        holder.kill()
        holder.wait(10)
    with PortLock(str(link)):
        pass


def test_a_lock_is_held_while_the_port_is_lent_to_another_program(board):
    with (
        Console(str(board.path), purpose="run") as console,
        console.released(),
        pytest.raises(PreflightError, match="in use by run"),
    ):
        PortLock(str(board.path))
    PortLock(str(board.path)).release()


def test_a_program_that_knows_nothing_of_our_lock_is_kept_out_too(board):
    import serial

    with Console(str(board.path)), pytest.raises(serial.SerialException, match="exclusively"):
        serial.Serial(str(board.path), exclusive=True)
    with (
        serial.Serial(str(board.path), exclusive=True),
        pytest.raises(PreflightError, match="in use by another"),
    ):
        open_port(str(board.path))


def test_links_to_one_device_are_one_port_and_urls_stay_as_they_are(board, tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to(board.path)
    assert canonical_port(str(link)) == canonical_port(str(board.path)) == os.path.realpath(board.path)
    assert canonical_port("RFC2217://Host:4000?timeout=3") == "rfc2217://host:4000"


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("no-such-port", "no such port"),
        ("rfc2217://127.0.0.1:1", "cannot be opened"),
        ("socket://127.0.0.1:1", "cannot be opened"),
        ("telepathy://somewhere", "no port"),
    ],
)
def test_a_port_that_cannot_be_opened_says_where_and_what_next(tmp_path, port, said):
    name = port if "://" in port else str(tmp_path / port)
    with pytest.raises(PreflightError, match=said) as error:
        Console(name)
    assert error.value.where == name
    assert error.value.next_step
    PortLock(name).release()


def test_a_file_that_is_no_port_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PreflightError, match="cannot be opened") as error:
        open_port(str(tmp_path / "file"))
    assert "serial port" in error.value.next_step
