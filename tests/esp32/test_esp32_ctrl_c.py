"""Ctrl-C on a simulated board comes between two bytecodes of the program, as on a chip.

Neither it nor the collector comes while LittleFS is at work.
"""

import pytest

from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.serial.repl_errors import ReplError
from buoyfleet.simulation.esp32.simulator import Simulator

BOARD = 90
LOOPS = {
    "the collector": "gc.collect()",
    "new names": "exec('name_%d = 1' % n)",
    "flash": "with open('n.txt', 'w') as file: file.write(str(n))",
    "a part": "pin.value()",
    "a wait": "time.sleep_ms(500)",
    "input": "sys.stdin.read(1)",
}
LOOP = """
import gc, machine, sys, time
pin = machine.Pin(4)
n = 0
print("begun")
while True:
    n += 1
    {}
"""
FORGETS = """
import gc, os
gc.collect()
before = gc.mem_alloc()
for n in range(400):
    open("forgot-%d.txt" % (n % 7), "w").write("%d" % n)
gc.collect()
print(gc.mem_alloc() - before < 8192)
found = []
for n in range(7):
    with open("forgot-%d.txt" % n) as file:
        found.append(int(file.read()))
    os.remove("forgot-%d.txt" % n)
print([value % 7 for value in found])
"""
SWALLOWS = """
n = 0
while n < 60:
    try:
        print(n)
        while True:
            text = "%d" % n
    except KeyboardInterrupt:
        n += 1
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("ctrl-c"), [BOARD]) as running:
        line = open_port(running.path(BOARD))
        log = bytearray()
        repl = RawRepl(line, running.path(BOARD), log.extend)
        repl.enter()
        yield repl, log
        line.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_it_ends_a_loop_wherever_it_comes_and_leaves_the_board_whole(board, loop):
    repl, _ = board
    for _ in range(6):
        repl.begin(LOOP.format(LOOPS[loop]))
        assert repl.read_line(20.0) == "begun"
        repl.send(b"\x03")
        with pytest.raises(ReplError, match="KeyboardInterrupt"):
            repl.finish(20.0)
    assert repl.run("gc.collect()\nx = 6\nprint(x * 7, pin.value() in (0, 1))").split() == ["42", "True"]


def test_a_program_that_swallows_it_is_interrupted_again_and_its_traceback_does_not_grow(board):
    repl, _ = board
    repl.begin(SWALLOWS)
    for number in range(60):
        assert repl.read_line(20.0) == str(number)
        repl.send(b"\x03")
    repl.finish(20.0)
    repl.begin("print('begun')\nwhile True: pass")
    assert repl.read_line(20.0) == "begun"
    repl.send(b"\x03")
    with pytest.raises(ReplError) as caught:
        repl.finish(20.0)
    assert caught.value.traceback.count('File "<stdin>"') == 1


def test_as_many_as_a_line_carries_at_the_end_of_a_program_do_not_end_the_board(board):
    """They come where the program ends, or what it raised is shown."""
    repl, log = board
    log.clear()
    for _ in range(15):
        repl.begin("for n in range(300): pass")
        repl.send(b"\x03" * 40)
        repl.enter()
    assert repl.run("print(42)").strip() == "42"
    assert b"Guru" not in log
    assert b"rst:0x" not in log


def test_files_that_a_program_forgot_are_closed_by_the_collector(board):
    """As on a chip: each has what was written to it, and its memory comes back."""
    repl, log = board
    log.clear()
    for _ in range(3):
        assert repl.run(FORGETS, 60.0).splitlines() == ["True", str(list(range(7)))]
    assert b"Guru" not in log
