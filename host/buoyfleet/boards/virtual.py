"""One virtual board: the firmware's own application on CPython, with a journal into the pack's ledger."""

import traceback
from collections.abc import Callable
from typing import Protocol

from buoy import config
from buoy.app import App, Topics
from buoy.link import CONNECTING, FOREVER_MS, Link, LinkPolicy
from buoy.message import Message
from buoy.outbox import MemoryOutbox
from buoy.payload import Payload
from buoy.schedule import planned
from buoy.shims import new_random

from buoyfleet.boards.ledger import Row
from buoyfleet.boards.probes import Environment, make_sampler
from buoyfleet.model.fleet import BoardSpec
from buoyfleet.model.ledger import Event
from buoyfleet.model.plan import BoardPlan
from buoyfleet.model.reasons import DropReason
from buoyfleet.mqtt.transport import Transport

_SENT = int(Event.SENT)
_ACKNOWLEDGED = int(Event.ACKNOWLEDGED)
_DROPPED = int(Event.DROPPED)

# Kept per board for the result; more of the same tells nobody anything.
_MAX_ERRORS = 20


class PackClock(Protocol):
    """What a board needs of the driver that steps it."""

    batch_ns: int
    """UTC of the batch that is being made."""
    sending: bool
    """Set when a message was made in this turn."""
    base_ns: int
    """UTC at 0 ms of the applications' clock."""

    def mark(self) -> None:
        """Events count from now."""
        ...

    def wake(self, board: "VirtualBoard") -> None:
        """Step the board soon."""
        ...

    def now_ms(self) -> float:
        """The applications' clock."""
        ...


class Storage(dict[str, str]):
    """What NVS is on a board: lasts over a reset."""

    def set(self, key: str, value: str) -> None:
        """Keep a text."""
        self[key] = value


class PackLink(Link):  # type: ignore[misc]  # the firmware has no types
    """The firmware's link; its time to connect counts from the board's turn, as thousands wait for theirs."""

    __slots__ = ()

    def _open(self, now_ms: float) -> None:
        super()._open(now_ms)
        self._deadline_ms = now_ms + FOREVER_MS  # type: ignore[misc]  # a slot of the firmware's

    def on_dial(self, now_ms: float) -> None:
        """The attempt begins."""
        if self.state == CONNECTING:
            self._deadline_ms = now_ms + self.policy.connect_timeout_ms


class VirtualBoard:
    """A board of a pack. It stands between transport and link as listener, and is the link's journal."""

    __slots__ = (
        "_append",
        "_command",
        "_configured",
        "_driver",
        "_log",
        "_outbox",
        "_plan",
        "_storage",
        "_topics",
        "_water",
        "acknowledged_count",
        "app",
        "buoy_id",
        "connected",
        "crashed",
        "dropped_count",
        "errors",
        "ever_connected",
        "finished",
        "left_out",
        "link_trouble",
        "queued",
        "reboots",
        "sent_count",
        "shut_down",
        "spec",
        "transport",
        "wake_ms",
    )

    def __init__(
        self,
        spec: BoardSpec,
        plan: BoardPlan,
        *,
        topics: Topics,
        payload: Payload,
        policy: LinkPolicy,
        transport: Transport,
        seed: int,
        environment: "Environment | None",
        append: Callable[[Row], None],
        driver: PackClock,
        log: Callable[[str], None],
    ) -> None:
        self.spec = spec
        self.buoy_id = spec.buoy_id
        self.transport = transport
        self.errors: list[str] = []
        self.left_out: list[tuple[int, list[str]]] = []
        """See `BoardReport`."""
        self.sent_count = 0
        self.acknowledged_count = 0
        self.dropped_count = 0
        self.reboots = 0
        self.connected = False
        self.ever_connected = False
        self.link_trouble: str = ""
        """The last; a `LinkTrouble` where the transport says why."""
        self.crashed = False
        self.finished = False
        self.shut_down = False
        self.queued = False
        self.wake_ms = float("inf")
        self._append = append
        self._driver = driver
        self._log = log
        self._plan = plan
        self._topics = topics
        self._command = ""
        self._configured = False
        self._storage = Storage()
        self._outbox = MemoryOutbox(spec.link.outbox, self._dropped)
        self._boot(payload, policy, seed, environment)

    def _boot(
        self, payload: Payload, policy: LinkPolicy, seed: int, environment: "Environment | None"
    ) -> None:
        topics = self._topics
        self._water, sampler = make_sampler(self.spec, seed, environment)
        self.app = App(topics, payload, sampler, self._storage, self._utc_ms, self._commanded, self._say)
        self.app.link = PackLink(
            self.transport,
            self._outbox,
            policy,
            (topics.config_global, topics.config_sensor),
            new_random(seed),
            self,
            self.app.on_config,
            self._trouble,
        )
        # The board listens first, so that the driver learns of every event.
        self.transport.listener = self

    # What the driver calls

    def start(self, start_ms: int) -> None:
        """Begin the plan; `start_ms` is the run's start by the applications' clock."""
        plan = self._plan
        end_ms = None if plan.end_ms is None else start_ms + plan.end_ms
        self.app.schedule = planned(start_ms + plan.start_ms, plan.interval_us, plan.planned(), end_ms)

    def step(self, now_ms: float) -> float:
        """Step the application; returns the time of the next call at the latest."""
        if self._command:
            self._obey(now_ms)
        if self._water is not None:
            self._water.advance_to_ms(now_ms)
        if self._configured:
            return self._configured_step(now_ms)
        wake_ms: float = self.app.step(now_ms)
        return wake_ms

    def fail(self, error: Exception) -> None:
        """The application itself failed: the board does nothing any more and cannot pass."""
        self.errors.insert(0, f"application failed: {type(error).__name__}: {error}")
        self._log(f"{self.buoy_id}: " + "".join(traceback.format_exception(error)))
        self.crashed = True
        self.transport.close()
        self.stop_sending(DropReason.APPLICATION_FAILED)

    def stop_sending(self, reason: str) -> None:
        """Make no more messages; those of the plan that were not made are dropped with the reason."""
        schedule = self.app.schedule
        if schedule is None:
            return
        left = self._plan.planned()
        for seq in range(schedule.seq, left or 0):
            self._drop_row(seq, 0, reason)
        self.app.schedule = None
        self.finished = True

    def end(self, reason: str) -> None:
        """Say goodbye; what never left is dropped with the reason."""
        self.stop_sending(reason)
        self.app.link.stop()
        self._outbox.clear(reason)

    # The link's journal

    def sent(self, message: Message) -> None:
        """An attempt; the row is in the ledger's file before the driver flushes the transport."""
        if message.seq < 0:
            return
        driver = self._driver
        driver.sending = True
        attempt = message.attempts
        self._append(
            (
                _SENT,
                self.buoy_id,
                message.seq,
                attempt,
                driver.base_ns + int(message.planned_ms * 1e6),
                driver.batch_ns,
                message.payload if attempt == 1 else None,
                None,
            )
        )
        if attempt == 1:
            self.sent_count += 1

    def acknowledged(self, message: Message) -> None:
        """PUBACK arrived."""
        if message.seq < 0:
            return
        driver = self._driver
        planned_ns = driver.base_ns + int(message.planned_ms * 1e6)
        self._append((_ACKNOWLEDGED, self.buoy_id, message.seq, 0, planned_ns, driver.batch_ns, None, None))
        self.acknowledged_count += 1

    def _dropped(self, message: Message, reason: str) -> None:
        # A message that left before is not dropped: it may have arrived.
        if message.seq >= 0 and message.attempts == 0:
            self._drop_row(message.seq, message.planned_ms, reason)

    def _drop_row(self, seq: int, planned_ms: float, reason: str) -> None:
        driver = self._driver
        planned_ns = driver.base_ns + int(planned_ms * 1e6) if planned_ms else driver.batch_ns
        self._append((_DROPPED, self.buoy_id, seq, 0, planned_ns, driver.batch_ns, None, reason))
        self.dropped_count += 1

    # The transport's listener

    def on_dial(self) -> None:
        """Its turn to connect."""
        self.app.link.on_dial(self._driver.now_ms())
        self._driver.wake(self)

    def on_open(self, session_present: bool) -> None:
        """The broker accepted the connection."""
        self.connected = self.ever_connected = True
        self.app.link.on_open(session_present)
        self._driver.wake(self)

    def on_pubacks(self, packet_ids: list[int]) -> None:
        """A run of PUBACKs. Only a board that has something to send at once is stepped for it."""
        self._driver.mark()
        self.app.link.on_pubacks(packet_ids)
        schedule = self.app.schedule
        if self._outbox.count or (schedule is not None and schedule.interval_ms is None):
            self._driver.wake(self)

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        """The answer to our subscriptions."""
        self.app.link.on_suback(packet_id, codes)
        self._driver.wake(self)

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """A configuration message."""
        self.app.link.on_message(topic, payload, retain)
        self._configured = True
        self._driver.wake(self)

    def on_writable(self) -> None:
        """The socket takes bytes again."""
        self._driver.wake(self)

    def on_pong(self) -> None:
        """PINGRESP."""
        self.app.link.on_pong()

    def on_closed(self, reason: str) -> None:
        """The connection is gone."""
        self.connected = False
        self.app.link.on_closed(reason)
        self._driver.wake(self)

    # Inside

    def _configured_step(self, now_ms: float) -> float:
        """A step that follows a configuration first; what that leaves out is not withheld by a sensor."""
        self._configured = False
        sampler, schedule = self.app.sampler, self.app.schedule
        seq = 0 if schedule is None else schedule.seq
        wake_ms: float = self.app.step(now_ms)
        # The firmware has no use for a method that tells this.
        keys = [
            key
            for key, channel in zip(sampler._keys, sampler._channels, strict=False)
            if channel.disabled or channel.interval_ms
        ]
        if keys != (self.left_out[-1][1] if self.left_out else []):
            self.left_out.append((seq, keys))
        return wake_ms

    def _utc_ms(self, now_ms: float) -> int:
        return (self._driver.base_ns + int(now_ms * 1e6)) // 1_000_000

    def _say(self, text: str) -> None:
        self._log(f"{self.buoy_id}: {text}")

    def _trouble(self, reason: str) -> None:
        self.connected = False
        self.link_trouble = reason
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(str(reason))
        self.app.on_trouble(reason)

    def _commanded(self, command: str) -> None:
        # Obeyed in a step of its own: the application is in the middle of one.
        self._command = command
        self._driver.wake(self)

    def _obey(self, now_ms: float) -> None:
        command, self._command = self._command, ""
        link = self.app.link
        link.stop()
        if command == config.SHUTDOWN:
            self.shut_down = True
            self.stop_sending(DropReason.SHUT_DOWN)
            self._outbox.clear(DropReason.SHUT_DOWN)
            return
        # A reset keeps what a real board keeps in flash: outbox, storage and the plan under way.
        self.reboots += 1
        self._say(f"reset {self.reboots}")
        link.connect(now_ms)
