"""What the firmware takes of an ESP32's memory: a table of states, beside the figures of a chip.

    .venv/bin/python benchmarks/heap_32_bit.py [--only WORD]

Simulated boards share their RAM as a stock image does (docs/conformance.md). All figures in thousands of
bytes: Python in use after a collection, Python areas (1: it never grew), IDF heap free, its largest block and
the least that was ever free since the start. The bar: 25 free and a block of 16 while TLS stands.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from _bench import ROOT, mosquitto

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "esp32")]

from heap_states import Broker, Memory, MemoryBench, Uses, broker_lines, every_command  # noqa: E402
from mqtt_certificates import Authority  # noqa: E402

from host.model.errors import BoardError  # noqa: E402
from host.serial.console import Console  # noqa: E402
from host.simulation.esp32.interpreter import word_note  # noqa: E402

CHIP = {
    "prompt": "1.8 used",
    "prompt, Wi-Fi on": "1.9 used, 96.4 / 94.2",
    "nine fakes, link idle": "42.2 used, 2 areas, 38.4 / 36.9",
    "nine fakes, TLS up": "70.6 used, 11.5 / 9.7 (after a self-test)",
    "nine drivers, link idle": "63–66 used, 34.1 / 22.5",
    "nine drivers, TLS up": "68–75 used, 3–7 / 1.3–2.8, lowest 0.2: fails",
}
"""Firmware 1.0.0 on stock ESP32_GENERIC 1.24.0, before it was put on a diet: used, IDF free / largest."""
RECONNECTS = 10


def row(name: str, memory: Memory) -> None:
    """Print one state."""
    live = f"{memory.live / 1000:6.1f}" if memory.live >= 0 else "     –"
    idf = f"{memory.free / 1000:6.1f} {memory.largest / 1000:8.1f} {memory.lowest / 1000:7.1f}"
    print(f"{name:42} {live} {memory.areas:6} {idf}  {memory.link or '':10} {CHIP.get(name, '')}", flush=True)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", default="", help="fakes or drivers")
    only = options.parse_args().only
    if note := word_note():
        print(note)
    print(f"{'':42} {'Python':>6} {'areas':>6} {'free':>6} {'largest':>8} {'lowest':>7}  link       chip")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        authority = Authority(folder / "ca")
        port = stack.enter_context(mosquitto(broker_lines(authority)))
        if not only:
            prompt(folder / "prompt")
        for kind in ("fakes", "drivers"):
            if only in ("", kind):
                idle(folder / kind, kind)
                connected(folder / f"{kind}-tls", kind, Broker(port, authority))


def prompt(folder: Path) -> None:
    """No application."""
    from host.simulation.esp32.simulator import Simulator

    bench = MemoryBench.__new__(MemoryBench)
    with Simulator(folder, [1]) as bench.simulator:
        row("prompt", bench.bare(1))
        row("prompt, Wi-Fi on", bench.bare(1, "import network; network.WLAN(0).active(True)"))


def idle(folder: Path, kind: str) -> None:
    """Wi-Fi up, and no broker where the link looks for one."""
    with MemoryBench(folder, [1], Broker(1)) as bench, bench.console(1) as console:
        bench.set_up(console, 1, Uses(kind))
        time.sleep(8)
        row(f"nine {kind}, link idle", bench.look(console, 1))


def connected(folder: Path, kind: str, broker: Broker) -> None:
    """Mutual TLS, then what a buoy goes through."""
    with MemoryBench(folder, [1], broker) as bench, bench.console(1) as console:
        bench.set_up(console, 1, Uses(kind))
        bench.wait_for_link(console)
        row(f"nine {kind}, TLS up", bench.look(console, 1))
        steps: dict[str, Callable[[], None]] = {
            "after every console command": lambda: every_command(console),
            "12 s later": lambda: time.sleep(12),
            "after a configuration change": lambda: change(console),
            f"after {RECONNECTS} reconnects": lambda: reconnect(bench, console),
        }
        for step, carry_out in steps.items():
            with suppress(BoardError):
                carry_out()
            row(f"nine {kind}, TLS, {step}", bench.look(console, 1))
        with suppress(BoardError):
            console.request("set", 20.0, settings={"low_power": True, "publish_interval_s": 10})
            console.restart()
        time.sleep(8)
        row(f"nine {kind}, TLS, low power", bench.idf(1))


def change(console: Console) -> None:
    """As a fleet manager does it."""
    console.request("set", 20.0, settings={"publish_interval_s": 2})
    time.sleep(2)


def reconnect(bench: MemoryBench, console: Console) -> None:
    """The access point goes and comes."""
    for _ in range(RECONNECTS):
        bench.simulator.wifi_in_range(1, False)
        time.sleep(0.5)  # a board looks at its Wi-Fi five times a second
        bench.simulator.wifi_in_range(1, True)
        bench.wait_for_link(console, 30)


if __name__ == "__main__":
    main()
