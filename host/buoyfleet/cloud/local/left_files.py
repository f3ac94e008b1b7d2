"""The files of a run's twin, read by others than the twin: it ended, or does not answer.

What a twin has stored stays readable whatever becomes of it.
"""

import asyncio
import contextlib
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.config import LOCK_FILE, TwinConfig
from buoyfleet.cloud.local.folders import EVIDENCE_FOLDER, RECORDS_WHOLE
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.file_lock import file_lock
from buoyfleet.model.stage_count import STAGES, StageCount

if TYPE_CHECKING:
    from buoyfleet.cloud.influxdb import InfluxClient

ADDRESS_FILE = "twin-address.json"
"""In the run's folder: `host`, `port`, `control_port`, `pid` and `folder` of the run's twin."""
END_TIMEOUT_S = 90.0
"""Longer than a twin delivers after its run is gone (buoyfleet.cloud.local.twin.REST_S)."""


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """What the files of a twin say, beside the rows."""

    stages: list[StageCount]
    problems: list[str]
    """What could not be read."""
    unrecorded: str
    """As of `Collected`."""


async def collect_files(
    folder: Path,
    run_folder: Path,
    window: "tuple[int, int, frozenset[int]]",
    config: TwinConfig,
    influx: "InfluxClient | None",
) -> FoundFiles:
    """Write the store rows and the evidence of a window to the run's folder.

    Args:
        folder: of the twin.
        run_folder: of the run.
        window: since_ns, until_ns, buoys, as of `Target.collect`.
        config: of the twin.
        influx: to read its InfluxDB, where it has one.

    Raises:
        OSError: the run's folder cannot be written.
    """
    from buoyfleet.cloud.local.collect import Window, collect

    chosen = Window(*window)
    problems = await asyncio.to_thread(collect, folder, run_folder, chosen, (), config.layout)
    if influx is not None:
        from buoyfleet.cloud.local.influx_collect import collect_influxdb

        problems += await asyncio.to_thread(collect_influxdb, folder, run_folder, chosen, influx)
    stages, found = _read_stages(folder / EVIDENCE_FOLDER / STAGES)
    write_stages(run_folder, stages)
    whole = (folder / EVIDENCE_FOLDER / RECORDS_WHOLE).exists()
    unrecorded = "" if whole else "the twin ended, or was given up, before all of them were written"
    return FoundFiles(stages, problems + found, unrecorded)


def note_address(run_folder: Path, ready: dict[str, Any]) -> None:
    """Where the twin is, for `buoy twin status` and for whoever verifies a run that was killed."""
    known = {key: ready[key] for key in ("host", "port", "control_port", "pid", "folder")}
    with contextlib.suppress(OSError):
        (run_folder / ADDRESS_FILE).write_text(json.dumps(known), encoding="utf-8")


def noted_address(run_folder: Path) -> dict[str, Any]:
    """As `note_address` wrote it; empty where it did not."""
    try:
        document = json.loads((run_folder / ADDRESS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def wait_until_ended(folder: Path) -> None:
    """Wait for a twin that still delivers what it holds; one that hangs is not waited for any longer."""
    with (
        contextlib.suppress(PreflightError, OSError),
        file_lock(folder / LOCK_FILE, END_TIMEOUT_S, "delivering"),
    ):
        pass


def write_stages(run_folder: Path, stages: list[StageCount]) -> None:
    """The counters, beside the evidence."""
    from buoyfleet.model.evidence import EVIDENCE_FOLDER as RUN_EVIDENCE

    path = run_folder / RUN_EVIDENCE / STAGES
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps([dataclasses.asdict(stage) for stage in stages], indent=1))
    temporary.replace(path)


def _read_stages(path: Path) -> tuple[list[StageCount], list[str]]:
    """The counters that a crashed twin wrote last."""
    try:
        stages = [StageCount(**count) for count in json.loads(path.read_text())]
        written = time.strftime("%H:%M:%S UTC", time.gmtime(path.stat().st_mtime))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return [], [f"the twin's counters cannot be read: {error}"]
    return stages, [f"the twin's counters are those of {written}, the last before it ended"]
