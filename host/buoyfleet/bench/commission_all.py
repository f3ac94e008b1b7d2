"""Commission boards, many at once: from a fleet and the names of boards to one outcome each."""

import time
from collections.abc import Iterable
from contextlib import ExitStack

from buoyfleet.bench.batch import Job, Limits, Stop, run_all
from buoyfleet.bench.batch_context import BatchContext
from buoyfleet.bench.bench_options import BatchResult, BenchOptions, fetch_image, hubs_of
from buoyfleet.bench.commission import Commission
from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.plan import Options
from buoyfleet.bench.prepare import bench_target, choose, make_software, make_wanted
from buoyfleet.bench.session import Session
from buoyfleet.bench.target import SelfTestTarget, refuse_wrong_authority
from buoyfleet.bench.ui import BenchUi
from buoyfleet.inventory.secrets import resolve_secret
from buoyfleet.model.fleet import Fleet
from buoyfleet.serial.find import Finder


def commission_all(
    fleet: Fleet, words: Iterable[str], options: BenchOptions, folder: BenchFolder, ui: BenchUi
) -> BatchResult:
    """Commission boards.

    Args:
        fleet: as `load_fleet(path, connects=True)` reads it.
        words: ids or NAME=ID; none: every board with a port.
        options: how.
        folder: of the bench.
        ui: shows what happens.

    Raises:
        BuoyError: before any board was touched.
    """
    options.check()
    with ExitStack() as held:
        return _commission_all(fleet, words, options, folder, ui, held)


def _commission_all(
    fleet: Fleet,
    words: Iterable[str],
    options: BenchOptions,
    folder: BenchFolder,
    ui: BenchUi,
    held: ExitStack,
) -> BatchResult:
    spec = options.over(fleet.bench)
    chosen = choose(fleet, words)
    for line in folder.records.read()[1]:
        ui.warn(line)
    book = folder.records.book()
    witness = fleet.target.aws.witness if fleet.target.aws is not None else "witness"
    ids = [board.spec.buoy_id for board in chosen]
    fleet = bench_target(fleet, folder, book, ids, held, dry_run=options.dry_run)
    wanted = make_wanted(fleet, spec, chosen)
    if options.connect and not options.dry_run:
        refuse_wrong_authority(fleet)
    image = fetch_image(spec, folder, ui)
    password = resolve_secret(fleet.target.password, fleet.source) if fleet.target.password else None
    target = SelfTestTarget(
        fleet,
        folder.path / "twin" / time.strftime("%Y%m%dT%H%M%S"),
        password.reveal() if password else "",
        witness,
    )
    stop = Stop()
    finder = Finder(spec.ports)
    with ui.progress([one.key for one in wanted]) as show:
        context = BatchContext(
            records=folder.records,
            software=make_software(image, folder.umqtt),
            image=image,
            book=book,
            options=Options(options.force, options.erase, options.test),
            more_ports=spec.ports,
            baud=spec.baud,
            reassign=options.reassign,
            dry_run=options.dry_run,
            logs=folder.logs,
            topic_prefix=fleet.topic_prefix,
            broker=f"{fleet.target.host}:{fleet.target.port}",
            arrivals=target.arrivals if options.connect else lambda: None,
            show=show,
        )
        hubs = hubs_of([one.name for one in wanted], spec)
        jobs = [
            Job(
                one.key,
                hubs[one.name.text],
                Commission(
                    one, context, Session(one.name, spec.ports, stop, finder, purpose="buoy commission")
                ).run,
            )
            for one in wanted
        ]
        try:
            return BatchResult(tuple(run_all(jobs, Limits(spec.parallel, spec.per_hub), stop)))
        finally:
            target.close()
