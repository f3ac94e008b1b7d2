"""Target `aws`: a pipeline in an AWS account. Boards publish to IoT Core; stores and evidence are read back.

All it does to the account is to publish with the fleet's own certificates; everything else is reading, save
that retained messages of the fleet are put back as they were.
"""

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.checks import (
    check_account,
    check_broker,
    check_certificates,
    check_pipeline,
    first_failed,
)
from buoyfleet.cloud.aws.connections import Connection, ask_connections, trouble, trouble_notes
from buoyfleet.cloud.aws.endpoint import account_endpoint
from buoyfleet.cloud.aws.failures import Noted
from buoyfleet.cloud.aws.guard import Guard
from buoyfleet.cloud.aws.logs import LogLines, read_log
from buoyfleet.cloud.aws.metrics import MetricReader, Reading
from buoyfleet.cloud.aws.names import bucket_of
from buoyfleet.cloud.aws.noted import write_noted
from buoyfleet.cloud.aws.pacer import SHARE
from buoyfleet.cloud.aws.pipeline import Settings
from buoyfleet.cloud.aws.quotas import CONNECTS_PER_S, Quotas
from buoyfleet.cloud.aws.retained import FILE as RETAINED_FILE
from buoyfleet.cloud.aws.retained import RetainedMessages
from buoyfleet.cloud.aws.series import series_reader
from buoyfleet.cloud.aws.stages import Facts, stage_counts
from buoyfleet.cloud.aws.stores import Look, Stores, Window
from buoyfleet.cloud.target import Check, Collected, LiveCounts, Manners, Stakes
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.clock import Deadline, HostClock
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import TargetError, unwritable
from buoyfleet.model.evidence import EVIDENCE_FOLDER, STAGES
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.limits import PUBLISHES_PER_S
from buoyfleet.model.plan import Plan
from buoyfleet.model.stage_count import StageCount

SETTLE_S = 1.1
"""Between two connects of one client id: IoT Core takes one a second."""
WATCH_S = 15.0
"""Between two looks during a run."""
FIRST_POLL_S, LONGEST_POLL_S = 0.5, 15.0
METRICS_S, METRICS_AFTER_LOSS_S = 60.0, 240.0
"""How long to wait for CloudWatch, which is minutes behind: if all arrived, and if it has to explain."""
SLICE_S = 0.5
"""Progress is told this often."""
QUIET_S = 90.0
"""A store without a buffer before it is given up after so long without news."""


class AwsTarget:
    """A pipeline as the target of one run."""

    changed_limits: tuple[str, ...] = ()

    def __init__(self, fleet: Fleet, run_folder: Path, secrets: tuple[str, str] = ("", "")) -> None:
        """Nothing is asked yet.

        Args:
            fleet: its target is of kind `aws`.
            run_folder: objects of the bucket are fetched into it.
            secrets: password and token of `target.influxdb`, resolved.
        """
        self._fleet = fleet
        self._spec = fleet.target.aws or AwsSpec()
        self._run_folder = run_folder
        self._account = Account(self._spec)
        self._series = series_reader(self._account, self._spec, secrets)
        self.stores: tuple[str, ...] = (self._series.name, "s3")
        self.address = ""
        self._buoys = frozenset(board.buoy_id for board in fleet.boards)
        self._settings = Settings()
        self._quotas = Quotas({})
        self._stores: Stores | None = None
        self._retained: RetainedMessages | None = None
        self._clock = HostClock()
        self._since_ns = 0
        self._watcher: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._live = LiveCounts()
        self._problems: list[str] = []
        self._probed_s = -SETTLE_S
        self._complete = self._given_up = False
        self._metrics = MetricReader(self._account, self._spec)
        self._has_metrics = True

    @property
    def manners(self) -> Manners:
        """IoT Core's rates, as this account has them."""
        return Manners(
            witness=self._spec.witness,
            enforced=True,
            connects_per_s=self._quotas.value(CONNECTS_PER_S) * SHARE,
            settle_s=SETTLE_S,
            delivers_per_s=PUBLISHES_PER_S,
        )

    async def preflight(self) -> list[Check]:
        """Credentials, certificates, the resources of the pipeline, the broker."""
        checks = await asyncio.to_thread(check_account, self._account, self._spec)
        if first_failed(checks):
            return checks
        certificates = check_certificates(self._fleet, self._spec)
        pipeline, self._settings = await asyncio.to_thread(
            check_pipeline, self._account, self._spec, self._series
        )
        checks += [*certificates, *pipeline]
        if not first_failed(certificates):
            endpoint = await asyncio.to_thread(self._endpoint)
            checks += await check_broker(endpoint, self._spec)
            self._probed_s = time.monotonic()
        self._quotas = await asyncio.to_thread(Quotas.ask, self._account, (CONNECTS_PER_S,))
        return checks

    async def stakes(self, plan: Plan) -> Stakes | None:
        """Account, region, table, messages and cost; and what speaks against it."""
        endpoint = await asyncio.to_thread(self._endpoint)
        guard = Guard(self._account, self._fleet, self._spec, self._settings)
        if not self._spec.listen_s:
            return await guard.stakes(plan, endpoint, self.manners)
        await self._settle()
        stakes = await guard.stakes(plan, endpoint, self.manners)
        self._probed_s = time.monotonic()
        return stakes

    async def start(self) -> Endpoint:
        """Remember retained messages, begin to look at the stores; returns IoT Core's endpoint.

        Raises:
            AwsError: the account does not answer.
            PreflightError: the run's folder cannot be written.
        """
        self._since_ns = self._clock.utc_ns()
        endpoint = await asyncio.to_thread(self._endpoint)
        bucket = await asyncio.to_thread(bucket_of, self._spec, self._account)
        self._stores = Stores(
            self._account, self._spec, self._series, bucket, self._run_folder, self._fleet.topic_prefix
        )
        retained = RetainedMessages(
            self._account, self._fleet.topic_prefix, self._buoys, self._run_folder / RETAINED_FILE
        )
        try:
            await asyncio.to_thread(retained.remember)
            self._retained = retained
        except AwsError as error:
            self._problems.append(f"retained messages are not watched: {error.what}")
        except OSError as error:
            raise unwritable(self._run_folder, error) from None
        await self._settle()
        self._watcher = asyncio.create_task(self._watch(self._stores))
        return endpoint

    async def collect_left(self, *_run: object) -> None:
        """All is in the account: see `reopen`."""

    async def reopen(self, since_ns: int) -> Endpoint | None:
        """The account is there as ever; no board is disturbed, and nothing is put back.

        Raises:
            AwsError, TargetError: the account does not answer.
        """
        self._since_ns = since_ns
        bucket = await asyncio.to_thread(bucket_of, self._spec, self._account)
        stores = self._stores = Stores(
            self._account, self._spec, self._series, bucket, self._run_folder, self._fleet.topic_prefix
        )
        if await self._look(stores, rows=True) is None:
            raise TargetError(self._problems[-1], next_step="the same command, when the account answers")
        return await asyncio.to_thread(self._endpoint)

    async def counts(self) -> LiveCounts:
        """What the last look found."""
        return self._live

    async def drain(
        self, expected_messages: int, timeout_s: float, progress: Callable[[LiveCounts], None]
    ) -> None:
        """Look at the stores until all is there, nothing more can come, or the target's `wait` is over."""
        await self._stop_watching()
        stores = self._stores
        if stores is None:
            raise TargetError("the target is not started")
        wait_s = max(timeout_s, self._spec.wait_s)
        deadline = Deadline(wait_s)
        expected = self._measures(expected_messages)
        pause_s, news_s, before = FIRST_POLL_S, time.monotonic(), (-1, -1, -1)
        while True:
            look = await self._look(stores, rows=True)
            progress(self._live)
            if look is None:
                return
            now = (look.series, look.s3, len(look.noted))
            if now != before:
                before, news_s, pause_s = now, time.monotonic(), FIRST_POLL_S
            self._complete = expected is not None and min(look.series, look.s3) >= expected
            if self._complete or (expected is not None and self._accounted(look, expected)):
                break
            if time.monotonic() - news_s > self._longest_silence_s(look, expected):
                self._problems.append(
                    f"nothing more came into the stores for {time.monotonic() - news_s:.0f} s; "
                    "they were looked at no longer"
                )
                break
            if deadline.expired:
                self._problems.append(f"the stores were not complete {wait_s:g} s after the last send")
                break
            if not await self._pause(min(pause_s, deadline.remaining_s), "looking at the stores", progress):
                self._problems.append("the stores were not waited for to the end: interrupted")
                return
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)

        await self._await_metrics(look, progress)

    def give_up(self) -> bool:
        """Wait no longer; what is there is verified."""
        before, self._given_up = self._given_up, True
        return not before

    async def _pause(self, seconds: float, doing: str, progress: Callable[[LiveCounts], None]) -> bool:
        """Wait and say for what; False as soon as it is given up."""
        deadline = Deadline(seconds)
        while not deadline.expired:
            if self._given_up:
                return False
            progress(dataclasses.replace(self._live, doing=doing))
            await asyncio.sleep(min(SLICE_S, deadline.remaining_s))
        return not self._given_up

    async def collect(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected:
        """Store rows, metrics, logs and reasons of the window; what cannot be had is a problem in words.

        Raises:
            OSError: the run's folder cannot be written.
        """
        await self._stop_watching()
        stores = self._stores
        if stores is None:
            raise TargetError("the target is not started")
        window = Window(since_ns, until_ns, buoys)
        log = await asyncio.to_thread(
            read_log, self._account, self._spec.function, since_ns // 1_000_000, until_ns // 1_000_000
        )
        stores.timed_out = log.quotes.get("timeout", "")
        collected: tuple[str, ...] = self.stores
        try:
            look = await asyncio.to_thread(stores.write, window, run_folder)
        except AwsError as error:
            self._problems.append(f"the stores cannot be read: {error}")
            look, collected = stores.last, self.stores
        connections = await asyncio.to_thread(self._connections)
        reading = await self._read_metrics(since_ns, until_ns)
        since_ms = since_ns // 1_000_000
        facts = self._facts(look, log, reading, trouble_notes(connections, since_ms))
        stages = stage_counts(self._spec, facts)
        await asyncio.to_thread(_write, run_folder, stages, facts.noted, trouble(connections, since_ms))
        return Collected(collected, stages, [*self._problems, *stores.problems])

    async def stop(self) -> None:
        """Put retained messages back. Safe to call twice and after a failure."""
        await self._stop_watching()
        retained, self._retained = self._retained, None
        if retained is not None:
            problems: list[str] = []
            # A second Ctrl-C must not leave a configuration behind that reaches a buoy months later.
            changed = await asyncio.shield(asyncio.to_thread(retained.restore, problems.append))
            self._problems += problems
            if changed:
                self._problems.append(f"{changed} retained messages were put back as before the run")

    # -- parts ---------------------------------------------------------------------------------------------

    def _endpoint(self) -> Endpoint:
        return account_endpoint(self._spec, self._account)

    async def _settle(self) -> None:
        """Wait until the witness's client id may connect again."""
        await asyncio.sleep(max(0.0, self._probed_s + SETTLE_S - time.monotonic()))

    async def _watch(self, stores: Stores) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if await self._look(stores, rows=False) is None:
                return

    async def _stop_watching(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _look(self, stores: Stores, *, rows: bool) -> Look | None:
        """One look; None where the account does not answer, which is a problem then."""
        async with self._looking:
            now_ns = self._clock.utc_ns()
            window = Window(self._since_ns, now_ns, self._buoys)
            try:
                look = await asyncio.to_thread(lambda: stores.look(window, now_ns, rows=rows))
            except (AwsError, OSError) as error:
                self._problems.append(f"the stores cannot be looked at: {error}")
                return None
        received = max(look.documents, look.series // max(1, self._measures(1) or 1))
        self._live = LiveCounts(received, {self._series.name: look.series, "s3": look.s3})
        return look

    def _measures(self, messages: int) -> int | None:
        """Measures in so many messages; None where boards differ."""
        widths = {sum(sensor.mode != "off" for sensor in board.sensors) for board in self._fleet.boards}
        return messages * widths.pop() if len(widths) == 1 else None

    def _accounted(self, look: Look, expected: int) -> bool:
        """Whether what is missing lies where failed records go: it will not come any more."""
        width = self._measures(1) or 1
        failed = {
            stage: width * sum(one.stage == stage for one in look.noted)
            for stage in ("lambda", self._series.name)
        }
        return look.series + failed[self._series.name] >= expected and look.s3 + failed["lambda"] >= expected

    def _longest_silence_s(self, look: Look, expected: int | None) -> float:
        """How long a store may be silent: Firehose holds back what it has for both of its buffers."""
        if expected is not None and look.s3 >= expected:
            return QUIET_S
        return QUIET_S + self._settings.buffered_s

    def _connections(self) -> list[Connection]:
        things = [board.thing_name for board in self._fleet.boards]
        connections, problem = ask_connections(self._account, things)
        if problem:
            self._problems.append(f"reasons of disconnections are not known: {problem}")
        return connections

    async def _await_metrics(self, look: Look, progress: Callable[[LiveCounts], None]) -> None:
        """Wait until CloudWatch has caught up with the stores: it is minutes behind."""
        deadline = Deadline(METRICS_S if self._complete else METRICS_AFTER_LOSS_S)
        wanted = max(1, look.documents + sum(one.stage == "lambda" for one in look.noted))
        pause_s = FIRST_POLL_S
        while not self._given_up:
            reading = await self._read_metrics(self._since_ns, self._clock.utc_ns())
            if reading.get("AWS/Kinesis IncomingRecords") >= wanted or not self._has_metrics:
                return
            if deadline.expired:
                break
            await self._pause(min(pause_s, deadline.remaining_s), "waiting for CloudWatch", progress)
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
        self._problems.append("CloudWatch had not caught up with the run; its figures may be too small")

    async def _read_metrics(self, since_ns: int, until_ns: int) -> Reading:
        """One reading; empty where CloudWatch may not be read, which is a problem then."""
        if not self._has_metrics:
            return Reading()
        try:
            return await asyncio.to_thread(self._metrics.read, since_ns, until_ns)
        except AwsError as error:
            self._has_metrics = False
            self._problems.append(f"CloudWatch cannot be read: {error}")
            return Reading()

    def _facts(self, look: Look, log: LogLines, reading: Reading, notes: list[str]) -> Facts:
        settings = self._settings
        return Facts(
            metrics=reading,
            log=log,
            noted=look.noted,
            series_store=self._series.name,
            series_rows=look.series,
            s3_documents=look.documents,
            s3_objects=look.objects,
            shards=settings.shards,
            buffered_s=settings.buffered_s,
            lambda_timeout_s=settings.lambda_timeout_s,
            lambda_memory_mb=settings.lambda_memory_mb,
            broker_notes=notes,
        )


def _write(
    run_folder: Path, stages: list[StageCount], noted: list[Noted], links: list[dict[str, object]]
) -> None:
    folder = run_folder / EVIDENCE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    temporary = (folder / STAGES).with_suffix(".part")
    temporary.write_text(json.dumps([dataclasses.asdict(stage) for stage in stages], indent=1))
    temporary.replace(folder / STAGES)
    write_noted(folder, noted, links)
