"""The broker's parts by themselves: rates, deadlines, routing, limits in words."""

from collections.abc import Iterable
from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.cloud.local.broker.message import Message
from buoyfleet.cloud.local.broker.rates import ByteBucket, SecondWindow
from buoyfleet.cloud.local.broker.records import Records
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.cloud.local.broker.wheel import DeadlineWheel
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.codec import Publish, topic_matches

# Rates


@given(
    limit=st.integers(1, 20),
    gaps=st.lists(st.floats(0, 2, allow_nan=False), max_size=200),
)
def test_a_window_passes_no_more_than_its_limit_from_one_windows_start_to_the_next(
    limit: int, gaps: list[float]
) -> None:
    window, now_s = SecondWindow(limit), 0.0
    passed: dict[float, int] = {}
    for gap in gaps:
        now_s += gap
        expected = window.room(now_s)
        assert window.take(now_s) == expected
        passed[window.started_s] = passed.get(window.started_s, 0) + expected
    assert all(1 <= count <= limit for count in passed.values())
    starts = sorted(passed)
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(starts))


def test_a_steady_load_below_the_limit_passes_whole_and_above_it_loses_its_excess() -> None:
    for rate, lost in ((100, 0), (150, 250)):
        window = SecondWindow(100)
        refused = sum(not window.take(number / rate) for number in range(rate * 5))
        assert refused == lost


@given(sizes=st.lists(st.integers(1, 200_000), min_size=20, max_size=60))
def test_a_bucket_delays_until_the_average_is_kept(sizes: list[int]) -> None:
    rate = 100_000
    bucket, now_s = ByteBucket(rate, 0.0), 0.0
    for size in sizes:
        if not bucket.take(now_s, size):
            wait_s = bucket.wait_s()
            assert not bucket.take(now_s + wait_s * 0.99, size) or wait_s == 0
            now_s += wait_s + 1e-6
            assert bucket.take(now_s, size)
    assert sum(sizes) <= rate * (now_s + 1) + max(sizes) + 1


# Deadlines


@given(st.data())
def test_deadlines_pass_once_in_order_and_never_early(data: st.DataObject) -> None:
    wheel: DeadlineWheel[int] = DeadlineWheel()
    due: dict[int, float] = {}
    now_s = 0.0
    for _ in range(data.draw(st.integers(1, 40))):
        item = data.draw(st.integers(0, 5))
        match data.draw(st.sampled_from(["set", "remove", "wait"])):
            case "set":
                due[item] = now_s + data.draw(st.floats(0, 30))
                wheel.set(item, due[item])
            case "remove":
                due.pop(item, None)
                wheel.remove(item)
            case "wait":
                now_s += data.draw(st.floats(0, 20))
                gone = wheel.expired(now_s)
                assert len(gone) == len(set(gone))
                for passed in gone:
                    assert due.pop(passed) <= now_s
                assert all(deadline > now_s - 1 for deadline in due.values()), "at most a second late"
        assert len(wheel) == len(due)


# Routing

_LEVELS = st.sampled_from(["a", "b", "", "$c"])
_TOPICS = st.lists(_LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
_FILTERS = st.one_of(
    st.lists(st.one_of(_LEVELS, st.just("+")), min_size=1, max_size=4).map("/".join).filter(bool),
    st.lists(st.one_of(_LEVELS, st.just("+")), max_size=3).map(lambda levels: "/".join([*levels, "#"])),
)


def _router(hash_matches_parent: bool, sessions: int) -> tuple[Router, list[Session]]:
    limits = Limits(hash_matches_parent=hash_matches_parent, reserved_topics=False)
    return Router(limits), [Session(str(n), 0, limits, Records()) for n in range(sessions)]


@given(
    actions=st.lists(st.tuples(st.booleans(), st.integers(0, 2), _FILTERS, st.integers(0, 1)), max_size=30),
    topics=st.lists(_TOPICS, min_size=1, max_size=6),
    hash_matches_parent=st.booleans(),
)
def test_the_router_agrees_with_the_filter_matcher_after_any_changes(
    actions: Iterable[tuple[bool, int, str, int]], topics: list[str], hash_matches_parent: bool
) -> None:
    router, sessions = _router(hash_matches_parent, 3)
    known: dict[tuple[int, bytes], int] = {}
    for subscribe, who, text, qos in actions:
        topic_filter = text.encode()
        if subscribe:
            router.subscribe(sessions[who], topic_filter, qos)
            known[who, topic_filter] = qos
        else:
            assert router.unsubscribe(sessions[who], topic_filter) == ((who, topic_filter) in known)
            known.pop((who, topic_filter), None)
        for topic in topics:
            name = topic.encode()
            expected: dict[Session, int] = {}
            for (owner, candidate), granted in known.items():
                if topic_matches(candidate, name, hash_matches_parent=hash_matches_parent):
                    session = sessions[owner]
                    expected[session] = max(granted, expected.get(session, 0))
            route = router.routes.get(name) or router.route(name)
            assert dict(route.targets) == expected
            assert route.text == topic
    for session in sessions:
        router.forget(session)
    assert all(router.route(topic.encode()).targets == () for topic in topics)
    assert router._root.empty
    assert router._exact == {}


# Sessions


class Line:
    """A connected end that only notes what is sent."""

    rate_out: SecondWindow | None = None
    in_flight_out = 100
    plain = False

    def __init__(self) -> None:
        self.sent: list[Publish] = []
        self.open = True

    def fits(self, message: Message) -> bool:
        return len(message.payload) < 1_000_000

    def send(self, data: bytes) -> None:
        raise AssertionError(f"{data!r} is encoded for MQTT 3.1.1, which this line does not speak")

    def deliver(self, message: Message, now_s: float, packet_id: int = 0, dup: bool = False) -> None:
        assert now_s >= 0
        self.sent.append(Publish(message.topic, message.payload, message.qos, message.retain, dup, packet_id))

    def may_send(self, size: int, now_s: float) -> bool:
        return self.open and size > 0 and now_s >= 0

    def wait(self) -> None:
        """Ticks are the test's own."""


def test_packet_ids_of_stored_messages_are_not_given_to_others_when_ids_wrap_around() -> None:
    session = Session("buoy-100", 3600, Limits(replay_per_s=1), Records())
    first = Line()
    session.resume(first, 0.0)
    for number in range(3):
        session.offer(Message(b"t", b"%d" % number, 1, False), None, 0.0)
    session.suspend()
    again = Line()
    session.resume(again, 10.0)
    for number in range(65_540):
        session.offer(Message(b"t", b"live", 1, False), None, 10.0)
        session.acknowledge(again.sent[-1].packet_id, 10.0)
        assert again.sent[-1].packet_id not in (1, 2, 3), number
    session.advance(11.0)
    session.advance(12.0)
    resent = [(packet.packet_id, packet.payload) for packet in again.sent if packet.dup]
    assert resent == [(1, b"0"), (2, b"1"), (3, b"2")]


def test_qos_0_that_waits_for_a_slow_reader_goes_with_its_connection() -> None:
    session = Session("buoy-100", 3600, Limits.lifted(), Records())
    slow = Line()
    slow.open = False
    session.resume(slow, 0.0)
    for qos in (0, 1):
        message = Message(b"t", b"qos %d" % qos, qos, False)
        assert session.offer(message, None if qos else b"encoded", 0.0)
    assert session.waiting == 2
    session.suspend()
    again = Line()
    session.resume(again, 1.0)
    assert [packet.payload for packet in again.sent] == [b"qos 1"]


def test_where_the_replay_rate_is_lifted_live_messages_wait_behind_stored_ones() -> None:
    session = Session("buoy-100", 3600, Limits.lifted(), Records())
    session.offer(Message(b"t", b"stored", 1, False), None, 0.0)
    line = Line()
    line.open = False
    session.resume(line, 1.0)
    line.open = True
    session.offer(Message(b"t", b"live", 1, False), None, 1.0)
    assert line.sent == []
    session.advance(1.0)
    assert [packet.payload for packet in line.sent] == [b"stored", b"live"]


# Limits


def test_the_defaults_are_iot_cores() -> None:
    aws = Limits.aws()
    assert aws == Limits()
    assert aws.changes_in_words() == []
    assert (aws.publishes_in_per_s, aws.publishes_out_per_s, aws.in_flight_in, aws.in_flight_out) == (
        100,
    ) * 4
    assert (aws.payload_bytes, aws.topic_bytes, aws.topic_slashes, aws.client_id_bytes) == (
        131_072,
        256,
        7,
        128,
    )
    assert (aws.subscriptions, aws.filters_per_subscribe) == (50, 8)
    assert (aws.connects_per_s, aws.connects_per_client_id_per_s) == (500, 1)
    assert (aws.bytes_in_per_s, aws.bytes_out_per_s, aws.replay_per_s) == (524_288, 524_288, 10)


def test_lifted_limits_lift_the_rates_and_nothing_else_and_say_so() -> None:
    lifted = Limits.lifted()
    aws = Limits.aws()
    changed = [
        field.name for field in fields(Limits) if getattr(lifted, field.name) != getattr(aws, field.name)
    ]
    assert changed == [field.name for field in fields(Limits) if field.name.endswith("_per_s")]
    words = lifted.lifted_in_words()
    assert len(words) == len(changed)
    assert "publishes in per second and connection: lifted (IoT Core: 100)" in words
    assert "connects per second and client id: lifted (IoT Core: 1)" in words
    assert not any("_" in phrase for phrase in words)


def test_a_changed_limit_is_named_but_not_as_lifted() -> None:
    limits = Limits(session_s=60.0, publishes_in_per_s=200)
    assert limits.lifted_in_words() == []
    assert limits.changes_in_words() == [
        "publishes in per second and connection: 200 (IoT Core: 100)",
        "seconds that an absent client's session lives: 60 (IoT Core: 3600)",
    ]


@pytest.mark.parametrize(
    "settings", [{"publishes_in_per_s": 0}, {"keep_alive_min_s": 100, "keep_alive_max_s": 50}]
)
def test_limits_that_stop_everything_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"limit|keep-alive"):
        Limits(**settings)  # type: ignore[arg-type]
