"""Shared subscriptions: one message for a whole group (`$share/NAME/FILTER`, MQTT 5, section 4.8.2).

As IoT Core has them (developer guide, "Shared subscriptions"), for both versions of MQTT: a member that is
online is drawn by lot. Where none is, or all have used up their rate, QoS 1 waits in the group if one of its
members has a persistent session; what waits goes to members that come, 20 messages a second each.
"""

import random
from collections import deque
from dataclasses import replace

from buoyfleet.cloud.local.broker.authority import RECEIVE
from buoyfleet.cloud.local.broker.message import Message
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import Metric, Reason, Records
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.model.limits import Limits

PREFIX = b"$share/"
NAME_BYTES = 128
_QUEUED_PER_S = 20
"""Queued messages a second to each member that is online."""


def split_shared(topic_filter: bytes) -> tuple[bytes, bytes] | None:
    """(name, filter) of a shared subscription; None: it is none, or no valid one."""
    if not topic_filter.startswith(PREFIX):
        return None
    name, slash, rest = topic_filter[len(PREFIX) :].partition(b"/")
    if not name or not slash or not rest or b"+" in name or b"#" in name or len(name) > NAME_BYTES:
        return None
    return name, rest


class ShareGroup:
    """The sessions that share one filter under one name."""

    def __init__(
        self,
        name: bytes,
        limits: Limits,
        records: Records,
        queueing: SecondWindow | None,
        chance: random.Random,
        waiting: "set[ShareGroup]",
    ) -> None:
        """`waiting`: the groups of the broker in which messages wait; it adds and removes itself."""
        self.name = name
        self._with_messages = waiting
        self.members: dict[Session, int] = {}
        """Session → its QoS and options."""
        self._queue: deque[tuple[Message, float]] = deque()
        """Messages with the time at which they are given up."""
        self._bytes = 0
        self._rates: dict[Session, SecondWindow] = {}
        self._limits = limits
        self._records = records
        self._queueing = queueing
        self._chance = chance

    @property
    def waiting(self) -> int:
        """Messages that no member could take yet."""
        return len(self._queue)

    def join(self, session: Session, options: int) -> None:
        """Add a member, or change its options."""
        self.members[session] = options

    def leave(self, session: Session) -> None:
        """Remove a member."""
        self.members.pop(session, None)
        self._rates.pop(session, None)
        if not self.members:
            self._with_messages.discard(self)

    def offer(self, message: Message, now_s: float) -> None:
        """Hand a message to one member, or keep it."""
        if self._hand_over(message, now_s):
            return
        if not message.qos or not any(session.expiry_s > 0 for session in self.members):
            # Nothing was promised to who is absent; who is there has used up a rate.
            if any(session.outlet is not None for session in self.members):
                words = "no member may be sent more in this second, and no session keeps it"
                self._refuse(Reason.DELIVERY_RATE, words, message)
            return
        cost = message.cost_bytes
        if self._queueing is not None and not self._queueing.take(now_s):
            limit = self._queueing.limit
            self._refuse(Reason.DELIVERY_QUEUE_RATE, f"the account stores {limit} messages a second", message)
        elif self._bytes + cost > self._limits.queue_bytes:
            words = f"{self.waiting} messages ({self._bytes} bytes) already wait for the group"
            self._refuse(Reason.DELIVERY_QUEUE_FULL, words, message)
        else:
            self._bytes += cost
            self._queue.append((message, now_s + self._limits.session_s))
            self._with_messages.add(self)

    def give_back(self, message: Message, now_s: float) -> None:
        """Take a message that its receiver did not acknowledge (`session.Shared`)."""
        self.offer(message, now_s)

    def advance(self, now_s: float) -> None:
        """Send what waits to members that are there."""
        queue = self._queue
        while queue:
            message, until_s = queue[0]
            if message.expired(now_s) or now_s >= until_s:
                self._take()
                expired = message.expired(now_s)
                reason = Reason.DELIVERY_MESSAGE_EXPIRED if expired else Reason.DELIVERY_SESSION_EXPIRED
                self._refuse(reason, "no member of the group came in time", message)
                continue
            able = [session for session in self._online(now_s) if self._rate(session).room(now_s)]
            if not able:
                return
            session = self._chance.choice(able)
            self._rate(session).take(now_s)
            self._take()
            self._give(session, message, now_s)

    def _take(self) -> None:
        message, _ = self._queue.popleft()
        self._bytes -= message.cost_bytes
        if not self._queue:
            self._with_messages.discard(self)

    def _rate(self, session: Session) -> SecondWindow:
        return self._rates.setdefault(session, SecondWindow(_QUEUED_PER_S))

    def _online(self, now_s: float) -> list[Session]:
        found = []
        for session in self.members:
            outlet = session.outlet
            if outlet is not None and (outlet.rate_out is None or outlet.rate_out.room(now_s)):
                found.append(session)
        return found

    def _hand_over(self, message: Message, now_s: float) -> bool:
        online = self._online(now_s)
        if not online:
            return False
        self._give(self._chance.choice(online), message, now_s)
        return True

    def _give(self, session: Session, message: Message, now_s: float) -> None:
        gate, topic = session.gate, message.topic.decode()
        shared = f"topic/{PREFIX.decode()}{self.name.decode()}/{topic}"
        # Published policies of shared subscribers name either form.
        if gate is not None and not (gate.allows(RECEIVE, shared) or gate.allows(RECEIVE, f"topic/{topic}")):
            denial = gate.denial(RECEIVE, shared)
            self._refuse(Reason.DELIVERY_NOT_AUTHORISED, denial, message, session.client_id)
            return
        qos = min(message.qos, self.members[session] & 1)
        extra = replace(message.extra, shared=self if qos else None)
        session.offer(Message(message.topic, message.payload, qos, False, extra), None, now_s)

    def _refuse(self, reason: Reason, detail: str, message: Message, client_id: str = "") -> None:
        metric = Metric.PUBLISH_OUT_THROTTLE
        if reason is Reason.DELIVERY_NOT_AUTHORISED:
            metric = Metric.PUBLISH_OUT_AUTH_ERROR
        words = f"shared subscription {self.name.decode()}: {detail}"
        self._records.refuse(reason, metric, words, client_id, message.topic.decode())
