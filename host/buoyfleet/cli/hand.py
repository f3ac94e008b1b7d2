"""`buoy hand`: what a person does at a bench, on simulated boards: probes into vessels, faults, cables."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Move probes, cause faults and pull cables of simulated boards that `buoy simulate` runs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Board = Annotated[int, typer.Argument(help="Id of the simulated board.")]
Folder = Annotated[Path, typer.Option("--folder", help="Folder of the simulator.")]
FOLDER = Path("runs/simulated")


def _ask(folder: Path, board: int, do: str, **more: object) -> Any:
    from buoyfleet.simulation.esp32.hand import ask_hand

    return ask_hand(folder, {"board": board, "do": do, **more})


@app.command(epilog="Example: buoy hand put 128 ph-7")
def put(
    board: Board,
    vessel: Annotated[
        str,
        typer.Argument(
            help="ph-4 ph-7 ph-10 ec-84 ec-1413 air air-saturated zero-oxygen clear-water "
            "formazin-N standpipe-N flow-N ice-bath bath full empty; `water` is the river."
        ),
    ],
    keys: Annotated[list[str] | None, typer.Argument(help="Only these probes; all by default.")] = None,
    temperature: Annotated[float, typer.Option(help="°C of the vessel.")] = 21.0,
    folder: Folder = FOLDER,
) -> None:
    """Put probes into a vessel."""
    found = _ask(folder, board, "put", vessel=vessel, keys=keys, temp_c=temperature)
    typer.echo(f"board {board}: {', '.join(keys) if keys else 'all probes'} in {found['in']}")


@app.command(epilog="Example: buoy hand fault 128 ph low-slope")
def fault(
    board: Board,
    key: Annotated[str, typer.Argument(help="Probe.")],
    name: Annotated[str, typer.Argument(help="Fault; `buoy hand look` lists them.")],
    folder: Folder = FOLDER,
) -> None:
    """Make a probe faulty."""
    _ask(folder, board, "fault", key=key, fault=name)


@app.command(epilog="Example: buoy hand clear 128 ph")
def clear(
    board: Board,
    key: Annotated[str | None, typer.Argument(help="Probe; all by default.")] = None,
    folder: Folder = FOLDER,
) -> None:
    """Make faulty probes good again."""
    _ask(folder, board, "clear", key=key)


@app.command(epilog="Example: buoy hand foul 128 tbd 0.5")
def foul(
    board: Board,
    key: Annotated[str, typer.Argument(help="Probe.")],
    share: Annotated[float, typer.Argument(help="0 clean to 1 overgrown.", min=0.0, max=1.0)],
    folder: Folder = FOLDER,
) -> None:
    """Let a probe be fouled."""
    _ask(folder, board, "foul", key=key, share=share)


@app.command(epilog="Example: buoy hand unplug 128")
def unplug(board: Board, folder: Folder = FOLDER) -> None:
    """Pull the cable, which also powers the board."""
    _ask(folder, board, "unplug")


@app.command(epilog="Example: buoy hand plug 128")
def plug(board: Board, folder: Folder = FOLDER) -> None:
    """Plug it in again."""
    _ask(folder, board, "plug")


@app.command(epilog="Example: buoy hand look 128 ph")
def look(
    board: Board,
    key: Annotated[str, typer.Argument(help="Only this probe, with the faults it can have.")] = "",
    folder: Folder = FOLDER,
) -> None:
    """Where the probes are, what is true there, and which faults they have."""
    for name, one in _ask(folder, board, "look").items():
        if key and name != key:
            continue
        true = f"{one['true']:.4g}" if isinstance(one["true"], float) else one["true"]
        faults = f"  faults: {', '.join(one['faults'])}" if one["faults"] else ""
        typer.echo(f"{name:7} in {one['in']:14} true {true}{faults}")
        if key:
            for possible, words in one["possible"].items():
                typer.echo(f"          {possible:16} {words}")
