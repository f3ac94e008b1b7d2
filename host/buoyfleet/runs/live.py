"""The live record of a run: a small file in its folder that says where the run is, for others to read.

Written about once a second by the run's own process, as a whole. Its size is that of one letter for each
board and of the last minutes' counts, however many messages are sent.
"""

import contextlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buoyfleet.model.errors import UsageError
from buoyfleet.runs.run_state import is_under_way

FILE_NAME = "live.json"
_VERSION = 1
_PAUSE_S = 1.0
_POINTS = 180
"""Of the counts over time: three minutes."""
_OVER_S = 5.0
"""Rate and latency are those of the last seconds."""


@dataclass(frozen=True, slots=True)
class Point:
    """Counts of messages at a moment."""

    t_s: float
    sent: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Live:
    """What a run last wrote of itself. Messages unless the name says otherwise."""

    pid: int
    born: str
    """When its process started, as the system counts it: the system uses a `pid` again."""
    phase: str
    elapsed_s: float
    boards: int
    planned: int | None
    sent: int = 0
    acknowledged: int | None = None
    dropped: int = 0
    connected: int = 0
    """Boards."""
    trouble: int = 0
    """Boards."""
    stored: dict[str, int] = field(default_factory=dict)
    """Store → measures."""
    doing: str = ""
    left_s: float | None = None
    stopping: bool = False
    """Ctrl-C came: it waits for what is out, and verifies it."""
    ids: tuple[tuple[int, int], ...] = ()
    """(first id, how many) of the boards of `states`, in its order."""
    states: str = ""
    """A letter of `buoyfleet.model.board_states` for each board."""
    points: tuple[Point, ...] = ()

    @property
    def rate(self) -> float | None:
        """Messages/s of the last seconds; None: not known."""
        recent = self._recent()
        if len(recent) < 2 or recent[-1].t_s <= recent[0].t_s:
            return None
        return (recent[-1].sent - recent[0].sent) / (recent[-1].t_s - recent[0].t_s)

    @property
    def ack_latency_s(self) -> float | None:
        """Mean time from sending to acknowledgement in the last seconds: how many are out, by the rate.

        Little's law: what is on its way on average is the rate times the time that each is. None: not known.
        """
        rate, recent = self.rate, self._recent()
        if self.acknowledged is None or not rate:
            return None
        return sum(point.sent - point.acknowledged for point in recent) / len(recent) / rate

    def board_ids(self) -> list[int]:
        """Of the boards of `states`, in its order."""
        return [first + index for first, many in self.ids for index in range(many)]

    def _recent(self) -> list[Point]:
        return [point for point in self.points if point.t_s >= self.points[-1].t_s - _OVER_S]


class LiveRecord:
    """Writes the record of this process's run."""

    def __init__(self, run_folder: Path, buoys: Iterable[int]) -> None:
        """`buoys`: ids in the order in which `note` is given their states."""
        self._path = run_folder / FILE_NAME
        self._who = {"version": _VERSION, "pid": os.getpid(), "born": _born(os.getpid()), "ids": _runs(buoys)}
        self._points: deque[tuple[float, int, int]] = deque(maxlen=_POINTS)
        self._written_s = 0.0
        self._phase = ""

    def due(self, phase: str) -> bool:
        """Whether it is time to write again."""
        return phase != self._phase or time.monotonic() - self._written_s >= _PAUSE_S

    def note(self, moment: dict[str, Any], states: str) -> None:
        """Write it down; on a full disk the last one stays.

        Args:
            moment: fields of `Live`.
            states: of all boards.
        """
        self._phase, self._written_s = moment["phase"], time.monotonic()
        self._points.append((round(moment["elapsed_s"], 2), moment["sent"], moment["acknowledged"] or 0))
        document = {**self._who, **moment, "states": states, "points": list(self._points)}
        temporary = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(document), encoding="utf-8")
            os.replace(temporary, self._path)


def read_live(run_folder: Path) -> Live | None:
    """What a run last wrote; None where there is nothing that can be read."""
    try:
        document = json.loads((run_folder / FILE_NAME).read_text(encoding="utf-8"))
        if document.pop("version") != _VERSION:
            return None
        document["points"] = tuple(Point(*point) for point in document["points"])
        document["ids"] = tuple((int(first), int(many)) for first, many in document["ids"])
        return Live(**document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def runs_under_way(runs: Path) -> list[Path]:
    """Folders of runs with a living process, the newest first."""
    folders = sorted(runs.iterdir(), reverse=True) if runs.is_dir() else []
    return [folder for folder in folders if folder.is_dir() and is_under_way(folder)]


def stop_run(run_folder: Path) -> None:
    """Ask a run to stop sending, wait for what is out, verify and report: what its first Ctrl-C does.

    Raises:
        UsageError: it is not under way, is stopping already, or its process cannot be told for sure.
    """
    live = read_live(run_folder)
    if not is_under_way(run_folder) or live is None:
        raise UsageError(
            "the run is not under way, so it cannot be stopped",
            where=str(run_folder),
            next_step=f"buoy verify {run_folder}, if it has no verdict",
        )
    if live.stopping:
        raise UsageError(
            "the run is stopping already", where=str(run_folder), next_step="wait for its verdict"
        )
    if not live.born or _born(live.pid) != live.born:
        raise UsageError(
            f"process {live.pid} is not for sure the run's, so it was left alone",
            where=str(run_folder),
            cause="it runs on another computer, or this system does not say when a process started",
            next_step="press Ctrl-C where the run was started",
        )
    try:
        os.kill(live.pid, signal.SIGINT)
    except OSError as error:
        raise UsageError(
            f"process {live.pid} cannot be stopped: {error.strerror}",
            where=str(run_folder),
            next_step="press Ctrl-C where the run was started",
        ) from None


def _born(pid: int) -> str:
    """When a process started: the system's boot, and clock ticks since; empty where it does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # proc(5): field 22; the name before it may hold anything but ends with the last `)`.
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{boot}:{ticks}"


def _runs(buoys: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for buoy in buoys:
        if found and buoy == found[-1][0] + found[-1][1]:
            found[-1][1] += 1
        else:
            found.append([buoy, 1])
    return found
