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
import statistics
from collections.abc import Callable
from pathlib import Path

from _bench import ROOT
from _runs import TWIN, marginal
from _runs import original as original_run


def original(tree: Path) -> dict[str, float]:
    """Seconds of the original scenario."""
    done = original_run(tree)
    if done.usage.exit_code:
        print(f"  a run of {tree} ended with {done.usage.exit_code}: {done.usage.output}")
    return {"wall, s": done.usage.wall_s, "CPU, s": sum(done.usage.cpu_s.values())}


def paced(tree: Path) -> dict[str, float]:
    """CPU µs per message of each part."""
    cost = marginal(TWIN, tree)
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
