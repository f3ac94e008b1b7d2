"""Topics that begin with `$aws/`: shadows, jobs, streams, lifecycle events and Basic Ingest, over MQTT."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from broker_bench import Bench
from broker_clients import Client, RawClient, connected
from broker_clients5 import Paho5

from buoyfleet.cloud.local.broker import Limits
from buoyfleet.cloud.local.broker.authority import PUBLISH, Principal
from buoyfleet.cloud.local.things import Services
from buoyfleet.mqtt.codec import Will

New = Callable[..., Client]
New5 = Callable[..., Paho5]
Raw = Callable[..., RawClient]
Start = Callable[..., Bench]
NOW_S = 1_700_000_000.5
THING = "$aws/things/buoy-100"


@pytest.fixture
def account(start: Start) -> Bench:
    """A broker with the account's services; their clock stands still."""
    return start(account=Services(utc_s=lambda: NOW_S))


def said(client: Client) -> list[tuple[str, Any]]:
    """(end of the topic, JSON) of all messages so far."""
    found = [(m.topic.decode().removeprefix(THING), json.loads(m.payload)) for m in client.messages]
    client.messages.clear()
    return found


# Shadows


@pytest.mark.parametrize("shadow", ["/shadow", "/shadow/name/config"])
def test_a_shadow_is_updated_read_and_deleted(new_client: New, account: Bench, shadow: str) -> None:
    client = connected(new_client, account)
    for operation in ("update", "get", "delete"):
        assert client.subscribe((f"{THING}{shadow}/{operation}/+", 1)) == b"\x01"
    request = {"state": {"desired": {"rate": 2}, "reported": {"rate": 1}}, "clientToken": "t"}
    client.publish(f"{THING}{shadow}/update", json.dumps(request).encode())
    assert client.fence()
    stamp = {"version": 1, "timestamp": 1_700_000_000, "clientToken": "t"}
    at = {"timestamp": 1_700_000_000}
    metadata = {"desired": {"rate": at}, "reported": {"rate": at}}
    state = request["state"]
    current = {"state": state, "metadata": metadata, "version": 1}
    assert said(client) == [
        (f"{shadow}/update/accepted", {"state": state, "metadata": metadata, **stamp}),
        (f"{shadow}/update/delta", {"state": {"rate": 2}, "metadata": {"rate": at}, **stamp}),
        (
            f"{shadow}/update/documents",
            {"previous": None, "current": current, "timestamp": 1_700_000_000, "clientToken": "t"},
        ),
    ]
    client.publish(f"{THING}{shadow}/get", b"")
    client.publish(f"{THING}{shadow}/delete", b"")
    client.publish(f"{THING}{shadow}/get", b'{"clientToken": "u"}')
    assert client.fence()
    name = "buoy-100" if shadow == "/shadow" else "buoy-100~config"
    assert said(client) == [
        (
            f"{shadow}/get/accepted",
            {**current, "state": {**state, "delta": {"rate": 2}}, "timestamp": 1_700_000_000},
        ),
        (f"{shadow}/delete/accepted", {"version": 1, "timestamp": 1_700_000_000}),
        (
            f"{shadow}/get/rejected",
            {
                "code": 404,
                "message": f"No shadow exists with name: '{name}'",
                "timestamp": 1_700_000_000,
                "clientToken": "u",
            },
        ),
    ]
    assert account.payloads() == [], "no rule selects from these topics"
    assert account.refused == []


def test_a_shadow_answers_those_who_subscribed_and_readers_of_the_request(raw: Raw, account: Bench) -> None:
    board, owner = raw(account.port), raw(account.port)
    board.connect("buoy-100")
    owner.connect("owner")
    owner.subscribe((f"{THING}/shadow/update", 1), (f"{THING}/shadow/update/rejected", 0))
    board.publish(f"{THING}/shadow/update", b"{")
    assert board.fence()
    assert board.acks, "a refused request is a message that was taken"
    assert owner.fence()
    assert [message.topic.decode().removeprefix(THING) for message in owner.messages] == [
        "/shadow/update",
        "/shadow/update/rejected",
    ]


# What an account without jobs and streams answers


@pytest.mark.parametrize(
    ("topic", "payload", "answer"),
    [
        ("get", b"{}", ("get/accepted", {"inProgressJobs": [], "queuedJobs": []})),
        (
            "start-next",
            b'{"clientToken":"t"}',
            ("start-next/accepted", {"execution": {}, "clientToken": "t"}),
        ),
        ("$next/get", b"", ("$next/get/accepted", {"execution": {}})),
        (
            "job-1/update",
            b'{"status":"SUCCEEDED"}',
            (
                "job-1/update/rejected",
                {
                    "code": "ResourceNotFound",
                    "message": "Job execution of job job-1 for thing buoy-100 does not exist",
                },
            ),
        ),
        ("get", b"{", ("get/rejected", {"code": "InvalidJson"})),
    ],
)
def test_jobs_answer_the_client_that_asks_and_nobody_else(
    raw: Raw, account: Bench, topic: str, payload: bytes, answer: tuple[str, dict[str, object]]
) -> None:
    board, other = raw(account.port), raw(account.port)
    board.connect("buoy-100")
    other.connect("other")
    other.subscribe((f"{THING}/jobs/#", 1))
    board.publish(f"{THING}/jobs/{topic}", payload)
    assert board.fence()
    assert said(board) == [(f"/jobs/{answer[0]}", {**answer[1], "timestamp": 1_700_000_000})]
    assert other.fence()
    assert all(message.payload == payload for message in other.messages)


def test_a_stream_that_is_not_there_is_refused(raw: Raw, account: Bench) -> None:
    board = raw(account.port)
    board.connect("buoy-100")
    board.subscribe((f"{THING}/streams/fw/rejected/json", 1))
    board.publish(f"{THING}/streams/fw/describe/json", b'{"c":"token"}')
    assert board.fence()
    assert said(board) == [
        (
            "/streams/fw/rejected/json",
            {"o": "ResourceNotFound", "m": "Stream fw does not exist", "c": "token"},
        )
    ]


# Lifecycle events


def test_who_comes_and_goes_is_told(raw: Raw, account: Bench) -> None:
    watcher = raw(account.port)
    watcher.connect("watcher")
    watcher.subscribe(("$aws/events/presence/#", 1), ("$aws/events/subscriptions/+/buoy-100", 1))
    board = raw(account.port)
    board.connect("buoy-100")
    board.subscribe(("config/#", 1), ("$share/g/t", 0))
    board.unsubscribe("config/#")
    board.disconnect()
    account.eventually(lambda: account.broker.connections == 1)
    account.advance(1.0)
    board = raw(account.port)
    board.connect("buoy-100")
    board.vanish()
    account.eventually(lambda: account.broker.connections == 1)
    assert watcher.fence()
    found = [(message.topic.decode(), json.loads(message.payload)) for message in watcher.messages]
    sessions = [event.pop("sessionIdentifier") for _, event in found]
    assert len(set(sessions[:4])) == len(set(sessions[4:])) == 1
    assert sessions[0] != sessions[4]
    same = {"clientId": "buoy-100", "timestamp": 1_700_000_000_500, "principalIdentifier": ""}
    place = "$aws/events/presence"
    subscriptions = "$aws/events/subscriptions"

    def came(version: int) -> tuple[str, dict[str, object]]:
        event = {"eventType": "connected", "ipAddress": "127.0.0.1", "versionNumber": version}
        return f"{place}/connected/buoy-100", {**same, **event}

    def left(version: int, reason: str, by_client: bool) -> tuple[str, dict[str, object]]:
        why = {"disconnectReason": reason, "clientInitiatedDisconnect": by_client}
        event = {"eventType": "disconnected", "versionNumber": version}
        return f"{place}/disconnected/buoy-100", {**same, **event, **why}

    assert found == [
        came(0),
        (
            f"{subscriptions}/subscribed/buoy-100",
            {**same, "eventType": "subscribed", "topics": ["config/#", "$share/g/t"]},
        ),
        (
            f"{subscriptions}/unsubscribed/buoy-100",
            {**same, "eventType": "unsubscribed", "topics": ["config/#"]},
        ),
        left(0, "CLIENT_INITIATED_DISCONNECT", True),
        came(1),
        left(1, "CONNECTION_LOST", False),
    ]


def test_a_client_id_with_a_wildcard_has_no_events_and_a_rule_gets_them_without_subscribers(
    raw: Raw, start: Start
) -> None:
    services = Services(lambda topic: topic.startswith("$aws/events/presence/connected/"), lambda: NOW_S)
    bench = start(account=services)
    for client_id in ("buoy+100", "buoy-100"):
        raw(bench.port).connect(client_id)
    received = bench.call(lambda: [(one.topic, one.client_id) for one in bench.received])
    assert received == [("$aws/events/presence/connected/buoy-100", "")]


# Basic Ingest


def test_basic_ingest_reaches_the_pipeline_and_no_subscriber(new_client: New, account: Bench) -> None:
    client = connected(new_client, account)
    client.subscribe(("#", 1), ("+/rules/#", 1))
    client.publish("$aws/rules/buoy_timestream/aws/0/100/data/", b"{}")
    assert client.fence()
    assert client.messages == []
    assert account.received == [
        ("$aws/rules/buoy_timestream/aws/0/100/data/", b"{}", 1, False, False, "buoy-100")
    ]


def test_the_prefix_of_basic_ingest_counts_for_no_limit(raw: Raw, account: Bench) -> None:
    client = raw(account.port)
    client.connect("c")
    client.publish("$aws/rules/r/" + "/".join("abcdefgh"))
    client.publish("$aws/rules/r/" + "t" * 256)
    assert client.fence()
    assert len(client.acks) == 2
    client.publish("$aws/rules/r/" + "/".join("abcdefghi"))
    assert client.wait_closed()
    assert account.reasons() == ["topic-too-deep"]


# What is not allowed


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (f"{THING}/shadow/update/accepted", "only subscribe"),
        (f"{THING}/shadow/name/a b/update", "no request"),
        ("$aws/events/presence/connected/x", "only subscribe"),
        ("$aws/rules/r", "no topic that AWS IoT Core has"),
        ("$aws/anything", "no topic that AWS IoT Core has"),
        (f"{THING}/defender/metrics/json", "does not offer Device Defender"),
        ("$aws/certificates/create/json", "has no template of fleet provisioning"),
        ("$SYS/broker", "none that the twin offers"),
    ],
)
def test_a_topic_that_is_not_for_clients_ends_the_connection_and_is_named(
    raw: Raw, paho5: New5, account: Bench, topic: str, words: str
) -> None:
    old = raw(account.port)
    old.connect("old")
    old.publish(topic)
    assert old.wait_closed()
    new = paho5(account.port, "new")
    new.connect()
    new.publish(topic, b"x", 1)
    assert new.next("puback") == 0x90
    assert new.next("closed") == 0x90
    assert [refusal.reason for refusal in account.refused] == ["topic-reserved"] * 2
    assert all(words in refusal.detail for refusal in account.refused)


@pytest.mark.parametrize("topic_filter", ["$aws/rules/#", "$aws/#", "$aws/+/x", "$share/g/$aws/rules/r/t"])
def test_nobody_may_subscribe_to_the_rest(raw: Raw, account: Bench, topic_filter: str) -> None:
    client = raw(account.port)
    client.connect("c")
    assert client.subscribe((topic_filter, 1)) is None
    assert client.wait_closed()
    assert account.reasons() == ["topic-reserved"]


def test_no_message_is_retained_on_a_reserved_topic_and_no_will_goes_there(raw: Raw, account: Bench) -> None:
    client = raw(account.port)
    client.connect("c")
    client.publish(f"{THING}/shadow/get", b"x", retain=True)
    assert client.wait_closed()
    other = raw(account.port)
    assert other.connect("d", will=Will(f"{THING}/shadow/update".encode(), b"{}")) is None
    assert account.reasons() == ["topic-reserved"] * 2


def test_the_policy_decides_on_reserved_topics_too(raw: Raw, start: Start) -> None:
    def authorise(action: str, resource: str, _: Principal) -> bool:
        return action != PUBLISH or resource == f"topic/{THING}/shadow/get"

    bench = start(authorise=authorise, account=Services())
    client = raw(bench.port)
    client.connect("buoy-100")
    client.publish(f"{THING}/shadow/get", b"")
    assert client.fence()
    client.publish(f"{THING}/shadow/update", b"{}")
    assert client.wait_closed()
    assert bench.reasons() == ["not-authorised"]


def test_where_reserved_topics_are_like_others_no_service_listens(raw: Raw, start: Start) -> None:
    bench = start(Limits(reserved_topics=False), account=Services())
    client = raw(bench.port)
    client.connect("c")
    client.subscribe(("$aws/#", 1))
    client.publish(f"{THING}/shadow/get", b"x")
    assert client.fence()
    assert [message.payload for message in client.messages] == [b"x"]
