"""`buoy water`: what a buoy in simulated water reads over days; a table, a picture, a CSV file."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.model.errors import UsageError
from sensors.catalog import DECIMALS, KEYS, UNITS

if TYPE_CHECKING:
    from buoyfleet.simulation.record import Fault, Record, Summary
    from buoyfleet.simulation.water.scenario import Scenario

_FORMATS = (".svg", ".pdf", ".png")
_FAULT = re.compile(r"(?P<key>[a-z]+):(?P<name>[a-z0-9-]+)(@(?P<from>\d+(\.\d+)?)(-(?P<to>\d+(\.\d+)?))?)?$")
_HEADINGS = ("key", "unit", "lowest", "mean", "highest", "largest error", "withheld", "flags")
_LONGEST_DAYS = 366.0
_MOST_READINGS = 200_000


def water(
    scenario: Annotated[
        str, typer.Option(help="calm, storm, salt-wedge, deicing, bloom or beached.")
    ] = "calm",
    days: Annotated[
        float | None, typer.Option(help="Simulated days. [7, or the length of the replayed series]")
    ] = None,
    every: Annotated[float, typer.Option(help="Minutes between two readings.")] = 15.0,
    buoy: Annotated[int, typer.Option(help="Id of the buoy: its place and its individual parts.")] = 100,
    seed: Annotated[int, typer.Option(help="Of water and parts.")] = 1,
    mounting: Annotated[str | None, typer.Option(help="floating or fixed. [the scenario's]")] = None,
    depth: Annotated[float | None, typer.Option(help="Depth of the sensors in m. [the scenario's]")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="CSV file of a real series that the water follows.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="A part's fault and its hours: KEY:FAULT[@FROM[-TO]]. Repeatable."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw: .svg, .pdf or .png.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for all values.")] = None,
) -> None:
    """Simulate a buoy in the river: nine true values and what its drivers read on simulated parts.

    \b
    buoy water --days 2 --plot water.png
    buoy water --scenario storm --csv storm.csv
    """  # fmt: skip
    from buoyfleet.simulation.buoy import simulated_buoy
    from buoyfleet.simulation.record import record, write_csv
    from buoyfleet.simulation.water.environment import Environment
    from buoyfleet.simulation.water.place import Place
    from buoyfleet.simulation.water.replay import ReplayPlace, read_series

    chosen = _scenario(scenario)
    if mounting not in (None, "floating", "fixed"):
        raise UsageError(f"--mounting {mounting!r}", next_step="use --mounting floating or --mounting fixed")
    if depth is not None and not 0.0 < depth <= 100.0:
        raise UsageError(f"--depth {depth:g} m", next_step="use a depth over 0 and up to 100 m")
    for path in (plot, csv):
        _writable(path)
    if plot is not None and plot.suffix.lower() not in _FORMATS:
        raise UsageError(f"--plot {plot}: unknown format {plot.suffix!r}", next_step="use .svg, .pdf or .png")
    series = None if replay is None else read_series(replay)
    length = days if days is not None else 7.0 if series is None else series.length_s / 86_400.0
    _check_length(length, every)
    faults = [_fault(text, length) for text in fault or ()]

    start = None if series is None else series.start
    environment = Environment(chosen, seed, start)
    place = Place(environment, buoy, mounting, depth)  # type: ignore[arg-type]
    made = simulated_buoy(
        buoy, seed, environment=environment, place=place if series is None else ReplayPlace(series, place)
    )
    for one in faults:
        try:
            made.bench.part(one.key).check_fault(one.name)
        except ValueError as error:
            raise UsageError(f"--fault: {error}") from None
    observed = record(made, length, 60.0 * every, environment.start, faults)
    title = f"Buoy {buoy}, {chosen.name if series is None else series.path}"
    about = chosen.summary if series is None else f"replayed, {series.rows} rows"
    typer.echo(f"{title}: {about}")
    for note in [] if series is None else series.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{length:g} days from {observed.start:%Y-%m-%d %H:%M} UTC, {len(observed.rows)} readings\n")
    _print_table(observed)
    typer.echo()
    if csv is not None:
        _write(csv, lambda path: write_csv(observed, path))
    if plot is not None:
        from buoyfleet.simulation.plot import plot as draw

        _write(plot, lambda path: draw(observed, path, title, about, chosen if series is None else None))


def _write(path: Path, write: Callable[[Path], None]) -> None:
    try:
        write(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", next_step="name another file") from error
    typer.echo(f"wrote {path}")


def _scenario(name: str) -> "Scenario":
    from buoyfleet.simulation.water.scenario import SCENARIOS

    if name in SCENARIOS:
        return SCENARIOS[name]
    close = difflib.get_close_matches(name, SCENARIOS, 1)
    raise UsageError(
        f"--scenario {name!r} is unknown; there are {', '.join(SCENARIOS)}",
        next_step=f"did you mean --scenario {close[0]}?" if close else "",
    )


def _writable(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
        what = "is a folder" if path.is_dir() else "its folder does not exist"
        raise UsageError(f"cannot write {path}: {what}", next_step="name a file in a folder that exists")


def _check_length(days: float, every: float) -> None:
    if not 0.0 < days <= _LONGEST_DAYS:
        raise UsageError(f"--days {days:g}", next_step=f"use more than 0 and up to {_LONGEST_DAYS:g} days")
    if not 0.1 <= every <= 1440.0:
        raise UsageError(f"--every {every:g} minutes", next_step="use 0.1 minutes up to a day (1440)")
    count = days * 1440.0 / every
    if not 2.0 <= count <= _MOST_READINGS:
        raise UsageError(
            f"{days:g} days every {every:g} minutes are {count:.0f} readings; from 2 to {_MOST_READINGS}",
            next_step="change --days or --every",
        )


def _fault(text: str, days: float) -> "Fault":
    from buoyfleet.simulation.record import Fault

    match = _FAULT.match(text)
    if match is None or match["key"] not in KEYS:
        raise UsageError(
            f"--fault {text!r} is not KEY:FAULT[@FROM[-TO]] with a KEY of {', '.join(KEYS)}",
            next_step="for example --fault temp:short@24-30 (hours)",
        )
    begin = float(match["from"] or 0.0)
    return Fault(match["key"], match["name"], begin, float(match["to"] or 24.0 * days + 1.0))


def _print_table(observed: "Record") -> None:
    from buoyfleet.simulation.record import summarise

    rows: list[tuple[str, ...]] = [
        ("key", "unit", "lowest", "mean", "highest", "largest error", "withheld", "flags")
    ]
    rows += [_row(line) for line in summarise(observed)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if i in (0, 1, 7) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())


def _row(line: "Summary") -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.{DECIMALS}f}"

    flags = ", ".join(f"{name} {count}" for name, count in line.flags.items())
    return (
        line.key,
        UNITS[line.key] or "-",
        number(line.low),
        number(line.mean),
        number(line.high),
        number(line.error),
        str(line.withheld),
        flags,
    )
