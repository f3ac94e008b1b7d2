"""Whole runs of virtual boards, from command to verdict, by the `buoy` of this tree or of another."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _bench import ROOT
from _processes import Usage, watch

CLIENTS = 1000
FEW, MANY = 15, 35
"""Messages of each board in the two runs of a figure."""
# A shard takes 1,000 records/s: as in AWS, a fleet that sends more needs more of them.
TWIN = {"kind": "local", "twin": {"kinesis_shards": 4}}


@dataclass(frozen=True, slots=True)
class Run:
    """A whole `buoy run`."""

    usage: Usage
    result: dict[str, Any]
    """result.json; empty where there is none."""
    report_mb: float


def buoy_run(
    ids: range,
    run: dict[str, object],
    target: object = TWIN,
    options: tuple[str, ...] = (),
    tree: Path = ROOT,
) -> Run:
    """Run a fleet of virtual boards; `tree` is the checkout, set up, that does it."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = {
            "fleet": "bench",
            "target": target,
            "run": run,
            "boards": [{"kind": "virtual", "ids": f"{ids[0]}-{ids[-1]}"}],
        }
        path = Path(folder) / "fleet.yaml"
        path.write_text(json.dumps(fleet))
        out = Path(folder) / "runs"
        command = [str(tree / ".venv" / "bin" / "buoy"), "run", str(path), "--quiet", "--out", str(out)]
        usage = watch([*command, *options], root=tree)
        made = sorted(out.glob("*/result.json"))
        if not made:
            return Run(usage, {}, 0.0)
        report = made[0].with_name("report.html")
        size_mb = report.stat().st_size / 1e6 if report.exists() else 0.0
        return Run(usage, json.loads(made[0].read_text()), size_mb)


def original(tree: Path = ROOT) -> Run:
    """What a first-time user runs: 30 boards x 100 messages, flat out."""
    return buoy_run(range(100, 130), {"messages": 100, "interval": "1 s"}, options=("--flat-out",), tree=tree)


def marginal(target: object, tree: Path = ROOT) -> dict[str, float]:
    """Part of the tool → CPU µs per message, from a run of few messages and one of more."""
    ids = range(1000, 1000 + CLIENTS)
    runs = {}
    for messages in (FEW, MANY):
        done = buoy_run(ids, {"messages": messages, "interval": "1 s"}, target, tree=tree)
        if done.usage.exit_code:
            print(f"  the run of {messages} messages ended with {done.usage.exit_code}: {done.usage.output}")
        runs[messages] = done.usage.cpu_s
    more = CLIENTS * (MANY - FEW)
    return {part: (runs[MANY][part] - runs[FEW].get(part, 0.0)) / more * 1e6 for part in runs[MANY]}
