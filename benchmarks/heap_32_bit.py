"""What the firmware takes of an ESP32's memory: a table of states, beside the figures of a chip.

    .venv/bin/python benchmarks/heap_32_bit.py [--only WORD]

Simulated boards share their RAM as a stock image does (docs/conformance.md). Figures in thousands of
bytes, the worst of each state: most alive in the Python heap when a collection ended; Python areas, the
first included; least of the IDF heap that was free before a TLS handshake; least that was free, and
least largest block, while TLS stood; at last what is alive after it, and the link. The bars: 2 areas,
50 before a handshake, 25 and a block of 16 while TLS stands. Ends with exit code 1 where one does not
hold.

24 hours: `pytest -m soak tests/firmware/test_board_room.py`, on a clock of its own.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from _bench import ROOT, mosquitto

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "esp32")]

from heap_states import (  # noqa: E402
    BEFORE_HANDSHAKE,
    STANDING,
    STANDING_BLOCK,
    Broker,
    MemoryBench,
    Uses,
    broker_lines,
    is_kept,
    states,
)
from mqtt_certificates import Authority  # noqa: E402

from buoyfleet.simulation.buses.idf_heap import Lows  # noqa: E402
from buoyfleet.simulation.esp32.interpreter import word_note  # noqa: E402

CHIP = {
    "prompt": "1.8 used",
    "prompt, Wi-Fi on": "1.9 used, 96.4 free, 94.2 largest",
    "nine fakes: link idle": "42.2 used, 2 areas, 38.4 free",
    "nine fakes: TLS, self-test": "70.6 used, 11.5 free, 9.7 largest",
    "nine drivers: link idle": "63–66 used, 34.1 free",
    "nine drivers: TLS up": "68–75 used, 3–7 free, 1.3–2.8 largest: fails",
}
"""Firmware 1.0.0 on stock ESP32_GENERIC 1.24.0, before its heap was sized; eight drivers for nine."""
RECONNECTS = 10


def thousands(value: int | None) -> str:
    """For the table."""
    return "–" if value is None or value < 0 else f"{value / 1000:.1f}"


def row(name: str, lows: Lows, live: int = -1, link: int | None = None) -> bool:
    """Print one state; whether its bars hold."""
    figures = (lows.live or None, lows.before_handshake, lows.standing, lows.standing_block, live)
    most, *others = (f"{thousands(figure):>8}" for figure in figures)
    kept = is_kept(lows)
    said = "" if kept else "  DOES NOT HOLD"
    chip = CHIP.get(name, "")
    print(f"{name:46}{most}{lows.areas:>6}{''.join(others)}{link or '–':>6}  {chip}{said}", flush=True)
    return kept


def main() -> int:
    """Print the table."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", default="", help="fakes or drivers")
    only = options.parse_args().only
    if note := word_note():
        print(note)
    print(f"bars: 2 areas, {BEFORE_HANDSHAKE} before, {STANDING} standing, block {STANDING_BLOCK} bytes")
    heads = ("most", "before", "stands", "block", "after")
    print(f"{'':46}{heads[0]:>8}{'areas':>6}{''.join(f'{head:>8}' for head in heads[1:])}  link  chip, 1.0.0")
    kept = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        authority = Authority(folder / "ca")
        port = stack.enter_context(mosquitto(broker_lines(authority)))
        if not only:
            prompt(folder / "prompt")
        for uses in Uses:
            if only in ("", uses.value):
                kept += idle(folder / uses.value, uses)
                kept += connected(folder / f"{uses.value}-tls", uses, Broker(port, authority))
    return 0 if all(kept) else 1


def prompt(folder: Path) -> None:
    """No application: figures of one moment."""
    with MemoryBench(folder, [1], Broker(1), application=False) as bench:
        for name, code in (
            ("prompt", ""),
            ("prompt, Wi-Fi on", "import network; network.WLAN(0).active(True)"),
        ):
            memory = bench.bare(1, code)
            print(
                f"{name:46}{'':8}{memory.areas:>6}  free {thousands(memory.free)}, largest "
                f"{thousands(memory.largest)}, used {thousands(memory.live)}  {CHIP[name]}"
            )


def idle(folder: Path, uses: Uses) -> list[bool]:
    """Wi-Fi up, and no broker where the link looks for one."""
    with MemoryBench(folder, [1], Broker(1)) as bench, bench.console(1) as console:
        bench.set_up(console, 1, uses)
        bench.wait_for_wifi(console)
        memory = bench.look(console, 1)
        name = f"nine {uses.value}: link idle"
        kept = row(name, bench.lows(1), memory.live, memory.link)
        print(f"{'':46}  free {thousands(memory.free)}, largest {thousands(memory.largest)}")
        return [kept]


def connected(folder: Path, uses: Uses, broker: Broker) -> list[bool]:
    """Mutual TLS, then what a buoy goes through."""
    kept = []
    with MemoryBench(folder, [1], broker) as bench, bench.console(1) as console:
        bench.set_up(console, 1, uses)
        for name, carry_out in states(bench, console, 1, uses, RECONNECTS).items():
            carry_out()
            lows = bench.lows(1)
            sleeps = name.startswith("low power")
            memory = None if sleeps else bench.look(console, 1)
            state = f"nine {uses.value}: {name}"
            kept.append(row(state, lows, memory.live if memory else -1, memory.link if memory else None))
    return kept


if __name__ == "__main__":
    sys.exit(main())
