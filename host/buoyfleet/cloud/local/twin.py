"""One twin: broker, pipeline, writing of segments, and the commands of its control channel."""

import asyncio
import contextlib
import dataclasses
import json
import os
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local.broker import Broker
from buoyfleet.cloud.local.broker.tls import ALPN_MQTT, SERVER_NAME
from buoyfleet.cloud.local.claim import claim, hold
from buoyfleet.cloud.local.config import LOCK_FILE, TwinConfig
from buoyfleet.cloud.local.control import ControlServer, Progress
from buoyfleet.cloud.local.drain import Drain
from buoyfleet.cloud.local.folders import EVIDENCE_FOLDER, RECORDS_WHOLE
from buoyfleet.cloud.local.gateway.front import Front
from buoyfleet.cloud.local.impostor import Impostors
from buoyfleet.cloud.local.marks import Mark, since
from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.cloud.local.segments import MAX_ROWS, due_age_s
from buoyfleet.cloud.local.things import Services
from buoyfleet.model.errors import PreflightError, UsageError
from buoyfleet.model.stage_count import STAGES, StageCount
from buoyfleet.model.twin import TwinTls

if TYPE_CHECKING:
    from buoyfleet.cloud.local.registry import Registry

REST_S = 60.0
"""At most so long it delivers what it holds after its run is gone."""

_FLUSH_LOOK_S = 0.2
_PROGRESS_S = 0.1
MAX_PROBLEMS = 20


class Twin:
    """A twin on the running event loop."""

    def __init__(self, config: TwinConfig) -> None:
        """Make its folder.

        Raises:
            PreflightError: the folder is another twin's, or cannot be written.
            RuleError: a rule of the configuration is not allowed.
        """
        self.config = config
        self._folder = claim(config)
        self._lock = hold(self._folder / LOCK_FILE)
        self.pipeline = Pipeline(config)
        tls, limits = config.twin.tls, config.limits_held().broker
        self.registry = None if tls is None else _registry(self._folder, config, tls)
        self.services = Services(self.pipeline.wants)
        self.pipeline.shadow = self.services.shadows.get
        self.broker = Broker(
            self.pipeline.sink,
            limits=limits,
            on_refused=self.pipeline.refused,
            authorise=None if self.registry is None else self.registry.authorise,
            account=self.services,
        )
        if self.registry is not None and config.twin.provisioning:
            self.services.provision_with(self.registry, config, self._folder, self.broker.data.announce)
        self.front = Front(self.broker, self.services, config.twin, self._folder, config.lambda_wall_limit_s)
        if limits.account_publishes_out_per_s is not None:
            self.pipeline.charge = self.broker.charge_rule_matches
        self.pipeline.errors.republish = self.broker.republish
        self.pipeline.principal = self.broker.data.principal_id
        if (
            config.has_own_rules
        ):  # what they use is there now, and a mistake must show before a client connects
            self.pipeline.compile_rules()
        self.impostors = Impostors(config.host, self._client_context, SERVER_NAME)
        self.pipeline.take_over = self.impostors.take_over
        self.control = ControlServer(
            {
                "status": self._status,
                "metrics": self._metrics,
                "stages": self._stages,
                "mark": self._mark,
                "enrol": self._enrol,
                "drain": self._drain,
                "collect": self._collect,
                "stop": self._stop,
            },
            {"counts": self._counts},
        )
        self.stopping = asyncio.Event()
        """Set when somebody asked for the end."""
        self.failure: BaseException | None = None
        """A defect that ended it."""
        self.port = self.control_port = self.http_port = 0
        self.alpn_port: int | None = None
        """What is 443 in AWS; None without TLS."""
        self._marks: list[Mark | None] = [None]
        self._began_s = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._writing = threading.Lock()
        """Held by the thread that writes: it goes on when the task that began it is cancelled."""
        self._problems: list[str] = []
        self._collected = False
        self._draining = Drain(self.pipeline, config.twin.hurry, self._problem)

    async def start(self) -> None:
        """Listen, on loopback.

        Raises:
            PreflightError: a port is taken.
        """
        config = self.config
        try:
            registry = self.registry
            host, listeners = config.host, self.broker.listeners
            if registry is None:
                self.port = await self.broker.start(host, config.port)
                self.http_port = await listeners.add_plain(host, config.http_port, self.front.accept_plain)
            else:
                tls, every = registry.server_context(), registry.server_context(every_protocol=True)
                self.port = await self.broker.start(host, config.port, tls=tls)
                self.alpn_port = listeners.add_tls(host, config.alpn_port, every, self.front.accept)
                self.http_port = listeners.add_tls(host, config.http_port, tls, self.front.accept_certificate)
            self.impostors.port = self.port
            self.control_port = await self.control.start(config.host, config.control_port)
        except OSError as error:
            await self.close()
            raise PreflightError(
                f"cannot listen: {error.strerror or error}",
                where=f"{config.host}:{config.port or config.control_port}",
                cause="another broker or twin uses the port",
                next_step="give another --port, or 0 for any free one",
            ) from None
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_writing()), loop.create_task(self._warm_up())]
        for task in (*self._tasks, *self.pipeline.start()):
            task.add_done_callback(self._ended)

    async def deliver_rest(self, at_once: asyncio.Event) -> None:
        """The run is gone: deliver what is on its way, so that its stores show later what AWS's would.

        Args:
            at_once: set by whoever does not want to wait.
        """
        if self._collected:
            return
        await self.broker.stop()
        rest = asyncio.ensure_future(self.pipeline.hurry())
        now = asyncio.ensure_future(at_once.wait())
        await asyncio.wait({rest, now}, timeout=REST_S, return_when=asyncio.FIRST_COMPLETED)
        for task in (rest, now):
            task.cancel()
        await asyncio.gather(rest, now, return_exceptions=True)

    async def close(self) -> None:
        """Stop listening, write everything down. Safe to call twice."""
        await self.impostors.close()
        await self.broker.stop()
        await self.front.close()
        await self.services.close()
        await self.control.stop()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.pipeline.close()
        if not await self._write_down():
            with contextlib.suppress(OSError):
                (self._folder / EVIDENCE_FOLDER / RECORDS_WHOLE).touch()
        if self._lock is not None:
            self._lock.close()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A task in the background must not die unseen: the twin ends, and says why."""
        if not task.cancelled() and task.exception() is not None and self.failure is None:
            self.failure = task.exception()
            self.stopping.set()

    # -- in the background ---------------------------------------------------------------------------------

    async def _warm_up(self) -> None:
        # In a thread, so that clients can connect meanwhile: the rules first, as messages wait for them; what
        # writes segments is needed a second later.
        await asyncio.to_thread(self.pipeline.compile_rules)
        await self.pipeline.warm_up()
        await asyncio.to_thread(_import_dear_modules)

    async def _keep_writing(self) -> None:
        last_s = time.monotonic()
        while True:
            await asyncio.sleep(_FLUSH_LOOK_S)
            now_s = time.monotonic()
            rows = max(len(log) for log in self.pipeline.logs) + len(self.pipeline.errors)
            if rows and (rows >= MAX_ROWS or now_s - last_s >= due_age_s(now_s - self._began_s)):
                await self._write_down()
                last_s = time.monotonic()

    async def _write_down(self) -> str:
        """Write all gathered rows as segments, and the counters.

        Returns:
            Why that was not possible; empty: it was.
        """
        for log in self.pipeline.logs:
            log.detach()
        text = json.dumps([dataclasses.asdict(count) for count in self.stage_counts()], indent=1)
        try:
            await asyncio.to_thread(self._write, text)
        except OSError as error:
            why = f"the twin cannot write: {error.strerror or error} ({error.filename})"
            self._problem(why)
            return why
        return ""

    def _write(self, stages: str) -> None:
        with self._writing:
            for log in self.pipeline.logs:
                log.write()
            self.pipeline.errors.write()
            path = self._folder / EVIDENCE_FOLDER / STAGES
            temporary = path.with_suffix(".part")
            temporary.write_text(stages)
            temporary.replace(path)

    def _problem(self, what: str) -> None:
        if what not in self._problems and len(self._problems) < MAX_PROBLEMS:
            self._problems.append(what)

    # -- commands ------------------------------------------------------------------------------------------

    def stage_counts(self) -> list[StageCount]:
        """All stages since the twin began."""
        return self.pipeline.stage_counts(self.broker.metrics(), self.services.notes)

    def _marked(self, request: dict[str, Any]) -> Mark | None:
        number = int(request.get("mark", 0))
        if not 0 <= number < len(self._marks):
            raise UsageError(f"no mark {number}", cause="the twin was started again since the run began")
        return self._marks[number]

    def live(self, mark: Mark | None = None) -> dict[str, Any]:
        """Messages received and measures stored since a mark."""
        stored = self.pipeline.stored()
        received = self.pipeline.intake.accepted + self.pipeline.pending
        if mark is not None:
            received -= mark.stages[0].left
            stored = {store: count - mark.stored[store] for store, count in stored.items()}
        return {"received": received, "stored": stored}

    async def _status(self, _request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        return self.status()

    def status(self) -> dict[str, Any]:
        """What this twin is and does."""
        config = self.config
        return {
            "pid": os.getpid(),
            "host": config.host,
            "port": self.port,
            "control_port": self.control_port,
            "folder": str(self._folder),
            "uptime_s": round(time.monotonic() - self._began_s, 1),
            "limits": config.limits,
            "changed_limits": list(config.limits_held().changes_in_words()),
            "tls": self.registry is not None,
            "alpn_port": self.alpn_port,
            "http_port": self.http_port,
            "credentials": str(self.front.keys.file),
            "topic_prefix": config.topic_prefix,
            "payload": config.payload,
            "rules": [dataclasses.asdict(rule) for rule in config.rules()],
            "connections": self.broker.connections,
            **self.live(),
            "waiting": len(self.pipeline.waiting()),
            "refused": dict(self.broker.refusals()),
            "problems": list(self._problems),
        }

    def _counts(self, request: dict[str, Any]) -> dict[str, Any]:
        """Called in the control channel's thread: it reads counters and loops over no rows."""
        return self.live(self._marked(request))

    async def _metrics(self, _request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        return {
            "metrics": {name: value for stage in self.stage_counts() for name, value in stage.metrics.items()}
        }

    async def _stages(self, request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        return {"stages": self._stages_since(self._marked(request))}

    def _stages_since(self, mark: Mark | None) -> list[dict[str, Any]]:
        return [dataclasses.asdict(count) for count in since(mark, self.stage_counts())]

    async def _mark(self, _request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        self.pipeline.take_in()
        self.pipeline.restart_gauges()
        intake = self.pipeline.intake
        mark = Mark(
            self.pipeline.clock.utc_ns(),
            intake.arrived,
            sum(intake.refused.values()),
            self.pipeline.stored(),
            tuple(self.stage_counts()),
        )
        self._marks.append(mark)
        return {"mark": len(self._marks) - 1, "at_ns": mark.at_ns}

    async def _enrol(self, request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        """Things of (name, buoy id) get their certificates; the answer says where those are."""
        if self.registry is None:
            return {"tls": None}
        things = [(str(name), int(buoy)) for name, buoy in request["things"]]
        enrolled = await asyncio.to_thread(self.registry.enrol, things)
        alpn = self.config.twin.tls is not None and self.config.twin.tls.alpn
        return {
            "tls": {
                "ca": str(enrolled.ca),
                "certificate": enrolled.certificate,
                "key": enrolled.key,
                "server_name": SERVER_NAME,
                "alpn": ALPN_MQTT if alpn else "",
            },
            "port": self.alpn_port if alpn else self.port,
            "ports": {"mqtt": self.port, "https": self.http_port, "alpn": self.alpn_port},
        }

    def _client_context(self, client_id: str) -> ssl.SSLContext | None:
        return None if self.registry is None else self.registry.client_context(client_id)

    async def _drain(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        mark = self._marked(request)
        report = asyncio.get_running_loop().create_task(self._report(mark, progress))
        before = mark.arrived + mark.refused if mark is not None else 0
        try:
            complete = await self._draining.run(int(request["expected"]), before, float(request["timeout_s"]))
        finally:
            report.cancel()
            await asyncio.gather(report, return_exceptions=True)
        await self._write_down()
        return {"complete": complete, **self.live(mark)}

    async def _report(self, mark: Mark | None, progress: Callable[[dict[str, Any]], None]) -> None:
        while True:
            progress(self.live(mark))
            await asyncio.sleep(_PROGRESS_S)

    async def _collect(self, request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        from buoyfleet.cloud.local.collect import Waiting, Window, collect

        mark = self._marked(request)
        since_ns = max(int(request["since_ns"]), mark.at_ns if mark is not None else 0)
        buoys = frozenset(int(buoy) for buoy in request["buoys"])
        # A hurried twin shows its stores as they will be; another one as they are.
        seen_ns = None if self.config.twin.hurry else self.pipeline.clock.utc_ns()
        window = Window(since_ns, int(request["until_ns"]), buoys, seen_ns)
        self.pipeline.take_in()
        unrecorded = await self._write_down()
        waiting = [Waiting(*row) for row in self.pipeline.waiting()]
        run_folder = Path(request["run_folder"])
        config = self.config
        problems = await asyncio.to_thread(collect, self._folder, run_folder, window, waiting, config.layout)
        if self.pipeline.influxdb is not None:
            from buoyfleet.cloud.local.influx_collect import collect_influxdb

            client = self.pipeline.influxdb.reader()
            problems += await asyncio.to_thread(collect_influxdb, self._folder, run_folder, window, client)
        self._collected = True
        return {
            "stages": self._stages_since(mark),
            "problems": [*self._problems, *problems],
            "unrecorded": unrecorded,
        }

    async def _stop(self, _request: dict[str, Any], _progress: Progress) -> dict[str, Any]:
        self.stopping.set()
        return {"stopping": True}


def _registry(folder: Path, config: TwinConfig, tls: TwinTls) -> "Registry":
    # `cryptography` is dear to import, and most twins speak plain MQTT.
    from buoyfleet.cloud.local.registry import Registry

    return Registry(folder, config.topic_prefix, tls.policy, tls.authority, config.twin.ingest_rule)


def _import_dear_modules() -> None:
    import numpy
    import pyarrow
    import pyarrow.parquet

    from buoyfleet.model import evidence, store

    _ = (numpy, pyarrow, evidence, store)
