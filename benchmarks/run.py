"""The whole main job as a user types it: `buoy run --flat-out`, from command to verdict.

    python benchmarks/run.py [--rounds N]

First the original scenario (30 virtual boards x 100 messages x 9 measures), then 1 000 boards x 20 messages
held to one core, then the fleet of boards.yaml, two boards of which are simulated: their time is that of an
ESP32 to boot, to join Wi-Fi and to look at its console every 20 ms. Every run must end with exit code 0,
which means that every measure was found.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _bench import ROOT


def fleet_of(name: str, ids: str, messages: int) -> dict[str, object]:
    """Virtual boards against the twin."""
    return {
        "fleet": name,
        "target": "local",
        "run": {"messages": messages, "interval": "1 s"},
        "boards": [{"kind": "virtual", "ids": ids}],
        "thresholds": ["timestream.missing == 0", "s3.missing == 0"],
    }


def run(fleet: Path, cores: set[int] | None) -> tuple[float, float, dict[str, float]]:
    """Wall seconds, CPU seconds of all processes, seconds by phase."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as out:
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "buoyfleet.cli.main",
            "run",
            str(fleet),
            "--flat-out",
            "--quiet",
            "--out",
            out,
        ]
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
            check=False,
        )
        wall_s = time.monotonic() - began
        if done.returncode:
            sys.exit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        (folder,) = Path(out).iterdir()
        phases = json.loads((folder / "result.json").read_text())["phases_s"]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, phases


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default 5)")
    options = parser.parse_args()
    one_core = {min(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as folder:
        original, thousand = Path(folder) / "original.yaml", Path(folder) / "thousand.yaml"
        original.write_text(json.dumps(fleet_of("original", "100-129", 100)))
        thousand.write_text(json.dumps(fleet_of("thousand", "1000-1999", 20)))
        for name, fleet, cores in (
            ("30 virtual boards x 100 messages, 27 000 measures", original, None),
            ("1 000 boards x 20 messages, 180 000 measures, one core", thousand, one_core),
            ("boards.yaml: 28 virtual and 2 simulated boards x 100 messages", ROOT / "boards.yaml", None),
        ):
            runs = [run(fleet, cores) for _ in range(options.rounds)]
            walls = [wall_s for wall_s, _, _ in runs]
            cpu_s = statistics.median(cpu_s for _, cpu_s, _ in runs)
            print(f"{name}: {statistics.median(walls):.2f} s from command to verdict")
            print(f"    median of {len(runs)}, {min(walls):.2f} to {max(walls):.2f}; {cpu_s:.2f} s of CPU")
            phases = runs[-1][2]
            print("    last run by phase: " + ", ".join(f"{phase} {s:.2f}" for phase, s in phases.items()))


if __name__ == "__main__":
    main()
