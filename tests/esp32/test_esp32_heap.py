"""What the running application takes of a board's heap, and a simulated board of this computer's memory.

The interpreter here has 64-bit words. The same programs on Debian's 32-bit build took 0.68 (nine fakes) and
0.65 (nine drivers) of the bytes: words halve, code and texts stay.
"""

from pathlib import Path

import pytest
from esp32_bench import mpremote, wait_for

from host.boards.firmware_files import firmware_files
from host.boards.simulated import FACTORY
from host.serial.console import Console
from host.simulation.esp32.factory import factory_image
from host.simulation.esp32.simulator import Simulator
from sensors.catalog import KEYS

OF_32_BIT = 0.68
# An ESP32 has 165 KB at the REPL, and about 148 KB with Wi-Fi.
BUDGET_KB = {"fakes": 80, "drivers": 128}
MOST_RSS_KB = 8 * 1024


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    image = factory_image(firmware_files(), FACTORY)
    with Simulator(tmp_path_factory.mktemp("boards"), [150, 151, 152], factory=image) as running:
        yield running


@pytest.fixture(scope="module")
def bare(simulator):
    """Bytes that the REPL itself takes, with the simulation's own modules."""
    code = "import gc, machine, network, esp32; gc.collect(); print(gc.mem_alloc())"
    return int(mpremote(simulator.path(152), "exec", code))


@pytest.mark.parametrize(("sensors", "buoy_id"), [("fakes", 150), ("drivers", 151)])
def test_the_application_leaves_room_on_an_esp32(simulator, bare, sensors, buoy_id):
    own = simulator.with_board(buoy_id, lambda board: dict(board.buoy.settings))
    given = own["sensors"] if sensors == "drivers" else {key: {"mode": "counter"} for key in KEYS}
    with Console(simulator.path(buoy_id)) as console:
        console.wait_until_ready(20)
        console.request("id", buoy=buoy_id)
        console.request("thing", thing=f"buoy-{buoy_id}")
        console.request("wifi", ssid="buoy", password="secret")
        # Nobody listens there: the link is in use all the same.
        console.request("set", settings={"broker_host": "127.0.0.1", "broker_port": 1, "broker_tls": False})
        console.request("set", settings={"ntp_host": "", "publish_interval_s": 1, "sensors": given})
        console.restart()
        console.request("clock", utc=1795660000000)
        wait_for(lambda: console.request("health")["outbox"] >= 2, 20)
        used = console.request("health")["heap_used"] - bare
    assert used * OF_32_BIT <= BUDGET_KB[sensors] * 1024
    status = Path(f"/proc/{simulator.child_pid(buoy_id)}/status").read_text()
    rss_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert rss_kb <= MOST_RSS_KB
