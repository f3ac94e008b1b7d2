"""Ports: opened without a reset, one program at a time, and errors that say what to do."""

import os
import subprocess
import sys
import time

import pytest
from scripted_board import ScriptedBoard

from buoyfleet.bench.session import Session
from buoyfleet.cli.main import invoke
from buoyfleet.model.board_names import canonical_port, parse_name
from buoyfleet.model.errors import BoardError, PreflightError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.serial.console import Console
from buoyfleet.serial.find import find_board
from buoyfleet.serial.listing import holder
from buoyfleet.serial.lock import PortBusy, PortLock
from buoyfleet.serial.port import NoSuchPort, open_port
from buoyfleet.serial.probe import probe

HOLDER = """
import sys
from buoyfleet.serial.lock import PortLock
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
        holder.wait(90)
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


def test_a_link_that_goes_while_it_is_followed_stands_for_itself(tmp_path, monkeypatch):
    link = tmp_path / "board"
    link.symlink_to("/dev/pts/0")

    def unplugged(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(os, "readlink", unplugged)
    assert canonical_port(str(link)) == str(link)


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


@pytest.mark.parametrize("command", [["id"], ["ports"], ["console"]])
def test_what_is_no_serial_port_is_refused_and_not_waited_for(tmp_path, capsys, command):
    (tmp_path / "boards.yaml").write_text("")
    for path in (tmp_path, tmp_path / "boards.yaml", "/dev/null"):
        assert invoke([*command, str(path)]) == ExitCode.PREFLIGHT
        assert f"{path}: not a serial port" in capsys.readouterr().err


def test_a_port_of_another_group_is_told_with_the_way_in(board, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PreflightError, match="permission denied") as caught:
        Session(parse_name(str(board.path))).open()
    assert "dialout" in caught.value.next_step


@pytest.mark.parametrize("word", ["mac:24:0a:c4:00:00:fe", "999999", "nowhere/*"])
def test_a_name_that_no_port_has_is_no_empty_list(tmp_path, capsys, word):
    fleet = tmp_path / "none.yaml"
    assert invoke(["ports", word, "--fleet", str(fleet)]) == ExitCode.PREFLIGHT
    assert f"no port or board matches {word}" in capsys.readouterr().err


def test_a_program_without_our_lock_is_named_and_the_end_that_made_the_port_is_not(board):
    board.answer = lambda _request: None
    assert holder(str(board.path)) == "", "the process that made a PTY is no other user of it"
    with (
        board.path.open("rb") as line,
        subprocess.Popen(["sleep", "60"], stdin=line) as other,
    ):
        found = probe(str(board.path), patience_s=0.2)
        with pytest.raises(PortBusy, match=rf"in use by sleep \(process {other.pid}\)"):
            PortLock(str(board.path))
        other.kill()
    PortLock(str(board.path)).release()
    assert found.state == "busy"
    assert found.runs == f"in use by sleep (process {other.pid}). Close it."


def test_a_name_that_does_not_exist_is_refused_before_anything_is_waited_for(tmp_path):
    missing = str(tmp_path / "ttyUSB7")
    url = f"rfc2217://127.0.0.1:{1}?ign_set_control"
    began = time.monotonic()
    with pytest.raises(NoSuchPort, match=r"ttyUSB7: no such port\. See `buoy ports`\.") as error:
        Session(parse_name(missing)).open()
    assert error.value.next_step == "buoy ports"
    with pytest.raises(NoSuchPort):
        find_board(missing)
    with Session(parse_name(url)) as session, pytest.raises(BoardError, match="cannot be opened"):
        session.persevere(session.look)
    assert time.monotonic() - began < 5.0, "a port that never was is not waited for (20 s)"
    assert invoke(["id", missing]) == invoke(["ports", missing]) == ExitCode.PREFLIGHT


def test_a_command_for_a_port_that_does_not_exist_loads_no_more_than_it_takes_to_say_so(tmp_path):
    """The command line's and the schema's libraries take half a second of a slow computer."""
    commands = ("ports", "flash", "monitor", "console", "id", "wipe", "settings get", "files ls")
    program = (
        "import sys; from buoyfleet.cli.main import invoke; "
        "codes = {invoke(words.split('|')) for words in sys.argv[1:]}; "
        "print(codes, {'typer', 'pydantic', 'yaml', 'serial'} & set(sys.modules))"
    )
    missing = tmp_path / "ttyÜ SB 7"
    lines = [f"{command.replace(' ', '|')}|{missing}" for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", program, *lines, f"commission|{missing}=131"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "{3} set()", done.stderr
    assert done.stderr.count(f"error: {missing}: no such port.") == len(commands) + 1
