"""What `buoy commission` and `buoy flash` do, step by step."""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from buoyfleet.bench.batch import Job, Limits, Outcome, Stop, Stopped, is_defect, run_all
from buoyfleet.bench.flash_only import FlashOnly
from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.plan import Options
from buoyfleet.bench.prepare import bench_target, choose, load_image, make_software, make_wanted
from buoyfleet.bench.session import BoardLog, Session
from buoyfleet.bench.shared import Bench, Result
from buoyfleet.cli.bench_screen import BenchScreen, print_outcomes, print_plans
from buoyfleet.cli.console import write_line
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.board_names import BoardName, parse_name
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet
from buoyfleet.serial.esp_image import FlashImage
from buoyfleet.serial.find import Finder
from buoyfleet.serial.listing import PortInfo, list_ports

FORCEABLE = ("interpreter", "files", "keys", "identity", "all")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked on the command line."""

    words: tuple[str, ...]
    fleet: Path
    folder: Path
    ports: tuple[str, ...] = ()
    interpreter: str = ""
    sha256: str = ""
    dry_run: bool = False
    test: bool = False
    force: frozenset[str] = frozenset()
    erase: bool = False
    reassign: bool = False
    connect: bool = True
    baud: int = 0
    parallel: int = -1
    per_hub: int = -1
    as_json: bool = False


def execute_commission(request: Request) -> int:
    """Commission; returns the exit code.

    Raises:
        BuoyError: before any board was touched.
    """
    with ExitStack() as held:
        return _commission(request, held)


def _commission(request: Request, held: ExitStack) -> int:
    from buoyfleet.bench.commission import Commission
    from buoyfleet.bench.target import SelfTestTarget, refuse_wrong_authority

    strange = request.force - set(FORCEABLE)
    if strange:
        raise UsageError(f"--force {', '.join(sorted(strange))}", next_step=f"one of {', '.join(FORCEABLE)}")
    fleet = load_fleet(request.fleet, connects=request.connect)
    spec = _merged(fleet.bench, request)
    folder = BenchFolder(request.folder)
    chosen = choose(fleet, request.words)
    records, damaged = folder.records.read()
    for line in damaged:
        write_line(f"note: {line}", sys.stderr)
    del records
    book = folder.records.book()
    witness = fleet.target.aws.witness if fleet.target.aws is not None else "witness"
    ids = [board.spec.buoy_id for board in chosen]
    fleet = bench_target(fleet, folder, book, ids, held, dry_run=request.dry_run)
    wanted = make_wanted(fleet, spec, chosen)
    if request.connect and not request.dry_run:
        refuse_wrong_authority(fleet)
    image = _image(spec, folder, request)
    password = resolve_secret(fleet.target.password, fleet.source) if fleet.target.password else None
    target = SelfTestTarget(
        fleet,
        folder.path / "twin" / time.strftime("%Y%m%dT%H%M%S"),
        password.reveal() if password else "",
        witness,
    )
    stop = Stop()
    finder = Finder(spec.ports)
    with BenchScreen([one.key for one in wanted], as_json=request.as_json) as screen:
        bench = Bench(
            records=folder.records,
            software=make_software(image, folder.umqtt),
            image=image,
            book=book,
            options=Options(request.force, request.erase, request.test),
            more_ports=spec.ports,
            baud=spec.baud,
            reassign=request.reassign,
            dry_run=request.dry_run,
            logs=folder.logs,
            topic_prefix=fleet.topic_prefix,
            broker=f"{fleet.target.host}:{fleet.target.port}",
            arrivals=target.arrivals if request.connect else lambda: None,
            show=screen.show,
        )
        hubs = _hubs([one.name for one in wanted], spec)
        jobs = [
            Job(
                one.key,
                hubs[one.name.text],
                Commission(
                    one, bench, Session(one.name, spec.ports, stop, finder, purpose="buoy commission")
                ).run,
            )
            for one in wanted
        ]
        try:
            outcomes = run_all(jobs, Limits(spec.parallel, spec.per_hub), stop)
        finally:
            target.close()
    if request.dry_run and not request.as_json:
        print_plans(outcomes)
    else:
        print_outcomes(outcomes, as_json=request.as_json)
    return exit_code(outcomes)


def execute_flash(request: Request) -> int:
    """Flash; returns the exit code.

    Raises:
        BuoyError: before any board was touched.
    """
    fleet: Fleet | None = None
    if request.fleet.exists() or not request.words:
        fleet = load_fleet(request.fleet)
    spec = _merged(fleet.bench if fleet is not None else BenchSpec(), request)
    folder = BenchFolder(request.folder)
    names = _names(request, fleet)
    image = _image(spec, folder, request)
    if image is None:
        raise UsageError("no image to write", next_step="--interpreter FILE or VERSION, e.g. 1.26.1")
    stop = Stop()
    finder = Finder(spec.ports)
    hubs = _hubs(names, spec)
    with BenchScreen([name.text for name in names], as_json=request.as_json) as screen:
        jobs = [
            Job(
                name.text,
                hubs[name.text],
                FlashOnly(
                    name,
                    image,
                    Session(
                        name,
                        spec.ports,
                        stop,
                        finder,
                        purpose="buoy flash",
                        log=BoardLog(folder.logs / f"flash-{_file_name(name)}.log"),
                    ),
                    baud=spec.baud,
                    force=bool(request.force),
                    erase=request.erase,
                    show=screen.show,
                ).run,
            )
            for name in names
        ]
        outcomes = run_all(jobs, Limits(spec.parallel, spec.per_hub), stop)
    print_outcomes(outcomes, as_json=request.as_json)
    return exit_code(outcomes)


def exit_code(outcomes: Sequence[Outcome[Result]]) -> int:
    """0 only if all passed."""
    if any(is_defect(outcome.error) for outcome in outcomes):
        return ExitCode.INTERNAL_ERROR
    if any(_was_stopped(outcome.error) for outcome in outcomes):
        return ExitCode.INTERRUPTED
    return ExitCode.OK if all(outcome.passed for outcome in outcomes) else ExitCode.BOARDS_FAILED


def _was_stopped(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, Stopped):
            return True
        error = error.__cause__
    return False


def _merged(spec: BenchSpec, request: Request) -> BenchSpec:
    """The fleet file's settings with what the command line says."""
    return replace(
        spec,
        interpreter=request.interpreter or spec.interpreter,
        interpreter_sha256=request.sha256 or ("" if request.interpreter else spec.interpreter_sha256),
        ports=(*request.ports, *spec.ports),
        parallel=spec.parallel if request.parallel < 0 else request.parallel,
        per_hub=spec.per_hub if request.per_hub < 0 else request.per_hub,
        baud=request.baud or spec.baud,
    )


def _image(spec: BenchSpec, folder: BenchFolder, request: Request) -> FlashImage | None:
    def progress(done: int, whole: int) -> None:
        if sys.stderr.isatty() and not request.as_json:
            share = f" of {whole >> 10}" if whole else ""
            sys.stderr.write(f"\r\x1b[Kdownloading {spec.interpreter}: {done >> 10}{share} kB")
            sys.stderr.write("\n" if done == whole else "")

    return load_image(spec, folder, progress)


def _names(request: Request, fleet: Fleet | None) -> list[BoardName]:
    """Boards to flash: names as given; an id of the fleet file stands for the port it has there."""
    if not request.words:
        assert fleet is not None
        return [board.name for board in choose(fleet, ())]
    known = {board.buoy_id: board.port for board in fleet.boards if board.port} if fleet else {}
    names: list[BoardName] = []
    for word in request.words:
        name = parse_name(word)
        if name.kind == "id" and int(name.value) in known:
            name = replace(parse_name(known[int(name.value)]), text=word)
        names.append(name)
    return names


def _hubs(names: Sequence[BoardName], spec: BenchSpec) -> dict[str, str]:
    """Name → hub, as far as it can be told without asking boards."""
    if not spec.per_hub:
        return {name.text: "" for name in names}
    ports = list_ports(spec.ports)
    hubs: dict[str, str] = {}
    for name in names:
        port = next((port for port in ports if port.answers_to(name)), PortInfo(name.value))
        hubs[name.text] = port.hub
    return hubs


def _file_name(name: BoardName) -> str:
    return "".join(char if char.isalnum() else "-" for char in name.text).strip("-")
