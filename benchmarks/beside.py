"""This tree beside an older one: what a run costs, as ratios of pairs that were taken in turn.

    git worktree add ../older COMMIT && make -C ../older setup
    python benchmarks/beside.py ../older [--pairs N]

| row | what |
|---|---|
| `original` | 30 virtual boards x 100 messages flat out, command to verdict: wall time and CPU of all |
| `paced` | 1,000 boards at 1/s through the twin: CPU per message of each part (20 more messages a board) |

Below 1 this tree takes less. A machine that does other things moves both sides of a pair.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _bench import ROOT
from _processes import Usage, watch

CLIENTS = 1000
FEW, MANY = 15, 35
"""Messages of each board in the two runs of a figure."""
# A shard takes 1,000 records/s: as in AWS, a fleet that sends more needs more of them.
TARGET = {"kind": "local", "twin": {"kinesis_shards": 4}}


def buoy_run(tree: Path, ids: range, run: dict[str, object], *options: str) -> Usage:
    """A whole run of virtual boards by the `buoy` of a tree.

    Raises:
        SystemExit: it did not pass; its figures would mean nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.yaml"
        boards = [{"kind": "virtual", "ids": f"{ids[0]}-{ids[-1]}"}]
        path.write_text(json.dumps({"fleet": "bench", "target": TARGET, "run": run, "boards": boards}))
        command = [
            str(tree / ".venv" / "bin" / "buoy"),
            "run",
            str(path),
            "--quiet",
            "--out",
            f"{folder}/runs",
        ]
        usage = watch([*command, *options], root=tree)
    if usage.exit_code:
        sys.exit(f"{tree}: a run ended with {usage.exit_code}: {usage.output}")
    return usage


def original(tree: Path) -> dict[str, float]:
    """Seconds of the original scenario."""
    usage = buoy_run(tree, range(100, 130), {"messages": 100, "interval": "1 s"}, "--flat-out")
    return {"wall, s": usage.wall_s, "CPU, s": sum(usage.cpu_s.values())}


def paced(tree: Path) -> dict[str, float]:
    """CPU µs per message of each part."""
    few, many = (
        buoy_run(tree, range(1000, 1000 + CLIENTS), {"messages": messages, "interval": "1 s"}).cpu_s
        for messages in (FEW, MANY)
    )
    more = CLIENTS * (MANY - FEW)
    cost = {part: (many[part] - few.get(part, 0.0)) / more * 1e6 for part in many}
    cost["twin"] += cost.pop("handler", 0.0)  # through to S3
    return {f"{part}, µs per message": us for part, us in cost.items()}


ROWS: dict[str, Callable[[Path], dict[str, float]]] = {"original": original, "paced": paced}


def main() -> None:
    """Print each figure of both trees and its ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("older", type=Path, nargs="?", help="folder of the older tree, set up")
    parser.add_argument("--pairs", type=int, default=3, help="pairs per row (default: 3)")
    parser.add_argument("--row", choices=sorted(ROWS), action="append", help="only this row; repeatable")
    options = parser.parse_args()
    if options.older is None:
        print("skipped: no older tree was given (see --help)")
        return
    older = options.older.resolve()
    if not (older / ".venv" / "bin" / "buoy").exists():
        parser.error(f"{older} is not set up; next: make -C {older} setup")
    for row in options.row or ROWS:
        print(f"$ python benchmarks/beside.py {options.older} --row {row} --pairs {options.pairs}")
        pairs = [(ROWS[row](ROOT), ROWS[row](older)) for _ in range(options.pairs)]
        for figure in pairs[0][0]:
            here, there = ([side[figure] for side in sides] for sides in zip(*pairs, strict=True))
            ratios = sorted(a / b for a, b in zip(here, there, strict=True))
            print(
                f"{figure:<28}{statistics.median(here):8.2f} here, {statistics.median(there):8.2f} there, "
                f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
