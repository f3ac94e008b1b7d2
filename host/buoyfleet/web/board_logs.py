"""The log of one board in a run's folder: its own file, or its lines in that of its pack."""

import re
from pathlib import Path

_TAIL = 512 * 1024
"""Bytes of the end of a file that are looked at."""
_MOST_LINES = 200


def board_log(run_folder: Path, buoy: int) -> list[str]:
    """The last lines of a board, oldest first; none where it said nothing lately."""
    logs = run_folder / "logs"
    own = logs / f"buoy-{buoy}.log"
    if own.is_file():
        return _tail(own)[-_MOST_LINES:]
    its = re.compile(rf"\S+ {buoy}: ")
    lines = [line for file in sorted(logs.glob("pack-*.log")) for line in _tail(file) if its.match(line)]
    return lines[-_MOST_LINES:]


def _tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            opened.seek(0, 2)
            opened.seek(max(0, opened.tell() - _TAIL))
            return opened.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
