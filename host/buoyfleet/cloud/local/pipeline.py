"""The pipeline behind the broker, put together: intake, rules, Timestream, Kinesis, Firehose, Lambda, S3.

`sink` takes what the broker accepts and returns at once. What follows happens in two steps, both on the event
loop: rules, Timestream and Kinesis for all messages of a turn together; then the delivery stream, whose
buffers have a clock of their own (`buoyfleet.cloud.local.agenda`).
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from buoyfleet.cloud.local.agenda import NEVER, Agenda
from buoyfleet.cloud.local.broker.account import split_ingest
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.engine import MAX_TOPICS, RulesEngine
from buoyfleet.cloud.local.error_actions import ErrorActions
from buoyfleet.cloud.local.faults import link_faults, stage_faults
from buoyfleet.cloud.local.firehose import DeliveryFaults, Firehose
from buoyfleet.cloud.local.folders import EVIDENCE_FOLDER, LAMBDA_LOG, S3_FOLDER, TIMESTREAM_FOLDER
from buoyfleet.cloud.local.influx_secrets import make_influx_stage
from buoyfleet.cloud.local.intake import Intake
from buoyfleet.cloud.local.kinesis import Record, Stream
from buoyfleet.cloud.local.lambda_runtime import LambdaRuntime
from buoyfleet.cloud.local.s3 import Bucket
from buoyfleet.cloud.local.segments import SegmentLog
from buoyfleet.cloud.local.things.shadow_document import State
from buoyfleet.cloud.local.timestream import TableSettings, Timestream
from buoyfleet.cloud.local.timestream_index import buoy_of
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.clock import HostClock
from buoyfleet.model.stage_count import StageCount

_NS_PER_S = 1_000_000_000
_MAX_WAIT_S = 3600.0
_COMPILE_LOOK_S = 0.005
_READ_PAUSE_S = 0.05
_NO_LINK_TROUBLE = ("delivery-", "throughput-delay")
"""Reasons that are about messages to a subscriber, or only about time."""
_COSTS_THE_CONNECTION = frozenset(
    ("payload-too-large", "topic-too-long", "topic-too-deep", "topic-reserved", "not-authorised")
)
"""Reasons for which the broker refuses a message and hangs up."""


class Pipeline:
    """Everything behind the broker of one twin.

    Raises:
        RuleError: a rule is not allowed.
        OSError: the folder cannot be written.
    """

    def __init__(self, config: TwinConfig, clock: HostClock | None = None) -> None:
        folder, spec = Path(config.folder), config.twin
        self.config = config
        self.clock = clock or HostClock()
        self.trace = Trace(folder / EVIDENCE_FOLDER)
        self.intake = Intake()
        self._entries = self.trace.entries("broker")
        self._broker_faults = stage_faults(spec.faults, "broker")
        self._link_faults = link_faults(spec.faults)
        self.take_over: Callable[[str], None] | None = None
        """Rehearses another client under a board's client id."""
        self._agenda = Agenda()
        self._runtime = LambdaRuntime(
            config.handler_path,
            folder / LAMBDA_LOG,
            wall_limit_s=config.lambda_wall_limit_s,
            memory_mb=spec.lambda_memory_mb,
            timeout_s=spec.lambda_timeout_s,
            variables=spec.lambda_environment,
        )
        self._bucket = Bucket(
            folder / S3_FOLDER, layout=config.layout, delimiter=spec.s3_delimiter, compress=spec.s3_gzip
        )
        self.errors = ErrorActions(self._bucket, folder, spec.functions)
        self.firehose = Firehose(
            self._agenda, self.trace, self._bucket, self._runtime, spec, DeliveryFaults.of(spec)
        )
        self.stream = Stream(
            self.trace,
            self._read_stream,
            shards=spec.kinesis_shards,
            limits=config.limits_held().shard,
            faults=stage_faults(spec.faults, "kinesis"),
        )
        self.timestream = Timestream(
            folder / TIMESTREAM_FOLDER,
            self.trace,
            stage_faults(spec.faults, "timestream"),
            TableSettings(spec.timestream_memory_store_h, spec.timestream_visible_after_s),
        )
        self.influxdb = make_influx_stage(spec.influxdb, folder, self.trace, self.clock)
        self.charge: Callable[[int], bool] | None = None
        """Asked with the number of rules a message matches: False where the account's rate is used up."""
        self.shadow: Callable[[str], State | None] | None = None
        self.principal: Callable[[str], str] | None = None
        self._engine: RulesEngine | None = None
        self._rules_on_reserved = any("$aws/" in rule.sql for rule in config.rules())
        self._compiling = threading.Lock()
        self._buoys: dict[str, int | None] = {}
        self._inbox: list[tuple[str, bytes, bool, int, str, bytes | None]] = []
        self._scheduled = False
        self._stream_inbox: list[tuple[int, Record]] = []
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._delivery = asyncio.Lock()
        self._pumps: tuple[asyncio.Task[None], ...] = ()
        self._last_arrival_s = time.monotonic()
        self.problems: list[str] = []
        """What went wrong inside and did not stop the twin; in the words of a report."""

    @property
    def logs(self) -> tuple[SegmentLog, ...]:
        """Everything that is written as segments."""
        logs = (*self.trace.logs, self.timestream.log, self._bucket.log)
        return logs if self.influxdb is None else (*logs, self.influxdb.log)

    def compile_rules(self) -> None:
        """Parse the rules; the first message does it otherwise. May run in another thread.

        Raises:
            RuleError: a rule is not allowed.
        """
        with self._compiling:
            if self._engine is None:
                self._engine = RulesEngine(
                    self.config.rules(),
                    self.trace,
                    self.timestream,
                    self.stream,
                    stage_faults(self.config.twin.faults, "rules"),
                    self.config.seed,
                    self.charge,
                    self.errors,
                    self.influxdb,
                    self.shadow,
                    self._read_stream,
                    self.principal,
                )

    def wants(self, topic: str) -> bool:
        """Whether a rule selects from a reserved topic (`broker.account.Account`)."""
        if not self._rules_on_reserved:
            return False
        if self._engine is None:
            self.compile_rules()
        return self._engine is not None and self._engine.wants(topic)

    def start(self) -> "tuple[asyncio.Task[None], ...]":
        """Begin to run what is due; the tasks that do it, which end only by `close` or by a defect."""
        if not self._pumps:
            loop = asyncio.get_running_loop()
            self._pumps = (loop.create_task(self._run_pump()),)
            if self.influxdb is not None:
                self._pumps = (*self._pumps, loop.create_task(self.influxdb.run()))
        return self._pumps

    async def warm_up(self) -> None:
        """Start the Lambda worker ahead of its first invocation."""
        await self._runtime.warm_up()

    async def close(self) -> None:
        """Stop; what is gathered stays to be flushed. Safe to call twice."""
        self.take_in()
        pumps, self._pumps = self._pumps, ()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        if self.influxdb is not None:
            self.influxdb.close()
        await asyncio.to_thread(self.errors.functions.close)
        await self._runtime.close()

    # -- intake -------------------------------------------------------------------------------------

    def sink(
        self,
        topic: str,
        payload: bytes,
        qos: int,  # noqa: ARG002
        retain: bool,  # noqa: ARG002
        dup: bool,
        client_id: str,
        properties: bytes | None = None,
    ) -> bool:
        """A message the broker accepts (the broker's `sink`); False: a rehearsed fault keeps it from being
        taken, and from being acknowledged."""
        if self._link_faults is not None:
            kind = self._link_faults.hits(self._buoy(topic), payload)
            if kind is not None:
                if kind == "taken-over" and self.take_over is not None:
                    self.take_over(client_id)
                return False
        self._inbox.append((topic, payload, dup, self.clock.utc_ns(), client_id, properties))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._take_in_soon)
        return True

    def refused(self, reason: str, detail: str, client_id: str, topic: str, payload: bytes | None) -> None:
        """What the broker refused (its `on_refused`). Without a payload no message was lost by it."""
        if reason in _COSTS_THE_CONNECTION if payload else not reason.startswith(_NO_LINK_TROUBLE):
            self.trace.links.append(client_id, reason, detail, self.clock.utc_ns())
        if payload is None:
            return
        self.intake.refused[reason] = self.intake.refused.get(reason, 0) + 1
        self.trace.refused.append(
            self._buoy(topic), client_id, topic, payload, reason, detail, self.clock.utc_ns()
        )

    def _take_in_soon(self) -> None:
        if self._engine is None and self._compiling.locked():
            # Another thread parses the rules: messages wait, the broker need not.
            asyncio.get_running_loop().call_later(_COMPILE_LOOK_S, self._take_in_soon)
        else:
            self.take_in()

    def take_in(self) -> None:
        """Run rules, Timestream and Kinesis on everything that came."""
        self._scheduled = False
        batch, self._inbox = self._inbox, []
        if not batch:
            return
        if self._engine is None:
            self.compile_rules()
        self._last_arrival_s = time.monotonic()
        self.intake.arrived += len(batch)
        faults = self._broker_faults
        for topic, payload, dup, at_ns, client_id, said in batch:
            buoy = self._buoy(topic)
            parts = None if faults is None else faults.data(buoy, payload)
            if parts is None:
                self._accept(topic, buoy, payload, dup, at_ns, at_ns, client_id, said)
            else:
                for data, delay_ns in parts:
                    self._accept(topic, buoy, data, dup, at_ns, at_ns + delay_ns, client_id, said)
        self._wake.set()
        self._arrived.set()

    async def arrival(self, timeout_s: float) -> bool:
        """Wait for further messages; False where none came in time."""
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    def _accept(
        self,
        topic: str,
        buoy: int | None,
        payload: bytes,
        dup: bool,
        accepted_ns: int,
        at_ns: int,
        client_id: str,
        properties: bytes | None,
    ) -> None:
        number = self.intake.accepted
        self.intake.accepted += 1
        self.trace.received.append(number, buoy, topic, payload, at_ns, dup, accepted_ns)
        self._entries.numbers.append(number)
        self._entries.times.append(at_ns)
        if self._engine is not None:
            self._engine.run(number, buoy, topic, payload, at_ns, client_id, properties)

    def _buoy(self, topic: str) -> int | None:
        known = self._buoys.get(topic)
        if known is None and topic not in self._buoys:
            if len(self._buoys) >= MAX_TOPICS:
                self._buoys.clear()
            level = self.config.buoy_level
            levels = split_ingest(topic)[1].split("/", level + 1)
            known = self._buoys[topic] = buoy_of(levels[level]) if len(levels) > level else None
        return known

    # -- delivery -----------------------------------------------------------------------------------

    def _read_stream(self, record: Record, at_ns: int) -> None:
        self._stream_inbox.append((at_ns, record))

    async def _run_pump(self) -> None:
        while True:
            self._wake.clear()
            async with self._delivery:
                await self.deliver_until(self.clock.utc_ns())
            wait_s = _MAX_WAIT_S
            if self._agenda.next_ns != NEVER:
                wait_s = min(wait_s, max(0.0, (self._agenda.next_ns - self.clock.utc_ns()) / _NS_PER_S))
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            # Records have times of their own: to read the stream a few times a second changes only the cost.
            await asyncio.sleep(_READ_PAUSE_S)

    async def deliver_until(self, now_ns: int) -> None:
        """Arrivals and what is due, in order of their times."""
        batch, self._stream_inbox = self._stream_inbox, []
        agenda, put = self._agenda, self.firehose.put
        for at_ns, record in batch:
            if at_ns > now_ns:
                agenda.at(at_ns, put, record)
                continue
            if agenda.next_ns <= at_ns:
                await agenda.run_until(at_ns)
            put(at_ns, record)
        await agenda.run_until(now_ns)

    async def hurry(self) -> None:
        """Run everything that is due at any time, now, each under its own time."""
        self.take_in()
        async with self._delivery:
            await self.deliver_until(self.clock.utc_ns())
            while len(self._agenda):
                await self._agenda.run_next()
        if self.influxdb is not None and self._pumps:
            await self.influxdb.flushed()

    # -- what is going on ---------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way: no arrival to run, no buffer that holds something."""
        busy = self._inbox or self._stream_inbox or len(self._agenda)
        return not busy and (self.influxdb is None or self.influxdb.idle)

    def waiting(self) -> list[tuple[str, int, str]]:
        """(stage, message, sentence) of everything that is still on its way."""
        rows = self.firehose.waiting()
        if self.influxdb is not None:
            rows += [("influxdb", message, "waits for InfluxDB") for message in self.influxdb.waiting()]
        return rows

    def settled(self, now_ns: int) -> bool:
        """Whether nothing is on its way and a reader of the stores sees all that was written."""
        return self.idle and self.timestream.visible_ns <= now_ns

    @property
    def pending(self) -> int:
        """Messages the broker accepted and no rule has seen yet."""
        return len(self._inbox)

    @property
    def moved(self) -> tuple[int, ...]:
        """Changes when anything gets on."""
        firehose = self.firehose
        return (self.intake.arrived, self.stream.left, firehose.function.count.left, *self.stored().values())

    @property
    def quiet_s(self) -> float:
        """Seconds since the last arrival."""
        return time.monotonic() - self._last_arrival_s

    def stored(self) -> dict[str, int]:
        """Store → measures of the nine that are there."""
        stored = {"timestream": self.timestream.stored_known, "s3": self.firehose.stored_known}
        if self.influxdb is not None:
            stored["influxdb"] = self.influxdb.stored_known
        return stored

    def restart_gauges(self) -> None:
        """A run begins: maxima, means and times of the stages begin with it; counters are subtracted."""
        self.stream.restart_gauges()
        self.firehose.restart_gauges()

    def stage_counts(
        self, broker_metrics: dict[str, float] | None = None, notes: Iterable[str] = ()
    ) -> list[StageCount]:
        """All stages in the order of the way."""
        rejected = dict(self.intake.refused)
        broker = StageCount(
            "broker",
            "messages",
            self.intake.arrived + sum(rejected.values()),
            self.intake.accepted,
            rejected,
            metrics=dict(broker_metrics or {}),
            notes=list(notes),
        )
        rules = self._engine.stage_count() if self._engine is not None else StageCount("rules", "messages")
        return [
            broker,
            rules,
            self.timestream.stage_count(),
            *(() if self.influxdb is None else (self.influxdb.stage_count(),)),
            self.stream.stage_count(),
            self.firehose.stage_count(),
            self.firehose.function.stage_count(),
            self.firehose.s3_count(),
        ]
