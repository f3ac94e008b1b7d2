"""What the independent subscriber could see in a run: who watched what, and when it was away.

The messages it saw are in `evidence/witness.parquet` (buoyfleet.model.evidence), this is beside it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

FILE_NAME = "observation.json"


class Blindness(StrEnum):
    """Why the subscriber saw nothing for a time, or at all."""

    NOT_CONNECTED = "not-connected"
    SUBSCRIPTION_REFUSED = "subscription-refused"
    DISK_FULL = "disk-full"
    """What it saw could not be written."""
    BEHIND = "behind"
    """The broker had more for it when the run ended."""
    NO_RECORD = "no-record"
    """This file is damaged: whether it was away is unknown."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which one connection saw nothing."""

    connection: int
    """Index in `Observation.connections`."""
    since_ns: int
    """UTC of the last packet before it."""
    until_ns: int
    """UTC of the first moment it was subscribed again; 0: never again."""
    reason: Blindness
    detail: str


@dataclass(slots=True)
class Observation:
    """How a run was watched."""

    connections: list[list[int]]
    """The buoys that each connection watched."""
    delivers_per_s: float | None = None
    """Messages/s that the broker delivers to one connection; it discards the rest. None: no limit."""
    gaps: list[Gap] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    """(buoy, payload) of the first messages on each buoy's error topic."""

    def gaps_of(self, buoy: int) -> list[Gap]:
        """When nobody watched this buoy."""
        return [gap for gap in self.gaps if buoy in self.connections[gap.connection]]

    def never_watched(self) -> Gap | None:
        """The reason, where no connection was ever subscribed."""
        whole = [gap for gap in self.gaps if not gap.since_ns and not gap.until_ns]
        return whole[0] if whole and len({gap.connection for gap in whole}) == len(self.connections) else None


def write_observation(observation: Observation, folder: Path) -> None:
    """Write it into a run's `evidence/`.

    In place, not beside it and then renamed: where the disk is full, an older file without the last gap would
    make what was not seen a loss. A file that breaks off proves none.

    Raises:
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(json.dumps(asdict(observation)), encoding="utf-8")


def read_observation(folder: Path, buoys: Iterable[int]) -> Observation:
    """As written.

    Where the run was killed before, one connection that watched all buoys without a gap. Where the file
    cannot be read, one that watched at times that are unknown.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return Observation([sorted(buoys)])
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        gaps = [Gap(**{**gap, "reason": Blindness(gap["reason"])}) for gap in document.pop("gaps")]
        observation = Observation(**document, gaps=gaps)
        for gap in gaps:
            observation.connections[gap.connection]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        unknown = Gap(0, 0, 0, Blindness.NO_RECORD, f"{FILE_NAME} cannot be read")
        return Observation([sorted(buoys)], gaps=[unknown])
    return observation
