"""The file system costs reads, writes and erasures as on a chip; counted always, waited for where asked.

Figures: stock ESP32_GENERIC 1.24.0, one os.rename in a directory of 30 files takes 800 to 2,800 reads of the
flash, growing with the log of the directory; the first after a start 23,700, as free blocks are looked for.
"""

import builtins
import io
import runpy
import sys
import time
from types import SimpleNamespace

import pytest

from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.child import REPL
from buoyfleet.simulation.esp32.simulator import Simulator

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


class Unsynchronised(io.FileIO):
    """A file as MicroPython's Unix port has it: no buffer, and `flush` is an fsync."""

    syncs = 0

    def flush(self):
        if not self.closed:
            Unsynchronised.syncs += 1


def test_no_operation_of_the_flash_waits_for_the_disk_of_this_computer(tmp_path, monkeypatch):
    (tmp_path / "flash.bin").write_bytes(bytes(8192))
    (tmp_path / "control.bin").write_bytes(bytes(15))
    monkeypatch.setitem(sys.modules, "utime", SimpleNamespace(sleep_us=lambda _us: None))
    locks = SimpleNamespace(heap_lock=lambda: None, heap_unlock=lambda: None)
    monkeypatch.setitem(sys.modules, "micropython", locks)
    monkeypatch.setattr(builtins, "open", lambda path, mode: Unsynchronised(path, mode.replace("b", "")))
    there = runpy.run_path(str(REPL / "partition.py"))
    control = there["Control"](tmp_path / "control.bin", lambda _what: None)
    device = there["Partition"](tmp_path / "flash.bin", 0, 8192, control)
    for number in range(3 * there["FLUSH_READS"]):
        device.readblocks(0, bytearray(32))
        device.writeblocks(1, bytes((number,)) * 32, 64)
    device.ioctl(6, 0)
    assert (control.reads, control.writes, control.erases) == (96, 96, 1)
    assert Unsynchronised.syncs == 0
