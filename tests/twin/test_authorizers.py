"""Custom authorizers: a function of the user's decides, whatever the protocol."""

import base64
import itertools
import json
import queue
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from gateway_bench import DEADLINE_S, Https, TwinBench

from buoyfleet.cloud.local.gateway.authorizer import Authorizer
from buoyfleet.model.errors import UsageError
from buoyfleet.model.twin import AuthorizerSpec, TwinTls

AUTHORIZER = """
import base64, json

def lambda_handler(event, context):
    data = event["protocolData"]
    mqtt = data.get("mqtt", {})
    word = base64.b64decode(mqtt.get("password", "")).decode() or event.get("token", "")
    if not word and "http" in data:
        word = data["http"]["headers"].get("x-word", "")
    print(json.dumps(event))
    if word == "crash":
        raise RuntimeError("as asked")
    said = {
        "isAuthenticated": word.startswith("let me in"),
        "principalId": "Tester1",
        "disconnectAfterInSeconds": 3600,
        "refreshAfterInSeconds": 300,
        "policyDocuments": [{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["iot:Connect"], "Resource": ["*"]},
            {"Effect": "Allow", "Action": ["iot:Publish"],
             "Resource": ["arn:aws:iot:us-east-1:123456789012:topic/mine/*"]}]}],
    }
    if word.endswith("briefly"):
        said["refreshAfterInSeconds"] = 10
    return said
"""

NUMBERS = itertools.count()
KEY = rsa.generate_private_key(65537, 2048)


def signature(token: str) -> str:
    """As `openssl dgst -sha256 -sign` makes it."""
    return base64.b64encode(KEY.sign(token.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinBench]:
    """A twin with TLS and two authorizers; functions called later are kept in `later`."""
    folder = tmp_path_factory.mktemp("authorizers")
    (folder / "ask.py").write_text(AUTHORIZER)
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(pem)
    handler = str(folder / "ask.py")
    bench = TwinBench(
        folder,
        tls=TwinTls(),
        authorizers=(
            AuthorizerSpec("open", handler, default=True),
            AuthorizerSpec("signed", handler, token_key="x-token", signing_key=str(folder / "key.pem")),
        ),
    )
    yield bench
    bench.close()


@pytest.fixture
def later(twin: TwinBench) -> list[tuple[float, Any]]:
    """What the gateway wants to do later."""
    kept: list[tuple[float, Any]] = []
    twin.twin.front.gateway().later = lambda seconds, do: kept.append((seconds, do))
    return kept


class Client:
    """paho with a user name and a password."""

    def __init__(
        self, twin: TwinBench, user: str, password: str, version: Any = paho.MQTTv311, **options: Any
    ) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.id = f"web-{next(NUMBERS)}"  # IoT Core takes one CONNECT a second from each
        self.paho = paho.Client(
            paho.CallbackAPIVersion.VERSION2, self.id, protocol=version, reconnect_on_failure=False, **options
        )
        context = ssl.create_default_context(cafile=twin.ca)
        if options.get("transport") == "websockets":
            self.paho.ws_set_options("/mqtt")
        else:
            context.set_alpn_protocols(["mqtt"])
        self.paho.tls_set_context(context)
        self.paho.username_pw_set(user, password)
        put = self.events.put
        self.paho.on_connect = lambda *args: put((("connected", "refused")[args[3].is_failure], args[3]))
        self.paho.on_publish = lambda *args: put(("published", args[3]))
        self.paho.on_disconnect = lambda *args: put(("closed", args[3]))
        self.paho.connect("localhost", twin.alpn_port or 0)
        self.paho.loop_start()

    def next(self) -> str:
        """The next event."""
        return self.events.get(timeout=DEADLINE_S)[0]

    def close(self) -> None:
        """Hang up."""
        self.paho.disconnect()
        self.paho.loop_stop()


def last_event(twin: TwinBench) -> dict[str, Any]:
    """What the function was given last: it prints it."""
    found: dict[str, Any] = json.loads((twin.folder / "authorizer.log").read_text().splitlines()[-1])
    return found


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_a_user_name_and_a_password_open_mqtt(twin: TwinBench, version: Any, transport: Any) -> None:
    client = Client(twin, "anna?x-amz-customauthorizer-name=open", "let me in", version, transport=transport)
    assert client.next() == "connected"
    client.paho.publish("mine/1", b"1", 1)
    assert client.next() == "published"
    assert twin.published[-1] == ("mine/1", b"1")
    event = last_event(twin)
    assert event["protocolData"]["mqtt"] == {
        "username": "anna?x-amz-customauthorizer-name=open",
        "password": base64.b64encode(b"let me in").decode(),
        "clientId": client.id,
    }
    assert event["protocolData"]["tls"] == {"serverName": "localhost"}
    web = transport == "websockets"
    assert event["protocols"] == (["tls", "http", "mqtt"] if web else ["tls", "mqtt"])
    assert ("http" in event["protocolData"], event["signatureVerified"]) == (web, False)
    assert "token" not in event
    client.paho.publish("others/1", b"1", 1)
    while client.next() != "closed":
        pass  # MQTT 5 hears why first
    client.close()
    twin.wait_for_refusal(f"iot:Publish on topic/others/1 is not allowed for client '{client.id}' (Tester1)")


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("anna", "no", "authorizer open: isAuthenticated is False"),
        ("anna", "crash", "authorizer open: its function failed: RuntimeError: as asked"),
        ("anna", "let me in briefly", "refreshAfterInSeconds is 10, not a number from 300 to 86400"),
        (
            "anna?x-amz-customauthorizer-name=none",
            "let me in",
            "no authorizer 'none'; the twin has: open",
        ),
        ("anna?x-amz-customauthorizer-name=signed", "", "the client sent no token under 'x-token'"),
        ("a?x-amz-customauthorizer-name=signed&x-token=t", "", "sent no x-amz-customauthorizer-signature"),
    ],
)
def test_who_may_not_connect_is_refused_and_the_reason_noted(
    twin: TwinBench, user: str, password: str, words: str
) -> None:
    client = Client(twin, user, password, paho.MQTTv5)
    assert client.next() == "refused"
    client.close()
    twin.wait_for_refusal(words)


def test_a_signed_token_opens_https_and_a_forged_one_does_not_reach_the_function(twin: TwinBench) -> None:
    web = Https(twin, twin.alpn_port or 0, None)
    headers = {"x-amz-customauthorizer-name": "signed", "x-token": "let me in"}
    signed = {**headers, "x-amz-customauthorizer-signature": signature("let me in")}
    assert web.post("/topics/mine/2?qos=1", b"2", signed)[0] == 200
    assert twin.published[-1] == ("mine/2", b"2")
    event = last_event(twin)
    assert (event["token"], event["signatureVerified"]) == ("let me in", True)
    assert event["protocols"] == ["tls", "http"]
    assert event["protocolData"]["http"]["queryString"] == "?qos=1"
    invocations = len((twin.folder / "authorizer.log").read_text().splitlines())
    forged = {**headers, "x-amz-customauthorizer-signature": signature("let him in")}
    assert web.post("/topics/mine/2?qos=1", b"2", forged)[0] == 403
    web.close()
    twin.wait_for_refusal("the signature of the token is not that of its key")
    assert len((twin.folder / "authorizer.log").read_text().splitlines()) == invocations


def test_an_authorizer_opens_nothing_over_https_but_publishing(twin: TwinBench) -> None:
    web = Https(twin, twin.alpn_port or 0, None)
    assert web.post("/things/buoy-1/shadow", b"{}", {"x-word": "let me in"})[0] == 403
    web.close()
    twin.wait_for_refusal("opens nothing over HTTPS but publishing")


def test_a_browser_shows_its_token_in_the_address(twin: TwinBench) -> None:
    token, name = quote("let me in"), "x-amz-customauthorizer-name=signed"
    address = (
        f"wss://localhost:{twin.alpn_port}/mqtt?{name}&x-token={token}&x-amz-customauthorizer-signature="
    )
    code = (
        "const s = new WebSocket(process.argv[1], ['mqtt']); s.binaryType = 'arraybuffer';"
        "s.onopen = () => s.send(Buffer.from('100f00044d5154540402003c0003776562', 'hex'));"
        "s.onmessage = (e) => { console.log(Buffer.from(e.data).toString('hex')); s.close(); };"
        "s.onerror = () => console.log('error');"
    )
    for text, said in ((signature("let me in"), "20020000"), (signature("x"), "error")):
        done = subprocess.run(
            ["node", "--experimental-websocket", "-e", code, address + quote(text, safe="")],
            env={"NODE_EXTRA_CA_CERTS": twin.ca, "PATH": "/usr/bin:/usr/local/bin"},
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.stdout == said + "\n", done.stderr


def test_the_function_is_asked_anew_and_the_connection_ends_when_it_said(
    twin: TwinBench, later: list[tuple[float, Any]]
) -> None:
    client = Client(twin, "anna", "let me in")
    assert client.next() == "connected"
    assert [seconds for seconds, _ in later] == [3600, 300]
    twin.call(later[1][1])
    twin.wait_until(lambda: len(later) == 3)
    assert later[2][0] == 300
    twin.call(later[0][1])
    assert client.next() == "closed"
    client.close()
    info = twin.call(lambda: twin.twin.broker.data.connection_info(client.id))
    assert info is not None
    assert info.disconnect_reason == "CUSTOMAUTH_TTL_EXPIRATION"


def test_a_client_that_names_mqtt_finds_no_authorizer_on_a_twin_without(tmp_path: Path) -> None:
    bench = TwinBench(tmp_path, tls=TwinTls())
    try:
        client = Client(bench, "anna", "let me in")
        bench.wait_for_refusal("ALPN mqtt is for custom authorizers, and the twin has none")
        client.close()
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot read"), (b"x", "no public key"), (b"1024", "at least 2048 bits")]
)
def test_a_key_that_aws_would_not_take_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "key.pem"
    if content == b"1024":
        short = rsa.generate_private_key(65537, 1024).public_key()
        content = short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if content is not None:
        file.write_bytes(content)
    spec = AuthorizerSpec("a", "ask.py", token_key="t", signing_key=str(file))
    with pytest.raises(UsageError, match=words):
        Authorizer(spec, tmp_path / "log", 10)
