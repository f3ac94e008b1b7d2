"""A pack: the virtual boards of one process. `python -m buoyfleet.boards.pack PACK.json`

Standard input takes one JSON object per line; standard output gives one per line:

    in   {"host": …, "port": …, "username": …, "password": …, "tls": {…} or null,
             "clock": [UTC, monotonic]}      first line; the clock is the anchor of the parent's (HostClock)
         {"command": "start", "at_ns": UTC}        begin the plan at that time
         {"command": "stop", "reason": "…", "drain_s": s or null}     make no more messages, wait for the rest
         end of input                              stop now: the parent is gone
    out  {"event": "ready", "connected": n, "trouble": {buoy: reason}}
         {"event": "progress", "sent": n, "acknowledged": n, "dropped": n, "connected": n, "trouble": n,
             "states": "oo!…"}      letters of `board_states`, where they changed
         {"event": "boards", "boards": [...]}      some of the `BoardReport`s
         {"event": "done", "cpu_s": s, "max_rss_kb": n, "failure": "…"}      those were all
         {"event": "failed", "what": "…", "next_step": "…"}   the pack itself cannot go on
"""

import asyncio
import gc
import json
import os
import resource
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from buoy.app import Topics
from buoy.link import LinkPolicy
from buoy.payload import Payload

from buoyfleet.boards.driver import Driver
from buoyfleet.boards.job import PackJob, read_job
from buoyfleet.boards.ledger import LedgerWriter
from buoyfleet.boards.probes import shared_environment
from buoyfleet.boards.report import BoardReport
from buoyfleet.boards.transports import TransportFactory
from buoyfleet.boards.virtual import VirtualBoard
from buoyfleet.model.board_states import CONNECTED, CRASHED, DONE, TROUBLE, WAITING
from buoyfleet.model.clock import Deadline, HostClock
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import LinkSpec, TlsSpec
from buoyfleet.model.ledger import STREAM_FOLDER, STREAM_SUFFIX
from buoyfleet.model.reasons import DropReason, LinkReason, LinkTrouble

_PROGRESS_S = 0.5
_REPORTS_PER_LINE = 200
"""Some milliseconds for the parent, which has other things to do."""
_POLL_S = 0.02
# Rows of acknowledgements reach the file at least this often; rows of sends always before their bytes.
_FLUSH_S = 0.5
_CONNECT_POLL_S = 0.005
# A board that gives up exactly at its time-out must be heard.
_CONNECT_SLACK_S = 1.0
# Boards that fail one after another are given up after so many times the longest time that one may take.
_FRUITLESS = 3
_BOARDS_AT_ONCE = 256


class Pack:
    """The boards of one process, from connecting to the last acknowledgement."""

    def __init__(
        self, job: PackJob, endpoint: Endpoint, clock: HostClock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._job = job
        self._loop = loop
        self.clock = clock
        log_path = job.run_folder / "logs" / f"{job.name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = log_path.open("a", encoding="utf-8", buffering=1)
        self.ledger = LedgerWriter(job.run_folder / STREAM_FOLDER / f"{job.name}{STREAM_SUFFIX}")
        self.driver = Driver(loop, self.ledger, self.clock)
        self.stop_reason = ""
        self._states = ""
        """Of the last progress line that had any."""
        self._drain_s = job.drain_timeout_s
        payload = Payload(job.payload)
        policies: dict[LinkSpec, LinkPolicy] = {}
        self.transports = TransportFactory(endpoint, job.first_number, job.connect_rate)
        environment = shared_environment(job)
        self.boards: list[VirtualBoard] = []
        for spec, plan in zip(job.boards, job.plans, strict=True):
            if spec.link not in policies:
                policies[spec.link] = _policy(spec.link, job)
            self.boards.append(
                VirtualBoard(
                    spec,
                    plan,
                    topics=Topics(job.topic_prefix, spec.buoy_id, job.ingest_rule),
                    payload=payload,
                    policy=policies[spec.link],
                    transport=self.transports.make(spec),
                    seed=job.seed * 1_000_003 + spec.buoy_id,
                    environment=environment,
                    append=self.ledger.append,
                    driver=self.driver,
                    log=self.log,
                )
            )

    def log(self, text: str) -> None:
        """One line into the pack's log, with the time."""
        self._log_file.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    async def connect(self) -> None:
        """Connect every board; returns when all are connected, or have had their chance.

        Boards wait for their turns in the transports, however long that takes: what ends it is that no board
        gets through, or gets an answer, any more.
        """
        boards = self.boards
        for index, board in enumerate(boards):
            if self.stop_reason:
                return
            board.app.link.connect(self.driver.now_ms())
            self.driver.wake(board)
            if index % _BOARDS_AT_ONCE == _BOARDS_AT_ONCE - 1:
                await asyncio.sleep(0)
        longest_s = _CONNECT_SLACK_S + max(
            (board.spec.link.connect_timeout_s for board in boards), default=0.0
        )
        answer, success = Deadline(longest_s), Deadline(_FRUITLESS * longest_s)
        tried = 0
        unready = list(boards)
        while tried < len(boards) or unready:
            if self.stop_reason or answer.expired or success.expired:
                return
            await asyncio.sleep(_CONNECT_POLL_S)
            # Boards have their turns in order; those before `tried` have had theirs.
            before = tried
            while tried < len(boards) and (boards[tried].connected or boards[tried].errors):
                if boards[tried].connected:
                    success = Deadline(_FRUITLESS * longest_s)
                tried += 1
            if tried > before:
                answer = Deadline(longest_s)
            # Probes are read once, so that the first message is in time.
            now_ms = self.driver.now_ms()
            while unready and (unready[-1].crashed or unready[-1].app.ready(now_ms)):
                unready.pop()

    async def run(self, at_ns: int) -> None:
        """Carry out the plan, then wait for what is out; returns when nothing more will happen."""
        at_ns -= at_ns % 1_000_000
        start_ms = self.driver.ms_of(at_ns)
        try:
            self.ledger.plan(list(self._job.plans), at_ns)
        except OSError as error:
            self.driver.failure = error
        for board in self.boards:
            board.start(start_ms)
            self.driver.wake(board)
        await self._wait()
        self._finish()

    async def _wait(self) -> None:
        """Wait until every board is settled, or until waiting is pointless."""
        unpaced = all(plan.interval_us is None for plan in self._job.plans)
        unsettled = list(self.boards)
        making = list(self.boards)
        drain: Deadline | None = None
        done, quiet = -1, Deadline(self._drain_s)
        flush = Deadline(_FLUSH_S)
        while self.driver.failure is None:
            await asyncio.sleep(_POLL_S)
            now_ms = self.driver.now_ms()
            if flush.expired:
                self.driver.commit()
                flush = Deadline(_FLUSH_S)
            # Looking at the last board of a list until it is through costs next to nothing per turn.
            while unsettled and _settled(unsettled[-1], now_ms):
                unsettled.pop()
            if not unsettled:
                return
            if drain is not None:
                if drain.expired:
                    return
                continue
            if self.stop_reason:
                for board in self.boards:
                    board.stop_sending(self.stop_reason)
                self.driver.commit()
            while making and _made(making[-1], now_ms):
                making.pop()
            if not making:
                drain = Deadline(self._drain_s)
            elif unpaced:
                # Unpaced boards make messages as acknowledgements come, with QoS 0 as the socket takes them:
                # without either there is no end.
                count = sum(board.acknowledged_count + board.sent_count for board in self.boards)
                if count != done:
                    done, quiet = count, Deadline(self._drain_s)
                elif quiet.expired:
                    return

    def _finish(self) -> None:
        reason = self.stop_reason or DropReason.RUN_ENDED
        if self.driver.failure is not None:
            reason = DropReason.LEDGER_FAILED
            for board in self.boards:
                board.errors.insert(0, f"{reason}: {self.driver.failure}")
                # What is queued is in no ledger: it must not leave with a goodbye.
                board.transport.close()
        for board in self.boards:
            if board.app.link.in_flight():
                board.errors.append(f"{board.app.link.in_flight()} messages sent and never acknowledged")
            board.end(reason)
            board.transport.flush()
        self.driver.close()
        if self.driver.failure is None:
            self.ledger.close()

    def stop(self, reason: str, drain_s: float | None) -> None:
        """Make no more messages; wait at most `drain_s` for what is out (None: as long as the run allows)."""
        self.stop_reason = self.stop_reason or reason
        if drain_s is not None:
            self._drain_s = min(self._drain_s, drain_s)

    def trouble(self) -> dict[int, str]:
        """Boards that are not connected, with their last error."""
        return {
            board.buoy_id: board.errors[-1] if board.errors else "not connected"
            for board in self.boards
            if not board.connected
        }

    def progress(self) -> dict[str, Any]:
        """The counts of a progress line."""
        boards = self.boards
        states = "".join(map(_state, boards))
        counts: dict[str, Any] = {
            "event": "progress",
            "sent": sum(board.sent_count for board in boards),
            "acknowledged": sum(board.acknowledged_count for board in boards),
            "dropped": sum(board.dropped_count for board in boards),
            "connected": sum(board.connected for board in boards),
            "trouble": sum(1 for board in boards if not board.connected and not board.finished),
        }
        if states != self._states:
            self._states = counts["states"] = states
        return counts

    def reports(self) -> list[BoardReport]:
        """What every board did."""
        return [
            BoardReport(
                buoy_id=board.buoy_id,
                sent=board.sent_count,
                acknowledged=board.acknowledged_count,
                dropped=board.dropped_count,
                reconnects=board.app.link.reconnects,
                reboots=board.reboots,
                crashed=board.crashed or self.driver.failure is not None,
                errors=board.errors,
                link_reason=_link_reason(board.link_trouble),
                link_detail=str(board.link_trouble),
                ever_connected=board.ever_connected,
                left_out=board.left_out,
            )
            for board in self.boards
        ]


def _link_reason(trouble: str) -> str:
    """The link's own troubles (no answer in time) are texts alone."""
    if isinstance(trouble, LinkTrouble):
        return trouble.reason
    return LinkReason.OTHER if trouble else ""


def _state(board: VirtualBoard) -> str:
    """A letter of `board_states`."""
    if board.crashed:
        return CRASHED
    if board.finished:
        return DONE
    if board.connected:
        return CONNECTED
    return TROUBLE if board.ever_connected else WAITING


def _settled(board: VirtualBoard, now_ms: float) -> bool:
    return board.crashed or board.shut_down or bool(board.app.done(now_ms))


def _made(board: VirtualBoard, now_ms: float) -> bool:
    schedule = board.app.schedule
    return schedule is None or bool(schedule.finished(now_ms))


def _policy(link: LinkSpec, job: PackJob) -> LinkPolicy:
    return LinkPolicy(
        qos=job.qos,
        in_flight=link.in_flight,
        keep_alive_ms=link.keep_alive_s * 1000,
        connect_timeout_ms=int(link.connect_timeout_s * 1000),
        ack_timeout_ms=int(link.ack_timeout_s * 1000),
        backoff_min_ms=int(link.backoff_min_s * 1000),
        backoff_max_ms=int(link.backoff_max_s * 1000),
        gap_ms=0 if job.max_rate is None else 1000 / job.max_rate,
    )


def _endpoint(document: dict[str, Any]) -> Endpoint:
    tls = document.pop("tls")
    return Endpoint(**document, tls=None if tls is None else TlsSpec(**tls))


def _say(event: dict[str, Any]) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


async def _obey(reader: asyncio.StreamReader, pack: Pack, start: "asyncio.Future[int]") -> None:
    """Follow the lines of standard input; its end means that the parent is gone."""
    while line := await reader.readline():
        command = json.loads(line)
        if command.get("command") == "start":
            if not start.done():
                start.set_result(int(command["at_ns"]))
        elif command.get("command") == "stop":
            pack.stop(str(command["reason"]), command["drain_s"])
            if not start.done():
                start.set_result(0)
    os._exit(1)


async def _main(path: Path) -> int:
    job = read_job(path)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = await reader.readline()
    if not first:
        return 1
    try:
        document = json.loads(first)
        clock = HostClock(tuple(document.pop("clock")))
        pack = Pack(job, _endpoint(document), clock, loop)
    except (OSError, ValueError) as error:
        _say({"event": "failed", "what": f"{type(error).__name__}: {error}", "next_step": ""})
        return 3
    start: asyncio.Future[int] = loop.create_future()
    commands = asyncio.create_task(_obey(reader, pack, start))
    ticker = asyncio.create_task(_tick(pack))
    await pack.connect()
    # What lives by now lives to the end: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    trouble = pack.trouble()
    _say({"event": "ready", "connected": len(pack.boards) - len(trouble), "trouble": trouble})
    at_ns = await start
    await pack.run(at_ns or pack.clock.utc_ns())
    await pack.transports.close()
    ticker.cancel()
    commands.cancel()
    _say(pack.progress())
    reports = pack.reports()
    for start_at in range(0, len(reports), _REPORTS_PER_LINE):
        some = reports[start_at : start_at + _REPORTS_PER_LINE]
        _say({"event": "boards", "boards": [asdict(report) for report in some]})
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _say(
        {
            "event": "done",
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "max_rss_kb": usage.ru_maxrss,
            "failure": str(pack.driver.failure) if pack.driver.failure else "",
        }
    )
    return 0


async def _tick(pack: Pack) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S)
        _say(pack.progress())


def main() -> int:
    """Run the pack whose PACK.json is the only argument."""
    import uvloop

    # Ctrl-C is the parent's to handle: it tells the pack what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return int(uvloop.run(_main(Path(sys.argv[1]))))


if __name__ == "__main__":
    sys.exit(main())
