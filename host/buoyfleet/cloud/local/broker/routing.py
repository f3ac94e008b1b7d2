"""Who gets a message: subscriptions by filter, and a cache of what a topic leads to."""

import random
from collections.abc import Iterable

from buoyfleet.cloud.local.broker.account import Account, split_ingest
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import Reason, Records
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.cloud.local.broker.sharing import PREFIX, ShareGroup, split_shared
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.topics import TopicError, check_filter

QOS, NO_LOCAL, RETAIN_AS_PUBLISHED = 0x01, 0x04, 0x08
"""Bits of a subscription's options, as MQTT 5 has them on the wire (section 3.8.3.1)."""

_CACHE_ENTRIES = 50_000
"""Topics remembered at once: several a board for large fleets, and an end for peers that invent topics."""


_EVENTS = b"$aws/events/"
_FOREIGN = "topics that begin with $ are AWS's own, and this is none that the twin offers"
Target = Session | ShareGroup


def has_wildcard(topic_filter: bytes) -> bool:
    """Whether a valid filter is more than one topic."""
    return b"+" in topic_filter or topic_filter[-1:] == b"#"


class Route:
    """What is known of one topic."""

    __slots__ = ("detail", "groups", "rare", "reason", "service", "targets", "text")

    def __init__(
        self,
        text: str,
        targets: tuple[tuple[Session, int], ...],
        groups: tuple[ShareGroup, ...],
        reason: Reason | None,
        detail: str,
        service: bool = False,
    ) -> None:
        self.text = text
        """The topic as str."""
        self.targets = targets
        """Subscribed sessions with the highest QoS each was granted, and its options: one copy a client,
        whatever overlaps."""
        self.groups = groups
        """Shared subscriptions, each of which gets one copy."""
        self.service = service
        """It is one of the account's own, on which a service listens."""
        self.rare = service or reason is not None
        """A message on it needs more than the usual checks."""
        self.reason = reason
        """Why nobody may publish to it; None: it is fine."""
        self.detail = detail


class _Node:
    """One level of the filters that have wildcards."""

    __slots__ = ("below", "here", "levels")

    def __init__(self) -> None:
        self.levels: dict[bytes, _Node] = {}
        """Next level of the filter, `+` included."""
        self.here: dict[Target, int] = {}
        """Filters that end here."""
        self.below: dict[Target, int] = {}
        """Filters that end with `#` after this level."""

    @property
    def empty(self) -> bool:
        return not (self.levels or self.here or self.below)


class Router:
    """Subscriptions of all sessions.

    A topic is matched once and then remembered; a subscription to one topic forgets that topic alone, so that
    a fleet which subscribes while it publishes does not start over with each board.
    """

    def __init__(
        self,
        limits: Limits,
        records: Records | None = None,
        queueing: SecondWindow | None = None,
        account: Account | None = None,
    ) -> None:
        """Nobody is subscribed.

        Args:
            limits: of the broker.
            records: where groups count what they drop.
            queueing: the account's rate of messages stored for those who are absent.
            account: the services behind `$aws/…`; None: there are none.
        """
        self._account = account
        self.event_filters = 0
        """Subscriptions that lifecycle events may match."""
        self._limits = limits
        self._records = records or Records()
        self._queueing = queueing
        self._chance = random.Random(1)
        self._exact: dict[bytes, dict[Target, int]] = {}
        self._root = _Node()
        self._groups: dict[tuple[bytes, bytes], ShareGroup] = {}
        self._waiting: set[ShareGroup] = set()
        self.routes: dict[bytes, Route] = {}
        """The cache; ask it first, then `route`."""

    def subscribe(self, session: Session, topic_filter: bytes, options: int) -> None:
        """Add a subscription or replace the one with the same filter. `options`: QoS and MQTT 5's bits."""
        session.subscriptions[topic_filter] = options
        shared = split_shared(topic_filter)
        if shared is None:
            self._add(session, topic_filter, options)
            return
        group = self._groups.get(shared)
        if group is None:
            group = ShareGroup(
                shared[0], self._limits, self._records, self._queueing, self._chance, self._waiting
            )
            self._groups[shared] = group
            self._add(group, shared[1], QOS)
        group.join(session, options)

    def unsubscribe(self, session: Session, topic_filter: bytes) -> bool:
        """Remove a subscription; False if there was none."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        shared = split_shared(topic_filter)
        if shared is None:
            self._remove(session, topic_filter)
            return True
        group = self._groups[shared]
        group.leave(session)
        if not group.members:
            del self._groups[shared]
            self._remove(group, shared[1])
        return True

    def waiting_groups(self) -> Iterable[ShareGroup]:
        """Groups in which messages wait."""
        return tuple(self._waiting)

    def _add(self, target: Target, topic_filter: bytes, options: int) -> None:
        self.event_filters += topic_filter.startswith(_EVENTS)
        if not has_wildcard(topic_filter):
            self._exact.setdefault(topic_filter, {})[target] = options
            self.routes.pop(topic_filter, None)
            return
        node, last = self._root, topic_filter.split(b"/")
        below = last[-1] == b"#"
        for level in last[:-1] if below else last:
            node = node.levels.setdefault(level, _Node())
        (node.below if below else node.here)[target] = options
        self.routes.clear()

    def _remove(self, target: Target, topic_filter: bytes) -> None:
        self.event_filters -= topic_filter.startswith(_EVENTS)
        if not has_wildcard(topic_filter):
            targets = self._exact[topic_filter]
            del targets[target]
            if not targets:
                del self._exact[topic_filter]
            self.routes.pop(topic_filter, None)
            return
        levels = topic_filter.split(b"/")
        below = levels[-1] == b"#"
        node, path = self._root, []
        for level in levels[:-1] if below else levels:
            path.append((node, level))
            node = node.levels[level]
        del (node.below if below else node.here)[target]
        for parent, level in reversed(path):
            if not parent.levels[level].empty:
                break
            del parent.levels[level]
        self.routes.clear()

    def forget(self, session: Session) -> None:
        """Remove all subscriptions of a session."""
        for topic_filter in list(session.subscriptions):
            self.unsubscribe(session, topic_filter)

    def route(self, topic: bytes) -> Route:
        """Match a valid topic and remember the answer."""
        targets = dict(self._exact.get(topic, ()))
        if not self._root.empty:
            reserved = topic[:1] == b"$"
            levels = topic.split(b"/")
            for found in self._matches(self._root, levels, 0, reserved):
                for target, options in found.items():
                    known = targets.get(target)
                    targets[target] = options if known is None else _merged(known, options)
        reason, detail = self.problem(topic)
        sessions = tuple((one, options) for one, options in targets.items() if isinstance(one, Session))
        groups = tuple(one for one in targets if isinstance(one, ShareGroup))
        service = (
            reason is None
            and self._limits.reserved_topics
            and self._account is not None
            and topic.startswith(b"$aws/")
        )
        route = Route(topic.decode(), sessions, groups, reason, detail, service)
        if len(self.routes) >= _CACHE_ENTRIES:
            self.routes.clear()
        self.routes[topic] = route
        return route

    def filter_problem(self, topic_filter: bytes) -> tuple[Reason | None, str]:
        """As `problem`, of a filter; the `$share/NAME/` of a shared subscription does not count."""
        if not topic_filter.startswith(PREFIX):
            return self._plain_filter_problem(topic_filter)
        shared = split_shared(topic_filter)
        if shared is None:
            return Reason.FILTER_INVALID, "a shared subscription is $share/NAME/FILTER, NAME without + and #"
        try:
            check_filter(shared[1])
        except TopicError as error:
            return Reason.FILTER_INVALID, f"the filter of a shared subscription: {error}"
        return self._plain_filter_problem(shared[1])

    def _plain_filter_problem(self, topic_filter: bytes) -> tuple[Reason | None, str]:
        if not self._limits.reserved_topics or topic_filter[:1] != b"$":
            return self.problem(topic_filter)
        words = _FOREIGN
        if self._account is not None and topic_filter.startswith(b"$aws/"):
            words = self._account.subscribe_problem(topic_filter.decode())
        return (Reason.TOPIC_RESERVED, words) if words else (None, "")

    def problem(self, topic: bytes) -> tuple[Reason | None, str]:
        """Why a topic or filter is outside IoT Core's limits, with a sentence; (None, "") if it is not."""
        limits = self._limits
        if limits.reserved_topics and topic[:1] == b"$":
            words = _FOREIGN
            if self._account is not None and topic.startswith(b"$aws/"):
                words = self._account.publish_problem(topic.decode())
            if words:
                return Reason.TOPIC_RESERVED, words
            rule, rest = split_ingest(topic.decode())
            if not rule:
                return None, ""
            topic = rest.encode()
        if len(topic) > limits.topic_bytes:
            return Reason.TOPIC_TOO_LONG, f"a topic of {len(topic)} bytes; {limits.topic_bytes} are allowed"
        slashes = topic.count(b"/")
        if slashes > limits.topic_slashes:
            return Reason.TOPIC_TOO_DEEP, f"a topic of {slashes} slashes; {limits.topic_slashes} are allowed"
        return None, ""

    def _matches(
        self, node: _Node, levels: list[bytes], depth: int, reserved: bool
    ) -> Iterable[dict[Target, int]]:
        wild = depth > 0 or not reserved  # a leading wildcard never matches `$…` (MQTT 3.1.1, section 4.7.2)
        if depth == len(levels):
            yield node.here
            if self._limits.hash_matches_parent:
                yield node.below
            return
        if wild:
            yield node.below
            plus = node.levels.get(b"+")
            if plus is not None:
                yield from self._matches(plus, levels, depth + 1, reserved)
        exact = node.levels.get(levels[depth])
        if exact is not None:
            yield from self._matches(exact, levels, depth + 1, reserved)


def _merged(one: int, other: int) -> int:
    """The options where several filters of one session match: the highest QoS, and what any allows."""
    return max(one & QOS, other & QOS) | (one & other & NO_LOCAL) | ((one | other) & RETAIN_AS_PUBLISHED)
