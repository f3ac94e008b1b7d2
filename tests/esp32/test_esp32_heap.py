"""The application leaves TLS its room on a board, and a simulated board leaves room on this computer.

benchmarks/heap_32_bit.py prints the whole table of states.
"""

import pytest
from buoy.link import UP
from buoy.starting import SECOND_AREA
from esp32_bench import wait_for
from heap_states import Broker, MemoryBench, Uses, broker_lines, every_command, process_kb
from mqtt_certificates import Authority

from host.simulation.buses.idf_heap import FIRST_AREA

BOARDS = {"fakes": 150, "drivers": 151}
MOST_LIVE = {"fakes": 51_000, "drivers": 68_000}
HEAP_SIZE = (FIRST_AREA + SECOND_AREA) * 128 // 131
"""Of it, what holds objects."""
BEFORE_HANDSHAKE = 50_000
STANDING, STANDING_BLOCK = 25_000, 16_384
"""Of the IDF heap that must be free, in bytes, before a handshake and while a connection stands."""
MOST_RSS_KB = 8 * 1024
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def figures(tmp_path_factory, start_mosquitto):
    """Memory of both boards with mutual TLS up after a console session, without Wi-Fi, and up again after a
    configuration change; and of their processes."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    broker = Broker(start_mosquitto(broker_lines(authority)).port, authority)
    with MemoryBench(tmp_path_factory.mktemp("boards"), BOARDS.values(), broker) as bench:
        for name, buoy_id in BOARDS.items():
            with bench.console(buoy_id) as console:
                bench.set_up(console, buoy_id, Uses(name))
        found = {}
        for name, buoy_id in BOARDS.items():
            with bench.console(buoy_id) as console:
                assert bench.wait_for_link(console)
                every_command(console)
                session = bench.look(console, buoy_id)
                bench.simulator.wifi_in_range(buoy_id, False)
                wait_for(lambda: console.request("health", 20.0)["link"] != UP, 150)
                idle = bench.look(console, buoy_id)
                console.request("set", 20.0, settings={"publish_interval_s": 2})
                bench.simulator.wifi_in_range(buoy_id, True)
                assert bench.wait_for_link(console, 200)
                again = bench.look(console, buoy_id)
            found[name] = session, idle, again, process_kb(bench.simulator.child_pid(buoy_id))
        return found


@pytest.mark.parametrize("sensors", BOARDS)
def test_tls_has_its_room_before_it_connects_and_while_it_stands(figures, sensors):
    session, idle, again, _ = figures[sensors]
    assert idle.free >= BEFORE_HANDSHAKE
    for memory in (session, again):
        assert memory.link == UP
        assert memory.free >= STANDING
        assert memory.largest >= STANDING_BLOCK


@pytest.mark.parametrize("sensors", BOARDS)
def test_what_is_alive_fits_into_the_areas_of_the_start(figures, sensors):
    *states, _ = figures[sensors]
    for memory in states:
        assert 0 < memory.live <= MOST_LIVE[sensors]
        assert memory.areas == 2


@pytest.mark.parametrize("sensors", BOARDS)
def test_health_shows_how_large_the_heap_is(figures, sensors):
    for memory in figures[sensors][:3]:
        assert memory.heap_size == pytest.approx(HEAP_SIZE, rel=0.02)


@pytest.mark.parametrize("sensors", BOARDS)
def test_a_simulated_board_takes_at_most_8_mb_here(figures, sensors):
    assert figures[sensors][3] <= MOST_RSS_KB
