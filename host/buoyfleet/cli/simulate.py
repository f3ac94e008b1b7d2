"""`buoy simulate`: simulated ESP32 boards on serial ports until Ctrl-C."""

import json
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.model.errors import UsageError

FIRST_ID = 128
MOST_BOARDS = 64
IMAGE = "interpreter.bin"
"""Stands for the image of MicroPython where boards come bare; whatever it is, they run the one installed."""


def simulate(
    boards: Annotated[int, typer.Option(help="How many.")] = 1,
    first_id: Annotated[int, typer.Option(help="Buoy id of the first.")] = FIRST_ID,
    folder: Annotated[Path, typer.Option(help="Where their flash images and ports live.")] = Path(
        "runs/simulated"
    ),
    erased: Annotated[bool, typer.Option(help="New boards come without an interpreter.")] = False,
    firmware: Annotated[
        bool, typer.Option("--firmware", help="New boards come with the firmware on them.")
    ] = False,
    paced: Annotated[bool, typer.Option(help="Bytes take the time of the baud rate.")] = False,
    seed: Annotated[int, typer.Option(help="Of the water and the parts.")] = 1,
    scenario: Annotated[str, typer.Option(help="Of the water; `buoy water` lists them.")] = "calm",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line instead of text.")] = False,
) -> None:
    """Simulate ESP32 boards on serial ports until Ctrl-C.

    \b
    buoy simulate --boards 3                       MicroPython on them
    buoy simulate --boards 3 --erased --folder sim  bare boards for buoy commission
    buoy simulate --firmware                       a buoy in service
    """  # fmt: skip
    from buoyfleet.simulation.esp32.interpreter import check_programs, word_note
    from buoyfleet.simulation.esp32.simulator import Simulator
    from buoyfleet.simulation.parts.radio import ACCESS_POINT, PASSWORD

    if not 1 <= boards <= MOST_BOARDS:
        raise UsageError(f"--boards {boards}", next_step=f"use 1 to {MOST_BOARDS}")
    check_programs()
    if note := word_note():
        typer.echo(note, err=True)
    factory = None
    if firmware:
        from buoyfleet.boards.firmware_files import firmware_files
        from buoyfleet.model.places import FACTORY
        from buoyfleet.simulation.esp32.factory import factory_image

        factory = factory_image(firmware_files(), FACTORY)
    ids = range(first_id, first_id + boards)
    image = None
    if erased:
        from buoyfleet.simulation.esp32.synthetic import write_synthetic

        image = folder / IMAGE
        if not image.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_synthetic(image)
    over = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: over.set())
    with Simulator(
        folder, ids, seed=seed, scenario=scenario, paced=paced, flashed=not erased, factory=factory
    ) as simulator:
        rows = [{"id": i, "port": simulator.path(i), "url": simulator.url(i)} for i in ids]
        if as_json:
            wifi = {"ssid": ACCESS_POINT, "password": PASSWORD}
            ready = {"event": "ready", "boards": rows, "wifi": wifi, "image": str(image) if image else None}
            typer.echo(json.dumps(ready))
        else:
            for row in rows:
                typer.echo(f"board {row['id']}   {row['port']}   {row['url']}")
            typer.echo("\nfor boards.yaml:\nboards:")
            for row in rows:
                typer.echo(f"  - kind: simulated\n    ids: [{row['id']}]\n    port: {row['port']}")
            typer.echo(f"\nwifi  {ACCESS_POINT}, password {PASSWORD}: what set-up boards join")
            if image is not None:
                typer.echo(f"image {image}: stands for MicroPython, `interpreter` in boards.yaml's `bench`")
                typer.echo(f"try   buoy ports '{folder}/ports/*'")
            else:
                typer.echo(f"try   mpremote connect {rows[0]['port']} repl")
            typer.echo("Ctrl-C ends them; their flash stays.")
        over.wait()
