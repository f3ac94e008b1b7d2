"""From a name in an address to a run's folder: nothing outside the folder of runs is ever opened."""

from pathlib import Path

from buoyfleet.model.errors import UsageError
from buoyfleet.web.words import clipped


def run_folder(runs: Path, name: str) -> Path:
    """The folder of a run.

    Raises:
        UsageError: no folder of that name directly in `runs`.
    """
    folder = runs / name
    plain = name not in ("", ".", "..") and "/" not in name and "\0" not in name
    if not plain or not folder.is_dir():
        raise UsageError(
            f"there is no run {clipped(name, 100)!r}",
            where=str(runs),
            next_step="choose one from the list of runs",
        )
    return folder
