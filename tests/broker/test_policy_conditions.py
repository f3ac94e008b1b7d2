"""Variables and conditions of IoT Core policies: the guide's examples, and IAM's rules behind them."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from broker_bench import Bench
from broker_clients import RawClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from buoyfleet.cloud.local.broker import Principal
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser, PolicyError, Thing
from buoyfleet.cloud.local.certificate_attributes import attributes_of
from buoyfleet.mqtt.codec import Connack, Connect, Will, encode_connect

ARN = "arn:aws:iot:us-east-1:123456789012"
ANY, ALL = "ForAnyValue:StringEquals", "ForAllValues:StringEquals"
NOT_ALL = "ForAllValues:StringNotEquals"
PERSISTENT, WILL = "PersistentConnect", "LastWill"


def certificate(*names: tuple[x509.ObjectIdentifier, str], hosts: tuple[str, ...] = ()) -> bytes:
    """A certificate (PEM) with these names in its subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in names])
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Makers")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), 0xABC, now, now)
    if hosts:
        alternative = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


PEM = certificate(
    (NameOID.COMMON_NAME, "buoy"),
    (NameOID.COMMON_NAME, "spare"),
    (NameOID.COMMON_NAME, "Administrator"),
    (NameOID.ORGANIZATION_NAME, "Example Corp"),
    (NameOID.SURNAME, "wild*"),
    hosts=("a.example", "b.example"),
)


def allowed(
    *statements: dict[str, Any], action: str = "iot:Connect", resource: str = "client/buoy-1", **who: Any
) -> bool:
    """Whether these statements allow it; one is an Allow of everything unless it says otherwise."""
    usual = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [{**usual, **one} for one in statements]}
    things = (Thing("buoy-1", "buoy", {"place": "north"}),)
    known = Certificate(things, (Policy.parse(document),), describe=lambda: attributes_of(PEM))
    return PolicyAuthoriser({"c" * 64: known})(action, resource, Principal("buoy-1", "c" * 64, **who))


def on(operator: str, key: str, value: Any, **more: Any) -> dict[str, Any]:
    """A statement with one condition."""
    return {"Condition": {operator: {key: value}}, **more}


DENY = {"Effect": "Deny"}
ATTRIBUTES = "iot:ConnectAttributes"
COMMON_NAME = "iot:Certificate.Subject.CommonName"


# Developer guide, "Connect policy examples": statements → connect attributes that may connect.
@pytest.mark.parametrize(
    ("statements", "good"),
    [
        ([on(ALL, ATTRIBUTES, [PERSISTENT])], [(), (PERSISTENT,)]),
        ([on(NOT_ALL, ATTRIBUTES, [PERSISTENT])], [(), (WILL,)]),
        ([{}, on(ANY, ATTRIBUTES, [PERSISTENT], **DENY)], [(), (WILL,)]),
        ([on(ALL, ATTRIBUTES, [PERSISTENT, WILL])], [(), (PERSISTENT,), (WILL,), (PERSISTENT, WILL)]),
        ([on(ALL, ATTRIBUTES, [WILL])], [(), (WILL,)]),
        ([on(ALL, ATTRIBUTES, [])], [()]),
        ([on(ANY, ATTRIBUTES, [PERSISTENT])], [(PERSISTENT,), (PERSISTENT, WILL)]),
        (
            [
                on(ALL, ATTRIBUTES, [PERSISTENT, WILL]),
                on(ALL, ATTRIBUTES, [PERSISTENT], **DENY),
                on(ALL, ATTRIBUTES, [WILL], **DENY),
                on(ALL, ATTRIBUTES, [], **DENY),
            ],
            [(PERSISTENT, WILL)],
        ),
        ([on(ANY, ATTRIBUTES, [PERSISTENT], **DENY), on(ALL, ATTRIBUTES, [WILL])], [(), (WILL,)]),
    ],
)
def test_what_a_connect_may_ask_for(statements: list[dict[str, Any]], good: list[tuple[str, ...]]) -> None:
    asked = [(), (PERSISTENT,), (WILL,), (PERSISTENT, WILL)]
    assert [one for one in asked if allowed(*statements, connect_attributes=one)] == good


def test_where_a_will_may_go() -> None:
    rule = on("ArnEquals", "iot:LastWillTopic", f"{ARN}:topic/my/lastwill/topicName")
    assert allowed(rule, last_will_topic="my/lastwill/topicName")
    assert not allowed(rule, last_will_topic="my/lastwill/other")
    assert not allowed(rule)


# Guide, "X.509 certificate AWS IoT Core policy variables": pattern → the topic that it covers.
@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("iot:CertificateId", "c" * 64),
        (COMMON_NAME, "buoy"),
        (f"{COMMON_NAME}.1", "spare"),
        (f"{COMMON_NAME}.3", None),
        ("iot:Certificate.Issuer.Organization", "Makers"),
        ("iot:Certificate.SerialNumber", "abc"),
        ("iot:Certificate.Subject.AlternativeName.DNSName.1", "b.example"),
        ("iot:Certificate.Subject.Country", None),
        ("iot:Certificate.Subject.Surname", None),
        ("aws:SourceIp", "10.1.2.3"),
    ],
)
def test_what_a_variable_stands_for(variable: str, text: str | None) -> None:
    statement = {"Resource": f"{ARN}:topic/${{{variable}}}"}
    who = {"action": "iot:Publish", "source_ip": "10.1.2.3"}
    assert allowed(statement, resource=f"topic/{text}", **who) == (text is not None)
    assert not allowed(statement, resource="topic/x", **who)


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("StringEquals", f"{COMMON_NAME}.2", "Administrator", True),
        ("StringEquals", f"{COMMON_NAME}.1", "Administrator", False),
        (ANY, f"{COMMON_NAME}.List", "Administrator", True),
        (ALL, "iot:Certificate.Subject.Organization.List", ["Example Corp", "AnyCompany"], True),
        (ALL, f"{COMMON_NAME}.List", ["buoy", "spare"], False),
        (ANY, "iot:Certificate.AvailableKeys", "iot:Certificate.Subject.Organization", True),
        ("StringEquals", "iot:Connection.Thing.Attributes[place]", "north", True),
        ("StringEquals", "iot:Connection.Thing.ThingTypeName", ["other", "buoy"], True),
        ("StringEquals", "iot:ClientId", "${iot:Connection.Thing.ThingName}", True),
        ("StringLike", "iot:ClientId", "buoy-?", True),
        ("StringEquals", "iot:ClientId", "buoy-?", False),
        ("StringNotEquals", "iot:ClientId", ["buoy-1", "x"], False),
        ("StringNotLike", "iot:ClientId", "x*", True),
        ("StringEqualsIgnoreCase", "iot:ClientId", "BUOY-1", True),
        ("IpAddress", "aws:SourceIp", ["10.1.0.0/16"], True),
        ("IpAddress", "aws:SourceIp", "192.168.0.0/16", False),
        ("NotIpAddress", "aws:SourceIp", "192.168.0.0/16", True),
        ("Bool", "iot:Connection.Thing.IsAttached", "true", True),
        ("Null", "iot:Connection.Thing.Attributes[depth]", "true", True),
        ("Null", "iot:Connection.Thing.Attributes[place]", True, False),
        # A key that is not there (IAM, "Condition operators"): what asks for it fails, what forbids it holds.
        ("StringEquals", "iot:Connection.Thing.Attributes[depth]", "7", False),
        ("StringEqualsIfExists", "iot:Connection.Thing.Attributes[depth]", "7", True),
        ("StringNotEquals", "iot:Connection.Thing.Attributes[depth]", "7", True),
    ],
)
def test_when_a_condition_holds(operator: str, key: str, value: Any, expected: bool) -> None:
    assert allowed(on(operator, key, value), action="iot:Publish", source_ip="10.1.2.3") == expected


def test_several_conditions_must_all_hold() -> None:
    both = {"StringEquals": {"iot:ClientId": "buoy-1", "iot:Connection.Thing.ThingTypeName": "buoy"}}
    assert allowed({"Condition": both})
    assert not allowed({"Condition": {**both, "Bool": {"iot:Connection.Thing.IsAttached": "false"}}})


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "*"])
def test_arns_of_every_partition_are_read(partition: str) -> None:
    assert allowed({"Resource": f"arn:{partition}:iot:*:*:client/buoy-1"})


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({"Resource": "arn:azure:iot:*:*:client/x"}, "no ARN of IoT Core"),
        (on("StringSame", "iot:ClientId", "x"), "does not know the operator 'StringSame'"),
        (on("ForEachValue:StringEquals", "iot:ClientId", "x"), "there is no 'ForEachValue'"),
        (on("StringEquals", "iot:Colour", "x"), "does not know the condition key 'iot:Colour'"),
        (on("StringEquals", "iot:ClientId", 7), "compared with texts"),
        (on("StringEquals", "iot:ClientId", "${iot:Colour}"), "does not know the variable ${iot:Colour}"),
        (on("Bool", "iot:Connection.Thing.IsAttached", "perhaps"), "must be true or false"),
        (on("IpAddress", "aws:SourceIp", "10.1.2"), "aws:SourceIp"),
        ({"Resource": f"{ARN}:topic/${{iot:Certificate.Subject.Shoe}}"}, "does not know the variable"),
    ],
)
def test_what_iot_core_does_not_have_is_refused_when_read(statement: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        allowed(statement)
    assert words in str(refused.value)


def test_the_broker_knows_what_a_connect_asks_for_and_from_where(
    start: Callable[..., Bench], raw: Callable[..., RawClient]
) -> None:
    deny = {"Effect": "Deny", "Action": "iot:*", "Resource": "*"}
    wills = {**deny, "Resource": f"{ARN}:client/will-*"}
    statements = [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
        {**deny, **on(ANY, ATTRIBUTES, PERSISTENT)},
        {**wills, **on("ArnNotEquals", "iot:LastWillTopic", f"{ARN}:topic/good")},
        {**deny, **on("NotIpAddress", "aws:SourceIp", "127.0.0.0/8")},
    ]
    policy = Policy.parse({"Version": "2012-10-17", "Statement": statements})
    bench = start(authorise=PolicyAuthoriser({"": Certificate(policies=(policy,))}))
    asked = {
        "clean": Connect("clean"),
        "kept": Connect("kept", clean_session=False),
        "will-good": Connect("will-good", will=Will(b"good", b"")),
        "will-bad": Connect("will-bad", will=Will(b"bad", b"")),
    }
    answers = {}
    for name, connect in asked.items():
        client = raw(bench.port)
        client.send(encode_connect(connect))
        answers[name] = isinstance(client.packet(), Connack)
    assert answers == {"clean": True, "kept": False, "will-good": True, "will-bad": False}
