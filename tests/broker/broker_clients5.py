"""A client of MQTT 5 for tests: paho, with events in the order they come."""

import queue
from typing import Any

import paho.mqtt.client as paho
from broker_bench import DEADLINE_S
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions


class Paho5:
    """paho-mqtt with MQTT 5."""

    def __init__(self, port: int, client_id: str = "buoy-100", *, acknowledge: bool = True) -> None:
        self.port = port
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.received: list[paho.MQTTMessage] = []
        """Messages as paho gives them."""
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=not acknowledge,
        )
        put = self.events.put
        self.client.on_connect = lambda _, __, flags, code, properties: put(
            ("connack", (flags.session_present, code.value, properties))
        )
        self.client.on_publish = lambda _, __, ___, code, ____: put(("puback", code.value))
        self.client.on_subscribe = lambda _, __, ___, codes, ____: put(("suback", [c.value for c in codes]))
        self.client.on_unsubscribe = lambda _, __, ___, codes, ____: put(
            ("unsuback", [c.value for c in codes])
        )
        self.client.on_message = self._message
        self.client.on_disconnect = lambda _, __, ___, code, ____: put(("closed", code.value))

    def _message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        self.received.append(message)
        self.events.put(("message", message.payload))

    def connect(self, *, clean_start: bool = True, **properties: Any) -> Any:
        """(session present, code, properties) of CONNACK."""
        sent = Properties(PacketTypes.CONNECT)
        for name, value in properties.items():
            setattr(sent, name, value)
        self.client.connect("127.0.0.1", self.port, 30, clean_start=clean_start, properties=sent)
        self.client.loop_start()
        return self.next("connack")

    def next(self, kind: str) -> Any:
        """The next event, which must be of that kind."""
        event, value = self.events.get(timeout=DEADLINE_S)
        assert event == kind, (event, value)
        return value

    def subscribe(self, topic_filter: str, **options: Any) -> list[int]:
        """SUBSCRIBE to one filter; the codes of SUBACK."""
        chosen = SubscribeOptions(**{"qos": 1, **options})
        self.client.subscribe(topic_filter, options=chosen)
        codes: list[int] = self.next("suback")
        return codes

    def publish(self, topic: str, payload: bytes = b"x", qos: int = 0, **options: Any) -> None:
        """PUBLISH; properties by name. With QoS 0 there is no event of an acknowledgement to wait for."""
        retain = options.pop("retain", False)
        properties = Properties(PacketTypes.PUBLISH)
        for name, value in options.items():
            setattr(properties, name, value)
        self.client.publish(topic, payload, qos, retain, properties=properties)
        if not qos:
            self.next("puback")  # paho says so when it has written the message

    def message(self) -> paho.MQTTMessage:
        """The next message, which must be the next event."""
        self.next("message")
        return self.received[-1]

    def fence(self) -> None:
        """Wait until all that was sent before is dealt with, and delivered."""
        self.client.unsubscribe("fence")
        while self.events.get(timeout=DEADLINE_S)[0] != "unsuback":
            pass

    def vanish(self) -> None:
        """Close without DISCONNECT."""
        connected = self.client.socket()
        assert connected is not None
        connected.close()
        self.client.loop_stop()

    def close(self) -> None:
        """DISCONNECT, if it is still there."""
        self.client.disconnect()
        self.client.loop_stop()
