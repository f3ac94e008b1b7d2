"""The witness: an independent subscriber that records what passes on the data topics.

It runs on paho-mqtt and, for plain QoS 0 messages, on a few lines of its own (buoyfleet.mqtt.paho_reading):
it shares no code with our own client and broker. What it sees goes to the run's folder as it comes (an Arrow
stream, as ledgers are), so that a run that is killed can still be verified. When it was away, and what its
connections may carry at most, is written beside it: that much it cannot know.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from buoyfleet.model.clock import Deadline, HostClock
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import TargetError
from buoyfleet.model.fleet import TlsSpec
from buoyfleet.model.observation import FILE_NAME, Blindness, Gap, Observation, write_observation
from buoyfleet.model.places import KEPT
from buoyfleet.model.stage_count import EVIDENCE_FOLDER
from buoyfleet.mqtt.packets import Connect
from buoyfleet.mqtt.paho_client import PahoClient, PahoHub
from buoyfleet.mqtt.tls import client_context
from buoyfleet.mqtt.turns import Turns
from buoyfleet.mqtt.witness_connection import Watch
from buoyfleet.mqtt.witness_record import RecordStream

MESSAGES_PER_CONNECTION = 80.0
"""Per second; AWS IoT Core discards beyond 100 outbound publishes/s of a connection (IoT Core quotas)."""

_FILTERS_PER_CONNECTION = 49
"""Subscriptions per connection (IoT Core quotas: 50), less the one to the error topics."""

_KEEP_ALIVE_S = 30  # the least IoT Core allows: a silent broker is noticed that soon
_BACKOFF_MIN_S = 0.2
_BARRIER_S = 2.0
_BATCH_ROWS = 8192  # some milliseconds of work: the loop has other things to do
_FLUSH_S = 0.5
# Where messages are still out, nothing new for so long means that they will not come.
_QUIET_S = 2.0
_PROOF_QUIET_S = 10.0
"""Where nothing else proves what arrived: a broker in a cluster, or behind a bridge, may take its time."""
_POLL_S = 0.02
_MOST_ERRORS = 2000


class Witness:
    """Records data messages as rows of `buoyfleet.model.evidence.WITNESS_SCHEMA`."""

    def __init__(
        self,
        topic_prefix: str,
        rates: Mapping[int, float | None],
        *,
        folder: Path | None = None,
        limit: float | None = None,
        delivers_per_s: float | None = None,
        client_id: str = "witness",
        qos: int = 0,
        ready_timeout_s: float = 10.0,
        settle_s: float = 0.0,
        connects_per_s: float | None = None,
        sees_data: bool = True,
    ) -> None:
        """Nothing is opened yet.

        Args:
            topic_prefix: data topics are `<prefix>/<buoy>/data/`.
            rates: the buoys to watch and their planned messages/s; None: unpaced.
            folder: of the run; None: messages are counted and not kept.
            limit: messages/s a connection may carry (`MESSAGES_PER_CONNECTION` towards IoT Core); the buoys
                are spread over as many connections as that takes. None: one connection with a wildcard.
            delivers_per_s: what the broker delivers to one connection at most; None: as far as is known, all.
            client_id: of the only connection; several append `-1`, `-2`, …
            qos: of the subscriptions.
            ready_timeout_s: `open` fails if no further connection is subscribed within this time.
            settle_s: least time before a connection is made again (IoT Core: 1 s per client id).
            connects_per_s: connections begun per second, first and later ones; None: no limit.
            sees_data: False where no subscriber gets data (Basic Ingest): it hears errors alone.
        """
        self.notes: list[str] = []
        """What is worth knowing about what it saw: lost connections, doubts."""
        self.seen: dict[int, int] = dict.fromkeys(rates, 0)
        """Buoy → messages recorded."""
        self._prefix = topic_prefix
        self._client_id = client_id
        self._qos = qos
        self._ready_timeout_s = ready_timeout_s
        self._turns = None if connects_per_s is None else Turns(connects_per_s)
        self.backoff_s = max(_BACKOFF_MIN_S, settle_s)
        """Before the first try to connect again, doubled for each further one."""
        self._clock = HostClock()
        self._hub: PahoHub | None = None
        self._watches: list[Watch] = []
        self._sees_data = sees_data
        self._groups = _groups(rates, limit if sees_data else None, self.notes)
        self._wildcard = limit is None
        self._folder = folder
        self._observation = Observation(self._groups, delivers_per_s)
        self._buoys = {f"{topic_prefix}/{buoy}/data/".encode(): buoy for buoy in rates}
        self._errors = {f"{topic_prefix}/{buoy}/error/".encode(): buoy for buoy in rates}
        self._rows: tuple[list[int], list[bytes], list[int]] = ([], [], [])
        self._stream: RecordStream | None = None
        self._flusher: asyncio.TimerHandle | None = None
        self._last_news_s = 0.0

    @property
    def connections(self) -> int:
        """How many connections it needs."""
        return len(self._groups)

    async def open(self, endpoint: Endpoint) -> None:
        """Connect and subscribe; everything published after this returns should be seen.

        Raises:
            TargetError: not subscribed in time, refused, or a TLS file cannot be used.
        """
        try:
            contexts = self._contexts(endpoint.tls)
            if self._folder is not None and self._sees_data:
                # In a thread: pyarrow takes a tenth of a second to import, and boards load meanwhile.
                self._stream = await asyncio.to_thread(RecordStream, self._folder)
                self._flush_later()
            await self._open(endpoint, contexts)
        except TargetError as error:
            refused = any(watch.refused for watch in self._watches)
            reason = Blindness.SUBSCRIPTION_REFUSED if refused else Blindness.NOT_CONNECTED
            detail = f"{error.what}: {error.cause}" if error.cause else error.what
            self._observation.gaps = [Gap(n, 0, 0, reason, detail) for n in range(len(self._groups))]
            self._end_stream()
            raise
        self._keep_observation()

    async def _open(self, endpoint: Endpoint, contexts: "list[ssl.SSLContext | None]") -> None:
        self._hub = PahoHub(
            endpoint.host,
            endpoint.port,
            server_name=endpoint.tls.server_name if endpoint.tls else "",
            connect_timeout_s=self._ready_timeout_s,
            turns=self._turns,
        )
        count = len(self._groups)
        for number, group in enumerate(self._groups, 1):
            connect = Connect(
                self._names()[number - 1],
                keep_alive_s=_KEEP_ALIVE_S,
                username=endpoint.username or None,
                password=endpoint.password.encode() if endpoint.password else None,
            )
            self._watches.append(
                Watch(
                    self,
                    number - 1,
                    PahoClient(self._hub, connect, contexts[number - 1]),
                    self._filters(group),
                    # Errors are few: the first connection hears those of all.
                    self._errors_filter if number == 1 and self._sees_data else (),
                    f"witness connection {number} of {count} (buoys {group[0]}–{group[-1]})",
                    self._qos,
                )
            )
        for watch in self._watches:
            watch.open()
        try:
            for watch in self._watches:
                async with asyncio.timeout(self._ready_timeout_s):
                    await asyncio.shield(watch.ready)
        except TimeoutError:
            trouble = next((watch.trouble for watch in self._watches if not watch.ready.done()), "")
            await self._close_connections()
            from buoyfleet.programs.catalogue import MOSQUITTO
            from buoyfleet.programs.find import typed

            raise TargetError(
                f"the witness was not subscribed within {self._ready_timeout_s:g} s",
                where=self._hub.peer,
                cause=trouble or "the broker does not answer",
                next_step=f"{typed(MOSQUITTO, 'mosquitto_sub', KEPT)} "
                f"-h {endpoint.host} -p {endpoint.port} -t '{self._prefix}/#' -d",
            ) from None
        except BaseException:
            await self._close_connections()
            raise

    async def disconnect(self) -> None:
        """Stop watching at once; what was seen stays in `seen`."""
        await self._close_connections()
        self._end_stream()

    def _names(self) -> list[str]:
        count = len(self._groups)
        return [self._client_id if count == 1 else f"{self._client_id}-{n}" for n in range(1, count + 1)]

    def _contexts(self, tls: TlsSpec | None) -> list[ssl.SSLContext | None]:
        """One per connection: where there are files for each they are used, else those of the witness."""
        contexts: list[ssl.SSLContext | None] = []
        try:
            for name in self._names():
                own = tls is not None and Path(tls.certificate.replace("{thing}", name)).is_file()
                contexts.append(
                    None if tls is None else client_context(tls, name if own else self._client_id)
                )
        except (OSError, ssl.SSLError) as error:
            raise TargetError(
                f"the witness cannot use its TLS files: {error}", next_step="check `tls` of the fleet file"
            ) from None
        return contexts

    async def settle(self, sent: Mapping[int, int], timeout_s: float, *, proves: bool) -> None:
        """Wait until as many messages of each buoy came as were sent, or until no more come.

        Args:
            sent: buoy → messages.
            timeout_s: longest time to wait.
            proves: what it sees is the only proof of what arrived.
        """
        if not self._sees_data:
            return
        deadline = Deadline(timeout_s)
        quiet_s = _PROOF_QUIET_S if proves else _QUIET_S
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        short = [buoy for buoy, count in sent.items() if count > self.seen.get(buoy, 0)]
        while short and not deadline.expired:
            if loop.time() - max(began_s, self._last_news_s) > quiet_s:
                return
            await asyncio.sleep(_POLL_S)
            while short and self.seen.get(short[-1], 0) >= sent[short[-1]]:
                short.pop()
        # Copies and messages of others have been counted too: some of ours may still be on their way.
        if any(self.seen.get(buoy, 0) > count for buoy, count in sent.items()):
            while loop.time() - max(began_s, self._last_news_s) <= min(quiet_s, _QUIET_S):
                if deadline.expired:
                    return
                await asyncio.sleep(_POLL_S)

    async def close(self) -> list[str]:
        """Wait for what the broker still has for us, disconnect, end the evidence; returns the notes."""
        deadline = Deadline(_BARRIER_S)
        for watch in self._watches:
            watch.ask()
        for watch in self._watches:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.answered(), deadline.remaining_s)
        for watch in self._watches:
            watch.give_up()
        await self._close_connections()
        self._end_stream()
        return self.notes

    def record(self, topic: bytes, payload: bytes) -> None:
        """Keep one message; those of other buoys are none of our business."""
        buoy = self._buoys.get(topic)
        if buoy is None:
            buoy = self._errors.get(topic)
            if buoy is not None and len(self._observation.errors) < _MOST_ERRORS:
                self._observation.errors.append((buoy, payload.decode(errors="replace")))
            return
        self._last_news_s = asyncio.get_running_loop().time()
        self.seen[buoy] += 1
        if self._stream is None:
            return
        buoys, payloads, times = self._rows
        buoys.append(buoy)
        payloads.append(payload)
        times.append(self._clock.utc_ns())
        if len(buoys) >= _BATCH_ROWS:
            self._flush()

    def record_run(self, run: list[tuple[bytes, bytes]]) -> None:
        """Keep messages that came together: of one time."""
        known, seen = self._buoys, self.seen
        found = [(known.get(topic), payload) for topic, payload in run]
        if self._stream is None or any(buoy is None for buoy, _ in found):
            for topic, payload in run:
                self.record(topic, payload)
            return
        for buoy, _ in found:
            seen[buoy] += 1  # type: ignore[index]  # none is None here
        buoys, payloads, times = self._rows
        buoys += [buoy for buoy, _ in found]  # type: ignore[misc]
        payloads += [payload for _, payload in found]
        times += [self._clock.utc_ns()] * len(found)
        self._last_news_s = asyncio.get_running_loop().time()
        if len(buoys) >= _BATCH_ROWS:
            self._flush()

    def away(self, connection: int, since_ns: int, until_ns: int, reason: Blindness, detail: str) -> None:
        """A connection saw nothing in that time; the same time again replaces what was known of it."""
        gaps = self._observation.gaps
        gaps[:] = [gap for gap in gaps if (gap.connection, gap.since_ns) != (connection, since_ns)]
        gaps.append(Gap(connection, since_ns, until_ns, reason, detail))
        self._keep_observation()

    def utc_ns(self) -> int:
        """Host UTC."""
        return self._clock.utc_ns()

    def note(self, text: str, *, timed: bool = False) -> None:
        """Keep what is worth knowing."""
        if timed:
            text += f" (at {datetime.fromtimestamp(self._clock.utc_ns() / 1e9, UTC):%H:%M:%S} UTC)"
        self.notes.append(text)

    def _flush_later(self) -> None:
        self._flusher = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush_in_time)

    def _flush_in_time(self) -> None:
        self._flush()
        self._flush_later()

    def _flush(self) -> None:
        if self._stream is None or not self._rows[0]:
            return
        rows, self._rows = self._rows, ([], [], [])
        try:
            self._stream.write(rows)
        except OSError as error:
            self._stream = None
            why = f"what the subscriber saw could not be written: {error.strerror or error}"
            self.note(why, timed=True)
            for connection in range(len(self._groups)):
                self.away(connection, rows[2][0], 0, Blindness.DISK_FULL, why)

    def _end_stream(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
        self._flush()
        if self._stream is not None:
            with contextlib.suppress(OSError):  # a stream without its end mark is read all the same
                self._stream.close()
            self._stream = None
        self._keep_observation()

    def _keep_observation(self) -> None:
        if self._folder is None:
            return
        try:
            write_observation(self._observation, self._folder / EVIDENCE_FOLDER)
        except OSError as error:
            self.note(f"{FILE_NAME} could not be written: {error.strerror or error}")

    @property
    def _errors_filter(self) -> tuple[bytes, ...]:
        return (f"{self._prefix}/+/error/".encode(),)

    def _filters(self, group: list[int]) -> tuple[bytes, ...]:
        if not self._sees_data:
            return self._errors_filter
        if self._wildcard:
            return (f"{self._prefix}/+/data/".encode(),)
        return tuple(f"{self._prefix}/{buoy}/data/".encode() for buoy in group)

    async def _close_connections(self) -> None:
        for watch in self._watches:
            watch.close()
        if self._hub is not None:
            await self._hub.close()


def _groups(rates: Mapping[int, float | None], limit: float | None, notes: list[str]) -> list[list[int]]:
    """The buoys of each connection, in order of their ids."""
    buoys = sorted(rates)
    if limit is None or not buoys:
        return [buoys] if buoys else []
    groups: list[list[int]] = []
    carried = 0.0
    for buoy in buoys:
        rate = rates[buoy]
        if rate is None or rate > limit:
            planned = "is not paced" if rate is None else f"plans {rate:g} messages/s"
            notes.append(
                f"buoy {buoy} {planned}; one connection of the witness may see only {limit:g}/s of it"
            )
        wanted = limit if rate is None else rate
        if not groups or carried + wanted > limit or len(groups[-1]) == _FILTERS_PER_CONNECTION:
            groups.append([])
            carried = 0.0
        groups[-1].append(buoy)
        carried += wanted
    return groups
