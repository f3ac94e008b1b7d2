"""The clock of a simulated board's interpreter: libfaketime's file says how far it is from this computer's.

Mbed TLS judges certificates by it, and files get their times from it, as on a chip. The chip's own clock
(`buoyfleet.simulation.buses.chip`) leads; the file follows.
"""

import functools
import os
import subprocess
import tempfile
import time
from pathlib import Path

from buoyfleet.model.errors import PreflightError

LIBRARY = "libfaketime.so.1"
SYSTEM_LIBRARIES = Path("/usr/lib")
PROBE_TIMEOUT_S = 20.0
AGREES_US = 5000
"""Nearer than this the file is left alone."""
_PROBE = ("-c", "import time; print('year', time.gmtime()[0])")
_PROBE_UTC_US = 946_684_800_000_000 + 86_400_000_000  # 2000, in every time zone


class BoardClock:
    """What one board's interpreter takes for the time.

    Args:
        path: of its file, in a folder of the board's own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset_us: int | None = None

    def follow(self, utc_us: int) -> None:
        """It is `utc_us` (since 1970) by the chip's clock; written where that is news."""
        offset_us = utc_us - time.time_ns() // 1000
        if self._offset_us is not None and abs(offset_us - self._offset_us) < AGREES_US:
            return
        self._offset_us = offset_us
        new = self.path.with_name(f".{self.path.name}.new")
        new.write_text(f"{offset_us / 1e6:+.6f}")
        new.replace(
            self.path
        )  # whole at every moment: the interpreter reads it whenever it asks for the time


def clock_environment(program: Path, file: Path) -> dict[str, str]:
    """Variables for an interpreter that takes its time from a file of `BoardClock`.

    The wrapper of a fetched interpreter preloads the library that came with it, where a file is named; any
    other interpreter gets the system's.
    """
    environment = {
        **os.environ,
        "FAKETIME_TIMESTAMP_FILE": str(file.resolve()),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # It would leave files in /dev/shm behind whenever a board's power goes.
        "FAKETIME_DISABLE_SHM": "1",
    }
    with program.open("rb") as start:
        wrapped = start.read(2) == b"#!"
    if not wrapped:
        library = next(iter(sorted(SYSTEM_LIBRARIES.glob(f"*/faketime/{LIBRARY}"))), None)
        if library is not None:
            environment["LD_PRELOAD"] = str(library)
    return environment


@functools.cache
def check_clock(program: Path) -> None:
    """See that an interpreter follows a clock of its own.

    Raises:
        PreflightError: it does not: with this computer's clock it would accept what an ESP32 refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        clock = BoardClock(Path(folder) / "clock")
        clock.follow(_PROBE_UTC_US)
        try:
            done = subprocess.run(
                [program, *_PROBE],
                env=clock_environment(program, clock.path),
                capture_output=True,
                text=True,
                timeout=PROBE_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreflightError(
                f"{program} does not start: {error}", next_step="make setup, or install micropython"
            ) from error
    if "year 2000" not in done.stdout:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise PreflightError(
            f"{program} does not follow the clock of a simulated board: {said[0]}",
            cause="libfaketime is missing, or built for another architecture",
            next_step="make setup   (or: sudo apt-get install libfaketime)",
        )
