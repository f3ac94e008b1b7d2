"""Mutual TLS, SNI, ALPN, and policies per thing: IoT Core's rows on ports and on denial."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from broker_bench import Bench
from broker_certificates import Authority, Identity
from broker_clients import Client, RawClient

from buoyfleet.cloud.local.broker import DisconnectReason
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser, Thing
from buoyfleet.cloud.local.broker.tls import ALPN_MQTT, server_context
from buoyfleet.mqtt.codec import Connack, Connect, Will, encode_connect

New = Callable[..., Client]
Raw = Callable[..., RawClient]

ARN = "arn:aws:iot:us-west-2:123456789012"
ID = "${iot:Connection.Thing.Attributes[buoy_id]}"
POLICY = Policy.parse(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": f"{ARN}:client/${{iot:Connection.Thing.ThingName}}",
            },
            {
                "Effect": "Allow",
                "Action": "iot:Publish",
                "Resource": [f"{ARN}:topic/aws/0/{ID}/data/*", f"{ARN}:topic/aws/0/{ID}/error/*"],
            },
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": f"{ARN}:topicfilter/aws/0/{ID}/config/*",
            },
            {
                "Effect": "Allow",
                "Action": "iot:Receive",
                "Resource": f"{ARN}:topic/aws/0/{ID}/config/global/",
            },
        ],
    }
)
OWNER_POLICY = Policy.parse(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["iot:Connect", "iot:Publish"], "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": "iot:RetainPublish",
                "Resource": f"{ARN}:topic/aws/0/*/config/*",
            },
        ],
    }
)


class Site:
    """A broker with TLS and two registered devices."""

    def __init__(self, start: Callable[..., Bench], authority: Authority) -> None:
        self.authority = authority
        self.board = authority.issue("buoy-100")
        self.owner = authority.issue("owner")
        server = authority.issue("localhost")
        certificates = {
            self.board.certificate_id: Certificate(
                (Thing("buoy-100", attributes={"buoy_id": "100"}),), (POLICY,)
            ),
            self.owner.certificate_id: Certificate((Thing("owner"),), (OWNER_POLICY,)),
        }
        context = server_context(server.certificate, server.key, authority.file)
        self.bench = start(authorise=PolicyAuthoriser(certificates), tls=context, alpn=True)
        self.port = self.bench.port
        self.alpn_port = self.bench.broker.alpn_port

    def context(self, identity: Identity | None, alpn: str = "") -> ssl.SSLContext:
        return self.authority.client_context(identity, alpn)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "buoyfleet test CA")


@pytest.fixture
def site(start: Callable[..., Bench], authority: Authority) -> Site:
    return Site(start, authority)


def board_of(site: Site, new_client: New) -> Client:
    client = new_client(site.port, tls=site.context(site.board))
    answer = client.connect("buoy-100")
    assert answer is not None
    assert answer.code == 0
    return client


def refused_by_tls(make: Callable[[], Client]) -> bool:
    """Whether a client gets no answer to its CONNECT.

    With TLS 1.2 the handshake itself fails, with TLS 1.3 the client learns of it when it reads.
    """
    try:
        return make().connect("buoy-100") is None
    except (ssl.SSLError, ConnectionError):
        return True


# Ports


def test_a_board_with_its_certificate_publishes_its_data(new_client: New, site: Site) -> None:
    client = board_of(site, new_client)
    for _ in range(20):
        client.publish("aws/0/100/data/", bytes(10_000))
    assert client.fence()
    assert len(client.acks) == 20
    assert [message.topic for message in site.bench.received] == ["aws/0/100/data/"] * 20


def test_the_other_port_takes_clients_that_name_mqtt_by_alpn(new_client: New, site: Site) -> None:
    client = new_client(site.alpn_port, tls=site.context(site.board, ALPN_MQTT))
    answer = client.connect("buoy-100")
    assert answer is not None
    assert answer.code == 0


def test_the_other_port_refuses_clients_without_alpn(new_client: New, site: Site) -> None:
    assert refused_by_tls(lambda: new_client(site.alpn_port, tls=site.context(site.board)))
    site.bench.eventually(lambda: len(site.bench.refused) == 1)
    assert site.bench.refused[0].reason == "tls-failed"
    assert "x-amzn-mqtt-ca" in site.bench.refused[0].detail


def test_a_client_without_server_name_indication_is_refused(new_client: New, site: Site) -> None:
    context = site.context(site.board)
    context.check_hostname = False
    assert refused_by_tls(lambda: new_client(site.port, tls=context, server_name=None))
    site.bench.eventually(lambda: len(site.bench.refused) == 1)
    assert site.bench.refused[0].reason == "tls-failed"


def test_a_client_without_certificate_is_refused(new_client: New, site: Site) -> None:
    assert refused_by_tls(lambda: new_client(site.port, tls=site.context(None)))
    site.bench.eventually(lambda: len(site.bench.refused) == 1)
    assert site.bench.metric("Connection.AuthNError") == 1
    assert "peer did not return a certificate" in site.bench.refused[0].detail


def test_a_certificate_of_another_ca_is_refused_and_named_as_the_cause(
    raw: Raw, site: Site, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "another CA").issue("buoy-100")
    client = raw(site.port, tls=site.context(stranger))
    assert client.wait_closed()
    site.bench.eventually(lambda: len(site.bench.refused) == 1)
    assert "certificate was not accepted" in site.bench.refused[0].detail


def test_a_client_that_speaks_no_tls_is_refused_and_others_go_on(
    raw: Raw, new_client: New, site: Site
) -> None:
    plain = raw(site.port)
    plain.send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c")
    assert plain.wait_closed()
    site.bench.eventually(lambda: len(site.bench.refused) == 1)
    assert site.bench.refused[0].reason == "tls-failed"
    board_of(site, new_client)


def test_a_connect_that_comes_with_the_end_of_the_handshake_is_not_lost(site: Site) -> None:
    """Many at once: the first bytes often share a segment with the client's last handshake message."""
    clients = []
    for number in range(20):
        client = RawClient(site.port, tls=site.context(site.owner))
        client.send(encode_connect(Connect(f"owner-{number}")))
        clients.append(client)
    for client in clients:
        answer = client.packet()
        assert isinstance(answer, Connack)
        assert answer.code == 0
        client.vanish()


# Denial


def test_a_client_id_that_is_not_the_things_name_is_hung_up_on(new_client: New, site: Site) -> None:
    assert new_client(site.port, tls=site.context(site.board)).connect("buoy-101") is None
    assert site.bench.metric("Connect.AuthError") == 1
    refused = site.bench.refused[0]
    assert refused.reason == "not-authorised"
    assert refused.detail.startswith("iot:Connect on client/buoy-101 is not allowed for client 'buoy-101' (")
    assert site.board.certificate_id[:12] in refused.detail


def test_publishing_for_another_buoy_costs_the_connection(new_client: New, site: Site) -> None:
    client = board_of(site, new_client)
    client.publish("aws/0/101/data/", b"forged")
    assert client.wait_closed()
    assert site.bench.received == []
    assert site.bench.metric("PublishIn.AuthError") == 1
    assert site.bench.refused[0].topic == "aws/0/101/data/"
    assert site.bench.refused[0].payload == b"forged"
    info = site.bench.call(lambda: site.bench.broker.data.connection_info("buoy-100"))
    assert info is not None
    assert info.disconnect_reason is DisconnectReason.AUTH_ERROR


def test_subscribing_to_another_buoys_configuration_costs_the_connection(new_client: New, site: Site) -> None:
    client = board_of(site, new_client)
    assert client.subscribe(("aws/0/101/config/global/", 1)) is None
    assert client.wait_closed()
    assert site.bench.metric("Subscribe.AuthError") == 1


def test_a_message_that_may_not_be_received_is_not_delivered(new_client: New, site: Site) -> None:
    board = board_of(site, new_client)
    filters = (("aws/0/100/config/global/", 1), ("aws/0/100/config/sensor/", 1))
    assert board.subscribe(*filters) == b"\x01\x01"
    owner = new_client(site.port, tls=site.context(site.owner))
    owner.connect("owner")
    owner.publish("aws/0/100/config/sensor/", b"s")
    owner.publish("aws/0/100/config/global/", b"g", retain=True)
    assert owner.fence()
    assert board.fence()
    assert [message.payload for message in board.messages] == [b"g"]
    assert site.bench.metric("PublishOut.AuthError") == 1
    assert site.bench.reasons() == ["delivery-not-authorised"]


def test_a_retained_message_that_may_not_be_received_is_not_delivered(new_client: New, site: Site) -> None:
    owner = new_client(site.port, tls=site.context(site.owner))
    owner.connect("owner")
    for name in ("sensor", "global"):
        owner.publish(f"aws/0/100/config/{name}/", name.encode(), retain=True)
    assert owner.fence()
    board = board_of(site, new_client)
    board.subscribe(("aws/0/100/config/sensor/", 1), ("aws/0/100/config/global/", 1))
    assert [message.payload for message in board.messages] == [b"global"]
    assert site.bench.reasons() == ["delivery-not-authorised"]


def test_a_will_that_may_not_be_published_is_not(raw: Raw, site: Site) -> None:
    bench = site.bench
    for topic, published in ((b"aws/0/101/error/", 0), (b"aws/0/100/error/", 1)):
        client = raw(site.port, tls=site.context(site.board))
        client.connect("buoy-100", will=Will(topic, b"gone"))
        client.vanish()
        bench.eventually(lambda: bench.broker.connections == 0)
        bench.advance(1.0)
        assert len(bench.received) == published
    assert bench.refused[0].detail.startswith("will: iot:Publish on topic/aws/0/101/error/")
    assert bench.metric("PublishIn.AuthError") == 1


def test_retaining_needs_a_permission_of_its_own(new_client: New, site: Site) -> None:
    owner = new_client(site.port, tls=site.context(site.owner))
    owner.connect("owner")
    owner.publish("notes", b"fine")
    owner.publish("notes", b"kept", retain=True)
    assert owner.wait_closed()
    assert site.bench.payloads() == [b"fine"]
    assert site.bench.metric("PublishRetained.AuthError") == 1
    assert site.bench.refused[0].detail.startswith("iot:RetainPublish on topic/notes")
