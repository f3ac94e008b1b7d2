"""The application leaves TLS its room on a board, and a simulated board leaves room on this computer.

benchmarks/heap_32_bit.py prints the whole table of states.
"""

from dataclasses import dataclass

import pytest
from buoy.link import UP
from buoy.starting import SECOND_AREA
from esp32_bench import wait_for
from heap_states import (
    ANSWER_S,
    AREAS,
    BEFORE_HANDSHAKE,
    LINK_S,
    STANDING,
    STANDING_BLOCK,
    Broker,
    Memory,
    MemoryBench,
    Uses,
    broker_lines,
    every_command,
    is_kept,
    largest_settings,
    process_kb,
    states,
)
from mqtt_certificates import Authority

from buoyfleet.simulation.buses.idf_heap import FIRST_AREA, Lows

BOARDS = {Uses.FAKES: 150, Uses.DRIVERS: 151}
MOST_LIVE = {Uses.FAKES: 56_000, Uses.DRIVERS: 72_000}
HEAP_SIZE = (FIRST_AREA + SECOND_AREA) * 128 // 131
"""Of it, what holds objects."""
MOST_RSS_KB = 8 * 1024
PLANNED = 20
MOST_READS = 800
"""For one message: its own files take 360. With the code that handles it they would be 1,300."""
RECONNECTS = 10
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one board."""

    looks: tuple[Memory, ...]
    """After a console session with TLS, without Wi-Fi, and up again after a configuration change."""
    lows: Lows
    """Worst of all that time."""
    process_kb: int
    reads: int
    """Of the flash, for a durable plan of PLANNED messages."""


@pytest.fixture(scope="module")
def figures(tmp_path_factory, start_mosquitto):
    """Of both boards, with mutual TLS."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    broker = Broker(start_mosquitto(broker_lines(authority)).port, authority)
    with MemoryBench(tmp_path_factory.mktemp("boards"), BOARDS.values(), broker) as bench:
        for uses, buoy_id in BOARDS.items():
            with bench.console(buoy_id) as console:
                bench.set_up(console, buoy_id, uses)
        return {uses: figures_of(bench, uses, buoy_id) for uses, buoy_id in BOARDS.items()}


def figures_of(bench: MemoryBench, uses: Uses, buoy_id: int) -> Figures:
    with bench.console(buoy_id) as console:
        bench.wait_for_link(console, buoy_id)
        every_command(console, buoy_id, uses)
        session = bench.look(console, buoy_id)
        bench.simulator.wifi_in_range(buoy_id, False)
        wait_for(lambda: console.request("health", ANSWER_S)["link"] != UP, LINK_S)
        idle = bench.look(console, buoy_id)
        console.request("set", ANSWER_S, settings={"publish_interval_s": 2})
        bench.simulator.wifi_in_range(buoy_id, True)
        bench.wait_for_link(console, buoy_id)
        again = bench.look(console, buoy_id)
        reads = bench.reads_of_durable_plan(console, buoy_id, PLANNED)
    taken = process_kb(bench.simulator.child_pid(buoy_id))
    return Figures((session, idle, again), bench.lows(buoy_id), taken, reads)


@pytest.mark.parametrize("uses", Uses)
def test_tls_has_its_room_before_it_connects_and_while_it_stands(figures, uses):
    lows = figures[uses].lows
    assert lows.before_handshake >= BEFORE_HANDSHAKE
    assert lows.standing >= STANDING
    assert lows.standing_block >= STANDING_BLOCK


@pytest.mark.parametrize("uses", Uses)
def test_what_is_alive_fits_into_the_areas_of_the_start(figures, uses):
    assert figures[uses].lows.areas == AREAS
    for memory in figures[uses].looks:
        assert 0 < memory.live <= MOST_LIVE[uses]
        assert memory.heap_size == pytest.approx(HEAP_SIZE, rel=0.02)


@pytest.mark.parametrize("uses", Uses)
def test_a_simulated_board_takes_at_most_8_mb_here(figures, uses):
    assert figures[uses].process_kb <= MOST_RSS_KB


@pytest.mark.parametrize("uses", Uses)
def test_a_durable_plan_loads_no_code_from_flash_for_each_message(figures, uses):
    assert figures[uses].reads <= PLANNED * MOST_READS


@pytest.mark.soak
@pytest.mark.parametrize("uses", Uses)
def test_in_every_state_of_the_table_tls_has_its_room(tmp_path, start_mosquitto, uses):
    authority = Authority(tmp_path / "ca")
    broker = Broker(start_mosquitto(broker_lines(authority)).port, authority)
    found = {}
    with MemoryBench(tmp_path / "board", [150], broker) as bench, bench.console(150) as console:
        bench.set_up(console, 150, uses)
        for name, carry_out in states(bench, console, 150, uses, RECONNECTS).items():
            carry_out()
            found[name] = bench.lows(150)
    assert {name: lows for name, lows in found.items() if not is_kept(lows)} == {}
    connecting = {name for name, lows in found.items() if lows.before_handshake is not None}
    assert {"TLS up", f"TLS, {RECONNECTS} reconnects", "low power: two wakes with TLS"} <= connecting


@pytest.mark.soak
def test_settings_of_the_largest_size_leave_tls_its_room(tmp_path, start_mosquitto):
    authority = Authority(tmp_path / "ca")
    broker = Broker(start_mosquitto(broker_lines(authority)).port, authority)
    with MemoryBench(tmp_path / "board", [150], broker) as bench, bench.console(150) as console:
        bench.set_up(console, 150, Uses.DRIVERS)
        bench.wait_for_link(console, 150)
        every_command(console, 150, Uses.DRIVERS)
        largest_settings(console)
        bench.reconnect(console, 150, 1)
        changed = bench.lows(150)
        console.restart(ANSWER_S)
        bench.wait_for_link(console, 150)
        bench.reconnect(console, 150, 1)
        started_with_them = bench.lows(150)
    assert is_kept(changed), changed
    assert is_kept(started_with_them), started_with_them
