"""One connection of the witness: connects, subscribes, and does both again when it is lost."""

import asyncio
from typing import Protocol

from buoyfleet.model.errors import TargetError
from buoyfleet.model.observation import Blindness
from buoyfleet.mqtt.paho_client import PahoClient

_FILTERS_PER_SUBSCRIBE = 8
"""Filters per SUBSCRIBE (IoT Core quotas)."""

_BACKOFF_MAX_S = 5.0
_OPTIONAL = 65_535
"""Packet id of the SUBSCRIBE that a broker may refuse."""


class Watcher(Protocol):
    """What a connection tells of: the witness."""

    backoff_s: float
    """Before the first try to connect again, doubled for each further one."""

    def record(self, topic: bytes, payload: bytes) -> None:
        """A message."""
        ...

    def record_run(self, run: list[tuple[bytes, bytes]]) -> None:
        """Messages that came together."""
        ...

    def note(self, text: str, *, timed: bool = False) -> None:
        """What is worth knowing."""
        ...

    def away(self, connection: int, since_ns: int, until_ns: int, reason: Blindness, detail: str) -> None:
        """A connection saw nothing in that time."""
        ...

    def utc_ns(self) -> int:
        """Host UTC."""
        ...


class Watch:
    """One connection of the witness: connects, subscribes, and does both again when it is lost."""

    def __init__(
        self,
        witness: "Watcher",
        number: int,
        client: PahoClient,
        filters: tuple[bytes, ...],
        optional: tuple[bytes, ...],
        name: str,
        qos: int,
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Subscribed for the first time."""
        self.trouble = ""
        """Why it is not connected."""
        self.refused = False
        """The broker refused the subscription."""
        self._witness = witness
        self._number = number
        self._heard_ns = 0
        """UTC of the last packet while subscribed."""
        self._subscribed_ns = 0
        """UTC of the first subscription."""
        self._lost_since_ns = 0
        self._lost_why = ""
        self._client = client
        self._client.listener = self
        self._filters = filters
        self._optional = optional
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

    def give_up(self) -> None:
        """If `ask` has no answer: the broker has more for us, and when that was sent is unknown."""
        if self._pong is None or self._pong.done():
            return
        why = "the broker did not answer a ping at the end of the run: it may have more to deliver"
        self._witness.note(f"{self._name}: {why}", timed=True)
        self._witness.away(self._number, self._subscribed_ns, 0, Blindness.BEHIND, why)

    def close(self) -> None:
        """Say goodbye; nothing is recorded any more."""
        self._closed = True
        if not self.ready.cancel() and not self.ready.cancelled():
            self.ready.exception()  # told already, or no longer of interest
        if self._timer is not None:
            self._timer.cancel()
        self._client.disconnect()

    # paho's events

    def on_dial(self) -> None:
        """The witness waits as long as it takes."""

    def on_open(self, session_present: bool) -> None:  # noqa: ARG002 - part of the contract
        """Subscribe."""
        chunks = range(0, len(self._filters), _FILTERS_PER_SUBSCRIBE)
        for packet_id, start in enumerate(chunks, 1):
            self._awaited.add(packet_id)
            self._client.subscribe(
                self._filters[start : start + _FILTERS_PER_SUBSCRIBE], self._qos, packet_id
            )
        if self._optional:
            self._client.subscribe(self._optional, self._qos, _OPTIONAL)
        self._client.flush()

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        """Ready when all are answered, but for what a broker may refuse."""
        if packet_id == _OPTIONAL:
            return
        if any(code > 2 for code in codes):
            self.trouble = "the broker refused a subscription (SUBACK 0x80)"
            self.refused = True
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
                self._witness.away(
                    self._number, self._lost_since_ns, 0, Blindness.SUBSCRIPTION_REFUSED, self.trouble
                )
            return
        self._awaited.discard(packet_id)
        if self._awaited:
            return
        self._backoff_s = self._witness.backoff_s
        if not self.ready.done():
            self.ready.set_result(None)
            self._subscribed_ns = self._witness.utc_ns()
        elif self._lost_at_s is not None:
            gap_s = asyncio.get_running_loop().time() - self._lost_at_s
            self._witness.note(f"{self._name} back after {gap_s:.1f} s; it saw no messages in that time")
            self._witness.away(
                self._number,
                self._lost_since_ns,
                self._witness.utc_ns(),
                Blindness.NOT_CONNECTED,
                self._lost_why,
            )
        self._lost_at_s = None
        self._heard_ns = self._witness.utc_ns()

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """A data message; a retained one is older than the run."""
        if not retain:
            self._witness.record(topic, payload)
        self._heard_ns = self._witness.utc_ns()

    def on_plain_messages(self, run: list[tuple[bytes, bytes]]) -> None:
        """Data messages that came together."""
        self._witness.record_run(run)
        self._heard_ns = self._witness.utc_ns()

    def on_pubacks(self, packet_ids: list[int]) -> None:
        """The witness publishes nothing."""

    def on_pong(self) -> None:
        """The answer to `ask`."""
        self._heard_ns = self._witness.utc_ns()
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
            self._lost_since_ns, self._lost_why = self._heard_ns, reason
            self._witness.note(f"{self._name} lost: {reason}", timed=True)
            self._witness.away(self._number, self._heard_ns, 0, Blindness.NOT_CONNECTED, reason)
        if not self._closed:
            self._timer = loop.call_later(self._backoff_s, self.open)
            self._backoff_s = min(self._backoff_s * 2, _BACKOFF_MAX_S)
