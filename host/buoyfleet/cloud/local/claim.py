"""A twin's folder belongs to one twin."""

import contextlib
import fcntl
from pathlib import Path
from typing import IO

from buoyfleet.cloud.local.config import TwinConfig, to_json
from buoyfleet.model.errors import PreflightError

CONFIG_FILE = "twin.json"
"""In the twin's folder: its configuration. A folder that has one belongs to a twin already."""


def hold(path: Path) -> IO[str] | None:
    """Lock a file until this process ends, however that is; whoever reads the folder can wait for it."""
    try:
        lock = path.open("w")
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def claim(config: TwinConfig) -> Path:
    """Make the twin's folder its own.

    Raises:
        PreflightError: it is another twin's, or cannot be written.
    """
    folder = Path(config.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context((folder / CONFIG_FILE).open("x"))
            file.write(to_json(config))
    except FileExistsError:
        raise PreflightError(
            "the folder holds another twin's data", where=str(folder), next_step="give another folder"
        ) from None
    except OSError as error:
        raise PreflightError(
            f"the twin's folder cannot be written: {error.strerror}",
            where=str(folder),
            next_step="make it writable, or give another folder",
        ) from None
    return folder
