"""A clock of its own for a program: libfaketime's file says how far it is from this computer's."""

import functools
import os
import tempfile
import time
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import SETUP
from buoyfleet.programs.process import run

LIBRARY = "libfaketime.so.1"
# Debian and Ubuntu; Arch; Fedora; built by hand.
SYSTEM_LIBRARIES = (
    *("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime"),
    "/usr/local/lib/faketime",
)
PROBE_TIMEOUT_S = 20.0
_PROBE = ("-c", "import time; print('year', time.gmtime()[0])")
_YEAR_2000_S = 946_684_800 + 86_400
"""And a day: in every time zone."""


def clock_environment(program: Path, file: Path) -> dict[str, str]:
    """Variables for an interpreter that takes its time from a file.

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
    if not wrapped and (library := _system_library()) is not None:
        environment["LD_PRELOAD"] = str(library)
    return environment


def _system_library() -> Path | None:
    root = Path("/")
    found = (
        file for place in SYSTEM_LIBRARIES for file in sorted(root.glob(f"{place.lstrip('/')}/{LIBRARY}"))
    )
    return next(found, None)


@functools.cache
def check_clock(program: Path) -> None:
    """See that an interpreter follows a clock of its own.

    Raises:
        PreflightError: it does not: with this computer's clock it would accept what an ESP32 refuses.
    """
    with tempfile.NamedTemporaryFile("w") as clock:
        clock.write(f"{_YEAR_2000_S - time.time():+.6f}")
        clock.flush()
        try:
            environment = clock_environment(program, Path(clock.name))
            done = run([program, *_PROBE], timeout_s=PROBE_TIMEOUT_S, env=environment)
        except (OSError, PreflightError) as error:
            raise PreflightError(f"{program} does not start: {error}", next_step=SETUP) from error
    if "year 2000" not in done.output:
        said = done.output.strip().splitlines()[-1:] or [f"exit code {done.code}"]
        raise PreflightError(
            f"{program} does not follow the clock of a simulated board: {said[0]}",
            cause="libfaketime is missing, or built for another architecture",
            next_step=SETUP,
        )
