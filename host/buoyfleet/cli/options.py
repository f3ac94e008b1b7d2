"""Options that several commands have, each declared once."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

FLEET = Path("boards.yaml")
BENCH = Path("bench")

FleetFile = Annotated[Path, typer.Option("--fleet", help="The fleet file.")]
FleetArgument = Annotated[Path, typer.Argument(help="Fleet file.")]
Board = Annotated[
    str,
    typer.Argument(metavar="BOARD", help="A port, mac:…, usb:…, location:…, a URL or an id."),
]
Folder = Annotated[Path, typer.Option("--folder", help="Records, keys, images and logs of the bench.")]
Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--ports", metavar="PATTERN", help="More ports: a path, 'FOLDER/*' or a URL; may be repeated."
    ),
]

Count = Annotated[str | None, typer.Option(help="Messages per board.")]
Interval = Annotated[str | None, typer.Option(help="Between messages of a board, e.g. `100 ms`.")]
Rate = Annotated[str | None, typer.Option(help="Messages of a board, e.g. `10/s`.")]
Duration = Annotated[str | None, typer.Option(help="Length of the run, e.g. `2 min`.")]
FlatOut = Annotated[bool, typer.Option("--flat-out", help="No pacing; lifts the twin's rates.")]
OnlyBoards = Annotated[str | None, typer.Option(help="Only these ids, e.g. `100-109,115`.")]
Target = Annotated[str | None, typer.Option(help="Target instead of the file's.")]
Seed = Annotated[str | None, typer.Option(help="Seed of everything random.")]
WHAT_RUNS: dict[str, tuple[Any, object]] = {
    "count": (Count, None),
    "interval": (Interval, None),
    "rate": (Rate, None),
    "duration": (Duration, None),
    "flat_out": (FlatOut, False),
    "boards": (OnlyBoards, None),
    "target": (Target, None),
    "seed": (Seed, None),
}
"""Options that change what a fleet file runs, with their defaults: fields of `Overrides`."""


def changes_what_runs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options `WHAT_RUNS`; it gets them together, as `changes` by name."""

    @wraps(command)
    def with_options(**given: Any) -> None:
        changes = {name: given.pop(name) for name in WHAT_RUNS}
        command(changes=changes, **given)

    own = list(inspect.signature(command).parameters.values())
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in WHAT_RUNS.items()
    ]
    at = next(place for place, parameter in enumerate(own) if parameter.name == "changes")
    parameters = [*own[:at], *more, *own[at + 1 :]]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options
