"""A program is installed as one file and one switch: its cost, what a cut leaves, what stays and goes."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from buoyfleet.bench.install import install, is_installed
from buoyfleet.bench.plan import Software
from buoyfleet.bench.prepare import make_software
from buoyfleet.bench.survey import survey_by_repl
from buoyfleet.boards.program_file import SWITCH, program_path
from buoyfleet.model.errors import BuoyError
from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.simulator import Simulator

COSTS, CUTS = 220, 221
FILES_STEP_S = 8.0
READ_S, WRITE_S, ERASE_S = 50e-6, 350e-6, 45e-3
"""As host/buoyfleet/simulation/esp32/repl/partition.py has them; a write is 128 bytes."""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), [COSTS, CUTS]) as running:
        yield running


@contextlib.contextmanager
def prompt(simulator: Simulator, buoy: int) -> Iterator[RawRepl]:
    line = open_port(simulator.path(buoy))
    try:
        repl = RawRepl(line, simulator.path(buoy))
        repl.enter(20.0)
        yield repl
    finally:
        line.close()


def software(version: str = "") -> Software:
    """The firmware, or the same under the name of another version."""
    made = make_software(None)
    if not version:
        return made
    files = {
        program_path(version) if path == program_path(made.program) else path: data
        for path, data in made.files.items()
    }
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    return replace(made, files=files, digests=digests, firmware=version)


def test_a_first_installation_takes_eight_seconds_of_a_chip_and_the_next_nothing(simulator):
    with prompt(simulator, COSTS) as repl:
        now = survey_by_repl(repl)
        before = simulator.flash_use(COSTS)
        done = install(repl, now, software())
        used = simulator.flash_use(COSTS).since(before)
        seconds = done.line_bytes * 10 / 115_200
        seconds += used.reads * READ_S + used.writes * WRITE_S + used.erases * ERASE_S
        assert seconds <= FILES_STEP_S, (done.line_bytes, used)
        again = install(repl, survey_by_repl(repl), software())
        assert (again.sent, again.removed, again.line_bytes) == ((), (), 0)
        assert is_installed(survey_by_repl(repl), software())


def test_the_program_before_is_kept_and_the_one_before_that_removed(simulator):
    first, second, third = software(), software("1.0.0+second"), software("1.0.0+third")
    with prompt(simulator, COSTS) as repl:
        install(repl, survey_by_repl(repl), first)
        repl.run(f"with open({SWITCH!r}, 'w') as f: f.write('{first.program} -')")  # it has proved itself
        sent = install(repl, survey_by_repl(repl), second).sent
        assert sent == (program_path(second.program), SWITCH)  # nothing that is there already
        state = survey_by_repl(repl)
        assert state.switch == (second.program, first.program, "3")
        assert program_path(first.program) in state.files
        # The second has not proved itself: the first stays the one that comes back.
        assert install(repl, state, third).removed == (program_path(second.program),)
        state = survey_by_repl(repl)
        assert state.switch == (third.program, first.program, "3")
        assert {path for path in state.files if path.startswith("app-")} == {
            program_path(third.program),
            program_path(first.program),
        }
        back = install(repl, state, first)
        assert back.sent == (SWITCH,)
        assert is_installed(survey_by_repl(repl), first)


def test_files_of_a_program_that_was_not_one_file_yet_go(simulator):
    with prompt(simulator, COSTS) as repl:
        repl.run("import os\nos.mkdir('buoy')\nwith open('buoy/app.mpy', 'w') as f: f.write('old')")
        done = install(repl, survey_by_repl(repl), software())
        assert "buoy/app.mpy" in done.removed
        assert "buoy" not in repl.run("import os\nprint(os.listdir())")


STARTED = """
import os, sys
sys.path.insert(0, "")
from start import begin
begin()
import buoy.esp32_board
print(os.getcwd(), len([n for n in os.listdir() if n.startswith("app-")]))
"""


@contextlib.contextmanager
def unplugged_when_dark(simulator: Simulator, buoy: int) -> Iterator[None]:
    """A board without power on a port that stays is waited for; a port that goes is noticed at once."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if simulator.state(buoy) == "off":
                simulator.unplug(buoy)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def cut_at(simulator: Simulator, counts: list[int], old: Software, new: Software) -> None:
    for count in counts:
        with prompt(simulator, CUTS) as repl:
            repl.run(
                f"import os\nwith open({SWITCH!r}, 'w') as f: f.write('{old.program} -')\n"
                f"for n in os.listdir():\n if '{new.program}' in n: os.remove(n)"
            )
            now = survey_by_repl(repl)
            simulator.cut_power_after_writes(CUTS, count)
            with unplugged_when_dark(simulator, CUTS), contextlib.suppress(BuoyError):
                install(repl, now, new)
        simulator.cut_power_after_writes(CUTS, 0)
        simulator.replug(CUTS)
        with prompt(simulator, CUTS) as repl:
            state = survey_by_repl(repl)
            assert state.switch[:1] in ((old.program,), (new.program,)), count
            assert {"start.mpy", "main.py", program_path(state.switch[0])} <= set(state.files), count
            assert repl.run(STARTED, 20.0), count  # raises where nothing starts


@pytest.fixture(scope="module")
def writes(simulator):
    """Writes and erasures of a whole installation over another program."""
    old, new = software(), software("1.0.0+second")
    with prompt(simulator, CUTS) as repl:
        install(repl, survey_by_repl(repl), old)
        repl.run(f"with open({SWITCH!r}, 'w') as f: f.write('{old.program} -')")
        before = simulator.flash_use(CUTS)
        install(repl, survey_by_repl(repl), new)
        used = simulator.flash_use(CUTS).since(before)
    return used.writes + used.erases


def test_a_power_cut_while_a_program_is_installed_leaves_one_that_starts(simulator, writes):
    counts = [writes // 2, writes - 5, writes - 2]
    cut_at(simulator, counts, software(), software("1.0.0+second"))


@pytest.mark.soak
def test_a_power_cut_at_any_write_of_an_installation_leaves_a_program_that_starts(simulator, writes):
    counts = [*range(1, writes - 40, 29), *range(writes - 40, writes + 1)]
    cut_at(simulator, counts, software(), software("1.0.0+second"))
