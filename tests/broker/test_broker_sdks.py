"""Clients nobody here wrote, with MQTT 5: AWS's own (awscrt, under every AWS IoT device SDK), and gmqtt."""

import asyncio
import queue
from typing import Any

import gmqtt
from awscrt import io, mqtt5
from broker_bench import DEADLINE_S, Bench
from gmqtt.mqtt.constants import MQTTv50

from buoyfleet.cloud.local.broker.authority import PUBLISH, Principal
from buoyfleet.cloud.local.things import Services


class Sdk:
    """A client of awscrt, with its lifecycle as events."""

    def __init__(self, port: int, client_id: str, **options: Any) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        put = self.events.put
        elg = io.EventLoopGroup(1)
        self.client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name="127.0.0.1",
                port=port,
                bootstrap=io.ClientBootstrap(elg, io.DefaultHostResolver(elg)),
                connect_options=mqtt5.ConnectPacket(
                    client_id=client_id, keep_alive_interval_sec=60, **options
                ),
                on_publish_callback_fn=lambda data: put(("message", data.publish_packet)),
                on_lifecycle_event_connection_success_fn=lambda data: put(
                    ("connected", (data.connack_packet, data.negotiated_settings))
                ),
                on_lifecycle_event_disconnection_fn=lambda data: put(("closed", data.disconnect_packet)),
                on_lifecycle_event_stopped_fn=lambda _: put(("stopped", None)),
            )
        )
        self.client.start()

    def next(self, kind: str) -> Any:
        event, value = self.events.get(timeout=DEADLINE_S)
        assert event == kind, (event, value)
        return value

    def subscribe(self, topic_filter: str) -> list[int]:
        wanted = mqtt5.Subscription(topic_filter=topic_filter, qos=mqtt5.QoS.AT_LEAST_ONCE)
        future = self.client.subscribe(mqtt5.SubscribePacket(subscriptions=[wanted]))
        return [code.value for code in future.result(DEADLINE_S).reason_codes]

    def publish(self, topic: str, payload: bytes, **properties: Any) -> int:
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE, **properties)
        return int(self.client.publish(packet).result(DEADLINE_S).puback.reason_code.value)

    def stop(self) -> None:
        self.client.stop()
        while self.events.get(timeout=DEADLINE_S)[0] != "stopped":
            pass


def test_the_sdk_negotiates_what_it_does_with_iot_core(bench: Bench) -> None:
    sdk = Sdk(bench.port, "buoy-100")
    connack, settings = sdk.next("connected")
    sdk.stop()
    # Word by word what the SDK prints after it has connected to IoT Core, but for the keep-alive asked for.
    assert (connack.receive_maximum, connack.maximum_packet_size, connack.topic_alias_maximum) == (
        100,
        149_504,
        8,
    )
    assert (connack.maximum_qos, connack.retain_available) == (mqtt5.QoS.AT_LEAST_ONCE, True)
    assert (connack.wildcard_subscriptions_available, connack.shared_subscription_available) == (True, True)
    assert connack.subscription_identifiers_available is False
    assert (connack.session_expiry_interval_sec, connack.assigned_client_identifier) == (None, None)
    assert (settings.receive_maximum_from_server, settings.maximum_packet_size_to_server) == (100, 149_504)
    assert (settings.server_keep_alive_sec, settings.session_expiry_interval_sec) == (60, 0)


def test_the_sdk_asks_and_is_answered_with_properties(bench: Bench) -> None:
    sdk = Sdk(bench.port, "buoy-100", session_expiry_interval_sec=100)
    sdk.next("connected")
    assert sdk.subscribe("$share/g/ask/+") == [1]
    code = sdk.publish(
        "ask/1",
        b"?",
        response_topic="answer",
        correlation_data=b"\x01",
        content_type="text",
        message_expiry_interval_sec=30,
        user_properties=[mqtt5.UserProperty("a", "1"), mqtt5.UserProperty("a", "2")],
    )
    assert code == 0
    message = sdk.next("message")
    sdk.stop()
    assert (message.response_topic, message.correlation_data, message.content_type) == (
        "answer",
        "\x01",  # awscrt gives bytes as text
        "text",
    )
    assert message.message_expiry_interval_sec == 30
    assert [(one.name, one.value) for one in message.user_properties] == [("a", "1"), ("a", "2")]


def test_the_sdk_hears_why_it_is_refused(start: Any) -> None:
    def authorise(action: str, _resource: str, __: Principal) -> bool:
        return action != PUBLISH

    bench = start(authorise=authorise)
    sdk = Sdk(bench.port, "buoy-100")
    sdk.next("connected")
    assert sdk.publish("t", b"x") == 0x87
    assert sdk.next("closed").reason_code == mqtt5.DisconnectReasonCode.NOT_AUTHORIZED
    sdk.stop()


def test_the_sdk_reads_a_shadow(start: Any) -> None:
    bench = start(account=Services())
    sdk = Sdk(bench.port, "buoy-100")
    sdk.next("connected")
    assert sdk.subscribe("$aws/things/buoy-100/shadow/get/+") == [1]
    assert sdk.publish("$aws/things/buoy-100/shadow/get", b"") == 0
    assert sdk.next("message").topic == "$aws/things/buoy-100/shadow/get/rejected"
    sdk.stop()


def test_gmqtt_reads_its_own_message_with_its_properties(bench: Bench) -> None:
    async def run() -> tuple[bytes, dict[str, Any]]:
        client = gmqtt.Client("buoy-100", session_expiry_interval=60)
        found: asyncio.Future[tuple[bytes, dict[str, Any]]] = asyncio.get_running_loop().create_future()

        async def on_message(_: Any, __: str, payload: bytes, ___: int, properties: dict[str, Any]) -> int:
            found.set_result((payload, properties))
            return 0

        client.on_message = on_message
        client.on_subscribe = lambda *_: client.publish(
            "t", b"x", 1, user_property=("a", "1"), content_type="c"
        )
        await client.connect("127.0.0.1", bench.port, version=MQTTv50)
        client.subscribe("t", 1)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await found
        finally:
            await client.disconnect()

    payload, properties = asyncio.run(run())
    assert payload == b"x"
    assert (properties["user_property"], properties["content_type"]) == ([("a", "1")], ["c"])
