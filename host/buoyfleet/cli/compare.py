"""`buoy compare`: runs held against one another."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from buoyfleet.model.comparison import Comparison

EPILOG = """Examples:

  buoy compare                                  the last run with the one tagged `baseline`

  buoy compare 20261201T0408 20261202T0911      two runs, by the beginnings of their names

  buoy compare A B --fail-if "ack.p99 > 1.2 x" --fail-if "s3.missing > 0"      for CI: exit code 5
"""


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="The base, then those held against it; one: against the baseline; none: the last run.",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="`METRIC > NUMBER x` against the base, or a threshold; may be repeated.",
        ),
    ] = None,
    runs: Annotated[Path, typer.Option("--runs", help="The folder that holds the runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparisons as JSON.")] = False,
) -> None:
    """Compare runs: verdicts, losses by cause, metrics, settings.

    Percentiles of acknowledgement have a band, from how far boards differ from one another: a ratio within it
    can be chance. A condition with `x` fails only if all of its band does. Exit code 5 if a condition fails.
    """
    from buoyfleet.cli.console import write_line
    from buoyfleet.model.exit_codes import ExitCode
    from buoyfleet.report.comparison import comparison_blocks
    from buoyfleet.report.load import LATEST, find_run, read_result
    from buoyfleet.report.page import print_blocks
    from buoyfleet.runs.compare_runs import compare_runs
    from buoyfleet.runs.history import baseline_of

    folders = [find_run(name, runs) for name in names or [LATEST]]
    if len(folders) == 1:
        folders.insert(0, baseline_of(read_result(folders[0]), runs).folder)
    base, *others = folders
    found = [compare_runs(base, other, fail_if or ()) for other in others]
    if as_json:
        write_line(_json(found))
    for index, comparison in enumerate([] if as_json else found):
        if index:
            write_line("")
        print_blocks(comparison_blocks(comparison), sys.stdout)
    if not all(comparison.passed for comparison in found):
        raise typer.Exit(int(ExitCode.VERDICT_FAILED))


def _json(found: "list[Comparison]") -> str:
    import dataclasses
    import json

    documents = []
    for comparison in found:
        document = dataclasses.asdict(comparison)
        for figure, shown in zip(comparison.figures, document["figures"], strict=True):
            # JSON has no infinity.
            shown["ratio"] = None if figure.ratio == float("inf") else figure.ratio
        documents.append({**document, "passed": comparison.passed})
    return json.dumps(documents, ensure_ascii=False, indent=1)
