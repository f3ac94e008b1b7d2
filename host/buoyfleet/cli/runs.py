"""`buoy runs` and `buoy tag`: the runs there are."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from buoyfleet.runs.history import PastRun

Runs = Annotated[Path, typer.Option("--runs", help="The folder that holds the runs.")]


def runs(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILTER]...", help="failed, tag=…, since=2026-11-01, target=…, or a part of a name."
        ),
    ] = None,
    show: Annotated[
        list[str] | None,
        typer.Option("--show", metavar="METRIC", help="A column: ack.p99, s3.missing, cpu.message, …"),
    ] = None,
    folder: Runs = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each run.")] = False,
) -> None:
    """List runs, oldest first, with their verdicts and the metrics asked for.

    \b
    buoy runs                                   all of them
    buoy runs failed since=2026-11-01           what failed lately
    buoy runs harbour --show ack.p99            how a fleet does over time
    """  # fmt: skip
    from buoyfleet.cli.console import write_line
    from buoyfleet.report.figures import measured
    from buoyfleet.report.files import printable
    from buoyfleet.report.page import Columns, print_blocks
    from buoyfleet.runs.compare_runs import metrics_of
    from buoyfleet.runs.conditions import UNITS
    from buoyfleet.runs.history import matching, past_runs

    metrics = show or []
    _require_known(metrics)
    chosen = matching(past_runs(folder), words or ())
    values = [
        {} if run.result is None or not metrics else metrics_of(run.result, run.folder) for run in chosen
    ]
    if as_json:
        for run, facts in zip(chosen, values, strict=True):
            write_line(_json_line(run, {metric: facts.get(metric) for metric in metrics}))
        return
    if not chosen:
        write_line(f"no runs in {folder}" + (" fit" if words else ""))
        return
    table = Columns(["run", "verdict", "tags", "boards", "messages", *metrics], 3)
    for run, facts in zip(chosen, values, strict=True):
        boards = [] if run.result is None else run.result.boards
        tone = {"passed": "good", "failed": "bad"}.get(run.verdict, "warn")
        table.rows.append(
            [
                (printable(run.folder.name), "plain"),
                (run.verdict, tone),
                (printable(", ".join(run.tags)), "plain"),
                (f"{len(boards):,}", "plain"),
                (f"{sum(board.sent for board in boards):,}", "plain"),
                *((measured(facts.get(metric), UNITS[metric]), "plain") for metric in metrics),
            ]
        )
    print_blocks([table], sys.stdout)


def tag(
    name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, the beginning of its name, or `latest`.")
    ],
    words: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...", help="Words to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Take this tag; may be repeated.")
    ] = None,
    folder: Runs = Path("runs"),
) -> None:
    """Give a run tags, by which it is found; `baseline` is what `buoy compare` holds later runs against.

    \b
    buoy tag latest baseline
    buoy tag 20261201T0408 slow-broker --remove baseline
    """  # fmt: skip
    from buoyfleet.cli.console import write_line
    from buoyfleet.report.load import find_run
    from buoyfleet.runs.history import change_tags

    run = find_run(name, folder)
    tags = change_tags(run, words or (), remove or ())
    write_line(f"{run.name}: {', '.join(tags) or 'no tags'}")


def _require_known(metrics: list[str]) -> None:
    from buoyfleet.model.errors import UsageError
    from buoyfleet.runs.conditions import UNITS

    wrong = [metric for metric in metrics if metric not in UNITS]
    if wrong:
        raise UsageError(
            f"unknown metric {', '.join(map(repr, wrong))}", next_step=f"one of {', '.join(UNITS)}"
        )


def _json_line(run: "PastRun", facts: dict[str, float | None]) -> str:
    import json

    result = run.result
    document = {
        "run": run.folder.name,
        "folder": str(run.folder),
        "verdict": run.verdict,
        "tags": run.tags,
        "fleet": "" if result is None else result.run.fleet,
        "started_ns": None if result is None else result.run.started_ns,
        "problem": run.problem,
        **facts,
    }
    return json.dumps(document, ensure_ascii=False)
