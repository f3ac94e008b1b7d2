"""Writing into a folder of what is fetched or made once (`buoyfleet.model.places.KEPT`)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from buoyfleet.model.errors import PreflightError


@contextlib.contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Make a folder, and write into it in the body.

    Raises:
        PreflightError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise PreflightError(
            f"the folder of fetched programs cannot be written: {error.strerror or error}",
            where=str(error.filename or folder),
            cause="no room, or it belongs to somebody else",
            next_step="make room or rights there; XDG_DATA_HOME names another place",
        ) from error
