"""The Target protocol: where buoys publish, and how to learn what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.plan import Plan
from buoyfleet.model.stage_count import StageCount

__all__ = ["Check", "Collected", "Endpoint", "LiveCounts", "Manners", "Stakes", "Target"]


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
    doing: str = ""
    """What is being waited for, in words; empty: what the phase says."""


@dataclass(slots=True)
class Collected:
    """Everything a target knows after the drain, written to the run's folder."""

    stores: tuple[str, ...]
    """Names; rows are in `stores/<name>/*.parquet` (buoyfleet.model.store)."""
    stages: list[StageCount]
    """In the order of the way; none where they cannot be had of this run alone. The trace, where there is
    one, is in `evidence/` (buoyfleet.model.evidence)."""
    problems: list[str] = field(default_factory=list)
    """What could not be collected and why; never swallowed."""
    failure: str = ""
    """Why this may be less than what was stored: the target failed. Empty: it is all."""
    unrecorded: str = ""
    """Why the target's own records may be incomplete: its disk was full, or it ended before it wrote them.
    What they do not show may have happened all the same. Empty: they are whole."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How those who connect to a target must behave."""

    witness: str = "witness"
    """Client id of the witness; where it needs several connections, `-1`, `-2`, … are appended."""
    enforced: bool = False
    """The rates of IoT Core hold and cannot be lifted, not even for an unpaced run."""
    connects_per_s: float = 400.0
    """Of all clients together, where rates are kept (IoT Core quotas: 500 per account). The rest stays free
    for what a busy machine or a network bunches: a refused client comes again, and takes another's turn."""
    settle_s: float = 0.0
    """Least time between two connections of one client id."""
    delivers_per_s: float | None = None
    """Messages a connection of a subscriber gets at most, the rest is discarded (IoT Core quotas: 100); None:
    nothing is known of such a limit."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """What a run would do to a system that others depend on: shown and agreed to before the first message."""

    lines: tuple[str, ...]
    """What will be used, and what it will cost."""
    refusals: tuple[Check, ...] = ()
    """Reasons not to begin. Failed checks, each with what to type."""
    live: tuple[Check, ...] = ()
    """Signs that boards in service would be disturbed; `--allow-live` overrules these."""


class Target(Protocol):
    """A place where buoys publish. All methods raise `TargetError` or `PreflightError`."""

    stores: tuple[str, ...]
    address: str
    """How to look at it while it runs, in words; empty: not at all, or it is not up."""

    @property
    def changed_limits(self) -> tuple[str, ...]:
        """Limits that are not AWS's in this run, a phrase each; known after `preflight`."""
        ...

    @property
    def manners(self) -> Manners:
        """How its clients must behave; known after `preflight`."""
        ...

    async def preflight(self) -> list[Check]:
        """Check what can be checked before anything is started."""
        ...

    async def stakes(self, plan: Plan) -> Stakes | None:
        """What has to be agreed to before the first message; None where nothing is at stake."""
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

    def give_up(self) -> bool:
        """Ctrl-C while `drain` waits: let it return soon, so that what is there is verified.

        Returns:
            False where that is not possible, or was asked for before.
        """
        ...

    async def collect(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected:
        """Write store rows and evidence of that window and those buoys to the run's folder."""
        ...

    async def collect_left(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected | None:
        """In place of `start` and `collect`, for a run that ended before it was collected: what is on this
        machine.

        Returns:
            None where its stores are elsewhere: `reopen` and `collect` read them.
        """
        ...

    async def reopen(self, since_ns: int) -> Endpoint | None:
        """In place of `start`, after a run that began then: make ready to `collect` once more.

        Returns:
            Where the run's boards can still be; None where nothing outlives a run.
        """
        ...

    async def stop(self) -> None:
        """Release everything; leave nothing running. Safe to call twice and after a failure."""
        ...
