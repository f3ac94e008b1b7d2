"""HTTPS and WebSocket of the twin, with clients of others: boto3, awscrt, paho, node's WebSocket."""

import base64
import http.client
import json
import queue
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore
import botocore.exceptions
import paho.mqtt.client as paho
import pytest
from awscrt import mqtt5
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from gateway_bench import DEADLINE_S, REGION, CrtClient, Https, TwinBench

from buoyfleet.model.twin import TwinTls


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinBench]:
    """A twin with TLS; shared, as it takes a moment to make."""
    bench = TwinBench(tmp_path_factory.mktemp("secured"), tls=TwinTls())
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinBench]:
    """A twin without TLS."""
    bench = TwinBench(tmp_path_factory.mktemp("plain"))
    yield bench
    bench.close()


@pytest.fixture(params=["secured", "plain"])
def twin(request: pytest.FixtureRequest) -> TwinBench:
    """Both."""
    bench: TwinBench = request.getfixturevalue(request.param)
    return bench


def code_of(call: Any) -> tuple[int, str]:
    """Status and exception of a call that fails."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_boto3_publishes(twin: TwinBench) -> None:
    twin.boto3().publish(topic="aws/0/100/data/", qos=1, payload=b'{"temp": 7.5}')
    assert twin.published[-1] == ("aws/0/100/data/", b'{"temp": 7.5}')


def test_a_subscriber_gets_what_boto3_publishes_with_its_properties(plain: TwinBench) -> None:
    crt = CrtClient(plain, "reader")
    crt.next("connected")
    assert crt.subscribe("wörter/#") == 1
    plain.boto3().publish(
        topic="wörter/a b&c",
        qos=1,
        payload=b"x",
        userProperties=[{"a": "1"}, {"a": "2"}],
        payloadFormatIndicator="UTF8_DATA",
        contentType="text/plain",
        responseTopic="answer",
        correlationData=base64.b64encode(b"\x01\x02").decode(),
        messageExpiry=100,
    )
    got = crt.next("message")
    crt.stop()
    assert (got.topic, got.payload, got.content_type) == ("wörter/a b&c", b"x", "text/plain")
    assert [(one.name, one.value) for one in got.user_properties] == [("a", "1"), ("a", "2")]
    assert (got.response_topic, got.message_expiry_interval_sec) == ("answer", 100)
    assert got.payload_format_indicator == mqtt5.PayloadFormatIndicator.AWS_MQTT5_PFI_UTF8


@pytest.mark.parametrize(
    ("values", "status", "exception"),
    [
        ({"topic": "$aws/foreign"}, 400, "InvalidRequestException"),
        ({"topic": "a/b/c/d/e/f/g/h/i"}, 400, "InvalidRequestException"),
        ({"topic": "a/+"}, 400, "InvalidRequestException"),
        ({"topic": "t", "qos": 2}, 400, "InvalidRequestException"),
        ({"topic": "t", "payload": b"x" * 131_073}, 413, "RequestEntityTooLargeException"),
        ({"topic": "t", "messageExpiry": 604_801}, 400, "InvalidRequestException"),
    ],
)
def test_what_mqtt_refuses_boto3_is_refused(
    plain: TwinBench, values: dict[str, Any], status: int, exception: str
) -> None:
    before = len(plain.published)
    assert code_of(lambda: plain.boto3().publish(**{"qos": 1, **values})) == (status, exception)
    assert len(plain.published) == before


def test_retained_messages_are_read_page_by_page(plain: TwinBench) -> None:
    client = plain.boto3()
    topics = [f"kept/{number}" for number in range(5)]
    began_s = time.time()
    for topic in topics:
        client.publish(topic=topic, qos=1, retain=True, payload=topic.encode(), userProperties=[{"a": "1"}])
    one = client.get_retained_message(topic="kept/3")
    assert (one["topic"], one["payload"], one["qos"]) == ("kept/3", b"kept/3", 1)
    assert abs(one["lastModifiedTime"] / 1000 - began_s) < DEADLINE_S
    assert json.loads(one["userProperties"]) == [{"a": "1"}]
    pages = list(client.get_paginator("list_retained_messages").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["retainedTopics"]) for page in pages] == [2, 2, 1]
    rows = [row for page in pages for row in page["retainedTopics"]]
    assert [(row["topic"], row["payloadSize"], row["qos"]) for row in rows] == [(t, 6, 1) for t in topics]
    client.publish(topic="kept/3", qos=1, retain=True, payload=b"")
    assert code_of(lambda: client.get_retained_message(topic="kept/3")) == (404, "ResourceNotFoundException")


def test_shadows_over_https_are_those_of_mqtt(twin: TwinBench) -> None:
    client = twin.boto3()
    crt = CrtClient(twin, "shadow-reader")
    crt.next("connected")
    crt.subscribe("$aws/things/buoy-7/shadow/+/+")
    state = {"state": {"desired": {"interval": 60}, "reported": {"interval": 30}}}
    said = json.loads(
        client.update_thing_shadow(thingName="buoy-7", payload=json.dumps(state))["payload"].read()
    )
    assert (said["version"], said["state"]) == (1, state["state"])
    heard = {crt.next("message").topic.rpartition("/")[2] for _ in range(3)}
    assert heard == {"accepted", "delta", "documents"}
    whole = json.loads(client.get_thing_shadow(thingName="buoy-7")["payload"].read())
    assert whole["state"]["delta"] == {"interval": 60}
    for name in ("health", "configuration"):
        client.update_thing_shadow(thingName="buoy-7", shadowName=name, payload=json.dumps(state))
    named = client.list_named_shadows_for_thing(thingName="buoy-7", pageSize=1)
    rest = client.list_named_shadows_for_thing(thingName="buoy-7", nextToken=named["nextToken"])
    assert (named["results"], rest["results"]) == (["configuration"], ["health"])
    old = json.dumps({**state, "version": 7})
    assert code_of(lambda: client.update_thing_shadow(thingName="buoy-7", payload=old)) == (
        409,
        "ConflictException",
    )
    assert code_of(lambda: client.update_thing_shadow(thingName="buoy-7", payload="{"))[0] == 400
    client.delete_thing_shadow(thingName="buoy-7")
    assert crt.next("message").topic == "$aws/things/buoy-7/shadow/delete/accepted"
    assert code_of(lambda: client.get_thing_shadow(thingName="buoy-7")) == (404, "ResourceNotFoundException")
    crt.stop()


def test_a_connection_is_described_and_ended(plain: TwinBench) -> None:
    client = plain.boto3()
    crt = CrtClient(plain, "to-be-ended")
    crt.next("connected")
    crt.subscribe("a/#")
    assert client.list_subscriptions(clientId="to-be-ended")["subscriptions"] == [
        {"topicFilter": "a/#", "qos": 1}
    ]
    now = client.get_connection(clientId="to-be-ended")
    assert (now["connected"], now["keepAliveDuration"], now["cleanSession"]) == (True, 60, True)
    client.delete_connection(clientId="to-be-ended", cleanSession=True)
    crt.next("closed")
    crt.stop()
    assert code_of(lambda: client.get_connection(clientId="nobody")) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"aws_secret_access_key": "wrong"}, "the signature does not match"),
        ({"aws_access_key_id": "AKIAEXAMPLE"}, "the access key 'AKIAEXAMPLE' is not the twin's"),
        ({"aws_session_token": "x"}, "has another session token"),
    ],
)
def test_a_wrong_key_is_refused_and_named(twin: TwinBench, changed: dict[str, str], words: str) -> None:
    client = twin.boto3(**changed)
    assert code_of(lambda: client.publish(topic="t")) == (403, "ForbiddenException")
    twin.wait_for_refusal(words)


def test_an_old_signature_is_refused(plain: TwinBench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr("buoyfleet.cloud.local.gateway.gateway.time.time", lambda: real() + 301)
    assert code_of(lambda: plain.boto3().publish(topic="t"))[0] == 403
    plain.wait_for_refusal("it expired after 300 s")


def test_temporary_keys_need_their_token(twin: TwinBench) -> None:
    twin.boto3("temporary").publish(topic="t", qos=1, payload=b"1")
    crt = CrtClient(twin, "temporary", "temporary")
    crt.next("connected")
    crt.stop()
    keys = twin.keys("temporary")
    del keys["aws_session_token"]
    session = {"aws_session_token": None, **keys}
    assert code_of(lambda: twin.boto3(**session).publish(topic="t"))[0] == 403
    twin.wait_for_refusal("has no session token")


def test_without_credentials_nobody_gets_in_where_there_is_tls(secured: TwinBench) -> None:
    client = secured.boto3(signature_version=botocore.UNSIGNED)
    assert code_of(lambda: client.publish(topic="t")) == (403, "ForbiddenException")
    secured.wait_for_refusal("without a certificate")


def test_the_sdk_speaks_mqtt_over_a_signed_websocket(twin: TwinBench) -> None:
    crt = CrtClient(twin, "buoy-web")
    connack = crt.next("connected")
    assert connack.maximum_packet_size == 149_504
    assert crt.subscribe("echo/+") == 1
    for payload in (b"", b"x" * 131_072):
        assert crt.publish("echo/1", payload) == 0
        assert (crt.next("message").payload or b"") == payload
    assert twin.boto3().get_connection(clientId="buoy-web")["connected"] is True
    crt.stop()


def test_the_sdk_with_a_wrong_key_gets_no_websocket(twin: TwinBench) -> None:
    crt = CrtClient(twin, "buoy-web", aws_secret_access_key="wrong")
    error = crt.next("failed")
    crt.stop()
    assert "WEBSOCKET_UPGRADE_FAILURE" in str(error)


def presigned(bench: TwinBench, path: str = "/mqtt") -> str:
    """Path and query of a signed handshake, as applications make it with botocore."""
    keys = bench.keys()
    credentials = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    request = AWSRequest("GET", f"https://localhost:{bench.alpn_port or bench.http_port}{path}")
    SigV4QueryAuth(credentials, "iotdevicegateway", REGION, expires=60).add_auth(request)
    url = urlsplit(request.url)
    return f"{url.path}?{url.query}"


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
def test_paho_speaks_over_a_websocket(twin: TwinBench, version: Any) -> None:
    got: queue.Queue[Any] = queue.Queue()
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, f"paho-{version}", protocol=version, transport="websockets"
    )
    signed = twin.alpn_port is not None
    client.ws_set_options(presigned(twin) if signed else "/mqtt")
    if signed:
        client.tls_set(twin.ca)
    client.on_connect = lambda *_: client.subscribe("paho/#", 1)
    client.on_subscribe = lambda *_: client.publish("paho/1", b"x" * 70_000, 1)
    client.on_message = lambda *args: got.put(args[2].payload)
    client.connect("localhost", twin.alpn_port or twin.http_port)
    client.loop_start()
    assert got.get(timeout=DEADLINE_S) == b"x" * 70_000
    client.disconnect()
    client.loop_stop()


NODE = """
const [url, first] = process.argv.slice(1);
const socket = new WebSocket(url, ["mqtt"]);
socket.binaryType = "arraybuffer";
const connect = Buffer.from("100f00044d5154540402003c0003776562", "hex");
socket.onopen = () => { for (const byte of connect) socket.send(Buffer.from([byte])); };
if (first === "text") socket.onopen = () => socket.send("not MQTT");
socket.onmessage = (event) => { console.log(Buffer.from(event.data).toString("hex")); socket.close(); };
socket.onclose = (event) => console.log("closed", event.code, socket.protocol);
socket.onerror = () => console.log("error");
"""


def node(url: str, first: str = "") -> list[str]:
    """What a browser's client prints (node's own WebSocket is one)."""
    done = subprocess.run(
        ["node", "--experimental-websocket", "-e", NODE, url, first],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    return done.stdout.split("\n")[:-1] or [done.stderr]


def test_a_browser_may_cut_a_packet_into_frames(plain: TwinBench) -> None:
    url = f"ws://127.0.0.1:{plain.http_port}/mqtt"
    assert node(url) == ["20020000", "closed 1005 mqtt"]


def test_text_is_not_mqtt(plain: TwinBench) -> None:
    assert node(f"ws://127.0.0.1:{plain.http_port}/mqtt", "text") == ["closed 1003 mqtt"]


def test_a_websocket_elsewhere_is_refused(plain: TwinBench) -> None:
    assert "error" in node(f"ws://127.0.0.1:{plain.http_port}/")
    plain.wait_for_refusal("IoT Core has it on /mqtt")


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "iot:Publish",
            "Resource": "arn:aws:iot:us-east-1:123456789012:topic/open/*",
        },
        {
            "Effect": "Allow",
            "Action": "iot:Publish",
            "Resource": "arn:aws:iot:us-east-1:123456789012:topic/own/${iot:Connection.Thing.ThingName}",
        },
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
    ],
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinBench]:
    """A twin with policies of its own."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "policy.json").write_text(json.dumps(POLICY))
    policy = str(folder / "policy.json")
    bench = TwinBench(folder, tls=TwinTls(policy=policy), access_policy=policy)
    yield bench
    bench.close()


@pytest.mark.parametrize("alpn", ["", "x-amzn-http-ca"])
def test_a_board_publishes_over_https_with_its_certificate(strict: TwinBench, alpn: str) -> None:
    port = strict.alpn_port if alpn else strict.http_port
    board = Https(strict, port or 0, strict.enrol("buoy-100", 100), alpn)
    for _ in range(2):  # one connection
        status, said = board.post("/topics/open%2Fa?qos=1", b"{}")
        assert (status, said["message"]) == (200, "OK")
    assert strict.published[-1] == ("open/a", b"{}")
    assert board.post("/topics/other?qos=1", b"{}")[0] == 403
    board.close()


def test_a_certificate_counts_for_nothing_where_the_client_does_not_name_its_protocol(
    strict: TwinBench,
) -> None:
    board = Https(strict, strict.alpn_port or 0, strict.enrol("buoy-100", 100))
    assert board.post("/topics/open%2Fa?qos=1", b"{}")[0] == 403
    board.close()


def test_over_https_a_board_is_no_thing_for_its_policy(strict: TwinBench) -> None:
    board = Https(strict, strict.http_port, strict.enrol("buoy-100", 100))
    assert board.post("/topics/own/buoy-100?qos=1", b"{}")[0] == 403
    board.close()
    strict.wait_for_refusal("iot:Publish on topic/own/buoy-100 is not allowed for a client of HTTPS")


def test_the_port_for_certificates_refuses_a_client_without(strict: TwinBench) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        Https(strict, strict.http_port, None).post("/topics/open/a?qos=1", b"{}")


def test_the_policy_of_the_access_keys_holds(strict: TwinBench) -> None:
    client = strict.boto3()
    client.publish(topic="open/b", qos=1, payload=b"{}")
    assert code_of(lambda: client.publish(topic="closed", qos=1)) == (403, "ForbiddenException")
    assert code_of(lambda: client.publish(topic="open/b", qos=1, retain=True))[0] == 403
    assert code_of(lambda: client.get_thing_shadow(thingName="x"))[0] == 403
    assert code_of(lambda: client.list_retained_messages())[0] == 403
    assert code_of(lambda: client.get_connection(clientId="x"))[0] == 403


def test_a_browser_with_a_certificate_alone_gets_no_websocket(secured: TwinBench) -> None:
    files = secured.enrol("buoy-101", 101)
    board = Https(secured, secured.http_port, files)
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "mqtt",
        "Sec-WebSocket-Key": base64.b64encode(b"x" * 16).decode(),
    }
    board._connection.request("GET", "/mqtt", headers=headers)
    assert board._connection.getresponse().status == 403
    board.close()


def test_a_twin_that_nobody_asks_over_https_loads_nothing_for_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from buoyfleet.cloud.local.config import TwinConfig\n"
        "from buoyfleet.cloud.local.twin import Twin\n"
        "async def main():\n"
        "    twin = Twin(TwinConfig(sys.argv[1]))\n"
        "    await twin.start()\n"
        "    assert twin.http_port\n"
        "    await twin.close()\n"
        "asyncio.run(main())\n"
        "dear = ('h11', 'websockets', 'cryptography', 'secrets')\n"
        "print([n for n in sys.modules if n.split('.')[0] in dear])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "twin")],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.stdout == "[]\n", done.stderr
    assert not (tmp_path / "twin" / "aws-credentials").exists()
