"""The witness: an independent subscriber that records what passes on the data topics.

It runs on paho-mqtt, which shares no code with our own client and broker. What it did not see is evidence,
never loss by itself: a broker may discard for a slow subscriber (AWS IoT Core does beyond 100 messages/s).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from host.model.clock import Deadline, HostClock
from host.model.endpoint import Endpoint
from host.model.errors import TargetError
from host.model.fleet import TlsSpec
from host.mqtt.packets import Connect
from host.mqtt.paho_client import PahoClient, PahoHub
from host.mqtt.tls import client_context

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGES_PER_CONNECTION = 80.0
"""Per second; AWS IoT Core discards beyond 100 outbound publishes/s of a connection (IoT Core quotas)."""

_FILTERS_PER_CONNECTION = 50
"""Subscriptions per connection (IoT Core quotas)."""

_FILTERS_PER_SUBSCRIBE = 8
"""Filters per SUBSCRIBE (IoT Core quotas)."""

_KEEP_ALIVE_S = 30  # the least IoT Core allows: a silent broker is noticed that soon
_BACKOFF_MIN_S = 0.2
_BACKOFF_MAX_S = 5.0
_BARRIER_S = 2.0
_BATCH_ROWS = 50_000


class Witness:
    """Records data messages in memory; `close` writes them as `host.model.evidence.WITNESS_SCHEMA`."""

    def __init__(
        self,
        topic_prefix: str,
        rates: Mapping[int, float | None],
        *,
        limit: float | None = None,
        client_id: str = "witness",
        qos: int = 0,
        ready_timeout_s: float = 10.0,
        settle_s: float = 0.0,
    ) -> None:
        """Nothing is opened yet.

        Args:
            topic_prefix: data topics are `<prefix>/<buoy>/data/`.
            rates: the buoys to watch and their planned messages/s; None: unpaced.
            limit: messages/s a connection may carry (`MESSAGES_PER_CONNECTION` towards IoT Core); the buoys
                are spread over as many connections as that takes. None: one connection with a wildcard.
            client_id: of the only connection; several append `-1`, `-2`, …
            qos: of the subscriptions.
            ready_timeout_s: `open` fails if it is not subscribed by then.
            settle_s: least time before a connection is made again (IoT Core: 1 s per client id).
        """
        self.notes: list[str] = []
        """What is worth knowing about what it saw: lost connections, doubts."""
        self.seen = 0
        """Messages recorded."""
        self._prefix = topic_prefix
        self._client_id = client_id
        self._qos = qos
        self._ready_timeout_s = ready_timeout_s
        self.backoff_s = max(_BACKOFF_MIN_S, settle_s)
        """Before the first try to connect again, doubled for each further one."""
        self._clock = HostClock()
        self._hub: PahoHub | None = None
        self._watches: list[_Watch] = []
        self._groups = _groups(rates, limit, self.notes)
        self._wildcard = limit is None
        self._buoys = {f"{topic_prefix}/{buoy}/data/".encode(): buoy for buoy in rates}
        self._rows: tuple[list[int], list[bytes], list[int]] = ([], [], [])
        self._batches: list[pa.RecordBatch] = []

    @property
    def connections(self) -> int:
        """How many connections it needs."""
        return len(self._groups)

    async def open(self, endpoint: Endpoint) -> None:
        """Connect and subscribe; everything published after this returns should be seen.

        Raises:
            TargetError: not subscribed in time, refused, or a TLS file cannot be used.
        """
        contexts = self._contexts(endpoint.tls)
        self._hub = PahoHub(
            endpoint.host,
            endpoint.port,
            server_name=endpoint.tls.server_name if endpoint.tls else "",
            connect_timeout_s=self._ready_timeout_s,
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
                _Watch(
                    self,
                    PahoClient(self._hub, connect, contexts[number - 1]),
                    self._filters(group),
                    f"witness connection {number} of {count} (buoys {group[0]}–{group[-1]})",
                    self._qos,
                )
            )
        for watch in self._watches:
            watch.open()
        try:
            async with asyncio.timeout(self._ready_timeout_s):
                for watch in self._watches:
                    await asyncio.shield(watch.ready)
        except TimeoutError:
            trouble = next((watch.trouble for watch in self._watches if not watch.ready.done()), "")
            await self._close_connections()
            raise TargetError(
                f"the witness was not subscribed within {self._ready_timeout_s:g} s",
                where=self._hub.peer,
                cause=trouble or "the broker does not answer",
                next_step=f"mosquitto_sub -h {endpoint.host} -p {endpoint.port} -t '{self._prefix}/#' -d",
            ) from None
        except BaseException:
            await self._close_connections()
            raise

    async def disconnect(self) -> None:
        """Stop watching and write nothing; what was seen stays in `table`."""
        await self._close_connections()

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

    async def close(self, run_folder: Path) -> list[str]:
        """Wait for what the broker still has for us, disconnect, write the evidence; returns the notes."""
        deadline = Deadline(_BARRIER_S)
        for watch in self._watches:
            watch.ask()
        for watch in self._watches:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.answered(), deadline.remaining_s)
        await self._close_connections()
        # pyarrow costs a tenth of a second: not before the run.
        import pyarrow.parquet as pq

        from host.model.evidence import EVIDENCE_FOLDER, WITNESS

        folder = run_folder / EVIDENCE_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.table(), folder / WITNESS)
        return self.notes

    def table(self) -> "pa.Table":
        """Everything seen so far, in order of arrival."""
        import pyarrow as pa

        from host.model.evidence import WITNESS_SCHEMA

        self._pack()
        return pa.Table.from_batches(self._batches, WITNESS_SCHEMA)

    def record(self, topic: bytes, payload: bytes) -> None:
        """Keep one message; those of other buoys are none of our business."""
        buoy = self._buoys.get(topic)
        if buoy is None:
            return
        buoys, payloads, times = self._rows
        buoys.append(buoy)
        payloads.append(payload)
        times.append(self._clock.utc_ns())
        self.seen += 1
        if len(buoys) >= _BATCH_ROWS:
            self._pack()

    def note(self, text: str, *, timed: bool = False) -> None:
        """Keep what is worth knowing."""
        if timed:
            text += f" (at {datetime.fromtimestamp(self._clock.utc_ns() / 1e9, UTC):%H:%M:%S} UTC)"
        self.notes.append(text)

    def _pack(self) -> None:
        """Move rows into Arrow, which holds them in a third of the memory."""
        import pyarrow as pa

        from host.model.evidence import WITNESS_SCHEMA

        if self._rows[0]:
            self._batches.append(pa.record_batch(list(self._rows), schema=WITNESS_SCHEMA))
            self._rows = ([], [], [])

    def _filters(self, group: list[int]) -> tuple[bytes, ...]:
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


class _Watch:
    """One connection of the witness: connects, subscribes, and does both again when it is lost."""

    def __init__(
        self,
        witness: Witness,
        client: PahoClient,
        filters: tuple[bytes, ...],
        name: str,
        qos: int,
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Subscribed for the first time."""
        self.trouble = ""
        """Why it is not connected."""
        self._witness = witness
        self._client = client
        self._client.listener = self
        self._filters = filters
        self._name = name
        self._qos = qos
        self._awaited: set[int] = set()
        """Packet ids of SUBSCRIBEs without an answer."""
        self._lost_at_s: float | None = None
        """Since when it is being made again, by the loop's clock."""
        self._backoff_s = witness.backoff_s
        self._timer: asyncio.TimerHandle | None = None
        self._pong: asyncio.Future[None] | None = None
        self._closed = False

    def open(self) -> None:
        """Connect; from then on it keeps itself connected."""
        self._timer = None
        self._client.open()

    def ask(self) -> None:
        """Send a ping: the broker answers it after all messages it took before, as both go one way."""
        self._pong = asyncio.get_running_loop().create_future()
        if self._lost_at_s is None and self.ready.done():
            self._client.ping()
            self._client.flush()
        else:
            self._pong.set_result(None)

    async def answered(self) -> None:
        """The answer to `ask`, or nobody there to answer."""
        if self._pong is not None:
            await asyncio.shield(self._pong)

    def close(self) -> None:
        """Say goodbye; nothing is recorded any more."""
        self._closed = True
        if not self.ready.cancel() and not self.ready.cancelled():
            self.ready.exception()  # told already, or no longer of interest
        if self._timer is not None:
            self._timer.cancel()
        self._client.disconnect()

    # paho's events

    def on_open(self, session_present: bool) -> None:  # noqa: ARG002 - part of the contract
        """Subscribe."""
        chunks = range(0, len(self._filters), _FILTERS_PER_SUBSCRIBE)
        for packet_id, start in enumerate(chunks, 1):
            self._awaited.add(packet_id)
            self._client.subscribe(
                self._filters[start : start + _FILTERS_PER_SUBSCRIBE], self._qos, packet_id
            )
        self._client.flush()

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        """Ready when all are answered."""
        if any(code > 2 for code in codes):
            self.trouble = "the broker refused a subscription (SUBACK 0x80)"
            if not self.ready.done():
                self.ready.set_exception(
                    TargetError(
                        "the broker refused the witness's subscription",
                        where=self._name,
                        cause="its user or policy may not subscribe to the data topics",
                    )
                )
            else:
                self._witness.note(f"{self._name}: {self.trouble} after a reconnect")
            return
        self._awaited.discard(packet_id)
        if self._awaited:
            return
        self._backoff_s = self._witness.backoff_s
        if not self.ready.done():
            self.ready.set_result(None)
        elif self._lost_at_s is not None:
            gap_s = asyncio.get_running_loop().time() - self._lost_at_s
            self._witness.note(f"{self._name} back after {gap_s:.1f} s; it saw nothing meanwhile")
        self._lost_at_s = None

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """A data message; a retained one is older than the run."""
        if not retain:
            self._witness.record(topic, payload)

    def on_pubacks(self, packet_ids: list[int]) -> None:
        """The witness publishes nothing."""

    def on_pong(self) -> None:
        """The answer to `ask`."""
        if self._pong is not None and not self._pong.done():
            self._pong.set_result(None)

    def on_closed(self, reason: str) -> None:
        """Connect again after a while."""
        self.trouble = reason
        self._awaited.clear()
        if self._pong is not None and not self._pong.done():
            self._pong.set_result(None)
        loop = asyncio.get_running_loop()
        if self.ready.done() and self._lost_at_s is None:
            self._lost_at_s = loop.time()
            self._witness.note(f"{self._name} lost: {reason}", timed=True)
        if not self._closed:
            self._timer = loop.call_later(self._backoff_s, self.open)
            self._backoff_s = min(self._backoff_s * 2, _BACKOFF_MAX_S)
