"""A twin in a thread, and clients of AWS that go to its HTTPS port."""

import asyncio
import configparser
import http.client
import json
import queue
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import boto3
import uvloop
from awscrt import auth, io, mqtt5
from botocore.config import Config

from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.twin import Twin
from buoyfleet.model.twin import TwinSpec

DEADLINE_S = 120.0
REGION = "eu-central-1"
Answer = TypeVar("Answer")


class TwinBench:
    """A twin on a loop in a thread of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.folder = folder / "twin"
        self.refused: list[tuple[str, str]] = []
        self.published: list[tuple[str, bytes]] = []
        self._changed = threading.Event()
        config = TwinConfig(str(self.folder), limits="aws", twin=TwinSpec(**settings))
        self.twin: Twin = self.run(self._start(config))
        status = self.call(self.twin.status)
        self.credentials = status["credentials"]
        self.alpn_port, self.http_port, self.port = status["alpn_port"], status["http_port"], status["port"]
        self.scheme = "http" if self.alpn_port is None else "https"

    async def _start(self, config: TwinConfig) -> Twin:
        twin = Twin(config)
        refused, sink = twin.broker.records._on_refused, twin.broker._publishing._sink

        def on_refused(reason: str, detail: str, *rest: Any) -> None:
            self.refused.append((reason, detail))
            refused(reason, detail, *rest)  # type: ignore[misc]
            self._changed.set()

        def on_publish(topic: str, payload: bytes, *rest: Any) -> bool | None:
            self.published.append((topic, payload))
            return sink(topic, payload, *rest)

        twin.broker.records._on_refused = on_refused
        twin.broker._publishing._sink = on_publish
        await twin.start()
        return twin

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the twin's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def call(self, function: Callable[[], Answer]) -> Answer:
        """Call a function on the twin's loop."""

        async def called() -> Answer:
            return function()

        answer: Answer = self.run(called())
        return answer

    def wait_for_refusal(self, words: str) -> str:
        """The detail of a refusal that holds these words."""
        while True:
            self._changed.clear()
            for _, detail in list(self.refused):
                if words in detail:
                    return detail
            assert self._changed.wait(DEADLINE_S), (words, self.refused)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the twin does not report."""
        end_s = time.monotonic() + DEADLINE_S
        while not self.call(condition):
            assert time.monotonic() < end_s
            time.sleep(0.01)

    def close(self) -> None:
        """End the twin and its loop."""
        self.run(self.twin.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    # Clients

    def enrol(self, name: str, buoy: int) -> tuple[str, str]:
        """Certificate and key of a board."""
        assert self.twin.registry is not None
        files = self.twin.registry.enrol([(name, buoy)])
        return files.certificate.replace("{thing}", name), files.key.replace("{thing}", name)

    @property
    def ca(self) -> str:
        """The authority's certificate."""
        return str(self.folder / "certs" / "ca.pem")

    def keys(self, profile: str = "default") -> dict[str, str]:
        """A profile of the credentials file, as boto3 names its arguments."""
        parser = configparser.RawConfigParser()
        parser.read(self.credentials)
        return dict(parser[profile])

    def boto3(self, profile: str = "default", port: int | None = None, **changed: Any) -> Any:
        """boto3's client of `iot-data`; keyword arguments change its keys or its configuration."""
        keys = {**self.keys(profile), **{k: v for k, v in changed.items() if k.startswith("aws_")}}
        rest = {k: v for k, v in changed.items() if not k.startswith("aws_")}
        at = port or self.alpn_port or self.http_port
        return boto3.session.Session().client(
            "iot-data",
            region_name=REGION,
            endpoint_url=f"{self.scheme}://localhost:{at}",
            verify=self.ca if self.alpn_port else None,
            config=Config(retries={"total_max_attempts": 1}, **rest),
            **keys,
        )


class CrtClient:
    """AWS's own client of MQTT (awscrt, under every device SDK), over WebSocket, signed by its own signer."""

    def __init__(self, bench: TwinBench, client_id: str, profile: str = "default", **changed: Any) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        put = self.events.put
        keys = {**bench.keys(profile), **changed}
        elg = io.EventLoopGroup(1)
        tls = None
        if bench.alpn_port:
            options = io.TlsContextOptions()
            options.override_default_trust_store_from_path(None, bench.ca)
            options.alpn_list = ["http/1.1"]  # as awsiot.mqtt5_client_builder does it
            tls = io.ClientTlsContext(options)
        provider = auth.AwsCredentialsProvider.new_static(
            keys["aws_access_key_id"], keys["aws_secret_access_key"], keys.get("aws_session_token")
        )

        def sign(transform_args: mqtt5.WebsocketHandshakeTransformArgs) -> None:
            config = auth.AwsSigningConfig(
                algorithm=auth.AwsSigningAlgorithm.V4,
                signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
                credentials_provider=provider,
                region=REGION,
                service="iotdevicegateway",
                omit_session_token=True,  # IoT Core wants it behind the signature
            )
            signed = auth.aws_sign_request(transform_args.http_request, config)
            signed.add_done_callback(lambda done: transform_args.set_done(done.exception()))

        self.client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name="localhost",
                port=bench.alpn_port or bench.http_port,
                bootstrap=io.ClientBootstrap(elg, io.DefaultHostResolver(elg)),
                tls_ctx=tls,
                websocket_handshake_transform=sign,
                connect_options=mqtt5.ConnectPacket(client_id=client_id, keep_alive_interval_sec=60),
                on_publish_callback_fn=lambda data: put(("message", data.publish_packet)),
                on_lifecycle_event_connection_success_fn=lambda data: put(("connected", data.connack_packet)),
                on_lifecycle_event_connection_failure_fn=lambda data: put(("failed", data.exception)),
                on_lifecycle_event_disconnection_fn=lambda data: put(("closed", data.disconnect_packet)),
                on_lifecycle_event_stopped_fn=lambda _: put(("stopped", None)),
            )
        )
        self.client.start()

    def next(self, kind: str) -> Any:
        """The next event, which is of this kind."""
        event, value = self.events.get(timeout=DEADLINE_S)
        assert event == kind, (event, value)
        return value

    def subscribe(self, topic_filter: str) -> int:
        """Reason code."""
        wanted = mqtt5.Subscription(topic_filter=topic_filter, qos=mqtt5.QoS.AT_LEAST_ONCE)
        future = self.client.subscribe(mqtt5.SubscribePacket(subscriptions=[wanted]))
        return int(future.result(DEADLINE_S).reason_codes[0].value)

    def publish(self, topic: str, payload: bytes) -> int:
        """Reason code."""
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        return int(self.client.publish(packet).result(DEADLINE_S).puback.reason_code.value)

    def stop(self) -> None:
        """Disconnect."""
        self.client.stop()
        while self.events.get(timeout=DEADLINE_S)[0] != "stopped":
            pass


class Https:
    """A device with a certificate and Python's own client of HTTP."""

    def __init__(self, bench: TwinBench, port: int, files: tuple[str, str] | None, alpn: str = "") -> None:
        context = ssl.create_default_context(cafile=bench.ca)
        if files:
            context.load_cert_chain(*files)
        if alpn:
            context.set_alpn_protocols([alpn])
        self._connection = http.client.HTTPSConnection("localhost", port, timeout=DEADLINE_S, context=context)

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and body."""
        self._connection.request("POST", path, body, headers or {})
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
