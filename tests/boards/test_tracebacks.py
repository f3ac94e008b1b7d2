"""Tracebacks of a simulated board with installed firmware are shown in the names and lines of the tree."""

import itertools
import re
import time

import pytest

from buoyfleet.boards.firmware_files import firmware_files, installed_firmware
from buoyfleet.boards.tracebacks import BEGIN, SYMBOLS, UNKNOWN, Tracebacks
from buoyfleet.cli.board_console import _Shown
from buoyfleet.cli.monitor import _Printer
from buoyfleet.model.clock import Deadline
from buoyfleet.model.places import COMPILED, FACTORY, FILES
from buoyfleet.serial.port import open_port
from buoyfleet.serial.records import Line
from buoyfleet.simulation.esp32.factory import factory_image
from buoyfleet.simulation.esp32.simulator import Simulator

BOARD = 300
WAIT_S = 120.0
# Calls a number, some calls below `run`.
FAILING = "import machine; machine.reset_cause = 5\rfrom buoy.esp32_board import run\rrun(None)\r"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The lines of a board in which something failed, as they came."""
    factory = factory_image(firmware_files(), FACTORY)
    folder = tmp_path_factory.mktemp("boards")
    with Simulator(folder, [BOARD], factory=factory) as simulator:
        line = open_port(simulator.path(BOARD), read_timeout_s=0.1)
        try:
            read_until(line, b"not commissioned")
            line.write(b"\x03")
            read_until(line, b">>> ")
            for command in FAILING.splitlines():
                line.write(command.encode() + b"\r")
                text = read_until(line, b"isn't callable" if command.startswith("run(") else b">>> ")
        finally:
            line.close()
    lines = text.decode().splitlines()
    begin = lines.index(BEGIN)
    end = next(number for number, line in enumerate(lines) if line.endswith("isn't callable"))
    return lines[begin : end + 1]


def read_until(line, end):
    data, deadline = b"", Deadline(WAIT_S)
    while end not in data:
        assert not deadline.expired, data
        data += line.read(4096)
    return data


def test_every_frame_names_a_function_where_it_stands(said):
    assert re.search(r'File "\w+", line 1, in \w+', "\n".join(said)), said
    reader = Tracebacks(COMPILED / SYMBOLS, installed_firmware().version)
    shown = [text for line in said for text in reader.feed(line)]
    frames = [
        re.fullmatch(r'  File "(\S+)", lines? (\d+)(?: to (\d+))?, in (\S+)', text) for text in shown[1:-2]
    ]
    assert all(frames), shown
    names = [frame[4] for frame in frames]
    assert names[0] == "run"
    assert "Board.__init__" in names
    for caller, called in itertools.pairwise(frames):
        source = (FILES / caller[1]).read_text().splitlines()
        *holder, name = called[4].split(".")
        assert (holder[-1] if name == "__init__" else name) in source[int(caller[2]) - 1]
    failed = (FILES / frames[-1][1]).read_text().splitlines()[int(frames[-1][2]) - 1 : int(frames[-1][3])]
    assert failed[0].strip().startswith(f"def {names[-1].rpartition('.')[2]}(")
    assert any("reset_cause()" in text for text in failed)
    assert shown[-2:] == [said[-1], f"(names and lines of firmware {installed_firmware().version})"]


def test_monitor_shows_the_names_and_its_file_keeps_what_the_board_said(said, tmp_path, capsys):
    printer = _Printer(["300"], "debug", re.compile(""), False, tmp_path)
    for text in said:
        printer.show("300", Line(time.time_ns(), text.encode()))
    printer.close()
    assert 'File "firmware/buoy/board.py"' in capsys.readouterr().out
    kept = (tmp_path / "300.log").read_text()
    assert all(text in kept for text in said)
    assert "firmware/" not in kept


def test_console_shows_the_names(said, capsys):
    shown = _Shown(False)
    for text in said:
        shown(Line(time.time_ns(), text.encode()))
    assert 'File "firmware/buoy/board.py"' in capsys.readouterr().out


def test_a_program_that_was_not_made_here_is_shown_as_it_is(said, tmp_path):
    reader = Tracebacks(tmp_path)
    assert [text for line in said for text in reader.feed(line)] == [*said, UNKNOWN]


def test_a_traceback_that_is_cut_off_is_shown_with_what_comes_next(said):
    reader = Tracebacks(COMPILED / SYMBOLS)
    cut = [text for line in said[:3] for text in reader.feed(line)]
    assert cut == []
    shown = reader.feed(BEGIN)
    assert shown == said[:3]
    assert reader.flush() == [BEGIN]
    assert reader.feed("# info boot") == ["# info boot"]
