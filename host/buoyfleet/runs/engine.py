"""Carries out a run: target and units up, connect, send, drain, collect; always down again."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol, TypeVar

from buoyfleet.boards.unit import Unit, states_of
from buoyfleet.cloud.target import LiveCounts, Target
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.clock import HostClock
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BuoyError, PreflightError, TargetError, unwritable
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.model.reasons import DropReason
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.runs.live import LiveRecord
from buoyfleet.runs.pacing import planned_duration_s
from buoyfleet.runs.run_state import RunRecord, folder_lost

_Value = TypeVar("_Value")

_TICK_S = 0.1
# A look at the target costs what ten messages cost.
_LOOK_S = 0.5
_FAILED_DRAIN_S = 0.5
# Messages of a run are stamped before they arrive, and a store may see them a little later.
WINDOW_SLACK_NS = 1_000_000_000


class Observer(Protocol):
    """Watches messages go by, independently of boards and target."""

    async def open(self, endpoint: Endpoint) -> None:
        """Be subscribed when this returns."""
        ...

    async def settle(self, sent: Mapping[int, int], timeout_s: float, *, proves: bool) -> None:
        """Wait until as many messages of each buoy were seen as were sent, or no more come."""
        ...

    async def close(self) -> list[str]:
        """Stop watching; what was seen is in the run's folder. Returns what is worth knowing."""
        ...


@dataclass(slots=True)
class Snapshot:
    """A moment of a run, for live progress. Messages unless the name says otherwise."""

    phase: str
    elapsed_s: float
    planned: int | None
    boards: int
    sent: int = 0
    acknowledged: int | None = 0
    """None: QoS 0 is never acknowledged."""
    dropped: int = 0
    connected: int = 0
    """Boards."""
    trouble: int = 0
    """Boards that lost their connection."""
    stored: dict[str, int] = field(default_factory=dict)
    """Store → measures."""
    doing: str = ""
    """What is being waited for, in words."""
    left_s: float | None = None
    """Until the last planned message; None: nobody knows, as the link sets the pace."""
    target: str = ""
    """How to look at the run's target, in words; empty: not at all, or not yet."""


def _unpaced(fleet: Fleet) -> bool:
    return any(board.interval_ms is None for board in fleet.boards)


class StopNow(BaseException):
    """The second Ctrl-C: not an error, nobody may catch it on the way."""


class Engine:
    """One run on this machine."""

    def __init__(
        self,
        fleet: Fleet,
        plan: Plan,
        units: list[Unit],
        target: Target,
        observer: Observer | None,
        record: RunRecord,
        show: Callable[[Snapshot], None],
    ) -> None:
        self._fleet = fleet
        self._planned = plan.planned()
        self._units = units
        self._target = target
        self._observer = observer
        self._show = show
        self._clock = HostClock()
        self._began = time.monotonic()
        self._live = LiveRecord(record.run_folder, (buoy for unit in units for buoy in unit.buoys))
        self._record = record
        record.began_s = self._began
        self._planned_s = planned_duration_s(plan) if plan.planned() and not _unpaced(fleet) else None
        self._phase = ""
        self._phase_began = 0.0
        self._counts = LiveCounts()
        self._looking: asyncio.Task[LiveCounts] | None = None
        self._look_s = 0.0
        """When the next look is due, monotonic."""
        self._stop_reason = ""
        self._stopping = asyncio.Event()
        """Set by the first Ctrl-C."""
        self._closing = False
        self._stop_now = False
        """Ctrl-C came while the run was closing."""

    async def run(self) -> RunRecord:
        """Carry out the run.

        Raises:
            BuoyError: the run could not start; nothing is left running.
            StopNow: the second Ctrl-C, or one while all is being closed; nothing is left running.
        """
        record = self._record
        with self._signals():
            try:
                await self._run()
            finally:
                self._closing = True
                self._enter("")
                if self._looking is not None:
                    self._looking.cancel()
                    await asyncio.gather(self._looking, return_exceptions=True)
                await asyncio.gather(*(unit.close() for unit in self._units), return_exceptions=True)
                await self._target.stop()
        if self._stop_now:
            raise StopNow
        for unit in self._units:
            record.warnings += unit.remarks
            record.usage[unit.name] = (unit.usage.cpu_s, unit.usage.max_rss_kb)
        return record

    async def _run(self) -> None:
        record = self._record
        self._enter("start")
        endpoint = await self._started()
        if endpoint is None:
            # Ctrl-C before there was anything to connect to.
            record.started_ns = record.ended_ns = self._clock.utc_ns()
            self._set_window()
            return
        if self._observer is not None:
            try:
                await self._observer.open(endpoint)
            except BuoyError as error:
                why = f": {error.cause}" if error.cause else ""
                record.warnings.append(f"nobody watched the run: {error.what}{why}")
                self._observer = None
        self._enter("connect")
        connecting = asyncio.gather(*(unit.connect(endpoint) for unit in self._units))
        if self._stop_reason:
            await self._stop_units()
        trouble = await self._watched(connecting)
        for buoys in trouble:
            record.warnings += [
                f"buoy {buoy} did not connect before the start: {why}" for buoy, why in buoys.items()
            ]
        if all(unit.failure for unit in self._units) and not record.interrupted:
            if self._observer is not None:
                await self._observer.close()
            raise self._not_started()
        notice_s = max(unit.notice_s for unit in self._units)
        # A whole millisecond: the clocks of boards count in these.
        record.started_ns = (self._clock.utc_ns() + int(notice_s * 1e9)) // 1_000_000 * 1_000_000
        self._enter("send")
        await asyncio.gather(*(unit.start(record.started_ns) for unit in self._units))
        if self._stop_reason:
            await self._stop_units()
        reports = await self._watched(asyncio.gather(*(unit.wait() for unit in self._units)))
        # Boards that fail at once are done before the start that they were told.
        record.ended_ns = max(self._clock.utc_ns(), record.started_ns)
        record.reports = {report.buoy_id: report for unit in reports for report in unit}
        await asyncio.to_thread(record.note_reports)
        await self._gather_evidence()

    async def _started(self) -> Endpoint | None:
        """Where boards connect; None if Ctrl-C came first."""
        # Units load while the target starts: both take a good part of a second.
        units = asyncio.gather(*(unit.begin() for unit in self._units))
        target = asyncio.ensure_future(self._target.start())
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({target, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return target.result() if target.done() and not self._stopping.is_set() else None
        finally:
            stopped.cancel()
            target.cancel()
            # Whatever the target does: what was begun must be known, so that it can be ended.
            await asyncio.gather(target, stopped, return_exceptions=True)
            try:
                await units
            except OSError as error:
                raise unwritable(self._record.run_folder, error) from None

    def _not_started(self) -> PreflightError:
        """No board of the fleet could begin: there is nothing to verify."""
        told: dict[str, list[int]] = {}
        for unit in self._units:
            told.setdefault(unit.failure, []).extend(unit.buoys)
        reasons = "; ".join(
            f"board{'s' if len(buoys) > 1 else ''} {ids_shown(buoys)}: {why}" for why, buoys in told.items()
        )
        return PreflightError(
            f"the run did not start, and nothing was sent: {reasons}",
            where=str(self._record.run_folder),
            next_step=f"read {self._record.run_folder / 'logs'}, and look at the boards: buoy ports",
        )

    async def _gather_evidence(self) -> None:
        record = self._record
        self._enter("drain")
        if not record.target_failure:
            sent = sum(report.sent for report in record.reports.values())
            try:
                await self._target.drain(sent, self._fleet.run.drain_timeout_s, self._note)
            except TargetError as error:
                self._target_failed(error)
        if self._observer is not None:
            if not record.target_failure:
                sent_by = {report.buoy_id: report.sent for report in record.reports.values()}
                await self._observer.settle(
                    sent_by, self._fleet.run.drain_timeout_s, proves=SUBSCRIBER in self._target.stores
                )
            record.warnings += await self._observer.close()
        self._set_window()
        self._enter("collect")
        if record.folder_lost:
            raise folder_lost(record.run_folder)
        buoys = frozenset(board.buoy_id for board in self._fleet.boards)
        try:
            record.collected = await self._target.collect(
                record.run_folder, record.since_ns, record.until_ns, buoys
            )
        except TargetError as error:
            record.reading_failure = str(error)
        record.reading_failure = record.reading_failure or record.collected.failure
        record.warnings += record.collected.problems

    def _set_window(self) -> None:
        record = self._record
        record.since_ns = record.started_ns - WINDOW_SLACK_NS
        record.collected_ns = self._clock.utc_ns()
        record.until_ns = record.collected_ns + WINDOW_SLACK_NS

    async def _watched(self, work: "asyncio.Future[_Value]") -> _Value:
        """Wait for something while showing progress and watching the target."""
        while True:
            try:
                await asyncio.wait({work}, timeout=_TICK_S)
            except asyncio.CancelledError:
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
                raise
            if not self._record.target_failure:
                try:
                    self._look_at_target()
                except TargetError as error:
                    self._target_failed(error)
                    await self._stop_units()
            self._draw()
            if work.done():
                return work.result()

    def _look_at_target(self) -> None:
        """Take what the last look found and look again: nobody waits for a target that takes its time.

        Raises:
            TargetError: the target is gone.
        """
        if self._looking is not None and self._looking.done():
            done, self._looking = self._looking, None
            self._counts = done.result()
        now = time.monotonic()
        if self._looking is None and now >= self._look_s:
            self._looking = asyncio.ensure_future(self._target.counts())
            self._look_s = now + _LOOK_S

    def _note(self, counts: LiveCounts) -> None:
        self._counts = counts
        self._draw()

    def _target_failed(self, error: TargetError) -> None:
        self._record.target_failure = str(error)
        self._stop_reason = self._stop_reason or DropReason.TARGET_FAILED

    async def _stop_units(self) -> None:
        for unit in self._units:
            # Nobody is there to acknowledge anything once the target has failed.
            await unit.stop(self._stop_reason, _FAILED_DRAIN_S if self._record.target_failure else None)

    def _draw(self) -> None:
        units, qos = self._units, self._fleet.run.qos
        snapshot = Snapshot(
            phase=self._phase,
            elapsed_s=time.monotonic() - self._began,
            planned=self._planned,
            boards=len(self._fleet.boards),
            sent=sum(unit.progress.sent for unit in units),
            acknowledged=sum(unit.progress.acknowledged for unit in units) if qos else None,
            dropped=sum(unit.progress.dropped for unit in units),
            connected=sum(unit.progress.connected for unit in units),
            trouble=sum(unit.progress.trouble for unit in units),
            stored=self._counts.stored,
            doing=self._counts.doing,
            left_s=self._left_s(),
            target=self._target.address,
        )
        self._show(snapshot)
        if self._live.due(snapshot.phase):
            moment = asdict(snapshot)
            del moment["target"]
            moment["stopping"] = self._record.interrupted
            self._live.note(moment, "".join(states_of(unit) for unit in units))

    def _left_s(self) -> float | None:
        if self._phase != "send" or self._planned_s is None:
            return None
        return max(0.0, self._planned_s - (self._clock.utc_ns() - self._record.started_ns) / 1e9)

    def _enter(self, phase: str) -> None:
        now = time.monotonic()
        if self._phase:
            self._record.phases_s[self._phase] = now - self._phase_began
        self._phase, self._phase_began = phase, now
        if phase:
            self._record.note(phase)
            self._draw()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """First Ctrl-C (or SIGTERM): stop sending, or waiting for stores that take long. Second: stop now."""
        loop = asyncio.get_running_loop()
        main = asyncio.current_task()
        tasks: set[asyncio.Task[None]] = set()

        def interrupt() -> None:
            if self._closing:
                # What is being closed is closed to the end: nothing may be left running.
                self._stop_now = True
                return
            if self._phase == "drain" and self._target.give_up():
                self._record.interrupted = True
                return
            if self._record.interrupted:
                for unit in self._units:
                    unit.kill()
                if main is not None:
                    main.cancel()
                return
            self._record.interrupted = True
            self._stop_reason = self._stop_reason or DropReason.INTERRUPTED
            self._stopping.set()
            if self._phase == "start":
                return
            task = asyncio.ensure_future(self._stop_units())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        except asyncio.CancelledError:
            raise StopNow from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
