"""Units: what fleet code runs. A unit is a pack of virtual boards, or one board on a cable.

Fleet code treats all units alike and never asks which kind of board is behind one.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from buoyfleet.boards.job import PackJob, write_job
from buoyfleet.boards.report import BoardReport
from buoyfleet.model.board_states import CONNECTED, TROUBLE, WAITING
from buoyfleet.model.clock import HostClock
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BoardError

_PACK_SILENT_S = 60.0
"""A pack tells of its progress twice a second, but not while it makes its boards."""
_PACK_END_TIMEOUT_S = 5.0
_NOTICE_S, _NOTICE_PER_BOARD_S = 0.01, 0.0001
"""A pack writes down what its boards plan before the first of them is due."""


@dataclass(slots=True)
class UnitProgress:
    """Counts of a unit so far, in messages; `connected` and `trouble` in boards."""

    sent: int = 0
    acknowledged: int = 0
    dropped: int = 0
    connected: int = 0
    trouble: int = 0
    states: str = ""
    """A letter of `board_states` for each board; empty: those that the counts say."""


@dataclass(slots=True)
class UnitUsage:
    """What a unit cost the machine that ran it."""

    cpu_s: float = 0.0
    max_rss_kb: int = 0


class Unit(Protocol):
    """Boards that are driven together."""

    name: str
    buoys: tuple[int, ...]
    progress: UnitProgress
    usage: UnitUsage
    notice_s: float
    """It must be told of the start this long before."""
    remarks: list[str]
    """What is worth knowing after `close`."""

    @property
    def failure(self) -> str:
        """Why none of its boards will do anything; "" while one may."""
        ...

    async def begin(self) -> None:
        """Start whatever drives the boards."""
        ...

    async def connect(self, endpoint: Endpoint) -> dict[int, str]:
        """Connect all boards; returns those in trouble with the reason."""
        ...

    async def start(self, at_ns: int) -> None:
        """Carry out the plan from that UTC time on."""
        ...

    async def stop(self, reason: str, drain_s: float | None = None) -> None:
        """Make no more messages; wait at most `drain_s` for what is out (None: as the run says)."""
        ...

    async def wait(self) -> list[BoardReport]:
        """Wait until the plan is done or has failed; one report for every board, whatever happened."""
        ...

    async def close(self) -> None:
        """End at once and leave nothing running. Safe to call twice."""
        ...

    def kill(self) -> None:
        """End without waiting for anything."""
        ...


def states_of(unit: Unit) -> str:
    """A letter of `board_states` for each of its boards."""
    progress = unit.progress
    if progress.states:
        return progress.states
    letter = CONNECTED if progress.connected else TROUBLE if progress.trouble else WAITING
    return letter * len(unit.buoys)


@dataclass(slots=True)
class _Running:
    """The process of a pack and what is awaited from it."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    ready: "asyncio.Future[dict[int, str]]"
    done: "asyncio.Future[list[BoardReport]]"


@dataclass(slots=True)
class PackUnit:
    """A pack as its parent sees it: a subprocess that speaks JSON lines."""

    job: PackJob
    name: str = field(init=False)
    buoys: tuple[int, ...] = field(init=False)
    progress: UnitProgress = field(default_factory=UnitProgress)
    usage: UnitUsage = field(default_factory=UnitUsage)
    notice_s: float = field(init=False)
    remarks: list[str] = field(default_factory=list)
    _running: _Running | None = None
    _heard: int = 0
    """Lines that the pack has said."""
    _failure: str = ""
    _connecting: bool = False
    _stop: dict[str, Any] | None = None
    """Told already; the first line that a pack reads is where to connect."""
    _reading: "asyncio.Task[None] | None" = None
    _clock: HostClock = field(default_factory=HostClock)

    def __post_init__(self) -> None:
        self.name = self.job.name
        self.buoys = tuple(board.buoy_id for board in self.job.boards)
        self.notice_s = _NOTICE_S + _NOTICE_PER_BOARD_S * len(self.job.boards)

    @property
    def pid(self) -> int | None:
        """Of the pack's process."""
        return self._running.process.pid if self._running else None

    @property
    def failure(self) -> str:
        """See `Unit`: boards of a pack go on trying, but for those of one that ended before it was ready."""
        return self._failure

    async def begin(self) -> None:
        """Write PACK.json and start the process."""
        path = self.job.run_folder / "packs" / f"{self.name}.json"
        # In a thread: thousands of boards take a while, and the target is being started.
        await asyncio.to_thread(write_job, self.job, path)
        loop = asyncio.get_running_loop()
        with (self.job.run_folder / "packs" / f"{self.name}.stderr").open("wb") as errors:
            # A session of its own: Ctrl-C reaches only the parent, which tells its packs what to do.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "buoyfleet.boards.pack",
                str(path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                limit=1 << 26,  # the line of those that are ready lists every board in trouble
            )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a pack was started without pipes")
        self._running = _Running(
            process, process.stdin, process.stdout, loop.create_future(), loop.create_future()
        )
        self._reading = asyncio.create_task(self._read(self._running))

    async def connect(self, endpoint: Endpoint) -> dict[int, str]:
        """Connect all boards. A pack that ends meanwhile is the trouble of its boards, not the run's."""
        self._connecting = True
        self._tell(
            {
                "host": endpoint.host,
                "port": endpoint.port,
                "username": endpoint.username,
                "password": endpoint.password,
                "tls": endpoint.tls_document(),
                # Its ledger and what others see of its messages are compared: they count by one clock.
                "clock": self._clock.anchor,
            }
        )
        if self._stop is not None:
            self._tell(self._stop)
        ready = self._begun().ready
        while not ready.done():
            heard = self._heard
            await asyncio.wait({ready}, timeout=_PACK_SILENT_S)
            if heard == self._heard and not ready.done():
                self._failure = (
                    f"pack {self.name} said nothing for {_PACK_SILENT_S:g} s while it connected its boards: "
                    "its process hangs, or the machine is overloaded"
                )
                self.kill()
                return dict.fromkeys(self.buoys, self._failure)
        try:
            return ready.result()
        except BoardError as error:
            self._failure = error.what
        return dict.fromkeys(self.buoys, self._failure)

    async def start(self, at_ns: int) -> None:
        """Give the start time."""
        self._tell({"command": "start", "at_ns": at_ns})

    async def stop(self, reason: str, drain_s: float | None = None) -> None:
        """Make no more messages."""
        self._stop = {"command": "stop", "reason": reason, "drain_s": drain_s}
        if self._connecting:
            self._tell(self._stop)

    async def wait(self) -> list[BoardReport]:
        """Wait for the reports; a pack that died reports every board as failed."""
        return await self._begun().done

    async def close(self) -> None:
        """End the process: its input ends, then it is killed if it stays."""
        if self._running is None:
            return
        process = self._running.process
        self._running.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _PACK_END_TIMEOUT_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    def kill(self) -> None:
        """End the process without waiting: for a second Ctrl-C."""
        if self._running is not None and self._running.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._running.process.pid, signal.SIGKILL)

    def _begun(self) -> _Running:
        if self._running is None:
            raise RuntimeError(f"pack {self.name} was not begun")
        return self._running

    def _tell(self, message: dict[str, Any]) -> None:
        # A pack that is gone cannot be told anything; its end is noticed by the reader. uvloop raises
        # RuntimeError where asyncio's own loop says nothing.
        stdin = self._begun().stdin
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if not stdin.is_closing():
                stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self, running: _Running) -> None:
        ready, done = running.ready, running.done
        failure = ""
        reports: list[BoardReport] = []
        while (line := await running.stdout.readline()).endswith(b"\n"):  # else it was killed while it wrote
            self._heard += 1
            event = json.loads(line)
            match event["event"]:
                case "progress":
                    counts = {name: event[name] for name in _PROGRESS_FIELDS}
                    self.progress = UnitProgress(**counts, states=event.get("states", self.progress.states))
                case "ready":
                    if not ready.done():
                        ready.set_result({int(buoy): why for buoy, why in event["trouble"].items()})
                case "boards":
                    reports += [BoardReport(**report) for report in event["boards"]]
                case "done":
                    self.usage = UnitUsage(event["cpu_s"], event["max_rss_kb"])
                    done.set_result(reports)
                case "failed":
                    failure = event["what"]
        code = await running.process.wait()
        if not done.done():
            why = failure or _death(code)
            done.set_result([BoardReport(buoy, 0, 0, 0, crashed=True, errors=[why]) for buoy in self.buoys])
        if not ready.done():
            ready.set_exception(
                BoardError(
                    f"pack {self.name} ended before it was ready: {failure or _death(code)}",
                    where=str(self._stderr_path()),
                    next_step=f"cat {self._stderr_path()}",
                )
            )
            # Nobody may be waiting any more; an exception that is never fetched is only noise then.
            ready.exception()

    def _stderr_path(self) -> Path:
        return self.job.run_folder / "packs" / f"{self.name}.stderr"


_PROGRESS_FIELDS = ("sent", "acknowledged", "dropped", "connected", "trouble")


def _death(code: int) -> str:
    if code < 0:
        return f"the process of its pack was killed by {signal.Signals(-code).name}"
    return f"the process of its pack ended with code {code}"
