"""Cost of a full nine-sensor reading of a virtual board: on-board fakes, and drivers on simulated parts.

    python benchmarks/readings.py [--boards 100] [--rounds 5]

CPU time, memory per board, and how the simulation's share splits. The last lines run the same drivers on
MicroPython over the wire, where an interpreter is found. Exit 1 if a board's simulation takes more than 40 KB
or a reading by drivers more than `--limit-us`.
"""

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from buoyfleet.simulation.buoy import SimulatedBuoy, simulated_buoy
from buoyfleet.simulation.water.environment import Environment
from buoyfleet.simulation.water.place import Place
from sensors.build import make_sensors
from sensors.catalog import KEYS
from sensors.fakes import make_fake
from sensors.reader import Reader

ROOT = Path(__file__).resolve().parent.parent
LIMIT_KB = 40.0


def main() -> int:
    """Measure and print; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--boards", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit-us", type=float, default=2000.0)
    options = parser.parse_args()

    print("one reading of nine sensors, CPU:")
    for mode in ("counter", "constant", "walk"):
        print(f"  fake {mode:10} {fakes_us(mode, options.rounds):8.2f} µs")
    environment = Environment("calm", 1)
    kept_kb, drivers_kb, boards = make_boards(environment, options.boards)
    hardware_us, spans = drivers_us(boards, options.rounds)
    print(f"  hardware        {hardware_us:8.0f} µs  ({spans:.1f} s of simulated time)")
    print("memory of a board:")
    print(f"  simulated parts and buses {kept_kb:5.1f} KB (bar {LIMIT_KB:.0f})")
    print(f"  nine drivers              {drivers_kb:5.1f} KB")
    print("water:")
    print(f"  sample of a buoy, new time   {sample_us(environment):6.2f} µs")
    print(f"  a year, integrated once      {year_s():6.2f} s")
    for line in micropython_lines():
        print(line)
    missed = [
        name
        for name, bad in (("memory", kept_kb > LIMIT_KB), ("hardware", hardware_us > options.limit_us))
        if bad
    ]
    print(f"bars missed: {', '.join(missed)}" if missed else "all bars held")
    return 1 if missed else 0


def fakes_us(mode: str, rounds: int) -> float:
    """CPU of nine fake values, as a message takes them."""
    samples = [make_fake(key, mode, base=12.5, value=7.0, seed=1).sample for key in KEYS]

    def read() -> None:
        for n in range(5000):
            for sample in samples:
                sample(n)

    return best(read, rounds) / 5000 * 1e6


def make_boards(
    environment: Environment, count: int
) -> tuple[float, float, list[tuple[SimulatedBuoy, Reader]]]:
    """KB of a board's simulation and of its drivers, and the boards."""
    simulated_buoy(1, environment=environment)  # what is made once does not count
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    buoys = [simulated_buoy(100 + n, environment=environment) for n in range(count)]
    gc.collect()
    between = tracemalloc.get_traced_memory()[0]
    boards = [(buoy, Reader(make_sensors(buoy.settings, buoy.modules))) for buoy in buoys]
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (between - before) / count / 1024, (after - between) / count / 1024, boards


def drivers_us(boards: list[tuple[SimulatedBuoy, Reader]], rounds: int) -> tuple[float, float]:
    """CPU of one full reading, and the simulated seconds it takes."""
    clocks = [0.0] * len(boards)

    def read() -> None:
        for n, (buoy, reader) in enumerate(boards):
            now_ms = clocks[n]
            reader.start(now_ms)
            while not reader.poll(now_ms):
                now_ms = max(now_ms, reader.due_ms)
                buoy.advance_to_ms(now_ms)
            clocks[n] = now_ms

    read()  # the first reading sets the circuits up
    begin = clocks[0]
    cpu_s = best(read, rounds)
    return cpu_s / len(boards) * 1e6, (clocks[0] - begin) / rounds / 1000.0


def sample_us(environment: Environment) -> float:
    """CPU of one sample of a thousand buoys in the same water."""
    places = [Place(environment, n) for n in range(1000)]
    times = [100.0 + 0.5 * n for n in range(20)]

    def sample() -> None:
        for t_s in times:
            for place in places:
                place.sample(t_s)

    return best(sample, 1) / 20_000 * 1e6


def year_s() -> float:
    """CPU of reaching the end of a simulated year."""
    return best(lambda: Environment("calm", 2).at(364 * 86400.0), 1)


def best(work: Callable[[], object], rounds: int) -> float:
    """Median CPU time of some rounds, s."""
    costs = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        costs.append(time.process_time() - began)
    return statistics.median(costs)


_BOARD = """
import json, os, sys, time
sys.path[:] = os.getenv("BUOY_PATH").split(":")
import buoy_wire
wire = buoy_wire.connect_fd(int(sys.argv[1]), simulated=True)
from sensors.build import make_sensors
from sensors.reader import Reader
reader = Reader(make_sensors(json.load(open(sys.argv[2])), buoy_wire.modules))
now_ms = 0
took = []
for _ in range(6):
    begin = time.ticks_us()
    reader.start(now_ms)
    while not reader.poll(now_ms):
        now_ms = max(now_ms, reader.due_ms)
        wire.now_us = int(now_ms * 1000)
    took.append(time.ticks_diff(time.ticks_us(), begin))
begin = time.ticks_us()
for _ in range(2000):
    wire.call("pin_get", 13)
print(sorted(took[1:])[2], time.ticks_diff(time.ticks_us(), begin) / 2000)
"""


def micropython_lines() -> list[str]:
    """The same on MicroPython; wall time of both processes."""
    from buoyfleet.simulation.buses.server import SHIMS, serving

    fetched = ROOT / ".tools" / "bin" / "micropython"
    binary = str(fetched) if fetched.exists() else shutil.which("micropython")
    if binary is None:
        return ["MicroPython: no interpreter; `make setup-test` fetches one"]
    buoy = simulated_buoy(100)
    with tempfile.TemporaryDirectory() as folder, serving(buoy.bench) as descriptor:
        script, settings = Path(folder) / "board.py", Path(folder) / "settings.json"
        script.write_text(_BOARD)
        settings.write_text(json.dumps(buoy.settings))
        done = subprocess.run(
            [binary, "-X", "heapsize=128wk", script, str(descriptor), settings],
            env={**os.environ, "BUOY_PATH": f"{SHIMS}:{ROOT}:{ROOT / 'firmware'}"},
            pass_fds=(descriptor,),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    reading_us, exchange_us = map(float, done.stdout.split())
    return [
        "MicroPython over the wire, wall time:",
        f"  one reading of nine sensors {reading_us:6.0f} µs",
        f"  one exchange                {exchange_us:6.1f} µs",
    ]


if __name__ == "__main__":
    sys.exit(main())
