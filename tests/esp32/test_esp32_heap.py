"""The application leaves room on a board, and a simulated board leaves room on this computer."""

import pytest
from heap_figures import BOARDS, measure

from host.simulation.esp32.interpreter import NARROW

# Where the interpreter has 64-bit words: words halve on an ESP32, code and texts stay. As measured on both.
OF_32_BIT = {"fakes": 0.661, "drivers": 0.647}
# An ESP32 has 165 KB at the REPL, and about 148 KB with Wi-Fi.
BUDGET_KB = {"fakes": 45, "drivers": 60}
MOST_RSS_KB = 8 * 1024


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("boards"), word_bytes=4 if NARROW.exists() else 8)


@pytest.mark.parametrize("sensors", BOARDS)
def test_the_application_leaves_room_on_an_esp32(figures, sensors):
    share = 1 if NARROW.exists() else OF_32_BIT[sensors]
    assert figures[sensors].heap_bytes * share / 1024 <= BUDGET_KB[sensors]


@pytest.mark.parametrize("sensors", BOARDS)
def test_a_simulated_board_takes_at_most_8_mb_here(figures, sensors):
    assert figures[sensors].rss_kb <= MOST_RSS_KB
