"""One thread of one process at a time, by a lock of the system's on a file."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import PreflightError

_POLL_S = 0.02
"""flock has no waiting with a deadline."""


@contextlib.contextmanager
def file_lock(
    path: Path, timeout_s: float, doing: str, wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock of a file. It is given back when its holder ends, however that is.

    Args:
        path: of the file, made where there is none; its folder must be there.
        timeout_s: to wait for others.
        doing: what others are doing while they hold it, for the error.
        wait: called once if others hold it.

    Raises:
        PreflightError: others have held it for too long.
        OSError: the file cannot be opened.
    """
    deadline = Deadline(timeout_s)
    waits = False
    # Threads exclude each other too: the lock belongs to what `open` returns.
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline.expired:
                    raise PreflightError(
                        f"another program has been {doing} for {timeout_s:g} s",
                        where=str(path),
                        next_step=f"`fuser {path}` names it; end it, then type the same command again",
                    ) from None
                if not waits:
                    waits = True
                    wait()
                time.sleep(_POLL_S)
        yield
