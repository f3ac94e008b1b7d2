"""`buoy commission` and `buoy flash`: many boards at once, one line a board, exit 0 only if all passed."""

from pathlib import Path
from typing import Annotated

import typer

FLEET = Path("boards.yaml")
BENCH = Path("bench")

Boards = Annotated[
    list[str] | None,
    typer.Argument(metavar="[BOARDS]...", help="Ids (131, 128-130) or NAME=ID; all on a cable by default."),
]
FleetFile = Annotated[Path, typer.Option("--fleet", help="The fleet file.")]
Folder = Annotated[Path, typer.Option("--folder", help="Records, keys, images and logs of the bench.")]
Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--ports", metavar="PATTERN", help="More ports: a path, 'FOLDER/*' or a URL; may be repeated."
    ),
]
Interpreter = Annotated[
    str, typer.Option("--interpreter", metavar="FILE|VERSION", help="MicroPython image or version.")
]
Sha256 = Annotated[str, typer.Option("--sha256", help="What the image's SHA-256 must be.")]
FILE = "what the fleet file says"  # -1 or 0 of the options below
Baud = Annotated[
    int, typer.Option("--baud", help="Bits per second of flashing; slower ones follow.", show_default=FILE)
]
Parallel = Annotated[int, typer.Option("--parallel", help="Boards at once; 0: all.", show_default=FILE)]
PerHub = Annotated[
    int, typer.Option("--per-hub", help="Boards at once on one USB hub; 0: all.", show_default=FILE)
]
Erase = Annotated[bool, typer.Option("--erase", help="Erase the whole flash first, identity included.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")]


def commission(
    boards: Boards = None,
    fleet: FleetFile = FLEET,
    folder: Folder = BENCH,
    ports: Ports = None,
    interpreter: Interpreter = "",
    sha256: Sha256 = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look, print the plan, change nothing.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Self-test also where nothing is missing.")] = False,
    force: Annotated[
        list[str] | None,
        typer.Option("--force", metavar="STEP", help="Do again: interpreter, files, keys, identity or all."),
    ] = None,
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase the whole flash first, identity included.")
    ] = False,
    reassign: Annotated[
        bool, typer.Option("--reassign", help="Give a board an id that the records give another.")
    ] = False,
    self_test: Annotated[
        bool, typer.Option("--connect/--no-connect", help="Whether the self-test connects and publishes.")
    ] = True,
    baud: Baud = 0,
    parallel: Parallel = -1,
    per_hub: PerHub = -1,
    as_json: AsJson = False,
) -> None:
    """Make boards into buoys in service: interpreter, files, identity, keys, settings, self-test, record.

    Run it again whenever something went wrong or changed: only what is missing is done.

    \b
    buoy commission                       every board of boards.yaml that has a port
    buoy commission 128-131 --dry-run     what would be done to these
    buoy commission /dev/ttyUSB0=131      board 131, on this port
    """  # fmt: skip
    from buoyfleet.cli.bench_run import Request, execute_commission

    raise typer.Exit(
        execute_commission(
            Request(
                words=tuple(boards or ()),
                fleet=fleet,
                folder=folder,
                ports=tuple(ports or ()),
                interpreter=interpreter,
                sha256=sha256,
                dry_run=dry_run,
                test=test,
                force=frozenset(force or ()),
                erase=erase,
                reassign=reassign,
                connect=self_test,
                baud=baud,
                parallel=parallel,
                per_hub=per_hub,
                as_json=as_json,
            )
        )
    )


def flash(
    boards: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BOARDS]...", help="Ports, MACs, usb:… or ids; those of boards.yaml else."),
    ] = None,
    interpreter: Interpreter = "",
    fleet: FleetFile = FLEET,
    folder: Folder = BENCH,
    ports: Ports = None,
    sha256: Sha256 = "",
    force: Annotated[bool, typer.Option("--force", help="Also where this version runs already.")] = False,
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase the whole flash first, identity included.")
    ] = False,
    baud: Baud = 0,
    parallel: Parallel = -1,
    per_hub: PerHub = -1,
    as_json: AsJson = False,
) -> None:
    """Write MicroPython onto boards, all at once; identity and files stay unless --erase is given.

    \b
    buoy flash --interpreter 1.26.1                     every board of boards.yaml that has a port
    buoy flash /dev/ttyUSB0 --interpreter ESP32.bin     this board, this image
    """  # fmt: skip
    from buoyfleet.cli.bench_run import Request, execute_flash

    raise typer.Exit(
        execute_flash(
            Request(
                words=tuple(boards or ()),
                fleet=fleet,
                folder=folder,
                ports=tuple(ports or ()),
                interpreter=interpreter,
                sha256=sha256,
                force=frozenset({"interpreter"} if force else ()),
                erase=erase,
                baud=baud,
                parallel=parallel,
                per_hub=per_hub,
                as_json=as_json,
            )
        )
    )
