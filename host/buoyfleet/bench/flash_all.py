"""Write MicroPython onto boards, many at once."""

from collections.abc import Sequence
from dataclasses import replace

from buoyfleet.bench.batch import Job, Limits, Stop, run_all
from buoyfleet.bench.bench_options import BatchResult, BenchOptions, fetch_image, hubs_of
from buoyfleet.bench.flash_only import FlashOnly
from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.prepare import choose
from buoyfleet.bench.session import BoardLog, Session
from buoyfleet.bench.ui import BenchUi
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.board_names import BoardName, parse_name
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import Fleet
from buoyfleet.serial.find import Finder


def flash_all(
    fleet: Fleet | None, words: Sequence[str], options: BenchOptions, folder: BenchFolder, ui: BenchUi
) -> BatchResult:
    """Flash boards; identity and files stay unless the options say otherwise.

    Args:
        fleet: says which ports boards have, and which image they get; None: there is none.
        words: names of boards; none: every board of the fleet with a port.
        options: how.
        folder: of the bench.
        ui: shows what happens.

    Raises:
        BuoyError: before any board was touched.
    """
    options.check()
    spec = options.over(fleet.bench if fleet is not None else BenchSpec())
    names = _names(words, fleet)
    image = fetch_image(spec, folder, ui)
    if image is None:
        raise UsageError("no image to write", next_step="--interpreter FILE or VERSION, e.g. 1.26.1")
    stop = Stop()
    finder = Finder(spec.ports)
    hubs = hubs_of(names, spec)
    with ui.progress([name.text for name in names]) as show:
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
                    force=bool(options.force),
                    erase=options.erase,
                    show=show,
                ).run,
            )
            for name in names
        ]
        return BatchResult(tuple(run_all(jobs, Limits(spec.parallel, spec.per_hub), stop)))


def _names(words: Sequence[str], fleet: Fleet | None) -> list[BoardName]:
    """Boards to flash: names as given; an id of the fleet file stands for the port it has there."""
    if not words:
        if fleet is None:
            raise UsageError("no board is named", next_step="give a port, e.g. /dev/ttyUSB0, or a fleet file")
        return [board.name for board in choose(fleet, ())]
    known = {board.buoy_id: board.port for board in fleet.boards if board.port} if fleet else {}
    names: list[BoardName] = []
    for word in words:
        name = parse_name(word)
        if name.kind == "id" and int(name.value) in known:
            name = replace(parse_name(known[int(name.value)]), text=word)
        names.append(name)
    return names


def _file_name(name: BoardName) -> str:
    return "".join(char if char.isalnum() else "-" for char in name.text).strip("-")
