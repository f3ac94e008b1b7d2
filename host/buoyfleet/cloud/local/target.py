"""Target `local`: a twin of the AWS pipeline, started for the run or running already.

    run folder/
      twin-config.json   how it was started      twin.log   what it printed
      twin/              its own data: timestream/ s3/ s3-index/ evidence/ lambda.log
      twin-address.json  where it is reached, and where its data are

What the twin has stored stays readable whatever becomes of it: after a crash `collect` reads its folder, and
so does whoever verifies a run that was killed.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.local import influx_secrets
from buoyfleet.cloud.local.config import LimitMode, TwinConfig, to_json
from buoyfleet.cloud.local.control_client import (
    ANSWER_TIMEOUT_S,
    ConnectionLost,
    ControlClient,
    NoAnswer,
    mismatch_of,
    parse_address,
)
from buoyfleet.cloud.local.folders import EVIDENCE_FOLDER, STORES
from buoyfleet.cloud.local.left_files import (
    ADDRESS_FILE,
    collect_files,
    note_address,
    noted_address,
    wait_until_ended,
    write_stages,
)
from buoyfleet.cloud.local.process import TwinProcess
from buoyfleet.cloud.target import Check, Collected, LiveCounts, Manners, Stakes
from buoyfleet.model.clock import Deadline
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import PreflightError, TargetError, unwritable
from buoyfleet.model.fleet import PayloadMode, TargetSpec, TlsSpec, TwinSpec
from buoyfleet.model.limits import PUBLISHES_PER_S
from buoyfleet.model.plan import Plan
from buoyfleet.model.stage_count import StageCount

if TYPE_CHECKING:
    from buoyfleet.cloud.influxdb import InfluxClient

CONFIG_FILE, LOG_FILE, FOLDER = "twin-config.json", "twin.log", "twin"
PATIENCE_S = 120.0
"""In a run: a twin that is busy, or was stopped for a while, is waited for."""
_REOPEN_S = 0.2
ENROL_TIMEOUT_S = 120.0
"""Ten thousand certificates take some seconds."""
COLLECT_TIMEOUT_S = 600.0
"""Reading the stores of ten million rows takes tens of seconds."""


class LocalTarget:
    """A twin as the target of one run."""

    def __init__(
        self,
        spec: TargetSpec,
        run_folder: Path,
        *,
        topic_prefix: str = "aws/0",
        payload: PayloadMode = "stamped",
        limits: LimitMode = "lifted",
        seed: int = 1,
        things: tuple[tuple[str, int], ...] = (),
        secrets: tuple[str, str] = ("", ""),
    ) -> None:
        """Nothing is started yet.

        Args:
            spec: kind `local`; with `attach`, a twin that runs already is used with its own settings.
            run_folder: the run's folder; the twin's data go to `twin/` in it.
            topic_prefix: of the fleet; the rules follow it.
            payload: of the run; decides where a record's time comes from.
            limits: `aws` keeps the rates of IoT Core and Kinesis, `lifted` does not.
            seed: of the run; partition keys follow it.
            things: (name, buoy id) of the boards; where the twin has TLS they get certificates.
            secrets: password and token of `twin.influxdb`, resolved.
        """
        self._spec = spec
        self._run_folder = run_folder
        self._things = things
        self._influx_secrets = secrets
        self._config = TwinConfig(
            folder=str(run_folder / FOLDER),
            port=spec.port,
            limits=limits,
            topic_prefix=topic_prefix,
            payload=payload,
            seed=seed,
            twin=spec.twin or TwinSpec(),
        )
        self.manners = Manners(delivers_per_s=PUBLISHES_PER_S if limits == "aws" else None)
        self.stores: tuple[str, ...] = STORES
        if self._config.twin.influxdb is not None:
            self.stores = (*STORES, "influxdb")
        self._process = TwinProcess(run_folder / CONFIG_FILE, run_folder / LOG_FILE)
        self._control: ControlClient | None = None
        self._mark = 0
        self._began_ns = 0
        """When the twin attached to began, UTC."""
        self._reopened_ns: int | None = None  # start of the run that is looked at once more
        self._problems: list[str] = []
        self.address = ""
        self._silent = False  # it did not answer in time
        self.folder = Path(self._config.folder)
        """The twin's own data."""
        self._attached: dict[str, Any] = {}  # what a twin to attach to has said of itself

    @property
    def changed_limits(self) -> tuple[str, ...]:
        """The limits that are not AWS's in this run, in words: lifted, or set to another value."""
        if self._spec.attach:
            return tuple(self._attached.get("changed_limits", ()))
        return self._config.limits_held().changes_in_words()

    async def preflight(self) -> list[Check]:
        """The port, or the twin to attach to; the settings of a twin that would be started."""
        from buoyfleet.cloud.local.checks import attach_check, influx_check, port_check, settings_checks

        if self._spec.attach:
            config = self._config
            check, status = await attach_check(self._spec.attach, config.payload, config.topic_prefix)
            self._attached = status
            return [check]
        checks = settings_checks(self._config)
        if self._config.twin.influxdb is not None:
            checks.append(await asyncio.to_thread(influx_check, self._influx_client()))
        if self._spec.port:
            checks.append(await port_check(self._config.host, self._spec.port))
        return checks

    async def stakes(self, plan: Plan) -> Stakes | None:
        """Nothing is at stake: a twin serves nobody else."""

    async def start(self) -> Endpoint:
        """Start the twin (or attach to it) and return where boards connect.

        Raises:
            PreflightError: it cannot start; its own words.
            TargetError: it did not come up in time, or ended at once.
        """
        if self._spec.attach:
            return await self._attach()
        try:
            self._run_folder.mkdir(parents=True, exist_ok=True)
            (self._run_folder / CONFIG_FILE).write_text(to_json(self._config))
            ready = await self._process.start(influx_secrets.environment(*self._influx_secrets))
            self._control = ControlClient(ready["host"], ready["control_port"])
            await self._control.open(PATIENCE_S)
            self._note_address(ready)
        except OSError as error:
            raise unwritable(self._run_folder, error) from None
        except BaseException:
            await self.stop()
            raise
        return await self._endpoint(ready)

    async def reopen(self, since_ns: int) -> Endpoint | None:
        """A twin that runs by itself; one that a run started has ended with it."""
        if not self._spec.attach:
            return None
        endpoint = await self._attach()
        self._mark = 0  # what came before belongs to the run
        self._reopened_ns = since_ns
        return endpoint

    async def _endpoint(self, ready: dict[str, Any]) -> Endpoint:
        """Where boards connect, and where the twin has TLS their certificates."""
        answer = await self._ask("enrol", ENROL_TIMEOUT_S, things=self._things)
        if answer["tls"] is None:
            return Endpoint(ready["host"], ready["port"])
        return Endpoint(ready["host"], answer["port"], TlsSpec(**answer["tls"]))

    async def counts(self) -> LiveCounts:
        """Messages received and measures stored since `start`.

        Raises:
            TargetError: the twin is gone.
        """
        answer = await self._ask("counts", PATIENCE_S, mark=self._mark)
        return _live(answer)

    async def drain(
        self, expected_messages: int, timeout_s: float, progress: Callable[[LiveCounts], None]
    ) -> None:
        """Wait for the expected messages, then run the delivery stream's buffers ahead of their time.

        Messages that do not come while nothing else does are not waited for: the verdict will find them.

        Raises:
            TargetError: the twin is gone.
        """
        answer = await self._ask(
            "drain",
            timeout_s + PATIENCE_S,
            lambda values: progress(_live(values)),
            expected=expected_messages,
            timeout_s=timeout_s,
            mark=self._mark,
        )
        live = _live(answer)
        progress(live)
        if not answer["complete"]:
            self._problems.append(
                f"the twin did not get on for {timeout_s:g} s after the last send: {live.received} of "
                f"{expected_messages} messages received"
            )

    def give_up(self) -> bool:
        """Waiting takes seconds: a second Ctrl-C stops at once."""
        return False

    async def collect(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected:
        """Store rows and evidence of the window; of a twin that crashed, what is in its folder.

        Raises:
            TargetError: an attached twin is gone, or began after the run that is looked at once more.
            OSError: the run's folder cannot be written.
        """
        if self._reopened_ns is not None and self._began_ns > self._reopened_ns:
            raise TargetError(
                "the twin has nothing of the run: it was started after it",
                where=self._spec.attach,
                cause="the twin that the run used has ended; its stores stay in its own folder",
                next_step="buoy report, for the verdict as it was",
            )
        if self._process.dead:
            return await self._collect_after_end(run_folder, since_ns, until_ns, buoys)
        try:
            answer = await self._ask(
                "collect",
                # A twin that was given up is asked once more, not for long.
                ANSWER_TIMEOUT_S if self._silent else COLLECT_TIMEOUT_S,
                run_folder=str(run_folder.resolve()),
                since_ns=since_ns,
                until_ns=until_ns,
                buoys=sorted(buoys),
                mark=self._mark,
            )
        except (NoAnswer, ConnectionLost) as error:
            if self._spec.attach and not self._silent:
                raise
            why = f"{error.what}: its files are used, without what it had not written"
            found = await self._collect_files(run_folder, since_ns, until_ns, buoys, why)
            found.failure = error.what
            return found
        except TargetError:
            if not self._process.dead:
                raise
            return await self._collect_after_end(run_folder, since_ns, until_ns, buoys)
        stages = []  # of a run that is over: the counters hold what others sent as well
        if self._reopened_ns is None:
            stages = [StageCount(**count) for count in answer["stages"]]
            write_stages(run_folder, stages)
        problems, unrecorded = [*self._problems, *answer["problems"]], answer["unrecorded"]
        return Collected(self.stores, stages, problems, unrecorded=unrecorded)

    async def collect_left(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected | None:
        """From the twin that the run attached to while it lives, else from the files of the run's twin.

        Raises:
            TargetError: there are no such files.
            OSError: the run's folder cannot be written.
        """
        if self._spec.attach:
            try:
                await self.reopen(since_ns)
                return await self.collect(run_folder, since_ns, until_ns, buoys)
            except (TargetError, PreflightError):
                self.folder = Path(noted_address(run_folder).get("folder", self.folder))
            finally:
                await self.stop()
        if not (self.folder / EVIDENCE_FOLDER).is_dir():
            if not self._spec.attach and not (run_folder / ADDRESS_FILE).exists():
                return Collected(self.stores, [], [])  # it was not up yet: nothing can have been sent
            raise TargetError(
                "the files of the run's twin are gone",
                where=str(self.folder),
                cause="the folder was deleted, or is on another machine",
                next_step="put it back, then the same command",
            )
        await asyncio.to_thread(wait_until_ended, self.folder)
        why = "the run ended early: the files that its twin left are used"
        return await self._collect_files(run_folder, since_ns, until_ns, buoys, why)

    async def _collect_after_end(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int]
    ) -> Collected:
        why = f"the twin ended in mid-run ({self._process.end_in_words()}); its files are used"
        return await self._collect_files(run_folder, since_ns, until_ns, buoys, why)

    async def _collect_files(
        self, run_folder: Path, since_ns: int, until_ns: int, buoys: frozenset[int], why: str
    ) -> Collected:
        """As `collect`, of a twin that cannot be asked."""
        influx = None if self._config.twin.influxdb is None else self._influx_client()
        found = await collect_files(
            self.folder, run_folder, (since_ns, until_ns, buoys), self._config, influx
        )
        return Collected(
            self.stores, found.stages, [*self._problems, why, *found.problems], "", found.unrecorded
        )

    async def stop(self) -> None:
        """End the twin that this run started. Safe to call twice and after a failure."""
        control, self._control = self._control, None
        if control is not None:
            control.close()
        await self._process.stop()

    # -- starting and attaching ----------------------------------------------------------------------------

    async def _attach(self) -> Endpoint:
        host, port = self._attach_address()
        control = ControlClient(host, port)
        await control.open(ANSWER_TIMEOUT_S)
        self._control = control
        status = await control.request("status", ANSWER_TIMEOUT_S)
        mismatch = mismatch_of(status, self._config.payload, self._config.topic_prefix)
        if mismatch:
            raise PreflightError(mismatch, where=control.address, next_step="start another with `buoy twin`")
        self.folder = Path(status["folder"])
        self._note_address(status)
        self._began_ns = time.time_ns() - round(status["uptime_s"] * 1e9)
        self._mark = int((await control.request("mark", ANSWER_TIMEOUT_S))["mark"])
        return await self._endpoint(status)

    def _attach_address(self) -> tuple[str, int]:
        try:
            return parse_address(self._spec.attach)
        except ValueError as error:
            raise PreflightError(str(error), where="target.attach") from None

    def _influx_client(self) -> "InfluxClient":
        from buoyfleet.cloud.influxdb import Credentials, InfluxClient

        if self._config.twin.influxdb is None:
            raise ValueError("the run has no InfluxDB")
        return InfluxClient(self._config.twin.influxdb, Credentials(*self._influx_secrets))

    # -- talking -------------------------------------------------------------------------------------------

    async def _ask(
        self,
        do: str,
        within_s: float,
        progress: Callable[[dict[str, Any]], None] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        deadline = Deadline(within_s)
        while True:
            if self._control is None:
                raise TargetError("the twin is not started")
            try:
                return await self._control.request(do, deadline.remaining_s, progress, **fields)
            except NoAnswer as error:
                await self._notice_end(error)
                self._silent = True
                raise
            except ConnectionLost as error:
                await self._notice_end(error)
                if deadline.expired:
                    raise
                await asyncio.sleep(_REOPEN_S)
                try:
                    await self._control.open(deadline.remaining_s)
                except TargetError as refused:
                    await self._notice_end(refused)
                    raise

    async def _notice_end(self, error: TargetError) -> None:
        """Raise TargetError if the twin has ended."""
        await self._process.notice_end()
        if self._process.dead:
            raise self._process.ended(self.folder) from error

    def _note_address(self, ready: dict[str, Any]) -> None:
        """Where the twin is, for `buoy twin status` and for whoever verifies a run that was killed."""
        note_address(self._run_folder, ready)
        control = f"{ready['host']}:{ready['control_port']}"
        self.address = f"twin      MQTT on {ready['host']}:{ready['port']}; look: buoy twin status {control}"


def _live(answer: dict[str, Any]) -> LiveCounts:
    return LiveCounts(
        int(answer["received"]), {store: int(count) for store, count in answer["stored"].items()}
    )
