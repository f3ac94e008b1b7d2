"""One program at a time on a port: a lock between processes that says who holds it.

A program that has the port open without our lock counts, too, where the system shows it (Linux, same user).

The lock is the system's (`flock`): it goes with the process, however that ends. It is held for as long as a
board is worked with, also while the port is closed in between for a program such as esptool.
"""

import contextlib
import errno
import fcntl
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from buoyfleet.model.board_names import canonical_port
from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import PreflightError
from buoyfleet.serial.listing import holder

_FOLDER_VARIABLE = "BUOY_LOCKS"
STARTING_S = 0.5
"""A program that this one starts has copies of all open ports until it runs (between fork and exec)."""
LOOK_AGAIN_S = 0.05
"""Between two looks at a busy port: the system sends no event when a program closes it."""


class PortBusy(PreflightError):
    """Another program has the port."""

    def __init__(self, program: str, port: str, next_step: str = "the same command again") -> None:
        super().__init__(f"in use by {program}. Close it.", where=port, next_step=next_step)


class PortLock:
    """A held lock on a port; release it, or leave the `with`.

    Args:
        port: path or URL.
        purpose: what the port is used for; shown to whoever wants it meanwhile.

    Raises:
        PortBusy: somebody has it; says who and for what.
    """

    def __init__(self, port: str, purpose: str = "") -> None:
        self.port = port
        self.canonical = canonical_port(port)
        """What is locked: the port behind a link, as it was when the lock was taken."""
        self._path = _folder() / (quote(self.canonical, safe="") + ".lock")
        # Never through a link that somebody else put there; readable, so that others see who holds it.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._path, flags, 0o666)
        except PermissionError:
            # Another user's file: a lock needs no right to write.
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            program = _holder(self._descriptor)
            os.close(self._descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise PreflightError(f"cannot lock it: {error}", where=port) from error
            raise PortBusy(program, port) from None
        # A program without our lock can have the port open and take what the board says.
        deadline = Deadline(STARTING_S)
        try:
            while program := holder(port):
                if deadline.expired:
                    raise PortBusy(program, port)
                time.sleep(LOOK_AGAIN_S)
        except BaseException:
            self.release()
            raise
        self._tell(purpose)

    def release(self) -> None:
        """Let others have the port; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            with contextlib.suppress(OSError):
                # Closing would not do while a program that is just being started has a copy.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __enter__(self) -> "PortLock":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()

    def _tell(self, purpose: str) -> None:
        note = {"pid": os.getpid(), "program": purpose or Path(sys.argv[0]).name}
        with contextlib.suppress(OSError):  # of another user: the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(note).encode(), 0)


def _folder() -> Path:
    """Shared by all users of this computer, since they share its ports."""
    given = os.environ.get(_FOLDER_VARIABLE)
    folder = Path(given) if given else Path(tempfile.gettempdir()) / "buoyfleet-locks"
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):
            folder.chmod(0o1777)
    return folder


def _holder(descriptor: int) -> str:
    try:
        note = json.loads(os.pread(descriptor, 1000, 0))
        return f"{note['program']} (process {note['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another program"
