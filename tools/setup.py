"""Set-up of this checkout: a virtual environment and the programs that the tests drive.

`run` prepares what `make run` needs, `test` what `make test` needs. Everything stays in `.venv/` and
`.tools/`; no root, nothing on the system is touched, and a second call finds everything in place.
"""

import argparse
import contextlib
import fcntl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import environment
import programs
import umqtt
from console import SetupError, fail, say

ROOT = Path(__file__).resolve().parent.parent
LOCK_TIMEOUT_S = 1800.0
NEEDED = {
    "run": (programs.MICROPYTHON,),
    "test": (programs.MOSQUITTO, programs.MICROPYTHON, programs.INFLUXDB),
}


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the set-up's lock, so that two `make` at once do not build the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    say("another set-up of this checkout is under way; waiting for it")
                    said = True
                if time.monotonic() > deadline:
                    raise SetupError(
                        f"another set-up has held {folder / 'lock'} for {LOCK_TIMEOUT_S:.0f} s\n"
                        "  next: end that process, then type the same command again"
                    ) from None
                time.sleep(0.2)  # flock has no waiting with a deadline
        yield


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 3 as for any machine that is not ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goal", choices=sorted(NEEDED))
    parser.add_argument("--tools", type=Path, default=ROOT / ".tools", help="folder of fetched programs")
    parser.add_argument("--programs-only", action="store_true", help="leave .venv alone")
    options = parser.parse_args(arguments)
    tools = options.tools.resolve()
    try:
        with only_one(tools):
            if not options.programs_only:
                environment.ensure(ROOT, tools, options.goal)
            for program in NEEDED[options.goal]:
                programs.ensure(program, tools)
            programs.ensure_board_interpreter(tools)
            umqtt.ensure(ROOT, tools)
    except SetupError as error:
        return fail(error)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
