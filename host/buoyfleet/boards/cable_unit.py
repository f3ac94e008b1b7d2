"""A board on a cable as a unit of a run: its console drives it, its events become the ledger."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from buoy.link import UP

from buoyfleet.boards.board_log import BoardLog
from buoyfleet.boards.board_settings import RunSettings
from buoyfleet.boards.cable_board import CableBoard, Plug
from buoyfleet.boards.cable_health import CableHealth
from buoyfleet.boards.cable_ledger import CableLedger
from buoyfleet.boards.clock_track import ClockTrack
from buoyfleet.boards.later import fetch_over_mqtt
from buoyfleet.boards.report import BoardReport
from buoyfleet.boards.unit import UnitProgress, UnitUsage
from buoyfleet.model.clock import Deadline, HostClock
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BoardError, BuoyError
from buoyfleet.model.fleet import BoardSpec
from buoyfleet.model.plan import BoardPlan
from buoyfleet.model.reasons import DropReason
from buoyfleet.serial.console import Console
from buoyfleet.serial.records import BoardEvent, ConsoleRecord, EventsLost, Line, PortChange

T = TypeVar("T")
TICK_S = 0.1
HEALTH_S = 1.0
PING_S = 60.0
# The journal's events arrive this long after what they tell, at the very most, on a line that works.
_SETTLE_S = 0.5


class CableUnit:
    """One board.

    Args:
        spec, plan: the board and what it shall do.
        run: what it needs of the fleet.
        plug: gives its port.
        run_folder: of the run.
        drain_s: how long to wait for what is out.
    """

    notice_s = 0.3
    """It has to be told this long before the start."""

    def __init__(
        self,
        spec: BoardSpec,
        plan: BoardPlan,
        run: RunSettings,
        plug: Plug,
        run_folder: Path,
        drain_s: float,
    ) -> None:
        self.name = f"buoy-{spec.buoy_id}"
        self.buoys: tuple[int, ...] = (spec.buoy_id,)
        self.progress = UnitProgress()
        self.usage = UnitUsage()
        self.remarks: list[str] = []
        self._spec, self._plan, self._run, self._plug = spec, plan, run, plug
        self._folder = run_folder
        self._drain_s = drain_s
        self._clock = ClockTrack()
        self._host = HostClock()
        self._ledger = CableLedger(run_folder, self.name, plan, self._clock, run.qos)
        self._log = BoardLog(run_folder / "logs" / f"{self.name}.log")
        self._console: Console | None = None
        self._board: CableBoard | None = None
        # One worker: requests to a board go one after the other.
        self._worker = ThreadPoolExecutor(1, self.name)
        self._start_ns = 0
        self._failure = ""
        self._incomplete = ""
        self._cable_away = False
        self._stop_reason = ""
        self._stopped = False
        self._numbers: set[int] = set()
        """Of the events that came."""
        self._endpoint: Endpoint | None = None
        self._ended = False
        self._killed = False
        self._health = CableHealth()
        self._restarted = threading.Event()
        self._resumed_at = 0
        """Number with which the plan went on after a reset, until the board holds nothing from before."""

    @property
    def failure(self) -> str:
        """See `Unit`."""
        return self._failure

    async def begin(self) -> None:
        """Open the console; what goes wrong is told by `connect`."""
        await self._try(self._open)

    async def connect(self, endpoint: Endpoint) -> dict[int, str]:
        """Configure the board, restart it and wait for its link."""
        self._endpoint = endpoint

        def work() -> None:
            board = self._need()
            board.configure(self._plug, endpoint)
            trouble = board.wait_until_connected(lambda: bool(self._stop_reason))
            self._look(board.health())
            if trouble:
                self._health.quote(f"not connected before the start: {trouble}")
                self._health.link_detail = trouble

        await self._try(work)
        if self._failure:
            return {self._spec.buoy_id: self._failure}
        if self._health.errors and not self.progress.connected:
            return {self._spec.buoy_id: self._health.errors[-1]}
        return {}

    async def start(self, at_ns: int) -> None:
        """Give the plan."""
        self._start_ns = at_ns
        self._ledger.begin(at_ns)
        if not self._stop_reason:
            await self._try(lambda: self._need().run(at_ns))

    async def stop(self, reason: str, drain_s: float | None = None) -> None:
        """Make no more messages; `wait` does the rest."""
        self._stop_reason = self._stop_reason or reason
        if drain_s is not None:
            self._drain_s = min(self._drain_s, drain_s)

    async def wait(self) -> list[BoardReport]:
        """Watch over the board until nothing more will come of it."""
        if not self._failure:
            await self._try_watch()
        await asyncio.sleep(0)
        self._ended = True
        now_ns = self._host.utc_ns()
        if self._failure or self._stop_reason:
            reason = DropReason.BOARD_FAILED if self._failure else self._stop_reason
            self._ledger.drop_rest(self._ledger.next_seq(), reason, now_ns)
        self._commit()
        self._ledger.close()
        self._count()
        return [
            self._health.report(
                self._spec.buoy_id, self._ledger, self._failure, self._incomplete, self._clock.drift_ppm()
            )
        ]

    async def close(self) -> None:
        """Give the board back what it was and let go of it. Safe to call twice."""
        board, self._board = self._board, None
        loop = asyncio.get_running_loop()
        try:
            if board is not None and self._plug.kept and not self._killed:
                self.remarks += await loop.run_in_executor(
                    self._worker, board.restore, 1 if self._cable_away else 3
                )
        finally:
            console, self._console = self._console, None
            if console is not None:
                await loop.run_in_executor(None, console.close)
            await loop.run_in_executor(None, self._plug.release)
            self._ledger.close()
            self._log.close()
            self._worker.shutdown(wait=False)

    def kill(self) -> None:
        """End without waiting for anything."""
        self._killed = True

    # On the worker

    def _open(self) -> None:
        port = self._plug.plug_in()
        self._console = Console(port, purpose="buoy run", clock=self._host)
        self._console.add_listener(self._heard)
        keep = self._folder / "boards" / f"{self.name}.earlier.json"
        self._board = CableBoard(
            self._spec, self._plan, self._run, self._console, self._clock, keep, self._log.note
        )

    def _resume(self) -> None:
        """After a reset in the middle of the plan: the time, and where to go on."""
        board = self._need()
        self._commit()
        board.set_clock()
        health = board.health()
        self._look(health, resuming=True)
        if not self._stop_reason:
            first = max(self._ledger.next_seq(), health["last_seq"] + 1)
            board.run(self._start_ns, first)
            self._resumed_at = first if board.durable else 0

    def _look_at_end(self) -> None:
        """What never left, the numbers of the last events, and the clock once more."""
        board = self._need()
        self._look(board.end())
        self._health.missing_events = board.console.missing_events
        board.ping()

    def _ask_over_mqtt(self) -> None:
        """Its cable is away: what it still sent, if it keeps that and the broker lets us ask."""
        if self._endpoint is None or not self._need().durable or self._killed:
            return
        try:
            told, _ = fetch_over_mqtt(self._spec, self._run, self._endpoint, self._numbers)
        except BuoyError as error:
            self._log.note(f"not told over MQTT either: {error.one_line()}")
            return
        self._log.note(f"{len(told)} events told over MQTT")
        for number in sorted(told.keys() - self._numbers):
            self._heard(BoardEvent(self._host.utc_ns(), number, told[number]))
        if self._settled():
            self._incomplete = ""
            self._health.quote("its cable was away at the end; what it told came over MQTT")

    def _need(self) -> CableBoard:
        if self._board is None:
            raise BoardError(self._failure or "not opened")
        return self._board

    def _look(self, health: dict[str, Any], resuming: bool = False) -> None:
        if self._health.take(health) and self._start_ns and not resuming:
            self._restarted.set()
        if self._health.idle and self._resumed_at and not self._restarted.is_set():
            self._ledger.settle_before(self._resumed_at, self._host.utc_ns())
            self._resumed_at = 0
        self.progress.connected = int(health["link"] == UP)
        self._health.ever_connected |= health["link"] == UP
        self.progress.trouble = int(health["link"] != UP)

    # On the reader of the console

    def _heard(self, record: ConsoleRecord) -> None:
        if isinstance(record, Line):
            self._log.line(record.at_ns, record.data)
            if record.data.startswith((b"# error ", b"# warning ")) and self._start_ns:
                self._health.quote(record.data[2:].decode(errors="backslashreplace"))
        elif isinstance(record, BoardEvent):
            if record.body.get("what") == "start":
                self._health.quote(f"was reset in the middle of the run (cause {record.body.get('cause')})")
                if record.body.get("boot") != self._health.boot:
                    self._restarted.set()
            else:
                self._numbers.add(record.number)
                self._ledger.event(record.body)
        elif isinstance(record, EventsLost):
            self._log.note(f"{record.count} events lost")
        elif isinstance(record, PortChange):
            self._log.note(f"port {'open' if record.is_open else 'gone'}: {record.reason}")
            if not record.is_open:
                self._health.quote(f"its port went away: {record.reason}")
                self.progress.connected, self.progress.trouble = 0, 1

    # On the loop

    async def _try(self, work: Callable[[], T]) -> T | None:
        """Do something on the worker; a failure is the board's, not the run's."""
        if self._failure:
            return None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except BuoyError as error:
            self._failure = error.one_line()
            self.progress.trouble = 1
            return None

    async def _try_watch(self) -> None:
        try:
            await self._watch()
        except BuoyError as error:
            self._cable_away = True
            self._incomplete = (
                self._incomplete or f"{error.one_line()}; messages sent after this point are unknown"
            )
            await asyncio.get_running_loop().run_in_executor(self._worker, self._ask_over_mqtt)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        plan_over = self._plan_end()
        drain: Deadline | None = None
        quiet, done = Deadline(self._drain_s), -1
        health, ping = Deadline(HEALTH_S), Deadline(PING_S)
        asking: asyncio.Future[Any] | None = None
        while True:
            await asyncio.sleep(TICK_S)
            self._commit()
            self._count()
            if asking is not None and asking.done():
                self._note_failure(asking)
                asking = None
            if asking is None:
                if self._restarted.is_set():
                    self._restarted.clear()
                    self._health.reboots += 1
                    asking = loop.run_in_executor(self._worker, self._resume)
                elif self._stop_reason and not self._stopped:
                    asking = loop.run_in_executor(self._worker, self._stop)
                elif ping.expired:
                    ping, health = Deadline(PING_S), Deadline(HEALTH_S)
                    asking = loop.run_in_executor(self._worker, lambda: self._need().ping())
                elif health.expired:
                    health = Deadline(HEALTH_S)
                    asking = loop.run_in_executor(self._worker, lambda: self._look(self._need().health()))
            if self._settled():
                break
            if drain is not None:
                if drain.expired:
                    break
            elif self._stopped or (plan_over is not None and plan_over.expired):
                drain = Deadline(self._drain_s)
            elif plan_over is None:
                # Unpaced: messages are made as acknowledgements come, with QoS 0 as the socket takes them.
                count = len(self._ledger.acknowledged) + len(self._ledger.sent)
                if count != done:
                    quiet, done = Deadline(self._drain_s), count
                elif quiet.expired:
                    break
        if asking is not None:
            await asyncio.wait({asking})
            self._note_failure(asking)
        await asyncio.sleep(_SETTLE_S if self._ledger.on_their_way() else 0)
        await loop.run_in_executor(self._worker, self._look_at_end)

    def _stop(self) -> None:
        self._stopped = True
        left = self._need().stop()
        planned = self._plan.planned()
        if planned is not None:
            first = self._ledger.next_seq() if left is None else planned - left
            self._ledger.drop_rest(first, self._stop_reason, self._host.utc_ns())

    def _settled(self) -> bool:
        ledger, planned = self._ledger, self._plan.planned()
        if ledger.on_their_way():
            return False
        if planned is not None:
            return len(ledger.sent | ledger.dropped) >= planned
        return self._stopped and self._health.idle

    def _plan_end(self) -> Deadline | None:
        """When the last message of the plan has been made; None where only the link knows."""
        end_ms = self._plan.last_ms()
        if end_ms is None:
            return None
        return Deadline((self._start_ns - self._host.utc_ns()) / 1e9 + end_ms / 1000)

    def _note_failure(self, asking: "asyncio.Future[Any]") -> None:
        error = asking.exception()
        if error is None:
            return
        if not isinstance(error, BuoyError):
            raise error
        # The board may be in the middle of a reset; if it stays away, the end of the run will tell.
        self._log.note(error.one_line())
        self.progress.connected, self.progress.trouble = 0, 1

    def _commit(self) -> None:
        try:
            self._ledger.commit(self._host.utc_ns())
        except OSError as error:
            self._failure = self._failure or f"the ledger could not be written: {error}"

    def _count(self) -> None:
        ledger = self._ledger
        self.progress.sent = len(ledger.sent)
        self.progress.acknowledged = len(ledger.acknowledged)
        self.progress.dropped = len(ledger.dropped)
