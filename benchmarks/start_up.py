"""What must be quick because people wait for it: reading a fleet file, and a twin that is ready for boards.

Each figure stands beside a peer of the same run: the file beside PyYAML's own parser on the same text, the
twin beside a Python process that imports uvloop and pyarrow and does nothing.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from _bench import ROOT
from _processes import twin_alone

from buoyfleet.inventory.loader import load_fleet

TURNS = 5
MANY = 100_000


def median_s(turn: Callable[[], None]) -> float:
    """Median wall time of a few turns, the first one not counted."""
    turn()
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        turn()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def load(path: Path) -> Callable[[], None]:
    return lambda: void(load_fleet(path))


def parse(path: Path) -> Callable[[], None]:
    return lambda: void(yaml.safe_load(path.read_text()))


def void(_value: object) -> None:
    """Forget a value."""


def start_twin() -> None:
    """From the start of the process to its end; the ready line is waited for."""
    with twin_alone():
        pass


def start_python() -> None:
    """A process that only imports."""
    subprocess.run([sys.executable, "-c", "import uvloop, pyarrow"], check=True)


def main() -> None:
    default = ROOT / "boards.yaml"
    ours, peer = median_s(load(default)), median_s(parse(default))
    print(f"boards.yaml: {1000 * ours:.1f} ms, {ours / peer:.1f} times yaml.safe_load on the same text")
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.yaml"
        boards = [{"kind": "virtual", "ids": f"0-{MANY - 1}"}]
        run = {"messages": 1, "interval": "1 s"}
        large.write_text(json.dumps({"fleet": "large", "target": "local", "run": run, "boards": boards}))
        if len(load_fleet(large).boards) != MANY:
            sys.exit(f"{large} has not {MANY:,} boards")
        ours = median_s(load(large))
        print(f"{MANY:,} boards: {ours:.2f} s, {1e6 * ours / MANY:.1f} µs per board")
    twin, bare = median_s(start_twin), median_s(start_python)
    print(
        f"twin: start and end {twin:.2f} s, {twin / bare:.1f} times a process that imports uvloop and pyarrow"
    )


if __name__ == "__main__":
    main()
