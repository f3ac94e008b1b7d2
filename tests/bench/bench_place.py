"""A folder with a fleet file and boards on ports, and `buoy` as people type it there."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import warm

from buoyfleet.simulation.esp32.simulator import Simulator

TIMEOUT_S = 400
"""Of a command; esptool over RFC 2217 takes most of a minute (docs/simulated-esp32.md)."""
PROGRAM = (sys.executable, "-m", "buoyfleet.cli.main")


def environment() -> dict[str, str]:
    """For `buoy` in a folder of its own."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200", "TERM": "dumb"}


@dataclass
class Place:
    """A folder with a fleet file, and boards on ports."""

    folder: Path
    simulator: Simulator

    def buoy(self, *arguments: object, code: int | None = 0) -> str:
        """What `buoy` printed; its exit code is checked."""
        done = warm.run(
            list(map(str, arguments)), folder=self.folder, environment=environment(), timeout_s=TIMEOUT_S
        )
        text = done.stdout + done.stderr
        with (self.folder / "printed.log").open("a") as log:
            log.write(text)
        assert code is None or done.returncode == code, text
        return text
