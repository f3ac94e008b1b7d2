"""Shared subscriptions as IoT Core has them, in both versions of MQTT."""

from collections.abc import Callable, Iterable

import pytest
from broker_bench import Bench
from broker_clients import Client, RawClient
from broker_clients5 import Paho5
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.cloud.local.broker.authority import RECEIVE, Principal
from buoyfleet.cloud.local.broker.records import Records
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.cloud.local.broker.sharing import split_shared

New = Callable[..., Client]
New5 = Callable[..., Paho5]
Raw = Callable[..., RawClient]
Start = Callable[..., Bench]


def members(raw: Raw, bench: Bench, count: int, topic_filter: str, **options: bool) -> list[RawClient]:
    made = []
    for number in range(count):
        client = raw(bench.port)
        client.connect(f"member-{number}", **options)  # type: ignore[arg-type]
        assert client.subscribe((topic_filter, 1)) == b"\x01"
        made.append(client)
    return made


def publish(raw: Raw, bench: Bench, topic: str, count: int, qos: int = 1) -> None:
    owner = raw(bench.port)
    owner.connect(f"owner-{len(bench.received)}")
    for number in range(count):
        owner.publish(topic, b"%d" % number, qos)
    assert owner.fence()
    owner.vanish()


def test_each_message_reaches_one_member_of_each_group_and_all_others(raw: Raw, bench: Bench) -> None:
    group = members(raw, bench, 3, "$share/g/a/+")
    other = raw(bench.port)
    other.connect("other")
    other.subscribe(("$share/h/a/b", 1), ("a/#", 1))
    publish(raw, bench, "a/b", 30)
    shares = []
    for client in group:
        assert client.fence()
        shares.append([message.payload for message in client.messages])
    assert sorted(one for share in shares for one in share) == sorted(b"%d" % number for number in range(30))
    assert all(shares), "by lot"
    assert other.fence()
    assert len(other.messages) == 60, "one copy of the group's, one of its own"


def test_mqtt_5_shares_too(paho5: New5, raw: Raw, bench: Bench) -> None:
    first, second = paho5(bench.port, "first"), paho5(bench.port, "second")
    for client in (first, second):
        client.connect()
        assert client.subscribe("$share/g/t") == [1]
    publish(raw, bench, "t", 20)
    for client in (first, second):
        client.fence()
    assert len(first.received) + len(second.received) == 20


def test_a_shared_subscription_brings_no_retained_messages(raw: Raw, bench: Bench) -> None:
    owner = raw(bench.port)
    owner.connect("owner")
    owner.publish("t", b"kept", retain=True)
    assert owner.fence()
    (member,) = members(raw, bench, 1, "$share/g/t")
    owner.publish("t", b"live", retain=True)
    assert owner.fence()
    assert member.fence()
    assert [(message.payload, message.retain) for message in member.messages] == [(b"live", False)]


def test_who_unsubscribes_or_leaves_gets_nothing_more(raw: Raw, bench: Bench) -> None:
    first, second, third = members(raw, bench, 3, "$share/g/t")
    assert first.unsubscribe("$share/g/t")
    second.disconnect()
    bench.eventually(lambda: bench.broker.connections == 2)
    publish(raw, bench, "t", 10)
    assert third.fence()
    assert len(third.messages) == 10
    assert first.fence()
    assert first.messages == []


def test_qos_1_waits_in_the_group_for_members_with_persistent_sessions(raw: Raw, bench: Bench) -> None:
    for client in members(raw, bench, 2, "$share/g/t", clean=False):
        client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    publish(raw, bench, "t", 25)
    publish(raw, bench, "t", 1, qos=0)
    assert bench.call(lambda: bench.broker.waiting) == 25
    bench.advance(1.0)
    board = raw(bench.port)
    board.connect("member-0", clean=False)
    assert board.fence()
    assert len(board.messages) == 20, "20 a second"
    bench.advance(1.0)
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"%d" % number for number in range(25)]
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_what_waits_in_a_group_goes_to_a_new_member_too_and_expires(raw: Raw, bench: Bench) -> None:
    for client in members(raw, bench, 1, "$share/g/t", clean=False):
        client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    publish(raw, bench, "t", 3)
    new = raw(bench.port)
    new.connect("new")
    new.subscribe(("$share/g/t", 1))
    assert new.fence()
    assert len(new.messages) == 3
    new.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    publish(raw, bench, "t", 1)
    bench.advance(3599.0)
    assert bench.call(lambda: bench.broker.waiting) == 1
    bench.advance(1.0)
    assert bench.call(lambda: bench.broker.waiting) == 0


def test_where_no_member_has_a_persistent_session_nothing_waits(raw: Raw, bench: Bench) -> None:
    for client in members(raw, bench, 2, "$share/g/t"):
        client.disconnect()
    bench.eventually(lambda: bench.broker.connections == 0)
    publish(raw, bench, "t", 3)
    assert bench.call(lambda: bench.broker.waiting) == 0
    assert bench.refused == []


def test_what_a_member_did_not_acknowledge_goes_to_another(raw: Raw, bench: Bench) -> None:
    lazy = raw(bench.port, acknowledge=False)
    lazy.connect("lazy", clean=False)
    lazy.subscribe(("$share/g/t", 1))
    publish(raw, bench, "t", 2)
    assert lazy.fence()
    assert len(lazy.messages) == 2
    (other,) = members(raw, bench, 1, "$share/g/t")
    lazy.vanish()
    bench.eventually(lambda: bench.broker.connections == 1)
    assert other.fence()
    assert [message.payload for message in other.messages] == [b"0", b"1"]
    assert not any(message.dup for message in other.messages)


def test_members_that_have_used_up_their_rate_leave_messages_to_the_group(raw: Raw, start: Start) -> None:
    bench = start(Limits(publishes_out_per_s=2, queued_per_s=None))
    (member,) = members(raw, bench, 1, "$share/g/t", clean=False)
    publish(raw, bench, "t", 5)
    assert member.fence()
    assert len(member.messages) == 2
    for _ in range(2):
        bench.advance(1.0)
    assert member.fence()
    assert len(member.messages) == 5
    assert bench.refused == []


def test_without_persistent_sessions_what_is_beyond_the_rate_is_lost_and_counted(
    raw: Raw, start: Start
) -> None:
    bench = start(Limits(publishes_out_per_s=2))
    (member,) = members(raw, bench, 1, "$share/g/t")
    publish(raw, bench, "t", 5)
    bench.advance(1.0)
    assert member.fence()
    assert len(member.messages) == 2
    assert bench.reasons() == ["delivery-rate"] * 3
    assert bench.metric("PublishOut.Throttle") == 3


@pytest.mark.parametrize(
    "topic_filter", ["$share/g", "$share//t", "$share/g/", "$share/+/t", "$share/a+b/t", "$share/g/a#"]
)
def test_a_malformed_shared_subscription_is_refused(raw: Raw, bench: Bench, topic_filter: str) -> None:
    client = raw(bench.port)
    client.connect("c")
    assert client.subscribe((topic_filter, 1)) is None
    assert client.wait_closed()
    assert bench.reasons()[0] in ("filter-invalid", "protocol-error")


def test_the_prefix_counts_neither_as_slashes_nor_as_length(raw: Raw, bench: Bench) -> None:
    client = raw(bench.port)
    client.connect("c")
    deep = "$share/" + "n" * 128 + "/" + "/".join("abcdefgh")
    assert client.subscribe((deep, 1)) == b"\x01"
    assert client.subscribe(("$share/n/" + "t" * 256, 1)) == b"\x01"


@pytest.mark.parametrize(("allowed", "count"), [("topic/$share/g/t", 1), ("topic/t", 1), ("topic/x", 0)])
def test_a_policy_names_the_topic_with_or_without_the_share(
    raw: Raw, start: Start, allowed: str, count: int
) -> None:
    def authorise(action: str, resource: str, _: Principal) -> bool:
        return action != RECEIVE or resource == allowed

    bench = start(authorise=authorise)
    (member,) = members(raw, bench, 1, "$share/g/t")
    publish(raw, bench, "t", 1)
    assert member.fence()
    assert len(member.messages) == count


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from("gh"), st.sampled_from("ab+#"))))
def test_groups_come_and_go_with_their_members(actions: Iterable[tuple[bool, int, str, str]]) -> None:
    router = Router(Limits())
    sessions = [Session(str(number), 0, Limits(), Records()) for number in range(3)]
    known: set[tuple[int, bytes]] = set()
    for subscribe, who, name, level in actions:
        topic_filter = f"$share/{name}/{level}".encode()
        if subscribe:
            router.subscribe(sessions[who], topic_filter, 1)
            known.add((who, topic_filter))
        else:
            assert router.unsubscribe(sessions[who], topic_filter) == ((who, topic_filter) in known)
            known.discard((who, topic_filter))
        wanted = {
            split_shared(topic_filter)
            for _, topic_filter in known
            if topic_filter.rpartition(b"/")[2] in (b"a", b"+", b"#")
        }
        assert len(router.route(b"a").groups) == len(wanted)
    for session in sessions:
        router.forget(session)
    assert router._groups == {}
    assert router._root.empty
    assert router._exact == {}
