"""A bench with simulated boards in the role of real ones: nothing below knows that they are simulated."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from buoyfleet.bench.batch import Job, Limits, Outcome, Stop, run_all
from buoyfleet.bench.batch_context import BatchContext, BoardResult, ProgressEvent
from buoyfleet.bench.commission import Commission
from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.plan import Options
from buoyfleet.bench.prepare import bench_target, choose, load_image, make_software, make_wanted
from buoyfleet.bench.session import Patience, Session
from buoyfleet.bench.target import SelfTestTarget
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.serial.find import Finder
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

WIFI_PASSWORD = "k7-wifi-password-of-the-test"
SSID = "bench-of-the-test"
IMAGE_BYTES = 80_000
"""Small: what is tested is not how long a line takes."""
HASTY = Patience(reappear_s=15.0, boot_s=15.0, prompt_s=5.0, tries=3)
PATIENT = Patience(reappear_s=60.0, boot_s=60.0, prompt_s=20.0, tries=3)
"""Twenty boards at once on a machine that does other things, too."""


def write_fleet(
    folder: Path, ids: Iterable[int], ports: dict[int, str], sensors: str = "counter", **more: str
) -> Path:
    """A fleet file of boards on ports."""
    lines = ["fleet: bench", "target: local", "run: {messages: 3, rate: 2/s}", "boards:"]
    lines += ["  - kind: simulated", f"    ids: [{', '.join(map(str, ids))}]", f"    sensors: {sensors}"]
    lines += [f'    wifi: {{ssid: {SSID}, password: "${{env:WIFI_PASSWORD}}"}}', "    overrides:"]
    lines += [f"      {buoy}: {{port: '{port}'}}" for buoy, port in ports.items()]
    lines += [
        "bench:",
        f"  ports: ['{folder}/*/ports/*']",
        "  ntp_host: none",
        f"  interpreter: {folder}/image.bin",
    ]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    path = folder / "boards.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(slots=True)
class Rig:
    """Boards, fleet file and bench folder."""

    folder: Path
    simulator: Simulator
    sensors: str = "counter"
    on_happening: Callable[[ProgressEvent], None] = lambda _: None
    happenings: list[ProgressEvent] = field(default_factory=list)

    @property
    def bench_folder(self) -> BenchFolder:
        """Records, keys, logs."""
        return BenchFolder(self.folder / "bench")

    def commission(
        self,
        ids: Iterable[int],
        ports: dict[int, str],
        *,
        options: Options | None = None,
        patience: Patience = HASTY,
        stop: Stop | None = None,
        on_end: Callable[[Outcome[BoardResult]], None] | None = None,
        reassign: bool = False,
        connect_s: float = 12.0,
        dry_run: bool = False,
    ) -> dict[int, Outcome[BoardResult]]:
        """Commission boards at once; id → outcome."""
        ids = list(ids)
        if not (self.folder / "image.bin").exists():
            write_synthetic(self.folder / "image.bin", size=IMAGE_BYTES)
        path = write_fleet(self.folder, ids, ports, self.sensors)
        fleet = load_fleet(path)
        folder = self.bench_folder
        book = folder.records.book()
        held = ExitStack()
        fleet = bench_target(fleet, folder, book, ids, held, dry_run=dry_run)
        wanted = make_wanted(fleet, fleet.bench, choose(fleet, ()))
        image = load_image(fleet.bench, folder)
        target = SelfTestTarget(fleet, folder.path / f"twin-{time.monotonic_ns()}")
        stop = stop or Stop()

        def show(event: ProgressEvent) -> None:
            self.happenings.append(event)
            self.on_happening(event)

        bench = BatchContext(
            records=folder.records,
            software=make_software(image),
            image=image,
            book=book,
            options=options or Options(),
            more_ports=fleet.bench.ports,
            reassign=reassign,
            dry_run=dry_run,
            logs=folder.logs,
            patience=patience,
            topic_prefix=fleet.topic_prefix,
            broker=f"{fleet.target.host}:{fleet.target.port}",
            arrivals=target.arrivals,
            connect_s=connect_s,
            show=show,
        )
        finder = Finder(bench.more_ports)
        jobs = [
            Job(
                one.key,
                "",
                Commission(
                    one, bench, Session(one.name, bench.more_ports, stop, finder, patience=patience)
                ).run,
            )
            for one in wanted
        ]
        try:
            outcomes = run_all(jobs, Limits(), stop, on_end)
        finally:
            target.close()
            held.close()
        return {int(outcome.key): outcome for outcome in outcomes}


def later(seconds: float, call: Callable[[], object]) -> None:
    """Do something after a while, as a hand at the bench would."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


__all__ = ["HASTY", "PATIENT", "Rig", "later", "write_fleet"]
