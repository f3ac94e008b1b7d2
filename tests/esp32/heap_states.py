"""Memory of simulated boards in one state after another; used by tests and by benchmarks/heap_32_bit.py.

What a board counts is what a chip would: simulation/esp32/repl/buoy_memory.py, docs/conformance.md.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from buoy.link import UP
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from esp32_bench import mpremote, wait_for
from mqtt_certificates import Authority
from paho.mqtt import publish

from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.model.errors import BoardError
from buoyfleet.model.places import FACTORY
from buoyfleet.serial.console import Console
from buoyfleet.serial.records import BoardEvent, ConsoleRecord
from buoyfleet.serial.trouble import Refusal
from buoyfleet.simulation.buses.idf_heap import Lows
from buoyfleet.simulation.esp32.factory import factory_image
from buoyfleet.simulation.esp32.simulator import Simulator
from sensors.catalog import KEYS

ANSWER_S = 60.0
LINK_S = 300.0
"""Bounds for a machine with much else to do: whatever is waited for ends the wait."""
BEFORE_HANDSHAKE = 50_000
STANDING, STANDING_BLOCK = 25_000, 16_384
"""Of the IDF heap that must be free, in bytes, before a handshake and while a connection stands."""
NOTES = (250, 500, 1700)
"""Characters of a calibration's note; the last makes a request nearly as long as a line may be."""
AREAS = 2
"""Of the Python heap: the first, and the one that the firmware sizes at its start."""


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


def is_kept(lows: Lows) -> bool:
    """Whether TLS had its room at every moment, and Python took no third area."""
    least = (
        (lows.before_handshake, BEFORE_HANDSHAKE),
        (lows.standing, STANDING),
        (lows.standing_block, STANDING_BLOCK),
    )
    return lows.areas <= AREAS and all(found is None or found >= bar for found, bar in least)


class MemoryBench:
    """Boards of a simulator with the firmware on them, and their memory.

    Args:
        folder: for the boards.
        ids: of the boards.
        broker: they connect to.
        application: else they are at the prompt.
    """

    def __init__(self, folder: Path, ids: Iterable[int], broker: Broker, *, application: bool = True) -> None:
        self._broker = broker
        if not application:
            self.simulator = Simulator(folder, ids)
            return
        files = dict(firmware_files())
        if broker.authority is not None:
            files |= certificates(broker.authority, "board")
        self.simulator = Simulator(folder, ids, factory=factory_image(files, FACTORY))

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
            health = console.request("health", ANSWER_S)
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

    def lows(self, buoy_id: int) -> Lows:
        """What was worst since the last call; from now on it is noted anew."""

        def take(board: Any) -> Lows:
            heap = board.chip.idf
            found, heap.lows = heap.lows, Lows(areas=1 + len(heap.owners("area")))
            heap.note_standing()
            return found

        return self.simulator.with_board(buoy_id, take)

    def wait_for_wifi(self, console: Console) -> None:
        """Until it is joined, and the link has tried to connect."""

        def tried() -> bool:
            health = console.request("health", ANSWER_S)
            return bool(health["wifi"] and health["link_trouble"])

        wait_for(tried, LINK_S)

    def wait_for_link(self, console: Console, buoy_id: int, timeout_s: float = LINK_S) -> None:
        """Until it is up; fails with what the board and its memory say."""
        told: deque[str] = deque(maxlen=12)
        health: dict[str, Any] = {}

        def up() -> bool:
            with suppress(BoardError):
                health.update(console.request("health", ANSWER_S))
                return bool(health["link"] == UP)
            return False

        def listen(record: ConsoleRecord) -> None:
            told.append(str(record))

        console.add_listener(listen)
        try:
            wait_for(up, timeout_s)
        except AssertionError:
            raise AssertionError(
                f"board {buoy_id}: no link within {timeout_s:.0f} s; "
                f"link trouble {health.get('link_trouble')!r}, health {health}, "
                f"{self.idf(buoy_id)}, {self.lows(buoy_id)}; last lines: {list(told)}"
            ) from None
        finally:
            console.remove_listener(listen)

    def boots(self, buoy_id: int) -> int:
        """How often a board started, soft resets not counted."""
        return self.simulator.with_board(buoy_id, lambda board: int(board.boots))

    @staticmethod
    def connections(console: Console) -> int:
        """How often the link was lost since the start."""
        return int(console.request("health", ANSWER_S)["reconnects"])

    def lost(self, console: Console, before: int) -> bool:
        """Whether the link was lost since."""
        return self.connections(console) > before

    def reconnect(self, console: Console, buoy_id: int, count: int) -> None:
        """The access point goes and comes, so often that the board connected anew `count` times."""
        for _ in range(count):
            before = self.connections(console)
            self.simulator.wifi_in_range(buoy_id, False)
            wait_for(partial(self.lost, console, before), LINK_S)
            self.simulator.wifi_in_range(buoy_id, True)
            self.wait_for_link(console, buoy_id)

    def reads_of_durable_plan(self, console: Console, buoy_id: int, count: int) -> int:
        """Reads of the flash from a plan's start until all its messages arrived; nobody asks meanwhile."""
        arrived: set[object] = set()

        def listen(record: ConsoleRecord) -> None:
            if isinstance(record, BoardEvent) and record.body["what"] == "acknowledged":
                arrived.add(record.body["seq"])

        def begin() -> bool:
            start_ms = time.time_ns() // 1_000_000 + 500
            with suppress(Refusal):  # a message from before is still on its way
                console.request(
                    "run", ANSWER_S, start=start_ms, interval_us=20_000, count=count, durable=True
                )
                return True
            return False

        console.add_listener(listen)
        wait_for(begin, LINK_S)
        before = self.simulator.flash_use(buoy_id).reads
        wait_for(lambda: len(arrived) == count, LINK_S)
        console.remove_listener(listen)
        reads = self.simulator.flash_use(buoy_id).reads - before
        console.request("stop", ANSWER_S, end=True)
        return reads

    def configure(self, buoy_id: int, place: str, content: dict[str, Any]) -> None:
        """Publish on a configuration topic, as a fleet manager does."""
        authority = self._broker.authority
        tls: Any = None
        if authority is not None:
            issued = authority.issue("manager")
            tls = {"ca_certs": authority.ca, "certfile": issued.certificate, "keyfile": issued.key}
            tls = {name: str(path) for name, path in tls.items()}
        publish.single(
            f"aws/0/{buoy_id}/config/{place}/",
            json.dumps(content),
            qos=1,
            hostname="localhost",
            port=self._broker.port,
            tls=tls,
        )


def every_command(console: Console, buoy_id: int, uses: Uses) -> None:
    """A console session with every command that leaves the board running as it was; each has to succeed."""
    drivers = uses is Uses.DRIVERS

    def ask(name: str, **fields: object) -> Any:
        return console.request(name, ANSWER_S, **fields)

    for name in ("identify", "get", "health", "clock", "sensors"):
        ask(name)
    ask("hash", path="main.py")
    ask("id", buoy=buoy_id)
    ask("thing", thing=f"buoy-{buoy_id}")
    ask("wifi", ssid="buoy", password="secret")
    ask("log", level="info")
    ask("maintenance", seconds=0)
    ask("set", settings={"publish_interval_s": 1})
    ask("set", settings={"sensors": ask("get")["sensors"]})
    for step in ("write", "accept"):
        more = {"set": {"correction": [1.0, 0.1]}, "note": {"date": "2026-11-30"}} if step == "write" else {}
        if drivers:
            ask("calibrate", key="do", step=step, **more)
    if drivers:
        ask("count")
        ask("ezo", key="ph", command="Cal,?", process_ms=300)
        ask("keep", key="ph", step="keep")
        ask("keep", key="ph", step="accept")
    ask("tell", first=1, last=3)
    ask("stop", end=True)


def states(
    bench: MemoryBench, console: Console, buoy_id: int, uses: Uses, reconnects: int
) -> dict[str, Callable[[], None]]:
    """What a buoy with mutual TLS goes through, in order: name → carry it out, until the link is up again."""

    def linked(step: Callable[[], object]) -> Callable[[], None]:
        def carry_out() -> None:
            step()
            bench.wait_for_link(console, buoy_id)

        return carry_out

    def self_test() -> None:
        console.request("sensors", ANSWER_S)

    def change() -> None:
        """By console, by both topics, and by restart."""
        console.request("set", ANSWER_S, settings={"publish_interval_s": 2})
        averages = {"time-interval": 2, "average-value": True, "average-time-interval": 4}
        bench.configure(buoy_id, "sensor", dict.fromkeys(KEYS, averages))
        bench.configure(buoy_id, "global", {"publish-time-interval": 2})

    def low_power() -> None:
        """Two wakes from deep sleep: Wi-Fi, TLS, a message, the retained configuration."""
        console.request("set", ANSWER_S, settings={"low_power": True, "publish_interval_s": 10})
        before = bench.boots(buoy_id)
        console.request("reboot", ANSWER_S, soft=True)
        wait_for(lambda: bench.boots(buoy_id) >= before + 3, LINK_S)

    return {
        "TLS up": linked(lambda: None),
        "TLS, every console command": linked(lambda: every_command(console, buoy_id, uses)),
        "TLS, self-test": linked(self_test),
        "TLS, configuration change": linked(change),
        f"TLS, {reconnects} reconnects": lambda: bench.reconnect(console, buoy_id, reconnects),
        "TLS, restart with that": linked(lambda: console.restart(ANSWER_S)),
        "low power: two wakes with TLS": low_power,
    }


def largest_settings(console: Console) -> None:
    """Notes of calibrations until the board refuses to keep more; then a large request, which it takes."""
    keys = list(console.request("get", ANSWER_S)["sensors"])

    def note(key: str, length: int) -> None:
        more = {"set": {}, "note": {"date": "2026-11-30", "record": "n" * length}}
        console.request("calibrate", ANSWER_S, key=key, step="write", **more)
        console.request("calibrate", ANSWER_S, key=key, step="accept")

    for length in NOTES:
        try:
            for key in keys:
                note(key, length)
        except Refusal as refusal:
            if "bytes; at most" not in str(refusal):
                raise
            break
    else:
        raise AssertionError("settings of any size are taken")
    console.request("set", ANSWER_S, settings={"sensors": console.request("get", ANSWER_S)["sensors"]})


def process_kb(pid: int | None) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
