"""The Target protocol: where buoys publish, and how to learn what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from host.model.endpoint import Endpoint
from host.model.stage_count import StageCount

__all__ = ["Check", "Collected", "Endpoint", "LiveCounts", "Target"]


@dataclass(frozen=True, slots=True)
class Check:
    """One preflight check. `next_step` says what to type where it failed."""

    name: str
    passed: bool
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What a target can say while a run is under way."""

    received: int = 0
    """Messages accepted from boards."""
    stored: dict[str, int] = field(default_factory=dict)
    """Store → measures visible."""


@dataclass(slots=True)
class Collected:
    """Everything a target knows after the drain, written to the run's folder."""

    stores: tuple[str, ...]
    """Names; rows are in `stores/<name>/*.parquet` (host.model.store)."""
    stages: list[StageCount]
    """In the order of the way; the trace, where there is one, is in `evidence/` (host.model.evidence)."""
    problems: list[str] = field(default_factory=list)
    """What could not be collected and why; never swallowed."""


class Target(Protocol):
    """A place where buoys publish. All methods raise `TargetError` or `PreflightError`."""

    stores: tuple[str, ...]

    async def preflight(self) -> list[Check]:
        """Check what can be checked before anything is started."""
        ...

    async def start(self) -> Endpoint:
        """Make ready to receive."""
        ...

    async def counts(self) -> LiveCounts:
        """A cheap look, at most a few times a second."""
        ...

    async def drain(
        self, expected_messages: int, timeout_s: float, progress: Callable[[LiveCounts], None]
    ) -> None:
        """Wait until all received is in its store or known to be stuck; hurry buffers if possible."""
        ...

    async def collect(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected:
        """Write store rows and evidence of that window and those buoys to the run's folder."""
        ...

    async def stop(self) -> None:
        """Release everything; leave nothing running. Safe to call twice and after a failure."""
        ...
