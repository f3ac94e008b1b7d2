"""Memory of simulated boards in one state after another; used by tests and by benchmarks/heap_32_bit.py.

What a board counts is what a chip would: host/simulation/esp32/repl/buoy_memory.py, docs/conformance.md.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from buoy.link import UP
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from esp32_bench import mpremote, wait_for
from mqtt_certificates import Authority

from host.boards.firmware_files import firmware_files
from host.boards.simulated import FACTORY
from host.model.errors import BoardError
from host.serial.console import Console
from host.simulation.esp32.factory import factory_image
from host.simulation.esp32.simulator import Simulator
from sensors.catalog import KEYS


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one board at one moment, in bytes."""

    live: int
    """Python heap in use after a collection, as `health` says it; -1: no answer."""
    areas: int
    """Python areas, the first included: one less is how often the heap grew."""
    free: int
    largest: int
    lowest: int
    """Of the IDF heap: now, the largest block now, the least free since the start."""
    link: int | None = None
    heap_size: int = 0
    """Of all Python areas, as `health` makes it out."""


class Uses(Enum):
    """What the sensors of a board are."""

    FAKES = "fakes"
    DRIVERS = "drivers"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where boards connect: TLS if there is an authority."""

    port: int
    authority: Authority | None = None


def broker_lines(authority: Authority) -> list[str]:
    """Of mosquitto's configuration: mutual TLS."""
    server = authority.issue("localhost")
    return [
        f"cafile {authority.ca}",
        f"certfile {server.certificate}",
        f"keyfile {server.key}",
        "require_certificate true",
        "allow_anonymous true",
    ]


def certificates(authority: Authority, thing: str) -> dict[str, bytes]:
    """The files of a board, DER as it takes them."""
    issued = authority.issue(thing)
    der = serialization.Encoding.DER

    def certificate(file: Path) -> bytes:
        return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(der)

    key = serialization.load_pem_private_key(issued.key.read_bytes(), None)
    return {
        "certs/ca.der": certificate(authority.ca),
        "certs/cert.der": certificate(issued.certificate),
        "certs/key.der": key.private_bytes(
            der, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    }


class MemoryBench:
    """Boards of a simulator with the firmware on them, and their memory.

    Args:
        folder: for the boards.
        ids: of the boards.
        broker: they connect to.
    """

    def __init__(self, folder: Path, ids: Iterable[int], broker: Broker) -> None:
        files = dict(firmware_files())
        if broker.authority is not None:
            files |= certificates(broker.authority, "board")
        self.simulator = Simulator(folder, ids, factory=factory_image(files, FACTORY))
        self._broker = broker

    def __enter__(self) -> "MemoryBench":
        return self

    def __exit__(self, *_: object) -> None:
        self.simulator.close()

    def console(self, buoy_id: int) -> Console:
        """Of a board."""
        return Console(self.simulator.path(buoy_id))

    def set_up(self, console: Console, buoy_id: int, uses: Uses, **more: object) -> None:
        """Give a board its identity and settings; it starts again and knows the time."""
        own = self.simulator.with_board(buoy_id, lambda board: dict(board.buoy.settings))
        sensors = own["sensors"] if uses is Uses.DRIVERS else {key: {"mode": "counter"} for key in KEYS}
        console.wait_until_ready(120)
        console.request("id", buoy=buoy_id)
        console.request("thing", thing=f"buoy-{buoy_id}")
        console.request("wifi", ssid="buoy", password="secret")
        secure = self._broker.authority is not None
        console.request(
            "set",
            settings={"broker_host": "localhost", "broker_port": self._broker.port, "broker_tls": secure},
        )
        console.request("set", settings={"ntp_host": "", "publish_interval_s": 1, "sensors": sensors})
        if more:
            console.request("set", settings=more)
        console.restart(soft=False)
        console.request("clock", utc=time.time_ns() // 1_000_000)

    def idf(self, buoy_id: int) -> Memory:
        """Without a word to the board."""

        def look(board: Any) -> Memory:
            heap = board.chip.idf
            lowest = sum(region.lowest for region in heap.regions)
            return Memory(-1, 1 + len(heap.owners("area")), heap.free, heap.largest, lowest)

        return self.simulator.with_board(buoy_id, look)

    def bare(self, buoy_id: int, code: str = "") -> Memory:
        """At the prompt, after some code."""
        look = f"{code}\nimport gc\ngc.collect()\nprint(gc.mem_alloc())"
        live = int(mpremote(self.simulator.path(buoy_id), "exec", look).split()[-1])
        memory = self.idf(buoy_id)
        return Memory(live, memory.areas, memory.free, memory.largest, memory.lowest)

    def look(self, console: Console, buoy_id: int) -> Memory:
        """Of a board with the application: the IDF heap first, since the question loads code."""
        memory = self.idf(buoy_id)
        try:
            health = console.request("health", 20.0)
        except BoardError:
            return memory
        return Memory(
            health["heap_used"],
            memory.areas,
            memory.free,
            memory.largest,
            memory.lowest,
            health["link"],
            health["heap_size"],
        )

    def wait_for_link(self, console: Console, timeout_s: float = 150.0) -> bool:
        """Whether it came up."""

        def up() -> bool:
            with suppress(BoardError):
                return console.request("health", 20.0)["link"] == UP
            return False

        with suppress(AssertionError):
            wait_for(up, timeout_s)
            return True
        return False


def every_command(console: Console) -> None:
    """A console session that asks for all that changes nothing."""
    for name in ("identify", "get", "health", "clock", "sensors", "wifi", "log"):
        with suppress(BoardError):
            console.request(name, 20.0)
    with suppress(BoardError):
        console.request("hash", 20.0, files=["main.py"])
    with suppress(BoardError):
        console.request("ezo", 20.0, key="ph", command="i", process_ms=300)


def process_kb(pid: int | None) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
