"""The whole main job as a user types it: `buoy run --flat-out`, from command to verdict.

    python benchmarks/run.py [--rounds N]

First the original scenario (30 boards x 100 messages x 9 measures), then 1 000 boards x 20 messages held to
one core. Every run must end with exit code 0, which means that every measure was found.
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

THOUSAND = {
    "fleet": "thousand",
    "target": "local",
    "run": {"messages": 20, "interval": "1 s"},
    "boards": [{"kind": "virtual", "ids": "1000-1999"}],
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
            "host.cli.main",
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
        thousand = Path(folder) / "thousand.yaml"
        thousand.write_text(json.dumps(THOUSAND))
        for name, fleet, cores in (
            ("30 boards x 100 messages, 27 000 measures", ROOT / "boards.yaml", None),
            ("1 000 boards x 20 messages, 180 000 measures, one core", thousand, one_core),
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
