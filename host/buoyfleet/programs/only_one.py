"""One set-up of a folder at a time."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.kept import written_to
from buoyfleet.programs.process import Say

LOCK_TIMEOUT_S = 1800.0
_POLL_S = 0.2
"""flock has no waiting with a deadline."""


@contextlib.contextmanager
def only_one(folder: Path, say: Say) -> Iterator[None]:
    """Hold the set-up's lock, so that two at once do not build the same folder.

    Raises:
        PreflightError: another has held it for too long, or the folder cannot be made.
    """
    with written_to(folder):
        lock = (folder / "lock").open("w")
    with lock:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    say(f"another set-up of {folder} is under way; waiting for it")
                    said = True
                if time.monotonic() > deadline:
                    raise PreflightError(
                        f"another set-up has held {folder / 'lock'} for {LOCK_TIMEOUT_S:.0f} s",
                        next_step="end that process, then type the same command again",
                    ) from None
                time.sleep(_POLL_S)
        yield
