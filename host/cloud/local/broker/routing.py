"""Who gets a message: subscriptions by filter, and a cache of what a topic leads to."""

from collections.abc import Iterable

from host.cloud.local.broker.records import Reason
from host.cloud.local.broker.session import Session
from host.model.limits import Limits

_CACHE_ENTRIES = 50_000
"""Topics remembered at once: several a board for large fleets, and an end for peers that invent topics."""


def has_wildcard(topic_filter: bytes) -> bool:
    """Whether a valid filter is more than one topic."""
    return b"+" in topic_filter or topic_filter[-1:] == b"#"


class Route:
    """What is known of one topic."""

    __slots__ = ("detail", "reason", "targets", "text")

    def __init__(
        self, text: str, targets: tuple[tuple[Session, int], ...], reason: Reason | None, detail: str
    ) -> None:
        self.text = text
        """The topic as str."""
        self.targets = targets
        """Subscribed sessions with the highest QoS each was granted: one copy a client, whatever overlaps."""
        self.reason = reason
        """Why nobody may publish to it; None: it is fine."""
        self.detail = detail


class _Node:
    """One level of the filters that have wildcards."""

    __slots__ = ("below", "here", "levels")

    def __init__(self) -> None:
        self.levels: dict[bytes, _Node] = {}
        """Next level of the filter, `+` included."""
        self.here: dict[Session, int] = {}
        """Filters that end here."""
        self.below: dict[Session, int] = {}
        """Filters that end with `#` after this level."""

    @property
    def empty(self) -> bool:
        return not (self.levels or self.here or self.below)


class Router:
    """Subscriptions of all sessions.

    A topic is matched once and then remembered; a subscription to one topic forgets that topic alone, so that
    a fleet which subscribes while it publishes does not start over with each board.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._exact: dict[bytes, dict[Session, int]] = {}
        self._root = _Node()
        self.routes: dict[bytes, Route] = {}
        """The cache; ask it first, then `route`."""

    def subscribe(self, session: Session, topic_filter: bytes, qos: int) -> None:
        """Add a subscription or replace the one with the same filter."""
        session.subscriptions[topic_filter] = qos
        if not has_wildcard(topic_filter):
            self._exact.setdefault(topic_filter, {})[session] = qos
            self.routes.pop(topic_filter, None)
            return
        node, last = self._root, topic_filter.split(b"/")
        below = last[-1] == b"#"
        for level in last[:-1] if below else last:
            node = node.levels.setdefault(level, _Node())
        (node.below if below else node.here)[session] = qos
        self.routes.clear()

    def unsubscribe(self, session: Session, topic_filter: bytes) -> bool:
        """Remove a subscription; False if there was none."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        if not has_wildcard(topic_filter):
            sessions = self._exact[topic_filter]
            del sessions[session]
            if not sessions:
                del self._exact[topic_filter]
            self.routes.pop(topic_filter, None)
            return True
        levels = topic_filter.split(b"/")
        below = levels[-1] == b"#"
        node, path = self._root, []
        for level in levels[:-1] if below else levels:
            path.append((node, level))
            node = node.levels[level]
        del (node.below if below else node.here)[session]
        for parent, level in reversed(path):
            if not parent.levels[level].empty:
                break
            del parent.levels[level]
        self.routes.clear()
        return True

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
            for sessions in self._matches(self._root, levels, 0, reserved):
                for session, qos in sessions.items():
                    if targets.get(session, -1) < qos:
                        targets[session] = qos
        reason, detail = self.problem(topic)
        route = Route(topic.decode(), tuple(targets.items()), reason, detail)
        if len(self.routes) >= _CACHE_ENTRIES:
            self.routes.clear()
        self.routes[topic] = route
        return route

    def problem(self, topic: bytes) -> tuple[Reason | None, str]:
        """Why a topic or filter is outside IoT Core's limits, with a sentence; (None, "") if it is not."""
        limits = self._limits
        if limits.reserved_topics and topic[:1] == b"$":
            return (
                Reason.TOPIC_RESERVED,
                "topics that begin with $ are AWS's own; the twin offers none of them",
            )
        if len(topic) > limits.topic_bytes:
            return Reason.TOPIC_TOO_LONG, f"a topic of {len(topic)} bytes; {limits.topic_bytes} are allowed"
        slashes = topic.count(b"/")
        if slashes > limits.topic_slashes:
            return Reason.TOPIC_TOO_DEEP, f"a topic of {slashes} slashes; {limits.topic_slashes} are allowed"
        return None, ""

    def _matches(
        self, node: _Node, levels: list[bytes], depth: int, reserved: bool
    ) -> Iterable[dict[Session, int]]:
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
