"""Runs started in the browser: each is `buoy run` in a process and a session of its own.

It outlives the tab and the server: what belongs to the run is in its folder, where it is found again.
"""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from buoyfleet.model.errors import UsageError
from buoyfleet.runs.live import read_live, runs_under_way
from buoyfleet.web.site import Site

_LOGS = ".started"
"""In the folder of runs: what the processes print, which is an error where a run did not begin."""
_LONGEST = 4000


@dataclass(slots=True)
class Started:
    """A run that this server started."""

    process: "subprocess.Popen[bytes]"
    log: Path
    words: tuple[str, ...] = field(default=())

    @property
    def over(self) -> bool:
        """Whether its process ended."""
        return self.process.poll() is not None

    def folder(self, runs: Path) -> Path | None:
        """Its run folder; None while it has none."""
        for folder in runs_under_way(runs):
            live = read_live(folder)
            if live is not None and live.pid == self.process.pid:
                return folder
        return None

    def said(self) -> str:
        """The end of what it printed."""
        try:
            return self.log.read_bytes()[-_LONGEST:].decode("utf-8", "replace")
        except OSError:
            return ""


def start_run(site: Site, changes: dict[str, str], *, flat_out: bool) -> Started:
    """Start `buoy run` of the site's fleet file.

    Args:
        site: with fleet file and folder of runs.
        changes: options of `buoy run` with their values, e.g. `{"count": "20"}`; empty ones are left out.
        flat_out: no pacing.

    Raises:
        UsageError: there is no fleet file, or the folder of runs cannot be written.
    """
    if not site.fleet.is_file():
        raise UsageError(
            "there is no fleet file", where=str(site.fleet), next_step="buoy init, or --fleet FILE"
        )
    words = ["run", str(site.fleet), "--out", str(site.runs), "--quiet"]
    words += [f"--{name}={value}" for name, value in changes.items() if value]
    words += ["--flat-out"] if flat_out else []
    log = site.runs / _LOGS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{time.monotonic_ns()}.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "buoyfleet.cli.main", *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # A session of its own: what ends the server does not reach it.
                start_new_session=True,
            )
    except OSError as error:
        raise UsageError(f"the run cannot be started: {error.strerror}", where=str(log)) from None
    return Started(process, log, tuple(words))
