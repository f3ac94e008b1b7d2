"""The file system costs reads, writes and erasures as on a chip; counted always, waited for where asked.

Figures: stock ESP32_GENERIC 1.24.0, one os.rename in a directory of 30 files takes 800 to 2,800 reads of the
flash, growing with the log of the directory; the first after a start 23,700, as free blocks are looked for.
"""

import time

import pytest

from host.serial.port import open_port
from host.serial.raw_repl import RawRepl
from host.simulation.esp32.simulator import Simulator

PLAIN, PACED = 150, 151
LEAST_READS, MOST_READS = 800, 2800
SCAN_READS = 23_700
FILES = 30
MAKE = f"""
import os
for n in range({FILES}):
    with open("file%02d.txt" % n, "wb") as f: f.write(bytes(300))
"""


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), [PLAIN]) as running:
        yield running


def use(simulator, board, *codes):
    """Operations of the flash that each code takes, and its seconds."""
    line = open_port(simulator.path(board))
    repl = RawRepl(line, simulator.path(board))
    repl.enter()
    found = []
    for code in codes:
        before, began = simulator.flash_use(board), time.monotonic()
        repl.run(code, 120.0)
        found.append((simulator.flash_use(board).since(before), time.monotonic() - began))
    line.close()
    return found


def rename(number):
    return f"import os\nos.rename('file{number:02d}.txt', 'name{number:02d}.txt')"


def test_a_rename_among_thirty_files_reads_as_much_as_on_a_chip(boards):
    (made, _), (first, _), *others = use(boards, PLAIN, MAKE, *(rename(number) for number in range(11)))
    assert made.erases >= FILES  # each file has a block of its own
    assert first.reads == pytest.approx(SCAN_READS, rel=0.25)
    for found, _ in others:
        assert LEAST_READS <= found.reads <= MOST_READS
        assert found.writes <= 4


def test_where_it_is_asked_for_operations_take_the_time_of_a_chip(tmp_path):
    with Simulator(tmp_path, [PACED], paced=True) as simulator:
        code = "import os\nwith open('a', 'wb') as f: f.write(bytes(9000))\nos.rename('a', 'b')"
        ((found, seconds),) = use(simulator, PACED, code)
    assert found.erases >= 2
    assert seconds >= found.reads * 50e-6 + found.erases * 45e-3
