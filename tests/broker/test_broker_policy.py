"""IoT Core policies: what they allow, and what is refused when they are read."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from buoyfleet.cloud.local.broker import Principal
from buoyfleet.cloud.local.broker.authority import Gate
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser, PolicyError, Thing

ARN = "arn:aws:iot:us-west-2:123456789012"
THING = "${iot:Connection.Thing.ThingName}"


def statement(
    action: str | list[str], resource: str | list[str], effect: str = "Allow", **more: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allowed(
    statements: list[Mapping[str, Any]],
    action: str,
    resource: str,
    client_id: str = "buoy-100",
    things: tuple[Thing, ...] = (Thing("buoy-100", "buoy", {"id": "100"}),),
) -> bool:
    certificate = Certificate(things, (Policy.parse(document(*statements)),))
    return PolicyAuthoriser({"c": certificate})(action, resource, Principal(client_id, "c"))


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        (f"{ARN}:client/{THING}", "client/buoy-100", True),
        (f"{ARN}:client/{THING}", "client/buoy-101", False),
        (f"{ARN}:topic/aws/0/100/data/*", "topic/aws/0/100/data/", True),
        (f"{ARN}:topic/aws/0/100/data/*", "topic/aws/0/100/data", False),
        (f"{ARN}:topic/aws/*/data/", "topic/aws/0/100/data/", True),
        (f"{ARN}:topic/a?c", "topic/abc", True),
        (f"{ARN}:topic/a?c", "topic/abbc", False),
        (f"{ARN}:topic/a.c", "topic/abc", False),
        (f"{ARN}:topicfilter/a/+/#", "topicfilter/a/+/#", True),
        (f"{ARN}:topicfilter/a/+/#", "topicfilter/a/b/c", False),
        (f"{ARN}:topic/${{*}}", "topic/*", True),
        (f"{ARN}:topic/${{*}}", "topic/x", False),
        (f"{ARN}:topic/${{iot:ClientId}}/x", "topic/buoy-100/x", True),
        (f"{ARN}:topic/${{iot:Connection.Thing.Attributes[id]}}", "topic/100", True),
        (f"{ARN}:topic/${{iot:Connection.Thing.Attributes[place]}}", "topic/100", False),
        (f"{ARN}:topic/${{iot:Connection.Thing.ThingTypeName}}", "topic/buoy", True),
        ("arn:aws:iot:*:*:topic/a", "topic/a", True),
        ("arn:aws:iot:us-west-2:1:topic/a:b", "topic/a:b", True),
        ("*", "topic/anything", True),
    ],
)
def test_resources(pattern: str, resource: str, expected: bool) -> None:
    assert allowed([statement("iot:Publish", pattern)], "iot:Publish", resource) == expected


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("iot:Publish", "iot:Publish", True),
        ("iot:Publish", "iot:RetainPublish", False),
        ("iot:*", "iot:RetainPublish", True),
        ("*", "iot:Connect", True),
        (["iot:Subscribe", "iot:Receive"], "iot:Receive", True),
    ],
)
def test_actions(pattern: str | list[str], action: str, expected: bool) -> None:
    assert allowed([statement(pattern, "*")], action, "topic/t") == expected


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert not allowed([statement("iot:Publish", f"{ARN}:topic/a")], "iot:Publish", "topic/b")


def test_a_deny_wins_wherever_it_stands() -> None:
    allow, deny = statement("iot:*", "*"), statement("iot:Publish", f"{ARN}:topic/secret/*", "Deny")
    for order in ([allow, deny], [deny, allow]):
        assert not allowed(order, "iot:Publish", "topic/secret/x")
        assert allowed(order, "iot:Publish", "topic/open")


def test_the_things_variables_need_the_client_id_to_be_an_attached_things_name() -> None:
    rule = [statement("iot:Publish", f"{ARN}:topic/{THING}")]
    other = (Thing("buoy-7"),)
    assert not allowed(rule, "iot:Publish", "topic/buoy-100", things=other)
    assert not allowed(rule, "iot:Publish", "topic/", things=())
    assert allowed(rule, "iot:Publish", "topic/buoy-7", client_id="buoy-7", things=(*other, Thing("x")))


def test_a_client_id_with_a_wildcard_is_only_text() -> None:
    rule = [statement("iot:Publish", f"{ARN}:topic/${{iot:ClientId}}/x")]
    assert not allowed(rule, "iot:Publish", "topic/other/x", client_id="*")
    assert allowed(rule, "iot:Publish", "topic/*/x", client_id="*")


@pytest.mark.parametrize(
    ("value", "client_id", "expected"), [("true", "buoy-100", True), (["false"], "x", True)]
)
def test_the_condition_on_being_attached(value: Any, client_id: str, expected: bool) -> None:
    condition = {"Bool": {"iot:Connection.Thing.IsAttached": value}}
    rule = [statement("iot:Connect", "*", Condition=condition)]
    assert allowed(rule, "iot:Connect", f"client/{client_id}", client_id=client_id) == expected
    other = "x" if client_id == "buoy-100" else "buoy-100"
    assert allowed(rule, "iot:Connect", f"client/{other}", client_id=other) != expected


def test_unknown_and_inactive_certificates_may_nothing() -> None:
    policy = Policy.parse(document(statement("iot:*", "*")))
    authorise = PolicyAuthoriser(
        {"off": Certificate((), (policy,), active=False), "on": Certificate((), (policy,))}
    )
    answers = {
        name: authorise("iot:Connect", "client/x", Principal("x", name)) for name in ("on", "off", "", "?")
    }
    assert answers == {"on": True, "off": False, "": False, "?": False}


def test_decisions_are_asked_for_once_and_not_kept_without_end() -> None:
    asked: list[str] = []

    def authorise(_: str, resource: str, __: Principal) -> bool:
        asked.append(resource)
        return resource != "topic/no"

    gate = Gate(authorise, Principal("buoy-100"))
    assert [gate.allows("iot:Publish", topic) for topic in ("topic/yes", "topic/no") * 3] == [True, False] * 3
    assert asked == ["topic/yes", "topic/no"]
    for number in range(5_000):
        gate.allows("iot:Publish", f"topic/{number}")
    assert len(gate._known) <= 1_000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "Version"),
        (json.dumps({"Version": "2008-10-17", "Statement": []}), "2012-10-17"),
        (json.dumps({"Version": "2012-10-17", "Statement": []}), "at least one statement"),
        (json.dumps(document(statement("iot:Publish", "*", "allow"))), "'allow'"),
        (json.dumps(document(statement("s3:PutObject", "*"))), "s3:PutObject"),
        (json.dumps(document(statement("iot:Publish", "topic/x"))), "no ARN"),
        (json.dumps(document(statement("iot:Publish", f"{ARN}:topic/${{aws:x}}"))), "${aws:x}"),
        (json.dumps(document(statement("iot:Publish", []))), "Resource"),
        (json.dumps(document({**statement("iot:Publish", "*"), "Principal": "*"})), "Principal"),
        (
            json.dumps(document(statement("iot:Publish", "*", Condition={"IpAddress": {}}))),
            "is an object of keys and values",
        ),
    ],
)
def test_what_the_twin_cannot_evaluate_is_refused_when_read(text: str, complaint: str) -> None:
    with pytest.raises(PolicyError) as refused:
        Policy.parse(text, "policy 'buoys'")
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("policy 'buoys'")
