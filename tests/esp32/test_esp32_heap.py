"""The application leaves room on a board, and a simulated board leaves room on this computer.

benchmarks/heap_32_bit.py prints the whole table of states.
"""

import time

import pytest
from heap_states import Broker, MemoryBench, Uses, process_kb

BOARDS = {"fakes": 150, "drivers": 151}
SETTLE_S = 12.0
"""The link has tried to connect, and what the console loaded is forgotten."""
MOST_LIVE = {"fakes": 46_500, "drivers": 61_800}
MOST_RSS_KB = 8 * 1024


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Memory of both boards after a self-test, with Wi-Fi up and no broker; and of their processes."""
    folder = tmp_path_factory.mktemp("boards")
    with MemoryBench(folder, BOARDS.values(), Broker(1)) as bench:
        for name, buoy_id in BOARDS.items():
            with bench.console(buoy_id) as console:
                bench.set_up(console, buoy_id, Uses(name))
        time.sleep(SETTLE_S)
        found = {}
        for name, buoy_id in BOARDS.items():
            with bench.console(buoy_id) as console:
                for command in ("get", "identify", "sensors"):
                    console.request(command, 20.0)
                found[name] = bench.look(console, buoy_id), process_kb(bench.simulator.child_pid(buoy_id))
        return found


@pytest.mark.parametrize("sensors", BOARDS)
def test_what_is_alive_fits_into_an_esp32(figures, sensors):
    memory, _ = figures[sensors]
    assert 0 < memory.live <= MOST_LIVE[sensors]


def test_with_fakes_the_heap_stays_in_its_first_area(figures):
    memory, _ = figures["fakes"]
    assert memory.areas == 1
    assert memory.free > 90_000


def test_health_shows_what_the_heap_took_from_tls(figures):
    for memory, _ in figures.values():
        assert memory.heap_size == pytest.approx(56_030 * memory.areas, rel=0.02)


@pytest.mark.parametrize("sensors", BOARDS)
def test_a_simulated_board_takes_at_most_8_mb_here(figures, sensors):
    assert figures[sensors][1] <= MOST_RSS_KB
