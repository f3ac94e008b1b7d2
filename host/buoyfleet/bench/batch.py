"""Many boards at once: a thread each, limits for the machine and for each hub, and an orderly end.

A board that hangs or fails holds its own thread and nothing else.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import BoardError, BuoyError

R = TypeVar("R")

STOP_S = 30.0
"""For boards to come to the end of what must not be cut: a block of a file, a flash that is being written."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many boards are worked with at once; 0: all."""

    boards: int = 0
    per_hub: int = 0


class Stop:
    """Ctrl-C for threads: `check` raises once it was set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Stop everything."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def check(self, where: str = "") -> None:
        """Raises Stopped after `set`."""
        if self._event.is_set():
            raise Stopped("stopped by Ctrl-C", where=where, next_step="the same command goes on from here")

    def wait(self, seconds: float, where: str = "") -> None:
        """Sleep, unless stopped."""
        self._event.wait(seconds)
        self.check(where)


class Stopped(BoardError):
    """The user stopped it."""


@dataclass(slots=True)
class Outcome(Generic[R]):
    """How one board ended."""

    key: str
    value: R | None = None
    error: BaseException | None = None
    """A BuoyError, or a defect of ours."""

    @property
    def passed(self) -> bool:
        """Whether it did what was asked."""
        return self.error is None


@dataclass(slots=True)
class Job(Generic[R]):
    """One board's work."""

    key: str
    hub: str
    run: Callable[[], R]


@dataclass(slots=True)
class _Gate:
    """Semaphores that Ctrl-C gets one out of."""

    limits: Limits
    stop: Stop
    _all: threading.Semaphore | None = None
    _hubs: dict[str, threading.Semaphore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._all = threading.Semaphore(self.limits.boards) if self.limits.boards else None

    def prepare(self, hubs: Sequence[str]) -> None:
        if self.limits.per_hub:
            self._hubs = {hub: threading.Semaphore(self.limits.per_hub) for hub in hubs}

    def run(self, job: Job[R]) -> R:
        gates = [gate for gate in (self._hubs.get(job.hub), self._all) if gate is not None]
        taken: list[threading.Semaphore] = []
        try:
            for gate in gates:
                while not gate.acquire(timeout=0.2):
                    self.stop.check(job.key)
                taken.append(gate)
            self.stop.check(job.key)
            return job.run()
        finally:
            for gate in taken:
                gate.release()


def run_all(
    jobs: Sequence[Job[R]],
    limits: Limits,
    stop: Stop,
    on_end: Callable[[Outcome[R]], None] | None = None,
) -> list[Outcome[R]]:
    """Run jobs side by side; one outcome each, in their order.

    KeyboardInterrupt in the caller's thread sets `stop`; what ends within STOP_S is reported as it ended.

    Args:
        jobs: with distinct keys.
        limits: of boards at once.
        stop: set by others to end early.
        on_end: called in the caller's thread as each ends.
    """
    gate = _Gate(limits, stop)
    gate.prepare([job.hub for job in jobs])
    ended: queue.Queue[Outcome[R]] = queue.Queue()

    def work(job: Job[R]) -> None:
        outcome: Outcome[R] = Outcome(job.key)
        try:
            outcome.value = gate.run(job)
        except BaseException as error:  # a thread's defects are the caller's to report
            outcome.error = error
        ended.put(outcome)

    for job in jobs:
        threading.Thread(target=work, args=(job,), name=f"board {job.key}", daemon=True).start()
    outcomes: dict[str, Outcome[R]] = {}
    deadline: Deadline | None = None
    while len(outcomes) < len(jobs):
        try:
            # A wait without an end would hold back Ctrl-C on some systems.
            outcome = ended.get(timeout=0.2 if deadline is None else min(0.2, deadline.remaining_s + 0.01))
        except queue.Empty:
            if deadline is None and stop:
                deadline = Deadline(STOP_S)
            if deadline is not None and deadline.expired:
                break
            continue
        except KeyboardInterrupt:
            if stop:  # the second time: at once
                break
            stop.set()
            continue
        outcomes[outcome.key] = outcome
        if on_end is not None:
            on_end(outcome)
    for job in jobs:
        if job.key not in outcomes:
            error = Stopped("was cut off in mid-step", where=job.key, next_step="the same command goes on")
            outcomes[job.key] = Outcome(job.key, error=error)
            if on_end is not None:
                on_end(outcomes[job.key])
    return [outcomes[job.key] for job in jobs]


def is_defect(error: BaseException | None) -> bool:
    """Whether an outcome's error is ours, not the board's."""
    return error is not None and not isinstance(error, BuoyError)
