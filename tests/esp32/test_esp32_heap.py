"""What the running application takes of a board's heap, and a simulated board of this computer's memory.

Not counted is what a board has in C or frozen in its image, and the simulation in Python on the same heap:
`_ON_EVERY_BOARD` is made at the REPL of a bare board, and taken off. The table of names doubles when it is
full, so it is counted as it would be without the names of the simulation.

The interpreter here has 64-bit words. The same programs on Debian's 32-bit build took 0.67 of the bytes with
nine fakes: words halve, code and texts stay.
"""

import re
from pathlib import Path

import pytest
from esp32_bench import mpremote, wait_for

from host.boards.firmware_files import firmware_files
from host.boards.simulated import FACTORY
from host.serial.console import Console
from host.simulation.esp32.factory import factory_image
from host.simulation.esp32.simulator import Simulator
from sensors.catalog import KEYS

OF_32_BIT = 0.67
# An ESP32 has 165 KB at the REPL, and about 148 KB with Wi-Fi.
BUDGET_KB = {"fakes": 60, "drivers": 99}
MOST_RSS_KB = 8 * 1024

# MicroPython's table of names: blocks of 20, 40, 80, … entries of a pointer, two bytes of hash, a length.
_FIRST_BLOCK = 20
_BYTES_PER_NAME = 8 + 2 + 1
_LOOK = "gc.collect(); print(gc.mem_alloc()); micropython.qstr_info()\n"

_ON_EVERY_BOARD = {
    "fakes": """
import gc, machine, micropython, network, esp32, umqtt.simple
kept = [esp32.NVS("buoy"), network.WLAN(network.STA_IF)]
""",
    "drivers": """
import onewire, ds18x20
kept += [machine.Pin(n, machine.Pin.OUT) for n in (18, 19, 23, 14)] + [machine.Pin(n) for n in (4, 27, 13)]
kept += [machine.ADC(machine.Pin(n), atten=machine.ADC.ATTN_11DB) for n in (36, 39, 34, 35)]
kept += [machine.UART(n, baudrate=9600, tx=tx, rx=tx + 1) for n, tx in ((1, 25), (2, 16))]
kept.append(ds18x20.DS18X20(onewire.OneWire(machine.Pin(4))))
""",
}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    image = factory_image(firmware_files(), FACTORY)
    with Simulator(tmp_path_factory.mktemp("boards"), [150, 151, 152], factory=image) as running:
        yield running


def table_bytes(names: int) -> int:
    """Of a table that holds so many names."""
    room = block = _FIRST_BLOCK
    while room < names:
        block *= 2
        room += block
    return room * _BYTES_PER_NAME


def names_in(text: str) -> list[int]:
    """Numbers of names that `qstr_info` printed."""
    return [int(number) for number in re.findall(r"n_qstr=(\d+)", text)]


@pytest.fixture(scope="module")
def bare(simulator):
    """(bytes, names) that a bare board has before the application, by the sensors it has."""
    text = mpremote(simulator.path(152), "exec", "".join(_ON_EVERY_BOARD[name] + _LOOK for name in BUDGET_KB))
    taken = [int(line) for line in text.splitlines() if line.strip().isdigit()]
    return dict(zip(BUDGET_KB, zip(taken, names_in(text), strict=True), strict=True))


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
        used = console.request("health")["heap_used"]
    status = Path(f"/proc/{simulator.child_pid(buoy_id)}/status").read_text()
    rss_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert rss_kb <= MOST_RSS_KB
    (names,) = names_in(
        mpremote(simulator.path(buoy_id), "resume", "exec", "import micropython\nmicropython.qstr_info()")
    )
    bare_bytes, bare_names = bare[sensors]
    used -= table_bytes(names) + bare_bytes - table_bytes(bare_names)
    used += table_bytes(names - bare_names)
    assert used * OF_32_BIT / 1024 <= BUDGET_KB[sensors]
