"""`buoy commission` and `buoy flash`: many boards at once, one line a board, exit 0 only if all passed."""

from typing import Annotated

import typer

from buoyfleet.cli.options import BENCH, FLEET, FleetFile, Folder, Ports

Boards = Annotated[
    list[str] | None,
    typer.Argument(metavar="[BOARDS]...", help="Ids (131, 128-130) or NAME=ID; all on a cable by default."),
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
    erase: Erase = False,
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
    from buoyfleet.bench.bench_options import BenchOptions
    from buoyfleet.bench.commission_all import commission_all
    from buoyfleet.bench.folder import BenchFolder
    from buoyfleet.cli.bench_screen import TerminalBench, print_outcomes, print_plans
    from buoyfleet.inventory.loader import load_fleet

    options = BenchOptions(
        interpreter=interpreter,
        sha256=sha256,
        ports=tuple(ports or ()),
        force=frozenset(force or ()),
        erase=erase,
        test=test,
        reassign=reassign,
        connect=self_test,
        dry_run=dry_run,
        baud=baud,
        parallel=None if parallel < 0 else parallel,
        per_hub=None if per_hub < 0 else per_hub,
    )
    loaded = load_fleet(fleet, connects=self_test)
    done = commission_all(loaded, boards or (), options, BenchFolder(folder), TerminalBench(as_json=as_json))
    if dry_run and not as_json:
        print_plans(done.boards)
    else:
        print_outcomes(done.boards, as_json=as_json)
    raise typer.Exit(done.exit_code)


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
    erase: Erase = False,
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
    from buoyfleet.bench.bench_options import BenchOptions
    from buoyfleet.bench.flash_all import flash_all
    from buoyfleet.bench.folder import BenchFolder
    from buoyfleet.cli.bench_screen import TerminalBench, print_outcomes
    from buoyfleet.inventory.loader import load_fleet

    options = BenchOptions(
        interpreter=interpreter,
        sha256=sha256,
        ports=tuple(ports or ()),
        force=frozenset({"interpreter"} if force else ()),
        erase=erase,
        baud=baud,
        parallel=None if parallel < 0 else parallel,
        per_hub=None if per_hub < 0 else per_hub,
    )
    loaded = load_fleet(fleet) if fleet.exists() or not boards else None
    done = flash_all(loaded, boards or (), options, BenchFolder(folder), TerminalBench(as_json=as_json))
    print_outcomes(done.boards, as_json=as_json)
    raise typer.Exit(done.exit_code)
