"""Step x fault: each board of a batch meets another fault; nobody is held back by another, and a second run
completes what the first could not."""

import contextlib
import os
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_rig import HASTY, PATIENT, SSID, WIFI_PASSWORD, Rig
from faults_table import Row, Striker, hold_port, short_table, whole_table

from buoyfleet.bench.batch import Outcome, is_defect
from buoyfleet.bench.batch_context import BoardResult, StepFailed
from buoyfleet.bench.session import Patience
from buoyfleet.serial.board_files import send_files
from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import synthetic_image

FIRST = 200
HOG = b"""
import machine, time
watchdog = machine.WDT(timeout=20000)
while True:
    watchdog.feed()
    time.sleep_ms(5)
"""
"""Somebody else's program: it never gives the REPL, and its watchdog cannot be stopped."""


def foreign_program(simulator: Simulator, buoy: int) -> None:
    """A board that comes from somebody else, with an interpreter and a program that hogs it."""
    simulator.with_board(buoy, lambda board: board.flash.write(0x1000, synthetic_image(size=80_000)))
    simulator.power(buoy, True)
    port = simulator.path(buoy)
    line = open_port(port)
    repl = RawRepl(line, port)
    repl.enter()
    send_files(repl, {"main.py": HOG})
    repl.hard_reset()
    line.close()


Table = tuple[dict[int, Row], dict[int, Outcome[BoardResult]], dict[int, Outcome[BoardResult]]]


def meet(folder: Path, rows: list[Row], patience: Patience = HASTY) -> Table:
    """Rows, first outcomes and second outcomes by board."""
    by_board = dict(enumerate(rows, FIRST))
    with Simulator(folder / "sim", by_board, flashed=False, access_points={SSID: WIFI_PASSWORD}) as simulator:
        for buoy, row in by_board.items():
            if row.step == "maintenance":
                foreign_program(simulator, buoy)
        rig = Rig(folder, simulator)
        striker = rig.on_happening = Striker(rig, by_board)
        ports = {buoy: simulator.path(buoy) for buoy in by_board}
        first = rig.commission(by_board, ports, patience=patience, connect_s=0.8 * patience.boot_s)
        missed = {by_board[buoy].name: str(first[buoy].error) for buoy in set(by_board) - striker.struck}
        assert missed == {}, "a fault that never happened proves nothing"
        rig.on_happening = lambda _: None
        for buoy, row in by_board.items():
            row.fault.mend(rig, buoy)
        ports = {buoy: simulator.path(buoy) for buoy in by_board}
        second = rig.commission(by_board, ports, patience=patience, connect_s=0.8 * patience.boot_s)
    return by_board, first, second


def check(row: Row, first: Outcome[BoardResult], second: Outcome[BoardResult]) -> None:
    assert not is_defect(first.error), first.error
    assert first.passed == row.passes, str(first.error)
    if not row.passes:
        error = first.error
        assert isinstance(error, StepFailed)
        assert error.step == row.step
        assert "/ports/" in error.where, "the error names the port"
        assert row.fault.sentence in str(error)
        assert error.next_step or error.cause
    assert second.passed, str(second.error)
    assert second.value is not None
    if row.passes:
        assert second.value.done == [], "the first run left nothing to do"
    else:
        assert second.value.done[-2:] == ["self-test", "record"]


pytestmark = pytest.mark.timeout(600)
SHORT = short_table()


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Table:
    return meet(tmp_path_factory.mktemp("faults"), SHORT)


@pytest.mark.parametrize("index", range(len(SHORT)), ids=[row.name for row in SHORT])
def test_a_fault_ends_as_the_table_says_and_the_next_run_completes(table, index):
    rows, first, second = table
    buoy = FIRST + index
    check(rows[buoy], first[buoy], second[buoy])


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(3))
def test_every_fault_at_every_step(tmp_path, part):
    rows, first, second = meet(tmp_path, whole_table()[part::3], PATIENT)
    wrong = []
    for buoy, row in rows.items():
        try:
            check(row, first[buoy], second[buoy])
        except AssertionError as error:
            wrong.append(f"{row.name}: {error}")
    assert not wrong, "\n\n".join(wrong)


@contextlib.contextmanager
def another_device() -> Iterator[str]:
    """A port with something that talks, but is no board: a receiver of satellite navigation."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    over = threading.Event()

    def chatter() -> None:
        while not over.wait(0.1):
            os.write(ours, b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M*5B\r\n")

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        over.set()
        thread.join()
        os.close(ours)
        os.close(theirs)


def test_a_port_in_use_and_another_device_are_refused_with_what_they_are_and_others_go_on(tmp_path):
    with (
        Simulator(tmp_path / "sim", [300, 301], access_points={SSID: WIFI_PASSWORD}) as simulator,
        another_device() as strange,
    ):
        ports = {300: simulator.path(300), 301: simulator.path(301), 310: strange}
        holder = hold_port(ports[300])
        try:
            outcomes = Rig(tmp_path, simulator).commission(ports, ports)
        finally:
            holder.communicate()
    held = outcomes[300].error
    assert isinstance(held, StepFailed)
    assert (held.step, held.where) == ("find", ports[300])
    assert f"in use by somebody else (process {holder.pid}" in held.what
    device = outcomes[310].error
    assert isinstance(device, StepFailed)
    assert (device.step, device.where) == ("identify", strange)
    assert "not a board of ours" in device.what
    assert outcomes[301].passed
