"""What the running application takes of a board's Python heap, measured on two simulated boards at once.

Not counted is what a board has in C or frozen in its image, the simulation in Python on the same heap, and
the console's answer that tells the figure: `_ON_EVERY_BOARD` and `_ASKING` are made at the REPL of a bare
board, and taken off. The table of names doubles when it is full, so it is counted as it would be without the
names of the simulation.
"""

import re
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from esp32_bench import mpremote, wait_for

from host.boards.firmware_files import firmware_files
from host.boards.simulated import FACTORY
from host.serial.console import Console
from host.simulation.esp32.factory import factory_image
from host.simulation.esp32.simulator import Simulator
from sensors.catalog import KEYS

BOARDS = {"fakes": 150, "drivers": 151}
BARE = 152
# Longer than a board remembers what a bench has asked it after the start.
SETTLED_MS = 18000

# MicroPython's table of names: blocks of 20, 40, 80, … entries of a pointer, two bytes of hash, a length.
_FIRST_BLOCK = 20
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
# A board forgets the code of this answer when nobody asks.
_ASKING = """
from start import begin
begin()
import buoy.esp32_board
gc.collect(); before = gc.mem_alloc()
import buoy.commands_health
gc.collect(); print(gc.mem_alloc() - before)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one board: Python heap of the application in bytes, memory of its process here in KB."""

    heap_bytes: int
    rss_kb: int


def measure(
    folder: Path, word_bytes: int, program: Path | None = None, heap: str = "168wk"
) -> dict[str, Figures]:
    """Figures with nine fakes and with nine drivers.

    Args:
        folder: for the boards.
        word_bytes: of the interpreter.
        program: MicroPython in place of the one that the set-up found.
        heap: of the boards.
    """
    image = factory_image(firmware_files(), FACTORY)
    with Simulator(folder, [*BOARDS.values(), BARE], factory=image, heap=heap, program=program) as simulator:
        bare = _bare(simulator)
        used = _used(simulator)
        return {name: _figures(simulator, name, used[name], bare[name], word_bytes) for name in BOARDS}


def _bare(simulator: Simulator) -> dict[str, tuple[int, int]]:
    """(bytes, names) that are there without the application."""
    code = "".join(_ON_EVERY_BOARD[name] + _LOOK for name in BOARDS)
    text = mpremote(simulator.path(BARE), "exec", code + _ASKING)
    *taken, asking = [int(line) for line in text.splitlines() if line.strip().isdigit()]
    found = zip(taken, _names(text), strict=True)
    return {name: (held + asking, names) for name, (held, names) in zip(BOARDS, found, strict=True)}


def _used(simulator: Simulator) -> dict[str, int]:
    """Bytes of the heap of both boards, publishing."""
    with ExitStack() as stack:
        consoles = {name: stack.enter_context(Console(simulator.path(BOARDS[name]))) for name in BOARDS}
        for name, console in consoles.items():
            own = simulator.with_board(BOARDS[name], lambda board: dict(board.buoy.settings))
            sensors = own["sensors"] if name == "drivers" else {key: {"mode": "counter"} for key in KEYS}
            _begin(console, BOARDS[name], sensors)
        health = {name: partial(console.request, "health") for name, console in consoles.items()}
        for ask in health.values():
            wait_for(lambda ask=ask: _settled(ask()), 40)
        return {name: ask()["heap_used"] for name, ask in health.items()}


def _begin(console: Console, buoy_id: int, sensors: dict[str, object]) -> None:
    console.wait_until_ready(20)
    console.request("id", buoy=buoy_id)
    console.request("thing", thing=f"buoy-{buoy_id}")
    console.request("wifi", ssid="buoy", password="secret")
    # Nobody listens there: the link is in use all the same, and the outbox with it.
    console.request("set", settings={"broker_host": "127.0.0.1", "broker_port": 1, "broker_tls": False})
    console.request("set", settings={"ntp_host": "", "publish_interval_s": 1, "sensors": sensors})
    console.restart()
    console.request("clock", utc=1795660000000)


def _settled(health: dict[str, int]) -> bool:
    return health["outbox"] >= 2 and health["uptime_ms"] >= SETTLED_MS


def _figures(simulator: Simulator, name: str, used: int, bare: tuple[int, int], word_bytes: int) -> Figures:
    status = Path(f"/proc/{simulator.child_pid(BOARDS[name])}/status").read_text()
    rss_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    look = "import micropython\nmicropython.qstr_info()"
    (names,) = _names(mpremote(simulator.path(BOARDS[name]), "resume", "exec", look))
    bare_bytes, bare_names = bare
    heap = used - bare_bytes
    heap += sum(
        sign * _table_bytes(count, word_bytes)
        for sign, count in ((-1, names), (1, bare_names), (1, names - bare_names))
    )
    return Figures(heap, rss_kb)


def _table_bytes(names: int, word_bytes: int) -> int:
    """Of a table that holds so many names."""
    room = block = _FIRST_BLOCK
    while room < names:
        block *= 2
        room += block
    return room * (word_bytes + 2 + 1)


def _names(text: str) -> list[int]:
    """Numbers of names that `qstr_info` printed."""
    return [int(number) for number in re.findall(r"n_qstr=(\d+)", text)]
